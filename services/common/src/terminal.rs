//! What the commands print: results on standard output, problems on standard error.

use nubium_core::config::Config;
pub use nubium_host::terminal::{show, table, tell};

/// Shows every setting of the core's with where its value comes from, secrets redacted.
pub fn show_settings(config: &Config) {
    let mut table = table(&["Setting", "Value", "From"]);
    for setting in config.effective() {
        let source = setting.source.to_string();
        table.add_row([setting.name, setting.value.as_str(), source.as_str()]);
    }
    show(table);
}
