//! Settings that take one of a few names.

/// Reads and names the variants of an enum that a setting chooses from.
pub trait Choice: Copy + 'static {
    /// The accepted names, aliases left out.
    const NAMES: &'static [&'static str];

    /// Reads a name or an alias; upper and lower case are the same.
    fn from_name(text: &str) -> Option<Self>;

    /// Gives the name as it is written in the settings and, where it has one, in librdkafka.
    fn name(self) -> &'static str;
}

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$variant_doc:meta])* $variant:ident = $text:literal $(| $alias:literal)*,)+
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl Choice for $name {
            const NAMES: &'static [&'static str] = &[$($text),+];

            fn from_name(text: &str) -> Option<Self> {
                $(if [$text $(, $alias)*].iter().any(|name| name.eq_ignore_ascii_case(text)) {
                    return Some(Self::$variant);
                })+
                None
            }

            fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

choice! {
    /// Chooses how a client reaches and proves itself to a broker.
    SecurityProtocol {
        /// Neither encrypted nor authenticated.
        Plaintext = "PLAINTEXT",
        /// Encrypted; a client certificate is optional.
        Ssl = "SSL",
        /// With a password, a token or a ticket, not encrypted.
        SaslPlaintext = "SASL_PLAINTEXT",
        /// With a password, a token or a ticket, encrypted.
        SaslSsl = "SASL_SSL",
    }
}

impl SecurityProtocol {
    /// Tells whether a password, a token or a ticket is sent.
    pub fn is_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }

    /// Tells whether the connection is encrypted.
    pub fn is_ssl(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }
}

choice! {
    /// Chooses how a client proves who it is.
    SaslMechanism {
        /// The password itself is sent (RFC 4616).
        Plain = "PLAIN",
        /// A salted challenge with SHA-256 (RFC 5802).
        ScramSha256 = "SCRAM-SHA-256",
        /// A salted challenge with SHA-512 (RFC 5802).
        ScramSha512 = "SCRAM-SHA-512",
        /// A signed token that ends after a while (RFC 7628).
        OAuthBearer = "OAUTHBEARER",
        /// A token that Amazon MSK takes, made of AWS credentials.
        MskIam = "AWS_MSK_IAM",
        /// A Kerberos ticket (RFC 4752).
        Gssapi = "GSSAPI",
    }
}

impl SaslMechanism {
    /// Tells whether it is a username and a password that is proven.
    pub fn is_password(self) -> bool {
        matches!(self, Self::Plain | Self::ScramSha256 | Self::ScramSha512)
    }
}

choice! {
    /// Chooses where a group starts that has no committed offset.
    AutoOffsetReset {
        /// At the oldest message.
        Earliest = "earliest" | "smallest" | "beginning",
        /// Behind the newest message.
        Latest = "latest" | "largest" | "end",
        /// Nowhere: it is an error.
        Error = "error" | "none",
    }
}

choice! {
    /// Chooses the protocol of the consumer group.
    GroupProtocol {
        /// The clients compute the assignment.
        Classic = "classic",
        /// The broker computes the assignment (KIP-848).
        Consumer = "consumer",
    }
}

choice! {
    /// Chooses how the classic protocol spreads partitions over the members.
    AssignmentStrategy {
        /// Few partitions move, the others go on working (KIP-429).
        CooperativeSticky = "cooperative-sticky",
        /// Consecutive partitions of each topic; all are given up at each change.
        Range = "range",
        /// One after the other; all are given up at each change.
        RoundRobin = "roundrobin",
    }
}

choice! {
    /// Chooses the compression of produced batches.
    Compression {
        /// No compression.
        None = "none",
        /// LZ4.
        Lz4 = "lz4",
        /// Zstandard.
        Zstd = "zstd",
        /// Snappy.
        Snappy = "snappy",
        /// gzip.
        Gzip = "gzip",
    }
}

choice! {
    /// Chooses what follows when the app function fails and no attempt is left.
    ErrorPolicy {
        /// What was complete before is committed, then the app exits non-zero.
        Stop = "stop",
        /// The message goes to the failure topic and the app goes on.
        DeadLetter = "dead_letter",
    }
}

choice! {
    /// Chooses what becomes of a message or record without `guid` or `last_updated_by`.
    MissingHeaders {
        /// It gets them: a `guid` made of the message's place, and the app's name.
        Make = "make",
        /// It is an error of the message.
        Require = "require",
    }
}

choice! {
    /// Chooses what waits for what where several messages are in the function at once.
    Ordering {
        /// Messages of the same key and partition.
        Key = "key",
        /// Messages of the same partition.
        Partition = "partition",
        /// Nothing.
        None = "none",
    }
}

choice! {
    /// Chooses from which weight on a log line is written.
    LogLevel {
        /// Everything.
        Trace = "TRACE",
        /// What helps to find a fault.
        Debug = "DEBUG" | "NOTSET",
        /// What an operator wants to see.
        Info = "INFO",
        /// What was put right by itself.
        Warning = "WARNING" | "WARN",
        /// Where somebody must act.
        Error = "ERROR",
        /// As `ERROR`; Python's name for the heaviest.
        Critical = "CRITICAL" | "FATAL",
    }
}

choice! {
    /// Chooses the form of log lines.
    LogFormat {
        /// Lines for people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

choice! {
    /// Chooses how a table app writes a delete to its changelog.
    DeleteMarker {
        /// A null value, which compaction removes in time.
        Tombstone = "tombstone",
        /// The text `-DELETED-`, as nubium-utils writes it.
        Original = "original",
    }
}
