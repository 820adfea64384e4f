//! Codes of the errors that an operator meets, with what they mean: the source of `docs/errors.md`.
//!
//! A code stands at the beginning of an error's text, wherever that is printed: in the log, on the
//! terminal, in the header `exception` of a message in the failure topic.

use std::fmt;

/// One error that an operator can meet.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Its code.
    pub code: Code,
    /// What happened.
    pub seen: &'static str,
    /// Why it happens.
    pub why: &'static str,
    /// What to do.
    pub mend: &'static str,
}

macro_rules! codes {
    ($($name:ident = $number:literal, $seen:literal, $why:literal, $mend:literal;)*) => {
        /// Names an error that an operator can meet; prints as `NU-1001`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Code {
            $(#[doc = $seen] $name = $number,)*
        }

        /// Lists every code, in order.
        pub const ALL: &[Entry] = &[$(Entry {
            code: Code::$name,
            seen: $seen,
            why: $why,
            mend: $mend,
        },)*];
    };
}

codes! {
    AppFailed = 1001, "A message, or a batch, could not be handled, and the app ends with code 1.",
        "The app function failed, or the message cannot be decoded, and `NU_ERROR_POLICY` is \
         `stop` or there is no failure topic. The message is not committed.",
        "The text after the code is the cause, with topic, partition and offset. Mend the app \
         or the message, or set `NU_PRODUCE_FAILURE_TOPICS` and `NU_ERROR_POLICY=dead_letter`.";
    ToFailureTopic = 1002, "A message went to the failure topic.",
        "As above, with a failure topic. Its header `exception` has the cause.",
        "Read it with `dude consume`, mend the cause, and bring it back with `dude replay`.";
    MissingHeader = 1101, "A consumed message lacks a required header.",
        "Its producer does not set it, and `NU_MISSING_HEADERS` is `require`.",
        "Have the producer set it, or set `NU_MISSING_HEADERS=make`.";
    MissingProducedHeader = 1102, "A record to produce lacks a required header.",
        "The app builds the record without it, and `NU_MISSING_HEADERS` is `require`.",
        "Set it in the app, with `.header(…)`.";
    UndeclaredTopic = 1103, "A record goes to a topic that the app has not declared.",
        "Only declared topics have their schemas prepared at the start.",
        "Declare it with `.produce(…)`; of a service, in its file.";
    RecordTooLarge = 1104, "A record is larger than the producer may send.",
        "`message.max.bytes`, set by `NU_PRODUCER_MESSAGE_MAX_MB`, is smaller than the record.",
        "Raise the setting and the topic's `max.message.bytes`, or produce less.";
    RecordRefused = 1105, "The broker refuses a record for what it is.",
        "It is larger than the topic's `max.message.bytes`, or has no key while the topic is \
         compacted.",
        "Raise the topic's limit, or give the record a key.";
    NullValue = 1106, "A value was asked of a tombstone.",
        "The message has a key and no value, which is how deletions are told.",
        "Have the app ask `is_tombstone()` first.";
    Panicked = 1107, "The app function panicked.",
        "A bug in the app; the log line before it, `Panic: a bug.`, says where.",
        "Mend the app.";
    NotWireFormat = 1201, "A key or value is not in the wire format of the schema registry.",
        "It was written by a producer without a registry: its first byte is not the magic byte \
         0, or it is too short.",
        "Say the topic's format in the map of topics (docs/formats.md), or have the producer \
         use the registry's serializer.";
    NotOfItsFormat = 1202, "A key or value is not of the format that the map of topics gives.",
        "The bytes are not JSON, or not UTF-8.",
        "Correct the format in the map of topics, or the producer.";
    UnusableSchema = 1203, "The schema that a message names cannot be used to decode it.",
        "It is no valid schema, refers to one that is missing, or is of a type that the topic \
         does not have.",
        "Look at it with `dude schema show`; correct it in the registry, or the producer.";
    NotOfItsSchema = 1204, "A message's bytes do not fit the schema that they name.",
        "The producer wrote with another schema, or the schema lacks what the app reads.",
        "Compare the schema by that id with the producer's and the app's.";
    CannotEncode = 1205, "A value does not fit the schema of its output topic.",
        "The app or the mapping program gives what the schema does not allow.",
        "The text names the field. Correct the app, the program or the schema.";
    BadSettings = 2001, "Settings are missing or wrong; nothing was started.",
        "All problems are listed, each with the setting, what is expected, and an example.",
        "Correct them all: docs/settings.md has every setting.";
    NothingToConsume = 2002, "The app has no input topic.",
        "Neither `NU_CONSUME_TOPICS` nor `.consume(…)` names one.",
        "Set one of them.";
    NotForThisApp = 2003, "A setting does not fit this kind of app.",
        "The text names the setting: a concurrency for an app of batches, or a success topic \
         that nothing is produced to.",
        "Change the setting as the text says.";
    BadProgram = 2004, "A mapping program does not compile, or does not fit the schemas.",
        "The text points at the line.",
        "Correct the program; `check` of the service tries it without starting.";
    Fenced = 3001, "Another instance uses the same `transactional.id`.",
        "Two instances have the same `NU_HOSTNAME`, or an old one runs on. Nothing is lost or \
         doubled: the older is shut out.",
        "Give each instance a `NU_HOSTNAME` of its own, and stop the one that should not run.";
    KafkaRefused = 3002, "Kafka refuses for good, or a step failed too often.",
        "A missing right, a wrong password or certificate, a topic that does not exist, or a \
         cluster that cannot commit.",
        "The text names the step and Kafka's error. `nubium-provision check` tries rights and \
         topics.";
    InputGone = 3003, "An input topic or a partition of it is gone.",
        "It was deleted while the app runs; `/readyz` is red.",
        "Create it again, or take it out of `NU_CONSUME_TOPICS`.";
    OffsetGone = 3004, "The log does not hold the offset to read next.",
        "Retention deleted messages that had not been read, or the topic was created anew. The \
         app goes on as `NU_CONSUMER_AUTO_OFFSET_RESET` says.",
        "Compare the topic's retention with the lag; `nubium_offsets_skipped_total` counts what \
         was passed over.";
    ClientRefused = 3005, "Kafka refuses a client, which goes on trying; the HTTP receiver answers \
         503 meanwhile.",
        "The user, password, certificate or rights of its cluster are wrong.",
        "Correct the cluster's settings, or grant the right.";
    RegistryUnreachable = 4001, "The schema registry gives no usable answer.",
        "It is down, or the address, a proxy or a firewall is wrong.",
        "Check `NU_SCHEMA_REGISTRY_URL`; the text has the last answer.";
    RegistryRefused = 4002, "The schema registry refuses.",
        "The login is wrong (401, 403), or the schema is not compatible with the one before it \
         (409) or not valid (422).",
        "The text has the registry's answer; `dude schema check` compares schemas.";
    UnknownSchema = 4003, "A message names a schema id that the registry does not have.",
        "The message comes from another registry, or the schema was deleted for good.",
        "Point `NU_SCHEMA_REGISTRY_URL` at the registry of the producers, or register the \
         schema again.";
    NotRegistered = 4004, "The schema of an output topic is not registered, and the app may not \
         register it.",
        "`NU_SCHEMA_REGISTRY_AUTO_REGISTER` is false, and nobody else has registered it.",
        "Register it, with `nubium-provision apply` or `dude schema register`.";
    BadOutputSchema = 4005, "The schema of an output topic cannot be used.",
        "It does not parse, or the registry's version is of another form.",
        "The text says where; correct the schema.";
    CallHung = 5001, "A call did not return within its limit, and the process ends with code 4.",
        "A call of librdkafka hangs, mostly as brokers do not answer. Nothing uncommitted is \
         visible.",
        "Let the platform restart it; if it happens again, check the brokers.";
    StopTimedOut = 5002, "A stop took longer than `NU_SHUTDOWN_TIMEOUT_SECONDS`, and the \
         process ends with code 5.",
        "The app function, a commit or the last push of metrics did not end in time.",
        "Raise the setting and the platform's grace period, or shorten the function.";
    SecondSignal = 5003, "A second signal ended the process at once.",
        "Somebody pressed Ctrl-C twice, or the platform lost patience. Nothing was lost.",
        "Wait longer before the second signal.";
    Panic = 5004, "A thread panicked: a bug.",
        "A bug in the program or in the app.",
        "Report it with the line of the log, if the place is not your app's.";
    TableFailed = 6001, "The app's table cannot be kept up to date, and the app ends with code 6.",
        "Its store or its changelog failed; the text says which.",
        "Correct that, and start again: the store is rebuilt from its changelog where it must be.";
    StoreFull = 6002, "No space is left for the table's store.",
        "The volume is full.",
        "Enlarge the volume. Nothing is damaged.";
    StoreBusy = 6003, "The table's store is held by another instance.",
        "Two instances share a directory, or the old one has not ended yet.",
        "Give each instance a directory of its own, or wait.";
    StoreUnusable = 6004, "The table's store cannot be used.",
        "It is damaged, or was written by another version or system.",
        "Delete the directory that the text names: the store is rebuilt from its changelog.";
    StoreFailed = 6005, "The system refuses the table's store.",
        "Rights of the directory, a read-only volume, or a broken disk.",
        "The text has the system's error.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NU-{:04}", *self as u16)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    const HEAD: &str = "\
# Errors

