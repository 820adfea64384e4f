//! Settings of what is consumed, and how.

use super::super::choice::{
    AssignmentStrategy, AutoOffsetReset, Choice, DeleteMarker, GroupProtocol,
};
use super::Kind::{Directory, Flag, Megabytes, OneOf, Text, Time, Times, Topics, Whole};
use super::WhenUnset::{Off, Use};
use super::{Section, Setting, Unit};

/// Which topics are read and written.
pub(super) const TOPICS: Section = Section {
    title: "Topics of the app",
    text: "Comma-separated lists. An app may also name its topics in code.",
    settings: &[
        Setting::original(
            "NU_CONSUME_TOPICS",
            Topics,
            Off,
            "The topics that are consumed.",
            "orders,returns",
        ),
        Setting::original(
            "NU_PRODUCE_SUCCESS_TOPICS",
            Topics,
            Off,
            "The topics that results go to.",
            "bookings",
        ),
        Setting::original(
            "NU_PRODUCE_RETRY_TOPICS",
            Topics,
            Off,
            "Where `produce_retry` sends a message when its retries on its own topic are used up: \
                the first of these, from the first the second, and so on; after the last it has \
                failed. The same list serves the deployments that read them.",
            "orders-retry1,orders-retry2",
        ),
        Setting::added(
            "NU_RETRY_DELAYS_MINUTES",
            Times { unit: Unit::Minutes, min: 0.0, max: 525_600.0 },
            Off,
            "How old a message of each of NU_PRODUCE_RETRY_TOPICS must be before whoever consumes \
                that topic handles it; for those topics instead of \
                NU_CONSUMER_TIMESTAMP_OFFSET_MINUTES.",
            "5,30",
        ),
        Setting::original(
            "NU_PRODUCE_FAILURE_TOPICS",
            Topics,
            Off,
            "Where `produce_failure`, undecodable values, outputs too large or refused by the \
                broker, and NU_ERROR_POLICY=dead_letter send a message. One topic. A message is \
                sent on whatever its size, so the topic's max.message.bytes is to be that of the \
                input.",
            "orders-failure",
        ),
        Setting::original(
            "NU_RETRY_COUNT_MAX",
            Whole { min: 0, max: 1_000_000 },
            Use("0"),
            "Retries on the same topic before a message moves on to the retry topic.",
            "3",
        ),
    ],
};

/// The consumer and its group.
pub(super) const CONSUMER: Section = Section {
    title: "Consumer",
    text: "The consumer group is NU_APP_NAME.",
    settings: &[
        Setting::original(
            "NU_CONSUMER_POLL_TIMEOUT",
            Time { unit: Unit::Seconds, min: 0.01, max: 3_600.0 },
            Use("5"),
            "How long one poll waits for a message, in seconds.",
            "5",
        ),
        Setting::original(
            "NU_CONSUMER_TIMEOUT_LIMIT_MINUTES",
            Time { unit: Unit::Minutes, min: 0.01, max: 1_440.0 },
            Use("2"),
            "How long the app may work between two polls before its partitions go to another \
                instance (max.poll.interval.ms). Must not be shorter than \
                NU_CONSUMER_HEARTBEAT_TIMEOUT_SECONDS.",
            "5",
        ),
        Setting::original(
            "NU_CONSUMER_TIMESTAMP_OFFSET_MINUTES",
            Time { unit: Unit::Minutes, min: 0.0, max: 525_600.0 },
            Use("0"),
            "A retry deployment handles a message only once it is this old. The partition is \
                paused meanwhile; unlike in nubium-utils the offset lengthens no time-out.",
            "15",
        ),
        Setting::original(
            "NU_CONSUMER_AUTO_OFFSET_RESET",
            OneOf(AutoOffsetReset::NAMES),
            Use("latest"),
            "Where a group starts that has no committed offset, or whose committed offset the log \
                does not hold any more: what is passed over then is logged and counted \
                (nubium_offsets_skipped_total). With `error` the app ends and names the place.",
            "earliest",
        ),
        Setting::original(
            "NU_CONSUMER_HEARTBEAT_TIMEOUT_SECONDS",
            Time { unit: Unit::Seconds, min: 0.1, max: 3_600.0 },
            Use("90"),
            "An instance not heard of for this long is taken out of the group \
                (session.timeout.ms). Classic protocol only.",
            "45",
        ),
        Setting::added(
            "NU_CONSUMER_HEARTBEAT_INTERVAL_SECONDS",
            Time { unit: Unit::Seconds, min: 0.01, max: 3_600.0 },
            Use("3"),
            "How often an instance makes itself heard; at most a third of the time-out above. \
                Classic protocol only.",
            "3",
        ),
        Setting::original(
            "NU_CONSUMER_AUTO_COMMIT_INTERVAL_SECONDS",
            Time { unit: Unit::Seconds, min: 0.01, max: 86_400.0 },
            Use("20"),
            "How often a plain (non-transactional) consumer commits.",
            "5",
        ),
        Setting::original(
            "NU_CONSUMER_MESSAGE_BATCH_MAX_MB",
            Megabytes { min: 0.001, max: 953.0 },
            Use("2"),
            "The largest message (message.max.bytes).",
            "2",
        ),
        Setting::original(
            "NU_CONSUMER_MESSAGE_TOTAL_MAX_MB",
            Megabytes { min: 0.001, max: 2_047.0 },
            Use("3"),
            "The largest answer of a broker to one fetch (fetch.max.bytes).",
            "8",
        ),
        Setting::original(
            "NU_CONSUMER_MESSAGE_QUEUE_MAX_MB",
            Megabytes { min: 0.001, max: 2_047.0 },
            Use("10"),
            "How much is fetched ahead (queued.max.messages.kbytes).",
            "32",
        ),
        Setting::added(
            "NU_CONSUMER_GROUP_PROTOCOL",
            OneOf(GroupProtocol::NAMES),
            Use("classic"),
            "The protocol of the group. `consumer` (KIP-848) takes assignment and session \
                time-outs from the broker, so the settings for those must then be absent.",
            "consumer",
        ),
        Setting::added(
            "NU_CONSUMER_ASSIGNMENT_STRATEGY",
            OneOf(AssignmentStrategy::NAMES),
            Use("cooperative-sticky"),
            "How the classic protocol spreads partitions. All instances of a group must agree.",
            "range",
        ),
        Setting::added(
            "NU_CONSUMER_GROUP_INSTANCE_ID",
            Text,
            Off,
            "Static membership: an instance that comes back within the session time-out keeps its \
                partitions. Must differ between instances; the word `hostname` stands for \
                NU_HOSTNAME, which suits a StatefulSet. Further app threads get -1, -2, ...",
            "hostname",
        ),
    ],
};

