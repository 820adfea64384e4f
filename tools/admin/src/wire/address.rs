//! Where a broker listens.

use std::fmt;

/// The port of a broker that is given without one.
const PORT: u16 = 9092;

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Address {
    pub(super) fn new(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port }
    }

    /// Reads a list as librdkafka does: `[PROTOCOL://]host[:port],...`; what is no address is left
    /// out, for the settings were checked.
    pub(super) fn list(text: &str) -> Vec<Self> {
        text.split(',').map(str::trim).filter_map(Self::read).collect()
    }

    fn read(broker: &str) -> Option<Self> {
        let address = broker.split_once("://").map_or(broker, |(_, address)| address);
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (address, PORT),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (!host.is_empty()).then(|| Self::new(host, port))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn reads_what_librdkafka_reads() {
        let list = Address::list("a:1, SASL_SSL://b:2,c,[::1]:3,[::1]");
        let shown: Vec<_> = list.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["a:1", "b:2", "c:9092", "[::1]:3", "[::1]:9092"]);
        assert!(Address::list(" , :1, a:x").is_empty());
    }
}