<!-- Generated from core/host/src/errors.rs. Change it there, then run
     NUBIUM_BLESS=1 cargo test -p nubium-host errors_page -->

An error that an operator can meet has a code, at the beginning of its text: in the log, on the
terminal, and in the header `exception` of a message in the failure topic. Where one error wraps
another, the last code is the cause.
[EXIT_CODES.md](../core/host/EXIT_CODES.md) has the codes that a process ends with.
";

    const GROUPS: [(u16, &str); 6] = [
        (1, "Messages"),
        (2, "Settings"),
        (3, "Kafka"),
        (4, "Schema registry"),
        (5, "The process"),
        (6, "Tables"),
    ];

    fn page() -> String {
        let mut page = HEAD.to_owned();
        for (group, title) in GROUPS {
            let _ = write!(page, "\n## {title}\n\n| code | what is seen | why | what to do |\n");
            page.push_str("| --- | --- | --- | --- |\n");
            for entry in ALL.iter().filter(|entry| entry.code as u16 / 1000 == group) {
                let Entry { code, seen, why, mend } = entry;
                let _ = writeln!(page, "| <a id=\"{code}\"></a>{code} | {seen} | {why} | {mend} |");
            }
        }
        page
    }

    #[test]
    fn the_errors_page_is_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");
        if std::env::var_os("NUBIUM_BLESS").is_some() {
            std::fs::write(path, page()).unwrap();
        }
        let there = std::fs::read_to_string(path).unwrap();
        assert_eq!(there, page(), "bless it: NUBIUM_BLESS=1 cargo test -p nubium-host errors_page");
    }

    #[test]
    fn codes_are_in_order_and_of_a_group() {
        let numbers: Vec<u16> = ALL.iter().map(|entry| entry.code as u16).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        assert!(numbers.iter().all(|n| GROUPS.iter().any(|(group, _)| n / 1000 == *group)));
        assert_eq!(Code::Fenced.to_string(), "NU-3001");
    }
}
