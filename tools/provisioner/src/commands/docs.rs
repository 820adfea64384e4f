//! `nubium-provision docs`: who reads and writes what.

use super::write;
use crate::cli::Output;
use crate::ending::{Ending, Error};
use crate::page::page;
use crate::start::Start;

/// Writes the page; no cluster is asked.
pub(super) fn run(manifests: &[String], output: &Output) -> Result<Ending, Error> {
    let start = Start::load(manifests)?;
    start.must_say_something()?;
    write(output, &page(&start.topology, &start.manifests))?;
    Ok(Ending::Ok)
}
