//! Which items share a request. Pure.

use crate::item::Item;
use crate::settings::Batch;

/// Items of one request, and how it went so far.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// The items, in order.
    pub items: Vec<Item>,
    /// Tries so far that count.
    pub tries: u32,
    /// Whether it was tried with a new access token.
    pub renewed: bool,
}

impl Chunk {
    /// Starts one.
    pub fn new(items: Vec<Item>) -> Self {
        Self { items, tries: 0, renewed: false }
    }

    /// Cuts it in half; `None` where it has one item only.
    pub fn halves(mut self) -> Option<[Self; 2]> {
        if self.items.len() < 2 {
            return None;
        }
        let rest = self.items.split_off(self.items.len() / 2);
        Some([Self::new(self.items), Self::new(rest)])
    }
}

/// Cuts items into requests. With an idempotency key (`apart`) partitions do not share one.
/// `begins` says of items of announced requests whether they are the first of one; those are cut
/// there and nowhere else.
#[must_use]
pub fn cut(
    items: Vec<Item>,
    limits: &Batch,
    single: bool,
    apart: bool,
    begins: impl Fn(&Item) -> Option<bool>,
) -> Vec<Chunk> {
    let count = if single { 1 } else { limits.count };
    let mut open: Vec<(Vec<Item>, usize)> = Vec::new();
    let mut chunks = Vec::new();
    for item in items {
        let same = |(chunk, _): &(Vec<Item>, usize)| {
            !apart || chunk.first().is_none_or(|first| first.same_partition(&item))
        };
        let at = open.iter().position(same).unwrap_or_else(|| {
            open.push((Vec::new(), 0));
            open.len() - 1
        });
        let (chunk, bytes) = &mut open[at];
        let size = item.json.len() + 1;
        let said = begins(&item);
        let left = said.is_none() && chunk.last().is_some_and(|last| begins(last).is_some());
        let full = match said {
            Some(first) => first,
            None => left || chunk.len() >= count || *bytes + size > limits.bytes,
        };
        if full && !chunk.is_empty() {
            chunks.push(Chunk::new(std::mem::take(chunk)));
            *bytes = 0;
        }
        chunk.push(item);
        *bytes += size;
    }
    chunks.extend(open.into_iter().filter(|(c, _)| !c.is_empty()).map(|(c, _)| Chunk::new(c)));
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::Identity;
    use std::time::Duration;

    fn items(places: &[(i32, i64)]) -> Vec<Item> {
        let item = |(index, (partition, offset)): (usize, &(i32, i64))| Item {
            index,
            identity: Identity { topic: "t", partition: *partition, offset: *offset, timestamp: 0 },
            json: "123456789".into(),
            id: None,
            route: None,
        };
        places.iter().enumerate().map(item).collect()
    }

    fn shape(chunks: &[Chunk]) -> Vec<Vec<(i32, i64)>> {
        let place = |item: &Item| (item.identity.partition, item.identity.offset);
        chunks.iter().map(|chunk| chunk.items.iter().map(place).collect()).collect()
    }

    #[test]
    fn requests_are_bounded_by_count_and_bytes() {
        let limits = Batch { count: 3, bytes: 1_000, time: Duration::ZERO };
        let places: Vec<_> = (0..5).map(|n| (0, n)).collect();
        let never = |_: &Item| None;
        let chunks = cut(items(&places), &limits, false, false, never);
        assert_eq!(shape(&chunks), [places[..3].to_vec(), places[3..].to_vec()]);
        let small = Batch { bytes: 25, ..limits };
        let sizes: Vec<_> = cut(items(&places), &small, false, false, never)
            .iter()
            .map(|chunk| chunk.items.len())
            .collect();
        assert_eq!(sizes, [2, 2, 1]);
        assert_eq!(
            cut(items(&places), &Batch { bytes: 1, ..limits }, false, false, never).len(),
            5
        );
        assert_eq!(cut(items(&places), &limits, true, false, never).len(), 5);
    }

    #[test]
    fn partitions_stay_apart_and_requests_end_where_they_were_announced_to() {
        let limits = Batch { count: 3, bytes: 1_000, time: Duration::ZERO };
        let places = [(0, 0), (1, 7), (0, 1), (1, 8), (0, 2), (0, 3), (0, 4), (0, 5), (0, 6)];
        // [0, 2) and [2, 6) were announced, the second when requests could be larger.
        let begins = |item: &Item| match (item.identity.partition, item.identity.offset) {
            (0, 0 | 2) => Some(true),
            (0, 1..6) => Some(false),
            _ => None,
        };
        let chunks = cut(items(&places), &limits, false, true, begins);
        let announced = (2..6).map(|offset| (0, offset)).collect();
        let expected = [vec![(0, 0), (0, 1)], announced, vec![(0, 6)], vec![(1, 7), (1, 8)]];
        assert_eq!(shape(&chunks), expected);
    }

    #[test]
    fn halves_keep_the_order_and_one_item_has_none() {
        let chunk = Chunk::new(items(&[(0, 1), (0, 2), (0, 3)]));
        let [left, right] = chunk.halves().expect("halves");
        assert_eq!(shape(&[left, right]), [vec![(0, 1)], vec![(0, 2), (0, 3)]]);
        assert!(Chunk::new(items(&[(0, 1)])).halves().is_none());
    }
}
