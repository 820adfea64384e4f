//! The producer of the broker in memory, with what of its requests arrives late.

use super::broker::{Broker, Late, OpenTransaction};
use super::{Fault, Step};
use crate::kafka::{Class, Sent, Sink, SinkError};
use crate::transaction::Batch;
use nubium_kafka::headers::Header;
use nubium_kafka::message::MessageBody;
use nubium_topic::{Notes, Offsets, TopicPartition};
use std::cell::RefCell;
use std::rc::Rc;

/// The producer's side.
pub(super) struct MemorySink {
    broker: Rc<RefCell<Broker>>,
    me: usize,
    epoch: u64,
    alive: bool,
    broke: bool,
    /// The records of the transaction by their index, up to what was answered last.
    sent: Vec<(usize, bool)>,
    refused: Option<usize>,
}

impl MemorySink {
    pub(super) fn new(broker: &Rc<RefCell<Broker>>, me: usize) -> Self {
        let (sent, refused) = (Vec::new(), None);
        let (epoch, alive, broke) = (0, false, false);
        Self { broker: Rc::clone(broker), me, epoch, alive, broke, sent, refused }
    }

    /// Takes a step; answers whether its request is still on its way on a connection that broke.
    fn step(&mut self, step: Step) -> Result<bool, SinkError> {
        let fault = self.broker.borrow_mut().step(self.me, step);
        let orphan = fault == Some(Fault::BrokenConnection);
        self.broke |= orphan;
        let failed = |class, text: &str| Err(SinkError { class, text: text.to_owned() });
        match fault {
            Some(Fault::Abort) => return failed(Class::Abortable, "injected: abort"),
            Some(Fault::Timeout) => return failed(Class::Retriable, "injected: no answer"),
            Some(Fault::Fatal | Fault::Crash) => {
                self.alive = false;
                return failed(Class::Fatal, "injected: the producer is dead");
            }
            _ => {}
        }
        if step != Step::InitProducer && self.epoch != self.broker.borrow().members[self.me].epoch {
            return failed(Class::Fenced, "a newer producer has this transactional.id");
        }
        if step != Step::InitProducer && !self.alive {
            return failed(Class::Fatal, "this producer is dead");
        }
        Ok(orphan)
    }

    /// Says that the broker gets this once more, in the middle of the next transaction.
    fn comes_late(&self, late: Late) {
        self.broker.borrow_mut().members[self.me].late.push((self.epoch, late));
    }
}

impl Sink for MemorySink {
    fn init(&mut self) -> Result<(), SinkError> {
        self.step(Step::InitProducer)?;
        let mut broker = self.broker.borrow_mut();
        let member = &mut broker.members[self.me];
        member.epoch += 1;
        member.transaction = None;
        (self.epoch, self.alive, self.broke) = (member.epoch, true, false);
        Ok(())
    }

    fn begin(&mut self) -> Result<(), SinkError> {
        self.step(Step::Begin)?;
        self.sent.clear();
        self.refused = None;
        self.broker.borrow_mut().members[self.me].transaction = Some(OpenTransaction::default());
        Ok(())
    }

    fn send_offsets(&mut self, offsets: &Offsets, notes: &Notes) -> Result<(), SinkError> {
        let orphan = self.step(Step::SendOffsets)?;
        let mut broker = self.broker.borrow_mut();
        let member = &mut broker.members[self.me];
        if member.stale {
            let text = "the group's generation is over".to_owned();
            return Err(SinkError { class: Class::Abortable, text });
        }
        if let Some(open) = &mut member.transaction {
            offsets.iter().for_each(|(at, next)| open.offsets.set(at, next));
            open.notes.extend(notes.iter().cloned());
        }
        broker.arrive_late(self.me);
        drop(broker);
        if orphan {
            self.comes_late(Late::Offsets(offsets.clone()));
        }
        Ok(())
    }

    fn send(&mut self, batch: &mut Batch, index: usize) -> Result<Sent, SinkError> {
        self.step(Step::Send)?;
        let headers = batch.records[index].take_headers();
        let record = &batch.records[index];
        let (key, value) = batch.bytes(record);
        let body = MessageBody {
            key: key.map(Vec::from),
            value: value.map(Vec::from),
            headers: headers
                .iter()
                .map(|(name, value)| Header { name: name.into(), value: value.map(Vec::from) })
                .collect(),
            timestamp: (record.timestamp > 0).then_some(record.timestamp),
        };
        let at = TopicPartition { topic: record.topic, partition: record.partition.max(0) };
        let refuses = self.broker.borrow().refuses;
        self.sent.push((index, refuses.is_some_and(|refuses| refuses(at.topic.name(), &body))));
        if let Some(open) = &mut self.broker.borrow_mut().members[self.me].transaction {
            open.records.push((at, body));
        }
        Ok(Sent::Queued)
    }

    fn settle(&mut self) -> Result<(), SinkError> {
        // What is sent together is refused together, as a broker does.
        let refused = self.sent.iter().any(|(_, refused)| *refused);
        let first = self.sent.first().map(|(index, _)| *index);
        self.sent.clear();
        if !refused {
            return Ok(());
        }
        self.refused = first;
        Err(SinkError { class: Class::Abortable, text: "the broker refuses a record".into() })
    }

    fn refused(&self) -> Option<usize> {
        self.refused
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        self.settle()?;
        // A repeated commit finds the transaction gone if the first request arrived: it is
        // confirmed then.
        if self.step(Step::Commit)? {
            self.comes_late(Late::End { commit: true });
        }
        self.broker.borrow_mut().end_transaction(self.me, true);
        self.step(Step::Committed).map(drop)
    }

    fn abort(&mut self) -> Result<(), SinkError> {
        if self.step(Step::Abort)? {
            self.comes_late(Late::End { commit: false });
        }
        self.broker.borrow_mut().end_transaction(self.me, false);
        Ok(())
    }

    fn broke(&self) -> bool {
        self.broke
    }
}
