//! Data between files and topics: what lines hold, what messages hold, and one as the other.

pub mod column;
pub mod decode;
pub mod encode;
pub mod envelope;
pub mod filter;
pub mod input;
