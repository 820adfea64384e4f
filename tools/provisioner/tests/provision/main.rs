//! `nubium-provision` as a user runs it, on a real broker and registry.

mod applying;
mod checking;
mod drift;
mod place;
mod planning;
mod refusals;
mod rejoining;
mod retries;
mod rights;
mod schemas;
mod secure;
mod tokens;
