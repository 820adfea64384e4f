use std::time::Duration;

/// Bounds what one server gives to its clients. Nothing here is without a limit.
#[derive(Debug, Clone)]
pub struct Limits {
    /// From the first byte a connection waits for, to the end of a request's headers. Also how
    /// long an idle connection stays open.
    pub header_read: Duration,
    /// From the end of the headers to the start of the response; covers a slow body.
    pub request: Duration,
    /// How long a client may refuse to take any byte of a response.
    pub write_stall: Duration,
    /// How old a connection may get. It is closed after the response at hand.
    pub connection_age: Duration,
    /// How long connections may finish after a stop, or after they got too old.
    pub drain: Duration,
    /// Bytes of a request body; more is answered with 413.
    pub body_bytes: usize,
    /// Bytes of a request line with all its headers; more is answered with 431.
    pub header_bytes: usize,
    /// Number of headers; more is answered with 431.
    pub headers: usize,
    /// Open connections; one more is answered with 503 and closed.
    pub connections: usize,
}

impl Limits {
    /// Returns limits for probes and scrapes: no bodies, few connections, short times.
    #[must_use]
    pub fn probes() -> Self {
        Self { body_bytes: 1024, request: Duration::from_secs(10), ..Self::default() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_read: Duration::from_secs(10),
            request: Duration::from_secs(30),
            write_stall: Duration::from_secs(10),
            connection_age: Duration::from_secs(300),
            drain: Duration::from_secs(5),
            body_bytes: 2 * 1024 * 1024,
            header_bytes: 64 * 1024,
            headers: 100,
            // Each costs a file descriptor of the usual 1024; the rest is for the app.
            connections: 512,
        }
    }
}
