//! Answers that the broker did not give: error codes in those that it gave, and refusals instead
//! of its work.
//!
//! Source: the message definitions in Kafka's `clients/src/main/resources/common/message`.

use super::frame::{ApiKey, Frame, Side, read_i32};
use super::rule::Verdict;

/// Puts an error code into the answer, at every partition it speaks of; the broker has done what
/// it was asked. The connection is closed on an answer whose shape is not known here.
pub fn with_error(code: i16) -> impl FnMut(&Frame) -> Verdict + Send + 'static {
    move |frame| match patch(frame, code) {
        Some(bytes) => Verdict::Replace(bytes),
        None => Verdict::Close,
    }
}

/// Answers a request for the end of a transaction, or for its offsets to be added, with an error
/// code; it does not reach the broker.
pub fn refuse(code: i16) -> impl FnMut(&Frame) -> Verdict + Send + 'static {
    move |frame| {
        let first_flexible = match frame.api {
            ApiKey::END_TXN | ApiKey::ADD_OFFSETS_TO_TXN => 3,
            _ => return Verdict::Close,
        };
        let Some(id) = frame.correlation() else { return Verdict::Close };
        let flexible = frame.version >= first_flexible;
        let mut bytes = id.to_be_bytes().to_vec();
        bytes.extend(flexible.then_some(0));
        // No throttling, then the code.
        bytes.extend([0; 4]);
        bytes.extend(code.to_be_bytes());
        bytes.extend(flexible.then_some(0));
        Verdict::Answer(bytes)
    }
}

/// What an answer is made of, as far as error codes go.
struct Walk<'b> {
    bytes: &'b mut [u8],
    at: usize,
    flexible: bool,
    code: i16,
}

impl Walk<'_> {
    fn skip(&mut self, count: usize) -> Option<()> {
        self.at += count;
        (self.at <= self.bytes.len()).then_some(())
    }

    fn error(&mut self) -> Option<()> {
        let place = self.bytes.get_mut(self.at..self.at + 2)?;
        place.copy_from_slice(&self.code.to_be_bytes());
        self.skip(2)
    }

    /// Reads a length or count; 0 of a nullable that is null.
    fn count(&mut self, wide: bool) -> Option<usize> {
        if self.flexible {
            let (mut value, mut shift) = (0_usize, 0);
            loop {
                let byte = *self.bytes.get(self.at)?;
                self.skip(1)?;
                value |= usize::from(byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    return Some(value.saturating_sub(1));
                }
            }
        }
        let value = if wide {
            read_i32(self.bytes, self.at)?
        } else {
            i32::from(super::frame::read_i16(self.bytes, self.at)?)
        };
        self.skip(if wide { 4 } else { 2 })?;
        Some(usize::try_from(value).unwrap_or(0))
    }

    fn string(&mut self) -> Option<()> {
        let length = self.count(false)?;
        self.skip(length)
    }

    fn tags(&mut self) -> Option<()> {
        // No broker adds any here.
        self.skip(usize::from(self.flexible))
    }

    fn array(&mut self, mut each: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        for _ in 0..self.count(true)? {
            each(self)?;
        }
        Some(())
    }

    /// Topics with partitions of a number, an error, and so many bytes.
    fn topics(&mut self, tail: fn(&mut Self) -> Option<()>) -> Option<()> {
        self.array(|walk| {
            walk.string()?;
            walk.array(|walk| {
                walk.skip(4)?;
                walk.error()?;
                tail(walk)
            })?;
            walk.tags()
        })
    }
}

fn patch(frame: &Frame, code: i16) -> Option<Vec<u8>> {
    if frame.side != Side::Response {
        return None;
    }
    let mut bytes = frame.bytes.clone();
    let first_flexible = match frame.api {
        ApiKey::PRODUCE => 9,
        ApiKey::ADD_PARTITIONS_TO_TXN | ApiKey::ADD_OFFSETS_TO_TXN => 3,
        ApiKey::END_TXN | ApiKey::TXN_OFFSET_COMMIT => 3,
        ApiKey::INIT_PRODUCER_ID => 2,
        ApiKey::HEARTBEAT => 4,
        _ => return None,
    };
    let flexible = frame.version >= first_flexible;
    let mut walk = Walk { bytes: &mut bytes, at: 4 + usize::from(flexible), flexible, code };
    match frame.api {
        ApiKey::PRODUCE if frame.version >= 8 => walk.topics(|walk| {
            walk.skip(24)?;
            walk.array(|walk| {
                walk.skip(4)?;
                walk.string()?;
                walk.tags()
            })?;
            walk.string()?;
            walk.tags()
        })?,
        ApiKey::PRODUCE if frame.version >= 5 => walk.topics(|walk| walk.skip(24))?,
        ApiKey::TXN_OFFSET_COMMIT | ApiKey::ADD_PARTITIONS_TO_TXN if frame.version <= 3 => {
            walk.skip(4)?;
            walk.topics(Walk::tags)?;
        }
        ApiKey::END_TXN
        | ApiKey::ADD_OFFSETS_TO_TXN
        | ApiKey::INIT_PRODUCER_ID
        | ApiKey::HEARTBEAT => {
            walk.skip(4)?;
            walk.error()?;
        }
        _ => return None,
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(api: ApiKey, version: i16, body: &[u8]) -> Frame {
        let mut bytes = 7_i32.to_be_bytes().to_vec();
        bytes.extend(body);
        Frame { api, version, side: Side::Response, client: "app".into(), bytes }
    }

    #[test]
    fn puts_an_error_at_every_partition() {
        // Two partitions of a topic `t`, in the older and the newer form.
        let old = [0, 0, 0, 0, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 2];
        let old = [&old[..], &[0, 0, 0, 0, 0, 0], &[0, 0, 0, 1, 0, 0]].concat();
        let patched = patch(&answer(ApiKey::TXN_OFFSET_COMMIT, 2, &old), 27).unwrap();
        assert_eq!(patched[4 + 15..], [0, 0, 0, 0, 0, 27, 0, 0, 0, 1, 0, 27]);
        let new = [0, 0, 0, 0, 0, 2, 2, b't', 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0];
        let patched = patch(&answer(ApiKey::TXN_OFFSET_COMMIT, 3, &new), 27).unwrap();
        assert_eq!(patched[4 + 9..], [0, 0, 0, 0, 0, 27, 0, 0, 0, 0, 1, 0, 27, 0, 0, 0]);
        assert_eq!(patch(&answer(ApiKey::TXN_OFFSET_COMMIT, 3, &new[..9]), 27), None);
        assert_eq!(patch(&answer(ApiKey::FETCH, 3, &new), 27), None);
    }

    #[test]
    fn refuses_in_the_brokers_place() {
        let bytes = [26_i16.to_be_bytes(), 1_i16.to_be_bytes()].concat();
        let bytes = [&bytes[..], &7_i32.to_be_bytes()].concat();
        let asked = |api| {
            let (side, client) = (Side::Request, "app".into());
            refuse(51)(&Frame { api, version: 1, side, client, bytes: bytes.clone() })
        };
        let Verdict::Answer(answer) = asked(ApiKey::END_TXN) else { panic!("no answer") };
        assert_eq!(answer, [0, 0, 0, 7, 0, 0, 0, 0, 0, 51]);
        assert!(matches!(asked(ApiKey::FETCH), Verdict::Close));
    }
}
