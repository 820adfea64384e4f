//! The `guid` of an item: the client's own id of the request where it sent one, so that a request
//! sent again gives records with the same guid, which readers can tell.

use axum::http::HeaderMap;
use uuid::Uuid;

/// Headers that may carry it; the first that is there counts.
const HEADERS: [&str; 2] = ["idempotency-key", "x-request-id"];
const LONGEST: usize = 200;

/// Hands out the guids of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guids(Option<String>);

impl Guids {
    /// Reads the client's id.
    ///
    /// # Errors
    /// It is there, but of no use.
    pub fn of(headers: &HeaderMap) -> Result<Self, String> {
        let found = HEADERS.iter().find_map(|name| Some((name, headers.get(*name)?)));
        let Some((name, value)) = found else { return Ok(Self(None)) };
        match value.to_str().map(str::trim) {
            Ok(text) if !text.is_empty() && text.len() <= LONGEST => Ok(Self(Some(text.into()))),
            _ => Err(format!("the header {name} must have 1 to {LONGEST} ASCII characters")),
        }
    }

    /// Gives the guid of the item at `index`: the client's id for a single item, with the index for
    /// one of several, a new UUID where the client sent none.
    #[must_use]
    pub fn guid(&self, index: usize, is_list: bool) -> String {
        match (&self.0, is_list) {
            (None, _) => Uuid::new_v4().to_string(),
            (Some(id), false) => id.clone(),
            (Some(id), true) => format!("{id}-{index}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (name.parse().expect("name"), value.parse().expect("value"))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn the_clients_id_is_taken_and_numbered_within_a_list() {
        let both = headers(&[("x-request-id", "r"), ("idempotency-key", " k ")]);
        let guids = Guids::of(&both).unwrap();
        assert_eq!(guids.guid(0, false), "k");
        assert_eq!(guids.guid(7, true), "k-7");
        let guids = Guids::of(&headers(&[("x-request-id", "r")])).unwrap();
        assert_eq!(guids.guid(0, false), "r");
    }

    #[test]
    fn without_one_every_item_gets_its_own() {
        let guids = Guids::of(&HeaderMap::new()).unwrap();
        assert_ne!(guids.guid(0, true), guids.guid(0, true));
        assert_eq!(guids.guid(0, false).len(), 36);
    }

    #[test]
    fn an_id_of_no_use_is_refused() {
        for bad in ["", "é", &"x".repeat(201)] {
            assert!(Guids::of(&headers(&[("idempotency-key", bad)])).is_err(), "{bad}");
        }
    }
}
