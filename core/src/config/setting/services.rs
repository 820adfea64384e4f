//! Settings that a service reads by itself. They are listed here so that the docs have them on the
//! same page and a start does not warn of them.

use super::Kind::{File, Text};
use super::WhenUnset::{Off, Use};
use super::{Section, Setting};

/// The funnel's own.
pub(super) const FUNNEL: Section = Section {
    title: "The funnel",
    text: "Read by `funnel` alone, see [funnel.md](funnel.md). Its topics are in that file, so \
        NU_CONSUME_TOPICS is not needed.",
    settings: &[Setting::added(
        "NU_FUNNEL_CONFIG",
        File,
        Use("funnel.yaml"),
        "The funnel's file: inputs, outputs, programs. The files that it names lie beside it.",
        "/etc/nubium/funnel.yaml",
    )],
};

/// The provisioner's own.
pub(super) const PROVISION: Section = Section {
    title: "The provisioner",
    text: "Read by `nubium-provision` alone, see [provision.md](provision.md). Of the settings \
        above it reads the clusters, the topics and the schema registry.",
    settings: &[Setting::added(
        "NU_PROVISION_MANIFESTS",
        Text,
        Off,
        "The apps' manifests: YAML files or directories of them, separated by commas.",
        "/etc/nubium/manifests",
    )],
};
