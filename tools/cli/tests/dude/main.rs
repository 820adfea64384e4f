//! `dude` as a person types it, on a real broker and registry: what it prints, and what it answers.

mod command_line;
mod files;
mod groups;
mod local;
mod messages;
mod replay;
mod schemas;
mod tokens;
mod topics;
mod transactions;
mod volume;
mod world;
