//! Decides which request fails and how.

use std::collections::VecDeque;
use std::time::Duration;

/// Names one way in which a request can go wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Answers with this status, these headers and this body.
    Answer {
        /// HTTP status code.
        status: u16,
        /// Header names and values, such as `retry-after`.
        headers: Vec<(String, String)>,
        /// The whole body.
        body: String,
    },
    /// Closes the connection without a byte of an answer.
    Close,
    /// Never answers; the client has to give up.
    Silence,
    /// Answers rightly, but only after this time.
    Delay(Duration),
}

impl Fault {
    /// Answers with an error in the registry's own format.
    #[must_use]
    pub fn status(status: u16) -> Self {
        let body = format!(r#"{{"error_code":{status},"message":"injected {status}"}}"#);
        Self::Answer { status, headers: Vec::new(), body }
    }

    /// Answers 200 with a body of the caller's choice.
    #[must_use]
    pub fn body(body: &str) -> Self {
        Self::Answer { status: 200, headers: Vec::new(), body: body.into() }
    }

    /// Adds a header to an answer; leaves the other kinds as they are.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name.into(), value.into()));
        }
        self
    }
}

/// Keeps what is to go wrong, and what has been asked.
#[derive(Debug, Default)]
pub(super) struct Faults {
    next: VecDeque<Fault>,
    pub(super) always: Option<Fault>,
    pub(super) delay: Duration,
    pub(super) login: Option<(String, String)>,
    pub(super) seen: Vec<String>,
}

impl Faults {
    pub(super) fn queue(&mut self, fault: &Fault, times: usize) {
        self.next.extend(std::iter::repeat_n(fault.clone(), times));
    }

    pub(super) fn take(&mut self) -> Option<Fault> {
        self.next.pop_front().or_else(|| self.always.clone())
    }

    pub(super) fn clear(&mut self) {
        self.next.clear();
        self.always = None;
        self.delay = Duration::ZERO;
    }
}
