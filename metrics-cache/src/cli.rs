//! The command line. Flags that a Pushgateway has keep its names, meanings and defaults.

use std::convert::Infallible;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgAction, Parser};
use nubium_host::logging::{LogFormat, LogLevel};

use crate::limits::PushLimits;
use crate::names::Names;

const EXAMPLES: &str = "\
Examples:
  metrics-cache                                            in memory, on port 9091
  metrics-cache --persistence.file=metrics --push.expire-after=5m
  metrics-cache --replica.peers=metrics-cache-headless:9091

  echo 'jobs_done 5' | curl --data-binary @- http://localhost:9091/metrics/job/nightly
  curl http://localhost:9091/metrics

A stop by SIGTERM ends with 0, bad flags or a bad web configuration with 2.";

/// Keeps the metrics that apps push, for Prometheus to scrape. Speaks the Pushgateway's HTTP API.
#[derive(Debug, Clone, Parser)]
#[command(name = "metrics-cache", version, about, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// Address to listen on; give it again for more. Without a host: all of them
    #[arg(long = "web.listen-address", default_value = ":9091", value_parser = address)]
    pub(crate) listen: Vec<SocketAddr>,

    /// File with TLS and basic auth, in the format of Prometheus' web configuration
    #[arg(long = "web.config.file", value_name = "FILE", default_value = "", value_parser = file)]
    pub(crate) web_config: OptionalFile,

    /// Path of the scrape
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics")]
    pub(crate) telemetry_path: String,

    /// URL under which the cache is reached from outside; its path is the default route prefix
    #[arg(long = "web.external-url", value_name = "URL", default_value = "")]
    pub(crate) external_url: String,

    /// Prefix of all paths
    #[arg(long = "web.route-prefix", value_name = "PATH", default_value = "")]
    pub(crate) route_prefix: String,

    /// Allow to stop the cache by `PUT /-/quit`
    #[arg(long = "web.enable-lifecycle", action = ArgAction::SetTrue)]
    pub(crate) lifecycle: bool,

    /// Allow to remove every group by `PUT /api/v1/admin/wipe`
    #[arg(long = "web.enable-admin-api", action = ArgAction::SetTrue)]
    pub(crate) admin_api: bool,

    /// File that the groups survive a restart in; without it they are in memory alone
    #[arg(long = "persistence.file", value_name = "FILE", default_value = "", value_parser = file)]
    pub(crate) file: OptionalFile,

    /// Least time between two writes of the file
    #[arg(long = "persistence.interval", default_value = "5m", value_parser = duration)]
    pub(crate) persist_interval: Duration,

    /// Answer 202 to every push that can be read. Inconsistent ones are still left out
    #[arg(long = "push.disable-consistency-check", action = ArgAction::SetTrue)]
    pub(crate) unchecked: bool,

    /// Take any UTF-8 text as name of a metric or label; in paths such a name is written as `U__…`
    #[arg(long = "push.enable-utf8-names", action = ArgAction::SetTrue)]
    pub(crate) utf8_names: bool,

    /// Remove groups that nobody pushed to for this long; 0 keeps them for ever. A push may set
    /// its own by the header `Metrics-Cache-Expire-After`
    #[arg(long = "push.expire-after", default_value = "0s", value_parser = duration)]
    pub(crate) expire_after: Duration,

    /// Host and port of the headless service; its addresses are asked for their groups at start-up
    #[arg(long = "replica.peers", value_name = "HOST:PORT")]
    pub(crate) peers: Option<String>,

    /// DNS server that knows the peers, instead of those of /etc/resolv.conf; without its search
    /// domains
    #[arg(long = "replica.dns-server", value_name = "IP:PORT")]
    pub(crate) peers_dns: Option<SocketAddr>,

    /// How long start-up may wait for the peers
    #[arg(long = "replica.timeout", default_value = "30s", value_parser = duration)]
    pub(crate) peers_timeout: Duration,

    /// File with the password, when the peers ask for basic auth; the first line is `user:password`
    #[arg(long = "replica.credentials-file", value_name = "FILE")]
    pub(crate) peers_credentials: Option<PathBuf>,

    /// File with the CA of the peers' certificates; with it they are asked by https
    #[arg(long = "replica.ca-file", value_name = "FILE")]
    pub(crate) peers_ca: Option<PathBuf>,

    /// Largest body of a push, after decompression
    #[arg(long = "limit.body-size", default_value = "8MiB", value_parser = bytes)]
    pub(crate) body_bytes: usize,

    /// Bytes of bodies held for all pushes that are being read
    #[arg(long = "limit.bodies-in-flight", default_value = "32MiB", value_parser = bytes)]
    pub(crate) in_flight: usize,

    /// Most series of one group
    #[arg(long = "limit.samples", default_value_t = 50_000)]
    pub(crate) series: usize,

    /// Most labels of one series, those of the group included
    #[arg(long = "limit.labels", default_value_t = 64)]
    pub(crate) labels: usize,

    /// Longest name of a label, in bytes
    #[arg(long = "limit.label-name-length", default_value_t = 256)]
    pub(crate) label_name: usize,

    /// Longest value of a label, in bytes
    #[arg(long = "limit.label-value-length", default_value_t = 4096)]
    pub(crate) label_value: usize,

    /// Most groups
    #[arg(long = "limit.groups", default_value_t = 100_000)]
    pub(crate) groups: usize,

    /// Most memory for all groups, as the cache estimates it
    #[arg(long = "limit.memory", default_value = "512MiB", value_parser = bytes)]
    pub(crate) memory: usize,

    /// Most open connections
    #[arg(long = "limit.connections", default_value_t = 512)]
    pub(crate) connections: usize,

    /// Log level: debug, info, warn or error
    #[arg(long = "log.level", default_value = "info", value_parser = level)]
    pub(crate) log_level: LogLevel,

    /// Log format: logfmt or json
    #[arg(long = "log.format", default_value = "logfmt", value_parser = format)]
    pub(crate) log_format: LogFormat,
}

