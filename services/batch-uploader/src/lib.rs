//! The batch-uploader: sends batches of messages to an HTTP API. See docs/batch-uploader.md.

pub mod announce;
pub mod answer;
pub mod assertion;
pub mod auth;
pub mod breaker;
pub mod chunk;
pub mod client;
pub mod commands;
pub mod item;
pub mod pace;
pub mod produce;
pub mod quota;
pub mod route;
pub mod secret_file;
pub mod service;
pub mod settings;
pub mod start;
pub mod template;
pub mod upload;
pub mod uploads;
