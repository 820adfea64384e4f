//! The consumer's side of the broker in memory.

use super::broker::{Broker, Member};
use super::{Fault, Step};
use crate::kafka::{Event, OffsetReset, PartitionTrouble, Source, SourceError, Waker};
use nubium_kafka::message::Message;
use nubium_topic::{Notes, Offsets, TopicPartition};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A member's consumer.
pub(super) struct MemorySource {
    pub(super) broker: Rc<RefCell<Broker>>,
    pub(super) me: usize,
    pub(super) latest: bool,
}

impl Source for MemorySource {
    fn subscribe(&mut self) -> Result<(), SourceError> {
        Ok(())
    }

    fn serve(&mut self) -> Option<Event> {
        let mut broker = self.broker.borrow_mut();
        if let Some(pulse) = &broker.pulse {
            let busy = pulse.snapshot().app_since.is_some();
            broker.in_function.push(busy);
        }
        if let Some(units) = broker.units.as_ref().map(|units| units.load(Ordering::Relaxed)) {
            broker.served.push(units);
        }
        if broker.step(self.me, Step::Serve) == Some(Fault::Crash) {
            return Some(Event::Fatal("injected: crash".into()));
        }
        broker.members[self.me].events.pop_front()
    }

    fn fetch(&mut self, inbox: &mut VecDeque<Message>, wait: Duration) -> bool {
        let before = inbox.len();
        let mut broker = self.broker.borrow_mut();
        if broker.step(self.me, Step::Fetch) == Some(Fault::Crash) {
            return false;
        }
        let Broker { logs, firsts, members, .. } = &mut *broker;
        let Member { positions, paused, halted, events, .. } = &mut members[self.me];
        for (at, next) in positions.iter_mut().filter(|(at, _)| !paused.contains(at)) {
            if *next < firsts.get(at).copied().unwrap_or(0) {
                if !halted.contains(at) {
                    halted.push(*at);
                    let trouble = PartitionTrouble::OutOfRange { offset: Some(*next) };
                    events.push_back(Event::Partition { at: *at, trouble });
                }
                continue;
            }
            let log = logs.get(at).map_or(&[][..], Vec::as_slice);
            let from = usize::try_from(*next).unwrap_or(0).min(log.len());
            for (offset, body) in log.iter().enumerate().skip(from) {
                inbox.push_back(Message::owned(*at, offset as i64, body.clone()));
            }
            *next = log.len() as i64;
        }
        if inbox.len() == before && !broker.timeless {
            // Nothing comes meanwhile: a part of the wait is enough to let time pass.
            std::thread::sleep(wait.min(Duration::from_millis(1)));
        }
        false
    }

    fn accept(&mut self, event: &Event, starts: &Offsets) -> Result<(), SourceError> {
        self.broker.borrow_mut().accepted(self.me, event, starts);
        Ok(())
    }

    fn committed(
        &mut self,
        partitions: &[TopicPartition],
        _: Duration,
    ) -> Result<Offsets, SourceError> {
        let broker = self.broker.borrow();
        let found = |at: &TopicPartition| broker.committed.get(at).map(|offset| (*at, *offset));
        Ok(partitions.iter().filter_map(found).collect())
    }

    fn notes(&mut self) -> Notes {
        let broker = self.broker.borrow();
        broker.notes.iter().map(|(at, note)| (*at, note.clone())).collect()
    }

    fn reset_offset(&mut self, at: TopicPartition, _: Duration) -> Result<i64, SourceError> {
        let broker = self.broker.borrow();
        Ok(if self.latest { broker.end(at) } else { broker.first(at) })
    }

    fn watermarks(&mut self, at: TopicPartition, _: Duration) -> Result<(i64, i64), SourceError> {
        let broker = self.broker.borrow();
        Ok((broker.first(at), broker.end(at)))
    }

    fn reset(&self) -> OffsetReset {
        if self.latest { OffsetReset::Latest } else { OffsetReset::Earliest }
    }

    fn seek(&mut self, to: &Offsets) -> Result<(), SourceError> {
        let mut broker = self.broker.borrow_mut();
        broker.step(self.me, Step::Seek);
        let member = &mut broker.members[self.me];
        refuse(&mut member.refused_seeks, "seek")?;
        member.forget(&to.iter().map(|(at, _)| at).collect::<Vec<_>>());
        for (at, offset) in to.iter() {
            match member.positions.get_mut(&at) {
                Some(next) => *next = offset,
                None => {
                    let text = format!("{at} not assigned");
                    return Err(SourceError { step: "seek", text, permanent: false });
                }
            }
        }
        Ok(())
    }

    fn pause(&mut self, at: TopicPartition) -> Result<(), SourceError> {
        let mut broker = self.broker.borrow_mut();
        broker.step(self.me, Step::Pause);
        let member = &mut broker.members[self.me];
        refuse(&mut member.refused_pauses, "pause")?;
        member.paused.push(at);
        Ok(())
    }

    fn resume(&mut self, at: TopicPartition) -> Result<(), SourceError> {
        let mut broker = self.broker.borrow_mut();
        broker.step(self.me, Step::Resume);
        let member = &mut broker.members[self.me];
        refuse(&mut member.refused_pauses, "resume")?;
        member.paused.retain(|known| *known != at);
        Ok(())
    }

    fn waker(&self) -> Waker {
        Arc::new(|| {})
    }

    fn close(&mut self) {}
}

fn refuse(left: &mut u32, step: &'static str) -> Result<(), SourceError> {
    if *left == 0 {
        return Ok(());
    }
    *left -= 1;
    Err(SourceError { step, text: "injected: refused".into(), permanent: false })
}
