//! The HTTP receiver: takes records by POST, checks them against their schemas, and answers 200 once
//! Kafka has acknowledged them.
//!
//! ```text
//! request ─▶ server: route ▸ caller ▸ body ─▶ items ─▶ fit | program ─▶ prepare ─▶ deliver ─▶ answer
//! ```
//!
//! | module | owns |
//! | --- | --- |
//! | [`settings`] | the file of routes, callers and limits |
//! | [`server`] | one request from its headers to its answer |
//! | [`items`] | a body taken apart |
//! | [`fit`] | an item held against a schema, with every problem |
//! | [`prepare`] | all records of a request, before the first is produced |
//! | [`deliver`], [`gate`], [`watch`] | the producer, and whether records can be delivered |
//! | [`auth`], [`rate`], [`guid`] | who is calling, how often, and under which id |
//! | [`openapi`], [`page`] | what is served about the routes |

pub mod auth;
pub mod commands;
pub mod deliver;
pub mod fit;
pub mod gate;
pub mod guid;
pub mod items;
pub mod openapi;
pub mod page;
pub mod prepare;
pub mod rate;
pub mod route;
pub mod serve;
pub mod server;
pub mod service;
pub mod settings;
mod stopping;
pub mod telemetry;
pub mod watch;
