//! The messages of one unit of work: those it began with, and those that came while its function
//! waited for more.

use nubium_kafka::message::Message;
use std::cell::{Cell, OnceCell};

/// Messages that were added to a unit. Append-only, so that a reference to one stays good while
/// more come; empty it costs nothing, which is what every unit of one message pays.
#[derive(Debug, Default)]
pub(crate) struct Grown(OnceCell<Box<Shelves>>);

/// Each shelf has twice the places of the one before and never moves.
#[derive(Debug, Default)]
struct Shelves {
    shelves: [OnceCell<Box<[OnceCell<Message>]>>; SHELVES],
    len: Cell<usize>,
}

/// Places on the first shelf.
const FIRST: usize = 64;
/// Enough for twice the largest batch that the settings allow.
const SHELVES: usize = 16;

/// Finds the shelf of a message and its place there.
fn place(index: usize) -> (usize, usize) {
    let shelf = (index / FIRST + 1).ilog2() as usize;
    (shelf, index - FIRST * ((1 << shelf) - 1))
}

impl Grown {
    pub(crate) fn len(&self) -> usize {
        self.0.get().map_or(0, |all| all.len.get())
    }

    /// Appends a message. Answers it back when there is no place left.
    pub(crate) fn push(&self, message: Message) -> Result<(), Message> {
        let all = self.0.get_or_init(Box::default);
        let (shelf, place) = place(all.len.get());
        let Some(shelf_cell) = all.shelves.get(shelf) else { return Err(message) };
        let shelf = shelf_cell
            .get_or_init(|| std::iter::repeat_with(OnceCell::new).take(FIRST << shelf).collect());
        shelf[place].set(message)?;
        all.len.set(all.len.get() + 1);
        Ok(())
    }

    fn get(&self, index: usize) -> Option<&Message> {
        let (shelf, place) = place(index);
        self.0.get()?.shelves.get(shelf)?.get()?.get(place)?.get()
    }

    /// Takes all of them out, in order.
    pub(crate) fn into_messages(self) -> impl Iterator<Item = Message> {
        let shelves = self.0.into_inner().map(|all| all.shelves);
        let shelves = shelves.into_iter().flatten().filter_map(OnceCell::into_inner);
        shelves.flat_map(<[_]>::into_vec).filter_map(OnceCell::into_inner)
    }
}

/// All messages of a unit, by index.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Messages<'a> {
    first: &'a [Message],
    grown: &'a Grown,
}

impl<'a> Messages<'a> {
    pub(crate) fn new(first: &'a [Message], grown: &'a Grown) -> Self {
        Self { first, grown }
    }

    pub(crate) fn len(self) -> usize {
        self.first.len() + self.grown.len()
    }

    pub(crate) fn get(self, index: usize) -> Option<&'a Message> {
        self.first.get(index).or_else(|| self.grown.get(index.checked_sub(self.first.len())?))
    }

    /// Goes through them in order, up to those that come meanwhile.
    pub(crate) fn iter(self) -> impl Iterator<Item = &'a Message> {
        (0..).map_while(move |index| self.get(index))
    }

    /// The first one: a unit is never empty.
    pub(crate) fn first(self) -> &'a Message {
        &self.first[0]
    }

    /// Appends a message; see [`Grown::push`].
    pub(crate) fn push(self, message: Message) -> Result<(), Message> {
        self.grown.push(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nubium_kafka::message::MessageBody;
    use nubium_topic::TopicPartition;

    fn message(offset: usize) -> Message {
        Message::owned(TopicPartition::new("t", 0), offset as i64, MessageBody::default())
    }

    #[test]
    fn every_message_has_a_place_of_its_own_and_places_are_in_order() {
        let places: Vec<_> = (0..1000).map(place).collect();
        assert_eq!((places[0], places[63], places[64]), ((0, 0), (0, 63), (1, 0)));
        assert_eq!((places[191], places[192]), ((1, 127), (2, 0)));
        assert!(places.is_sorted());
        assert!(place(2_000_000).0 < SHELVES);
    }

    #[test]
    fn references_stay_good_while_messages_come() {
        let (first, grown) = ([message(0), message(1)], Grown::default());
        let all = Messages::new(&first, &grown);
        assert_eq!((all.len(), all.iter().count()), (2, 2));
        all.push(message(2)).unwrap();
        let early = all.get(2).unwrap();
        (3..500).for_each(|offset| all.push(message(offset)).unwrap());
        assert_eq!(early.offset(), 2);
        assert!(all.iter().map(Message::offset).eq(0..500));
        assert_eq!((all.len(), all.get(500).is_none()), (500, true));
        assert!(grown.into_messages().map(|m| m.offset()).eq(2..500));
    }
}
