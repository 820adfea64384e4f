//! What an answer means for the messages of its request. Pure.

use std::time::{Duration, SystemTime};

use nubium_core::Exception;
use nubium_host::text::bytes_without_mark;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;

use crate::item::{self, Item};
use crate::settings::Answer;

/// Characters of an answer that an exception shows.
const EXCERPT: usize = 500;
/// Obeyed at most: a service that asks for more is asked again after this.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3_600);

/// What follows for a whole request.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// All messages are done.
    Done,
    /// Every message has a result of its own, in order.
    Each(Vec<Outcome>),
    /// The request is too large: fewer messages may do.
    TooLarge(Exception),
    /// The messages are refused for good.
    Failed(Exception),
    /// Another try may do.
    Again {
        /// Why.
        exception: Exception,
        /// How long the service wants to be left alone, if it said so; never zero.
        wait: Option<Duration>,
    },
    /// The credentials are refused.
    Unauthorized(Exception),
}

/// What follows for one message.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It is done; with what the answer says of it.
    Done(Value),
    /// It is refused for good.
    Failed(Exception),
    /// Another try may do.
    Again(Exception),
}

/// What came back.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// The API's name and the operation's, for exceptions.
    pub from: &'a str,
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body, or the beginning of it.
    pub body: &'a [u8],
    /// The time it is now.
    pub now: SystemTime,
}

impl Answered<'_> {
    /// Judges the answer to a request with these items.
    #[must_use]
    pub fn judge(&self, items: &[Item], answer: Option<&Answer>) -> Verdict {
        let status = self.status.as_u16();
        match (status, answer) {
            (200..=299, Some(answer)) => self.each(items, answer),
            (207, None) => Verdict::Failed(Exception::new(
                "UnmappedAnswer",
                format!("{}; set `answer` to say where the results of items are", self.said()),
            )),
            (200..=299, None) => Verdict::Done,
            (401, _) => Verdict::Unauthorized(self.exception()),
            (413, _) => Verdict::TooLarge(self.exception()),
            _ if is_passing(status) || (300..=399).contains(&status) => {
                Verdict::Again { exception: self.exception(), wait: self.retry_after() }
            }
            _ => Verdict::Failed(self.exception()),
        }
    }

    /// Finds the result of every item.
    fn each(&self, items: &[Item], answer: &Answer) -> Verdict {
        let unread = |what: &str| {
            let text = format!("{}: {what}", self.said());
            Verdict::Again { exception: Exception::new("UnreadableAnswer", text), wait: None }
        };
        let Ok(body) = serde_json::from_slice::<Value>(bytes_without_mark(self.body)) else {
            return unread("no JSON, or too large");
        };
        let Some(results) = body.pointer(&answer.items).and_then(Value::as_array) else {
            return unread(&format!("there is no array of results at {:?}", answer.items));
        };
        if answer.ids.is_none() && results.len() != items.len() {
            return unread(&format!("{} results for {} items", results.len(), items.len()));
        }
        let result_of = |place: usize, item: &Item| match &answer.ids {
            None => results.get(place),
            Some(ids) => {
                let id = item.id.as_deref()?;
                let same = |found: &Value| item::id_text(found) == id;
                results.iter().find(|result| result.pointer(&ids.result).is_some_and(same))
            }
        };
        let outcomes = items.iter().enumerate().map(|(place, item)| {
            result_of(place, item).map_or_else(
                || {
                    Outcome::Again(Exception::new(
                        "NoResult",
                        format!(
                            "{} from {} has no result for this message",
                            self.status, self.from
                        ),
                    ))
                },
                |result| self.outcome(result, answer),
            )
        });
        Verdict::Each(outcomes.collect())
    }

    fn outcome(&self, result: &Value, answer: &Answer) -> Outcome {
        let status = result.pointer(&answer.status);
        let text = status.map(item::id_text).unwrap_or_default();
        if answer.done.contains(&text) {
            return Outcome::Done(result.clone());
        }
        let number = text.parse::<u16>().ok().filter(|number| (100..=599).contains(number));
        let shown = excerpt(result.to_string().as_bytes());
        let said = format!("result {text:?} from {}: {shown}", self.from);
        match number {
            Some(200..=299) => Outcome::Done(result.clone()),
            Some(number) if is_passing(number) => {
                Outcome::Again(Exception::new(format!("Http{number}"), said))
            }
            Some(number) => Outcome::Failed(Exception::new(format!("Http{number}"), said)),
            None => Outcome::Failed(Exception::new("ItemRefused", said)),
        }
    }

    fn exception(&self) -> Exception {
        Exception::new(format!("Http{}", self.status.as_u16()), self.said())
    }

    fn said(&self) -> String {
        format!("{} from {}: {}", self.status, self.from, excerpt(self.body))
    }

    /// Reads `Retry-After`: seconds, or a date. Zero and a date that is past say nothing about when,
    /// so that the back-off decides and tries are counted.
    fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        let wait = match text.parse::<u64>() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(self.now).ok()?,
        };
        Some(wait.min(LONGEST_WAIT)).filter(|wait| !wait.is_zero())
    }
}

/// Tells statuses that another try may change.
fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..=599)
}

/// The beginning of a body, as text on one line.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(EXCERPT * 4)]);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = line.chars().take(EXCERPT).collect();
    match (short.is_empty(), short.len() < line.len()) {
        (true, _) => "(no body)".into(),
        (_, true) => short + "…",
        _ => short,
    }
}

#[cfg(test)]
mod tests;
