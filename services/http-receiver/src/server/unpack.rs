//! Unpacks a body within its bounds: what comes out counts as what came in does.

use std::io::{self, Read};

use axum::http::StatusCode;
use flate2::read::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};

use super::answer::Refusal;
use super::body::{Bounds, Held, Share, too_large};
use crate::items::Coding;

/// Bytes that are unpacked at a time.
const STEP: usize = 16 << 10;

/// Gives a body as its sender had it before it was packed.
///
/// # Errors
/// 400 for what is not packed as it says, 413 and 503 as for a plain body of that size.
pub(super) fn unpack(packed: Held, coding: Coding, bounds: &Bounds) -> Result<Held, Refusal> {
    let bytes = &packed.bytes;
    match coding {
        Coding::Identity => Ok(packed),
        Coding::Gzip => drain(MultiGzDecoder::new(&bytes[..]), "gzip", bounds),
        Coding::Deflate => drain(Inflate::new(bytes), "deflate", bounds),
    }
}

fn drain(mut reader: impl Read, name: &str, bounds: &Bounds) -> Result<Held, Refusal> {
    let mut share = Share::new(bounds)?;
    let (mut bytes, mut step) = (Vec::new(), vec![0; STEP]);
    loop {
        let count = reader.read(&mut step).map_err(|error| {
            let detail = format!("the body is not packed as {name}: {error}");
            Refusal::new(StatusCode::BAD_REQUEST, detail)
        })?;
        if count == 0 {
            return Ok(Held::new(bytes, share));
        }
        if bytes.len() + count > bounds.bytes {
            return Err(too_large(bounds));
        }
        share.grow(bounds, count)?;
        bytes.extend_from_slice(&step[..count]);
    }
}

/// Reads `deflate`, to its end and no further. flate2's own readers take a part for the whole.
struct Inflate<'a> {
    packed: &'a [u8],
    state: Decompress,
    ended: bool,
}

impl<'a> Inflate<'a> {
    fn new(packed: &'a [u8]) -> Self {
        // The first two bytes of RFC 1950: the method is 8, and together they divide by 31.
        let framed = matches!(packed, [first, second, ..]
            if first & 15 == 8 && u16::from_be_bytes([*first, *second]).is_multiple_of(31));
        Self { packed, state: Decompress::new(framed), ended: false }
    }
}

impl Read for Inflate<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.ended {
            return Ok(0);
        }
        let (read, made) = (self.state.total_in(), self.state.total_out());
        let status = self.state.decompress(self.packed, out, FlushDecompress::None)?;
        self.packed = &self.packed[(self.state.total_in() - read) as usize..];
        let made = (self.state.total_out() - made) as usize;
        self.ended = status == Status::StreamEnd;
        match (self.ended, self.packed.is_empty(), made) {
            (true, false, _) => Err(io::Error::other("there is more after its end")),
            (false, _, 0) => Err(io::Error::other("its end is missing")),
            _ => Ok(made),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;
    use std::time::Duration;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use tokio::sync::Semaphore;

    use super::*;

    fn bounds(bytes: usize, in_flight: usize) -> Bounds {
        let in_flight = Arc::new(Semaphore::new(in_flight));
        Bounds { bytes, time: Duration::from_secs(1), in_flight }
    }

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).and_then(|()| encoder.finish()).expect("packed")
    }

    fn zlib(plain: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).and_then(|()| encoder.finish()).expect("packed")
    }

    fn raw(plain: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).and_then(|()| encoder.finish()).expect("packed")
    }

    fn unpacked(packed: Vec<u8>, coding: Coding, bounds: &Bounds) -> Result<Vec<u8>, StatusCode> {
        let held = Held::new(packed, Share::new(bounds).expect("share"));
        unpack(held, coding, bounds).map(|held| held.bytes.to_vec()).map_err(|r| r.status())
    }

    #[test]
    fn bodies_are_unpacked_whole_or_refused() {
        let (plain, bounds) = ("{\"a\": 1}".repeat(5_000).into_bytes(), bounds(1 << 20, 1 << 20));
        for (packed, coding) in [
            (plain.clone(), Coding::Identity),
            (gzip(&plain), Coding::Gzip),
            (zlib(&plain), Coding::Deflate),
            (raw(&plain), Coding::Deflate),
            // Two members, as of files that were put together.
            ([gzip(&plain[..7]), gzip(&plain[7..])].concat(), Coding::Gzip),
        ] {
            assert_eq!(unpacked(packed, coding, &bounds).as_ref(), Ok(&plain), "{coding:?}");
        }
        for (packed, coding) in [
            (gzip(&plain), Coding::Gzip),
            (zlib(&plain), Coding::Deflate),
            (raw(&plain), Coding::Deflate),
        ] {
            for bad in [&packed[..packed.len() - 1], &packed[..packed.len() / 2], b"", b"{}"] {
                let refused = unpacked(bad.to_vec(), coding, &bounds);
                assert_eq!(refused, Err(StatusCode::BAD_REQUEST), "{coding:?} {}", bad.len());
            }
            let more = [&packed[..], b"more"].concat();
            assert_eq!(unpacked(more, coding, &bounds), Err(StatusCode::BAD_REQUEST), "{coding:?}");
        }
    }

    #[test]
    fn what_comes_out_is_bounded_as_what_comes_in() {
        let bomb = gzip(&vec![b' '; 64 << 20]);
        assert!(bomb.len() < 100 << 10);
        let small = bounds(1 << 20, 64 << 20);
        let refused = unpacked(bomb.clone(), Coding::Gzip, &small);
        assert_eq!(refused, Err(StatusCode::PAYLOAD_TOO_LARGE));
        let full = bounds(64 << 20, 2 << 20);
        let refused = unpacked(bomb, Coding::Gzip, &full);
        assert_eq!(refused, Err(StatusCode::SERVICE_UNAVAILABLE));
        assert_eq!(full.in_flight.available_permits(), 2 << 20, "everything is given back");
    }
}
