//! What the commands print: results on standard output, problems on standard error.

use std::fmt::Display;
use std::process::ExitCode;

use comfy_table::{ContentArrangement, Table, presets};
use nubium_core::config::Config;

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
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header.to_vec());
    table
}

/// Shows every setting of the core's with where its value comes from, secrets redacted.
pub fn show_settings(config: &Config) {
    let mut table = table(&["Setting", "Value", "From"]);
    for setting in config.effective() {
        let source = setting.source.to_string();
        table.add_row([setting.name, setting.value.as_str(), source.as_str()]);
    }
    show(table);
}

/// Prints the completions of a shell for the command line `C`.
pub fn completions<C: clap::CommandFactory>(shell: clap_complete::Shell) -> ExitCode {
    let mut command = C::command();
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, &mut std::io::stdout());
    ExitCode::SUCCESS
}