/// The path of a file; nothing when the flag is absent or empty.
#[derive(Debug, Clone)]
pub(crate) struct OptionalFile(Option<PathBuf>);

impl OptionalFile {
    /// Returns the path, if one was given.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.0.as_deref()
    }
}

impl Cli {
    /// Returns the bounds of a push.
    pub(crate) fn push_limits(&self) -> PushLimits {
        PushLimits {
            body_bytes: self.body_bytes,
            series: self.series,
            labels: self.labels,
            label_name: self.label_name,
            label_value: self.label_value,
            groups: self.groups,
            memory: self.memory,
            names: if self.utf8_names { Names::Utf8 } else { Names::Classic },
        }
    }

    /// Returns the prefix of all paths: empty, or with a slash before it and none after.
    pub(crate) fn prefix(&self) -> String {
        let given = match self.route_prefix.is_empty() {
            true => path_of(&self.external_url),
            false => &self.route_prefix,
        };
        let inner = given.trim_matches('/');
        if inner.is_empty() { String::new() } else { format!("/{inner}") }
    }

    /// Returns the prefix that a browser must use, behind a proxy that strips or adds one.
    pub(crate) fn external_prefix(&self) -> String {
        let inner = path_of(&self.external_url).trim_matches('/');
        if inner.is_empty() { self.prefix() } else { format!("/{inner}") }
    }
}

/// Returns the path of a URL.
fn path_of(url: &str) -> &str {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    after_scheme.find('/').map_or("", |at| &after_scheme[at..])
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let full = if text.starts_with(':') { format!("[::]{text}") } else { text.to_owned() };
    let found = full.to_socket_addrs();
    let found: Vec<_> = found
        .map_err(|error| format!("{error}; expected a host and a port, such as `:9091`"))?
        .collect();
    // A name of both families: IPv4, as the Pushgateway has it.
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| "this name has no address".to_owned())
}

