//! The borders of the product: messages of every format as any client may write them, right, odd
//! and broken, through every program. One broker and registry, each service started once or twice;
//! what came of it is printed as a matrix.

mod cases;
mod columns;
mod debezium;
mod foreign;
mod matrix;
mod schemas;
mod senders;
mod story;
mod subjects;
mod world;
