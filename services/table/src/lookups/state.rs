//! What all handlers share.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::access::Door;
use super::answer::{InstanceDocument, PartitionDocument};
use super::directory::Directory;
use super::view::View;

/// Holds the table, the way to the other instances, and who may look.
#[derive(Clone)]
pub(super) struct State {
    pub(super) view: Arc<dyn View>,
    pub(super) directory: Arc<Directory>,
    pub(super) door: Door,
    /// NU_HOSTNAME.
    pub(super) instance: Arc<str>,
    /// NU_APP_NAME, for the page.
    pub(super) app: Arc<str>,
}

impl State {
    /// Tells what is here.
    pub(super) fn here(&self) -> InstanceDocument {
        let mut partitions: Vec<_> =
            self.view.partitions().iter().map(PartitionDocument::from).collect();
        partitions.sort_by_key(|partition| partition.partition);
        InstanceDocument {
            instance: self.instance.to_string(),
            url: self.directory.advertised().map(str::to_owned),
            partition_count: self.view.partition_count(),
            partitions,
        }
    }

    /// Gives the partitions that this instance answers for.
    pub(super) fn served(&self) -> BTreeSet<i32> {
        self.here().served()
    }
}
