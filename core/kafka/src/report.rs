//! What librdkafka's clients tell beside their answers: log lines and errors, and how loud each is
//! said. One rule for all clients, without I/O but for the log itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::Statistics;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use tracing::Level;

/// How often what stays is said again: librdkafka repeats it for every broker and attempt.
const REMIND: Duration = Duration::from_secs(30);

/// Says how loud a line of librdkafka's log is.
///
/// Connections come and go (`FAIL` and what goes with it): what matters of them is reported as an
/// error too. Other lines mend themselves or come as errors, so none is louder than a warning.
#[must_use]
pub fn level_of_line(level: RDKafkaLogLevel, facility: &str) -> Level {
    use RDKafkaLogLevel as L;
    match level {
        L::Emerg | L::Alert | L::Critical | L::Error if is_connection(facility) => Level::DEBUG,
        L::Emerg | L::Alert | L::Critical | L::Error | L::Warning => Level::WARN,
        L::Notice | L::Info => Level::INFO,
        L::Debug => Level::DEBUG,
    }
}

fn is_connection(facility: &str) -> bool {
    matches!(facility, "FAIL" | "ERROR" | "CONNECT" | "CLOSE" | "SSL" | "SASL" | "AUTH" | "RESOLVE")
}

/// Says how loud an error is that belongs to no call: an error where somebody must act, a warning
/// where librdkafka goes on trying.
#[must_use]
pub fn level_of_error(code: Option<RDKafkaErrorCode>) -> Level {
    match code {
        Some(RDKafkaErrorCode::Fatal) => Level::ERROR,
        Some(code) if is_refusal(code) => Level::ERROR,
        _ => Level::WARN,
    }
}

/// Says in words what such an error means for the client.
#[must_use]
pub fn words_of_error(code: Option<RDKafkaErrorCode>) -> &'static str {
    match code {
        Some(RDKafkaErrorCode::Fatal) => "The Kafka client failed for good.",
        Some(RDKafkaErrorCode::AllBrokersDown) => "No broker can be reached; trying again.",
        Some(code) if is_refusal(code) => {
            "Kafka refuses this client until the user, the password, the certificates or the \
             rights of its cluster's settings are right."
        }
        _ => "librdkafka reports an error and goes on trying.",
    }
}

/// Tells what no waiting mends: a password, a certificate, or a right is wrong.
#[must_use]
pub fn is_refusal(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::SSL
            | Code::ClusterAuthorizationFailed
            | Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
    )
}

/// Passes a line of librdkafka's log on.
pub fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level_of_line(level, facility) {
        Level::WARN => tracing::warn!(target: "librdkafka", facility, "{message}"),
        Level::INFO => tracing::info!(target: "librdkafka", facility, "{message}"),
        _ => tracing::debug!(target: "librdkafka", facility, "{message}"),
    }
}

/// Says errors that belong to no call, each kind once in a while.
#[derive(Debug, Default)]
pub struct Errors {
    said: Mutex<Option<(Level, Instant)>>,
}

impl Errors {
    /// Logs an error, unless one as loud was logged a moment ago.
    pub fn say(&self, code: Option<RDKafkaErrorCode>, reason: &str) {
        let (level, words) = (level_of_error(code), words_of_error(code));
        if !self.is_due(level, Instant::now()) {
            tracing::debug!(?code, reason, "{words}");
        } else if code.is_some_and(is_refusal) {
            tracing::error!(?code, reason, "{}: {words}", nubium_host::errors::Code::ClientRefused);
        } else if level == Level::ERROR {
            tracing::error!(?code, reason, "{words}");
        } else {
            tracing::warn!(?code, reason, "{words}");
        }
    }

    /// Tells whether an error of this level is to be said, and notes that it was.
    fn is_due(&self, level: Level, now: Instant) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        // `Level` orders the louder as the smaller.
        let is_fresh = |(last, at): (Level, Instant)| {
            last <= level && now.saturating_duration_since(at) < REMIND
        };
        if said.is_some_and(is_fresh) {
            return false;
        }
        *said = Some((level, now));
        true
    }
}

/// Takes what the clients beside an app's own tell: those of tools, and those that read changelogs.
/// Errors are kept to explain why nothing comes; to say them is up to whoever waits.
#[derive(Debug, Clone, Default)]
pub struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    /// Gives what was reported last, to stand at the end of an error.
    #[must_use]
    pub fn last(&self) -> String {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().map_or_else(String::new, |text| format!("; last report: {text}"))
    }
}

impl ClientContext for Trouble {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn stats(&self, _: Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka reports an error.");
        let code = error.rdkafka_error_code().map(|code| code.to_string()).unwrap_or_default();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(format!("{reason} ({code})"));
    }
}

impl ConsumerContext for Trouble {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_somebody_must_mend_is_an_error() {
        use RDKafkaErrorCode as Code;
        for (code, level) in [
            (Some(Code::Fatal), Level::ERROR),
            (Some(Code::SaslAuthenticationFailed), Level::ERROR),
            (Some(Code::GroupAuthorizationFailed), Level::ERROR),
            (Some(Code::AllBrokersDown), Level::WARN),
            (Some(Code::BrokerTransportFailure), Level::WARN),
            (None, Level::WARN),
        ] {
            assert_eq!(level_of_error(code), level, "{code:?}");
        }
        use RDKafkaLogLevel as L;
        for (line, facility, level) in [
            (L::Error, "FAIL", Level::DEBUG),
            (L::Critical, "TERMINATE", Level::WARN),
            (L::Warning, "MAXPOLL", Level::WARN),
            (L::Notice, "TXNABORT", Level::INFO),
            (L::Debug, "FAIL", Level::DEBUG),
        ] {
            assert_eq!(level_of_line(line, facility), level, "{line:?} {facility}");
        }
    }

    #[test]
    fn what_is_repeated_is_said_once_and_what_is_louder_at_once() {
        let (errors, start) = (Errors::default(), Instant::now());
        assert!(errors.is_due(Level::WARN, start));
        assert!(!errors.is_due(Level::WARN, start));
        assert!(errors.is_due(Level::ERROR, start));
        assert!(!errors.is_due(Level::WARN, start + REMIND / 2));
        assert!(errors.is_due(Level::ERROR, start + REMIND));
    }
}