/// Reads the path of a file that may be left out, by nothing too: so the Pushgateway takes it.
fn file(text: &str) -> Result<OptionalFile, Infallible> {
    Ok(OptionalFile((!text.is_empty()).then(|| text.into())))
}

fn level(text: &str) -> Result<LogLevel, String> {
    text.parse()
}

fn format(text: &str) -> Result<LogFormat, String> {
    match text {
        "logfmt" => Ok(LogFormat::Text),
        other => other.parse().map_err(|_| "expected `logfmt` or `json`".to_owned()),
    }
}

/// Reads a duration as Go writes it: `300ms`, `1.5h`, `1h30m`, and `0`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{text}` is no duration; expected one such as `30s`, `5m` or `1h30m`");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let number: f64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        seconds += number
            * match &rest[..letters] {
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86_400.0,
                _ => return Err(bad()),
            };
        rest = &rest[letters..];
    }
    match text.is_empty() {
        true => Err(bad()),
        false => Duration::try_from_secs_f64(seconds).map_err(|_| bad()),
    }
}

/// Reads a size: bytes, or with one of `KiB`, `MiB`, `GiB` (or `KB`, `MB`, `GB`, which mean the
/// same, as in Prometheus).
fn bytes(text: &str) -> Result<usize, String> {
    let bad = || format!("`{text}` is no size; expected bytes, or one such as `16MiB`");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: usize = text[..digits].parse().map_err(|_| bad())?;
    let unit = match &text[digits..] {
        "" | "B" => 1,
        "KiB" | "KB" => 1 << 10,
        "MiB" | "MB" => 1 << 20,
        "GiB" | "GB" => 1 << 30,
        _ => return Err(bad()),
    };
    number.checked_mul(unit).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn reads_durations_and_sizes_and_refuses_the_rest() {
        let millis = |text| duration(text).map(|wait| wait.as_millis());
        for (text, want) in
            [("0", 0), ("0s", 0), ("300ms", 300), ("1.5s", 1500), ("1h30m", 5_400_000)]
        {
            assert_eq!(millis(text), Ok(want), "{text}");
        }
        assert!(["", "5", "s", "5x", "-1s", "1e9h", "."].into_iter().all(|t| duration(t).is_err()));
        assert_eq!((bytes("5"), bytes("16MiB")), (Ok(5), Ok(16 << 20)));
        let huge = format!("{}GiB", usize::MAX);
        assert!(["", "MiB", "5x", "-1", huge.as_str()].into_iter().all(|t| bytes(t).is_err()));
    }

    #[test]
    fn listens_on_names_and_ports_and_takes_empty_files_for_none() {
        for (text, want) in [
            (":1", Some("[::]:1")),
            ("127.0.0.1:0", Some("127.0.0.1:0")),
            ("localhost:9091", Some("127.0.0.1:9091")),
            ("[::1]:2", Some("[::1]:2")),
            ("9091", None),
            ("", None),
        ] {
            let want = want.map(|it| it.parse().expect("an address"));
            assert_eq!(address(text).ok(), want, "{text}");
        }
        let cli = |flag: &str| Cli::parse_from(["metrics-cache", flag]);
        assert_eq!(cli("--persistence.file=").file.path(), None);
        assert_eq!(cli("--persistence.file=a").file.path(), Some(Path::new("a")));
    }

    #[test]
    fn prefixes_come_from_the_flag_or_the_url() {
        let prefix = |flags: &[&str]| {
            let cli = Cli::parse_from([&["metrics-cache"], flags].concat());
            (cli.prefix(), cli.external_prefix())
        };
        let both = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(prefix(&[]), both("", ""));
        assert_eq!(prefix(&["--web.external-url=http://h:1/x/"]), both("/x", "/x"));
        let stripped = ["--web.external-url=http://h/x", "--web.route-prefix=/"];
        assert_eq!(prefix(&stripped), both("", "/x"));
    }
}
