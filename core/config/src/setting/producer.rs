//! Settings of what is produced, and of what follows when that fails.

use super::super::choice::{Choice, Compression, ErrorPolicy, MissingHeaders};
use super::Kind::{Megabytes, OneOf, Time, Whole};
use super::WhenUnset::Use;
use super::{Section, Setting, Unit};

/// The producer, its transactions and the outbox before them.
pub(super) const PRODUCER: Section = Section {
    title: "Producer and outbox",
    text: "Outputs wait in the outbox until the commit thread takes them over. That happens as \
        soon as the thread is free and the input is drained, or a bound below is reached.",
    settings: &[
        Setting::added(
            "NU_PRODUCER_TRANSACTION_TIMEOUT_SECONDS",
            Time { unit: Unit::Seconds, min: 1.0, max: 86_400.0 },
            Use("10"),
            "After this long the broker aborts the transaction of an app that died. Until then \
                readers of the outputs wait. At most 900 (15 minutes), the brokers' own limit.",
            "30",
        ),
        Setting::added(
            "NU_PRODUCER_COMPRESSION_TYPE",
            OneOf(Compression::NAMES),
            Use("none"),
            "How produced batches are compressed.",
            "lz4",
        ),
        Setting::added(
            "NU_PRODUCER_MESSAGE_MAX_MB",
            Megabytes { min: 0.001, max: 953.0 },
            Use("1"),
            "The largest record that the app may produce; what is larger is an error of its \
                message. The topic's own limit, max.message.bytes, must allow it too. Messages \
                that go to retry and failure topics as they are may be larger.",
            "2",
        ),
        Setting::added(
            "NU_OUTBOX_MAX_COUNT",
            Whole { min: 1, max: 1_000_000 },
            Use("10000"),
            "Handed over at the latest with this many outputs.",
            "1000",
        ),
        Setting::added(
            "NU_OUTBOX_MAX_MB",
            Megabytes { min: 0.001, max: 512.0 },
            Use("8"),
            "Handed over at the latest at this size.",
            "16",
        ),
        Setting::added(
            "NU_OUTBOX_MAX_AGE_MILLISECONDS",
            Time { unit: Unit::Milliseconds, min: 0.0, max: 60_000.0 },
            Use("100"),
            "Handed over at the latest when the oldest output waits this long.",
            "50",
        ),
    ],
};

/// What follows when the app function fails.
pub(super) const ERRORS: Section = Section {
    title: "Errors",
    text: "When the app function fails, its own outputs are dropped and what was complete before \
        is committed. Then it is tried again as often as set here, then the policy follows.",
    settings: &[
        Setting::added(
            "NU_ERROR_POLICY",
            OneOf(ErrorPolicy::NAMES),
            Use("stop"),
            "`stop` exits non-zero; `dead_letter` sends the message to \
                NU_PRODUCE_FAILURE_TOPICS and goes on.",
            "dead_letter",
        ),
        Setting::added(
            "NU_ERROR_RETRY_MAX",
            Whole { min: 0, max: 1_000_000 },
            Use("0"),
            "How often a failed message is tried again before the policy follows.",
            "5",
        ),
        Setting::added(
            "NU_ERROR_RETRY_BACKOFF_MILLISECONDS",
            Time { unit: Unit::Milliseconds, min: 1.0, max: 3_600_000.0 },
            Use("100"),
            "The wait before the first new attempt; doubles each time.",
            "250",
        ),
        Setting::added(
            "NU_ERROR_RETRY_BACKOFF_MAX_MILLISECONDS",
            Time { unit: Unit::Milliseconds, min: 1.0, max: 3_600_000.0 },
            Use("10000"),
            "The longest wait between two attempts.",
            "30000",
        ),
        Setting::added(
            "NU_MISSING_HEADERS",
            OneOf(MissingHeaders::NAMES),
            Use("make"),
            "A message without the header `guid`. `make` gives it one of its topic, partition and \
                offset, the same whenever it is read, and what is produced without \
                `last_updated_by` gets NU_APP_NAME. `require` is nubium-utils' rule: it is an \
                error of the message, which goes to NU_PRODUCE_FAILURE_TOPICS or stops the app.",
            "require",
        ),
    ],
};
