//! Collects changelog records in memory and writes the last of every key into a store at once,
//! sorted: into an empty store that is many times as fast as row by row.

use super::changelog::Change;
use super::error::StoreError;
use super::now_millis;
use super::row;
use super::store::Store;

#[derive(Clone, Copy)]
struct Item {
    key: (u32, u32),
    /// `None` deletes.
    row: Option<(u32, u32)>,
}

/// What was read of one partition and is not in its store yet.
#[derive(Default)]
pub(super) struct Loader {
    arena: Vec<u8>,
    items: Vec<Item>,
    foreign: bool,
}

impl Loader {
    /// Takes a record; `key_id` is how our own keys are framed.
    pub(super) fn push(&mut self, change: &Change<'_>, timestamp: i64, key_id: u32) {
        self.foreign |= change.key_id != key_id;
        let start = self.arena.len();
        row::put_key(change.key, &mut self.arena);
        let key = self.since(start);
        let row = change.text.map(|text| {
            let start = self.arena.len();
            row::put_row(change.key, text, timestamp, change.key_id, &mut self.arena);
            self.since(start)
        });
        self.items.push(Item { key, row });
    }

    fn since(&self, start: usize) -> (u32, u32) {
        let at = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (at(start), at(self.arena.len()))
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.arena.len() + self.items.len() * size_of::<Item>()
    }

    /// Brings everything into the store, with the position it leads to, and starts anew.
    pub(super) fn flush(&mut self, store: &Store, position: i64) -> Result<(), StoreError> {
        let Self { arena, items, foreign } = self;
        let bytes = |(start, end): (u32, u32)| &arena[start as usize..end as usize];
        // Stable: of equal keys the last one read stays last.
        items.sort_by(|a, b| bytes(a.key).cmp(bytes(b.key)));
        let now = now_millis();
        store.update(|edit| {
            let empty = edit.is_empty()?;
            for (at, item) in items.iter().enumerate() {
                let key = bytes(item.key);
                if items.get(at + 1).is_some_and(|next| bytes(next.key) == key) {
                    continue;
                }
                match item.row {
                    Some(row) if empty => edit.append(key, bytes(row))?,
                    Some(row) => edit.put(key, bytes(row))?,
                    None if empty || nubium_host::mutant!("tombstones-are-skipped") => {}
                    None => edit.delete(key)?,
                }
            }
            if *foreign {
                edit.foreign_keys()?;
            }
            edit.position(position, now)
        })?;
        items.clear();
        arena.clear();
        // A recovery takes much memory once; following takes little for ever.
        arena.shrink_to(1 << 16);
        items.shrink_to(1 << 12);
        Ok(())
    }
}
