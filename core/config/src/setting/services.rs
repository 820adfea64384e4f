//! Settings that a service reads by itself. They are listed here so that the docs have them on the
//! same page and a start does not warn of them.

use super::Kind::{File, Text, Urls};
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

/// The table service's own.
pub(super) const TABLE: Section = Section {
    title: "The table service",
    text: "Read by `table` alone, see [table-service.md](table-service.md). Its topics are in that \
        file, so NU_CONSUME_TOPICS is not needed.",
    settings: &[
        Setting::added(
            "NU_TABLE_CONFIG",
            File,
            Use("table.yaml"),
            "The table's file: input, program or mode, outputs, look-ups. The files that it names \
                lie beside it.",
            "/etc/nubium/table.yaml",
        ),
        Setting::added(
            "NU_TABLE_ADVERTISED_URL",
            Urls,
            Off,
            "Where clients reach this instance for look-ups, instead of `lookups.advertised_url`: \
                for an address that each instance has of its own.",
            "http://table-0.table-headless:8080",
        ),
    ],
};

/// The batch-uploader's own.
pub(super) const BATCH_UPLOADER: Section = Section {
    title: "The batch-uploader",
    text: "Read by `batch-uploader` alone, see [batch-uploader.md](batch-uploader.md).",
    settings: &[Setting::added(
        "NU_BATCH_UPLOADER_CONFIG",
        File,
        Use("batch-uploader.yaml"),
        "The uploader's file: what is sent where, and how answers are read.",
        "/etc/nubium/batch-uploader.yaml",
    )],
};

/// The HTTP receiver's own.
pub(super) const HTTP_RECEIVER: Section = Section {
    title: "The HTTP receiver",
    text: "Read by `http-receiver` alone, see [http-receiver.md](http-receiver.md).",
    settings: &[Setting::added(
        "NU_HTTP_RECEIVER_CONFIG",
        File,
        Use("http-receiver.yaml"),
        "The receiver's file: routes, callers, limits. The files that it names lie beside it.",
        "/etc/nubium/http-receiver.yaml",
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
