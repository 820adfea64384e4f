//! What commands print: results on standard output, everything else on standard error.

use std::fmt::Display;

use comfy_table::{ContentArrangement, Table, presets};

/// Prints a result.
#[expect(clippy::print_stdout, reason = "this is the command's result")]
pub fn show(text: impl Display) {
    println!("{text}");
}

/// Prints what went wrong, or what is worth knowing beside the result.
#[expect(clippy::print_stderr, reason = "a command talks to the person who started it")]
pub fn tell(text: impl Display) {
    eprintln!("{text}");
}

/// Starts a table that fits the terminal.
#[must_use]
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header.to_vec());
    table
}
