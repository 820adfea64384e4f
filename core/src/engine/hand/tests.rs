//! What waits for stores, and how much of it.

use super::*;
use crate::engine::partition::PARKED_BYTES;
use crate::kafka::{Event, Source, SourceError, Waker};
use nubium_kafka::message::MessageBody;
use nubium_topic::Notes;
use std::sync::Arc;

const MB: usize = 1 << 20;

/// Remembers where it is told to go.
#[derive(Default)]
struct Told {
    paused: Vec<TopicPartition>,
    positions: Offsets,
}

impl Source for Told {
    fn subscribe(&mut self) -> Result<(), SourceError> {
        Ok(())
    }
    fn serve(&mut self) -> Option<Event> {
        None
    }
    fn fetch(&mut self, _: &mut VecDeque<Message>, _: Duration) -> bool {
        false
    }
    fn accept(&mut self, _: &Event, _: &Offsets) -> Result<(), SourceError> {
        Ok(())
    }
    fn committed(&mut self, _: &[TopicPartition], _: Duration) -> Result<Offsets, SourceError> {
        Ok(Offsets::default())
    }
    fn notes(&mut self) -> Notes {
        Notes::new()
    }
    fn reset_offset(&mut self, _: TopicPartition, _: Duration) -> Result<i64, SourceError> {
        Ok(0)
    }
    fn watermarks(&mut self, _: TopicPartition, _: Duration) -> Result<(i64, i64), SourceError> {
        Ok((0, 0))
    }
    fn seek(&mut self, to: &Offsets) -> Result<(), SourceError> {
        to.iter().for_each(|(at, offset)| self.positions.set(at, offset));
        Ok(())
    }
    fn pause(&mut self, at: TopicPartition) -> Result<(), SourceError> {
        self.paused.push(at);
        Ok(())
    }
    fn resume(&mut self, at: TopicPartition) -> Result<(), SourceError> {
        self.paused.retain(|known| *known != at);
        Ok(())
    }
    fn waker(&self) -> Waker {
        Arc::new(|| {})
    }
    fn close(&mut self) {}
}

fn at(partition: i32) -> TopicPartition {
    TopicPartition::new("in", partition)
}

/// Fetches messages of a megabyte each.
fn fetch(hand: &mut Hand<'_>, partition: i32, offsets: std::ops::Range<i64>) {
    let known = hand.inbox.len();
    for offset in offsets {
        let value = Some(vec![0; MB]);
        let body = MessageBody { value, ..MessageBody::default() };
        hand.inbox.push_back(Message::owned(at(partition), offset, body));
    }
    hand.sort(known);
}

#[test]
fn what_waits_for_stores_is_bounded_by_bytes_and_the_rest_stays_at_the_broker() {
    let (mut hand, mut told) = (Hand::new(false, Duration::ZERO), Told::default());
    for partition in [0, 1] {
        hand.assign(at(partition), 0, false, Some(partition as u64 + 1));
    }
    // Two partitions share the bound.
    let share = (PARKED_BYTES / MB / 2) as i64;
    fetch(&mut hand, 0, 0..share - 1);
    hand.align(&mut told).unwrap();
    assert!(told.paused.is_empty(), "there is room");
    fetch(&mut hand, 0, share - 1..share + 10);
    fetch(&mut hand, 1, 0..1);
    hand.align(&mut told).unwrap();
    assert_eq!(told.paused, [at(0)], "the other has room");
    assert_eq!(told.positions.get(at(0)), Some(share), "what was not taken is read again");
    hand.restored(0, 1);
    hand.align(&mut told).unwrap();
    assert!(told.paused.is_empty());
    let offsets: Vec<_> = hand.inbox.iter().map(Message::offset).collect();
    assert_eq!(offsets, (0..share).collect::<Vec<_>>(), "each once and in order");
    fetch(&mut hand, 0, share..share + 2);
    assert_eq!(hand.inbox.len() as i64, share + 2, "it is handled at once now");
}

#[test]
fn one_message_larger_than_the_bound_waits_alone() {
    let (mut hand, mut told) = (Hand::new(false, Duration::ZERO), Told::default());
    hand.assign(at(0), 0, false, Some(1));
    let value = Some(vec![0; PARKED_BYTES + 1]);
    let body = MessageBody { value, ..MessageBody::default() };
    hand.inbox.push_back(Message::owned(at(0), 0, body));
    hand.sort(0);
    fetch(&mut hand, 0, 1..2);
    hand.align(&mut told).unwrap();
    assert_eq!((told.paused, told.positions.get(at(0))), (vec![at(0)], Some(1)));
    hand.restored(0, 1);
    assert_eq!(hand.inbox.len(), 1);
}
