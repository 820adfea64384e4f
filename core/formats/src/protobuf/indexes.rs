//! The indexes that say which message of a file the bytes are.
//!
//! Source: Confluent Schema Registry documentation, "Wire format": a count and as many places, from
//! the outermost message inwards, as zigzag varints; the first message alone is one byte 0.

use prost_reflect::{FileDescriptor, MessageDescriptor};

/// The indexes of a file's first message.
pub(super) const FIRST: u8 = 0;

/// How deep messages are nested at most.
const DEEPEST: i64 = 64;

/// Splits a body into the indexes and the message.
pub(super) fn split(body: &[u8]) -> Result<(Vec<usize>, &[u8]), String> {
    let wrong = || "it does not begin with the indexes of a Protobuf message".to_owned();
    let (count, mut rest) = zigzag(body).ok_or_else(wrong)?;
    if !(0..=DEEPEST).contains(&count) {
        return Err(wrong());
    }
    let mut path = Vec::new();
    for _ in 0..count {
        let (index, after) = zigzag(rest).ok_or_else(wrong)?;
        path.push(usize::try_from(index).map_err(|_| wrong())?);
        rest = after;
    }
    if path.is_empty() {
        path.push(0);
    }
    Ok((path, rest))
}

/// Finds the message that the indexes lead to.
pub(super) fn find(file: &FileDescriptor, path: &[usize]) -> Result<MessageDescriptor, String> {
    let missing = || format!("the schema has no message at the indexes {path:?}");
    let (first, inner) = path.split_first().ok_or_else(missing)?;
    let outermost = file.messages().nth(*first).ok_or_else(missing)?;
    inner.iter().try_fold(outermost, |message, index| child(&message, *index).ok_or_else(missing))
}

/// Finds a nested message. The entries of a map are nested messages too, which Python's and Go's
/// clients count, as protoc does, and Java's does not: where the place is that of an entry, it was
/// Java's.
fn child(message: &MessageDescriptor, index: usize) -> Option<MessageDescriptor> {
    let named = || message.child_messages().filter(|child| !child.is_map_entry());
    let counted = message.child_messages().nth(index).filter(|child| !child.is_map_entry());
    counted.or_else(|| named().nth(index))
}

/// Lists all messages of a file, without the entries of maps.
pub(super) fn all(file: &FileDescriptor) -> Vec<MessageDescriptor> {
    let mut found: Vec<_> = file.messages().collect();
    let mut at = 0;
    while let Some(message) = found.get(at) {
        let children: Vec<_> =
            message.child_messages().filter(|child| !child.is_map_entry()).collect();
        found.extend(children);
        at += 1;
    }
    found
}

/// Gives the bytes that lead to a message, the entries of maps counted, as protoc counts them.
pub(super) fn of(message: &MessageDescriptor) -> Vec<u8> {
    // The path of a descriptor has a field's number (4 or 3, `message_type`) before each index.
    let path: Vec<i32> = message.path().iter().copied().skip(1).step_by(2).collect();
    if path == [0] {
        return vec![FIRST];
    }
    let mut bytes = Vec::new();
    put(i64::try_from(path.len()).unwrap_or(DEEPEST), &mut bytes);
    for index in path {
        put(index.into(), &mut bytes);
    }
    bytes
}

fn put(number: i64, out: &mut Vec<u8>) {
    let zigzag = ((number << 1) ^ (number >> 63)) as u64;
    prost_reflect::prost::encoding::encode_varint(zigzag, out);
}

fn zigzag(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let mut number = 0u64;
    for (place, byte) in bytes.iter().take(10).enumerate() {
        number |= u64::from(byte & 0x7f).checked_shl(7 * u32::try_from(place).ok()?)?;
        if byte & 0x80 == 0 {
            let number = (number >> 1) as i64 ^ -((number & 1) as i64);
            return Some((number, &bytes[place + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_read_as_they_are_written() {
        assert_eq!(split(&[0, 9]), Ok((vec![0], &[9][..])));
        assert_eq!(split(&[2, 0]), Ok((vec![0], &[][..])));
        assert_eq!(split(&[4, 2, 0, 7]), Ok((vec![1, 0], &[7][..])));
        for bad in [&[][..], &[4, 2], &[1], &[0xff; 11], &[200, 1]] {
            assert!(split(bad).is_err(), "{bad:?}");
        }
    }
}