/// Settings of the app kinds that are not the single-message one.
pub(super) const LATER: Section = Section {
    title: "Batch and table apps",
    text: "Checked at every start, used by these two kinds of app only.",
    settings: &[
        Setting::original(
            "NU_CONSUMER_DEFAULT_BATCH_CONSUME_MAX_COUNT",
            Whole { min: 1, max: 1_000_000 },
            Use("1"),
            "Batch app: messages of one batch.",
            "500",
        ),
        Setting::original(
            "NU_CONSUMER_DEFAULT_BATCH_CONSUME_MAX_TIME_SECONDS",
            Time { unit: Unit::Seconds, min: 0.0, max: 86_400.0 },
            Use("30"),
            "Batch app: how long a batch may take to fill.",
            "10",
        ),
        Setting::added(
            "NU_BATCH_MAX_MB",
            Megabytes { min: 0.001, max: 2_047.0 },
            Use("64"),
            "Batch app: a batch is also full with messages of this size.",
            "16",
        ),
        Setting::added(
            "NU_BATCH_ERROR_BISECT",
            Flag,
            Use("false"),
            "Batch app: when the app function fails on a batch, after the retries, it is called \
                with halves of it to find the messages to blame, and NU_ERROR_POLICY follows for \
                those alone. Without it the policy follows for the whole batch.",
            "true",
        ),
        Setting::original(
            "NU_TABLE_PATH",
            Directory,
            Use("/opt/app-root/data"),
            "Table app: the directory of the local stores. A volume that outlives the process \
                saves the recovery; without one the table is rebuilt from its changelog.",
            "/data",
        ),
        Setting::added(
            "NU_TABLE_STANDBY_REPLICAS",
            Whole { min: 0, max: 100 },
            Use("0"),
            "Table app: how many other instances keep a copy of each partition's store up to date, \
                so that one of them takes over within seconds. Needs volumes of their own.",
            "1",
        ),
        Setting::added(
            "NU_TABLE_TTL_SECONDS",
            Time { unit: Unit::Seconds, min: 0.0, max: 3_153_600_000.0 },
            Use("0"),
            "Table app: entries that were not updated for this long vanish, from the changelog \
                too; 0 keeps them for ever.",
            "2592000",
        ),
        Setting::added(
            "NU_TABLE_DELETE_MARKER",
            OneOf(DeleteMarker::NAMES),
            Use("tombstone"),
            "Table app: how a delete is written to the changelog. `original` writes nubium-utils' \
                `\"-DELETED-\"`, which compaction keeps for ever: only while Python instances read \
                the same changelog. Both are understood.",
            "original",
        ),
        Setting::added(
            "NU_TABLE_CREATE_CHANGELOG",
            Flag,
            Use("false"),
            "Table app: create a changelog that is missing, compacted and with the input's \
                partition count, instead of refusing to start. For development.",
            "true",
        ),
    ],
};
