//! What the services that need no Rust have in common: the funnel, the table service, the HTTP
//! receiver and the batch-uploader.
//!
//! [`service`] is the frame: command line, settings, checks, end.
//! A service's own settings are a YAML file: [`document`] reads one and keeps count of what is
//! wrong with it, [`topics`] knows the parts that services share. [`start`] is what every command
//! begins with. [`worker`] runs a mapping program on the messages of a loop. [`check`] has the
//! checks of `check` commands, [`terminal`] what commands print.

pub mod check;
pub mod cluster;
pub mod document;
pub mod schemas;
pub mod service;
pub mod start;
pub mod terminal;
pub mod topics;
pub mod worker;
