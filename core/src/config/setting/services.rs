//! Settings that a service reads by itself. They are listed here so that the docs have them on the
//! same page and a start does not warn of them.

use super::Kind::File;
use super::WhenUnset::Use;
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
