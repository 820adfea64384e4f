//! What one of several messages that are in the function at once produces, until all before it in
//! its partition are done. The outbox then takes it in.

use super::{Outbox, Slate};
use nubium_table_store::Write;
use std::cell::RefCell;

/// A message's own part of the outbox to come, and its slate.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) outbox: RefCell<Outbox>,
    pub(crate) slate: Slate,
    /// What an earlier message of the same key wrote that the outbox has not got yet.
    pub(crate) before: RefCell<Option<Write>>,
}

impl Part {
    /// Makes it ready for another message; memory is kept.
    pub(crate) fn wipe(&self) {
        self.outbox.borrow_mut().clear();
        self.slate.wipe(true);
        self.before.take();
    }

    /// The entry's last write, by this message or an earlier one of its key.
    pub(crate) fn written(&self) -> Option<Write> {
        let outbox = self.outbox.borrow();
        let own = outbox.table().filling().iter().last().map(|(_, write)| write.clone());
        own.or_else(|| self.before.borrow().clone())
    }
}
