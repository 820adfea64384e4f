//! Reads what a rule needs from a Kafka frame: its kind, its client, and of EndTxn the outcome.
//!
//! Layout: a 4-byte length, then api key, api version, correlation id and client id (request
//! header v1 and v2), or only the correlation id (response header).
//! Source: the Kafka protocol guide, "Protocol Primitive Types" and "Messages".

use std::io::{self, Read, Write};

const LONGEST: usize = 256 << 20;

/// The requests that rules are written for, by their number in the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ApiKey(pub i16);

impl ApiKey {
    /// Writes records.
    pub const PRODUCE: Self = Self(0);
    /// Reads records.
    pub const FETCH: Self = Self(1);
    /// Asks where logs begin and end.
    pub const LIST_OFFSETS: Self = Self(2);
    /// Asks for brokers, topics and leaders.
    pub const METADATA: Self = Self(3);
    /// Asks for committed offsets.
    pub const OFFSET_FETCH: Self = Self(9);
    /// Asks for the coordinator of a group or transactional id.
    pub const FIND_COORDINATOR: Self = Self(10);
    /// Joins a group.
    pub const JOIN_GROUP: Self = Self(11);
    /// Keeps a membership alive.
    pub const HEARTBEAT: Self = Self(12);
    /// Leaves a group.
    pub const LEAVE_GROUP: Self = Self(13);
    /// Fetches or gives the assignment.
    pub const SYNC_GROUP: Self = Self(14);
    /// Gets a producer id and fences older owners.
    pub const INIT_PRODUCER_ID: Self = Self(22);
    /// Adds output partitions to a transaction.
    pub const ADD_PARTITIONS_TO_TXN: Self = Self(24);
    /// Adds a group's offsets to a transaction.
    pub const ADD_OFFSETS_TO_TXN: Self = Self(25);
    /// Commits or aborts a transaction.
    pub const END_TXN: Self = Self(26);
    /// Keeps a membership of the newer protocol alive, and learns the assignment.
    pub const CONSUMER_GROUP_HEARTBEAT: Self = Self(68);
    /// Writes offsets within a transaction.
    pub const TXN_OFFSET_COMMIT: Self = Self(28);
}

/// Which way a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// From the client to the broker.
    Request,
    /// From the broker to the client.
    Response,
}

/// A frame on its way through the proxy.
#[derive(Debug, Clone)]
pub struct Frame {
    /// What it asks, or what it answers.
    pub api: ApiKey,
    /// The version of the request, or of what is answered.
    pub version: i16,
    /// Which way it goes.
    pub side: Side,
    /// The `client.id` of the connection's requests.
    pub client: String,
    /// The whole frame, without its length.
    pub bytes: Vec<u8>,
}

impl Frame {
    /// The number by which an answer is matched to its request.
    pub fn correlation(&self) -> Option<i32> {
        match self.side {
            Side::Request => read_i32(&self.bytes, 4),
            Side::Response => correlation(&self.bytes),
        }
    }

    /// Says whether an EndTxn request commits (or aborts); `None` for any other frame.
    pub fn commits(&self) -> Option<bool> {
        if self.api != ApiKey::END_TXN || self.side != Side::Request {
            return None;
        }
        let flexible = read_i16(&self.bytes, 2)? >= 3;
        // The outcome is the last field; flexible versions end with a count of tagged fields.
        let back = if flexible { 2 } else { 1 };
        Some(*self.bytes.get(self.bytes.len().checked_sub(back)?)? != 0)
    }
}

/// What a request's header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestHeader {
    pub(super) api: ApiKey,
    pub(super) version: i16,
    pub(super) correlation: i32,
    pub(super) client: String,
}

impl RequestHeader {
    /// Reads a request's header; `None` if the frame is cut short.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let api = ApiKey(read_i16(bytes, 0)?);
        let version = read_i16(bytes, 2)?;
        let correlation = read_i32(bytes, 4)?;
        let length = usize::try_from(read_i16(bytes, 8)?).unwrap_or(0);
        let client = bytes.get(10..10 + length)?;
        Some(Self {
            api,
            version,
            correlation,
            client: String::from_utf8_lossy(client).into_owned(),
        })
    }
}

/// Reads a response's correlation id; `None` if the frame is cut short.
pub(super) fn correlation(response: &[u8]) -> Option<i32> {
    read_i32(response, 0)
}

/// Reads one frame, without its length; `None` at the end of the stream.
pub(super) fn read_frame(stream: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = u32::from_be_bytes(length) as usize;
    if length > LONGEST {
        return Err(io::Error::other(format!("a frame of {length} bytes")));
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

/// Writes one frame with its length.
pub(super) fn write_frame(mut stream: impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    // In one write: two would be two packets, and the second may wait for an answer.
    let mut out = length.to_be_bytes().to_vec();
    out.extend(bytes);
    stream.write_all(&out)
}

pub(super) fn read_i16(bytes: &[u8], at: usize) -> Option<i16> {
    Some(i16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(super) fn read_i32(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
