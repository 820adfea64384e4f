//! Tells whether an app is exactly-once, whoever wrote it: sequence numbers go in, the app is killed
//! and paused, and what comes out is counted.
//!
//! [`cli`] has the command line. [`run`] makes topics, feeds them and hurts the app in [`app`];
//! [`watch`] follows a pipeline that is at work, and touches nothing. [`tally`] is the judge, a pure
//! count; [`kafka`] is the only place that knows a broker.

pub mod app;
pub mod cli;
pub mod kafka;
pub mod run;
pub mod tally;
pub mod watch;
