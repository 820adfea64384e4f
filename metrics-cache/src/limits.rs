//! What one push, and all pushes together, may take.

use crate::names::Names;

/// Bounds of a push. A name that Prometheus has for the same bound is used for the flag.
#[derive(Debug, Clone)]
pub(crate) struct PushLimits {
    /// Bytes of a body after decompression.
    pub(crate) body_bytes: usize,
    /// Series of one group.
    pub(crate) series: usize,
    /// Labels of one series, those of the group included.
    pub(crate) labels: usize,
    /// Bytes of a label's name.
    pub(crate) label_name: usize,
    /// Bytes of a label's value.
    pub(crate) label_value: usize,
    /// Groups in all.
    pub(crate) groups: usize,
    /// Bytes of all groups, as the cache estimates them.
    pub(crate) memory: usize,
    /// The names it may have.
    pub(crate) names: Names,
}

/// The bound that a push ran into; the label `reason` of the counter of refused pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bound {
    BodyBytes,
    InFlight,
    Series,
    Labels,
    LabelName,
    LabelValue,
    Groups,
    Memory,
}

impl Bound {
    /// Lists every bound.
    pub(crate) const ALL: [Self; 8] = [
        Self::BodyBytes,
        Self::InFlight,
        Self::Series,
        Self::Labels,
        Self::LabelName,
        Self::LabelValue,
        Self::Groups,
        Self::Memory,
    ];

    /// Returns the name, as the counter of refused pushes shows it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::BodyBytes => "body_size",
            Self::InFlight => "bodies_in_flight",
            Self::Series => "samples",
            Self::Labels => "labels",
            Self::LabelName => "label_name_length",
            Self::LabelValue => "label_value_length",
            Self::Groups => "groups",
            Self::Memory => "memory",
        }
    }

    /// Returns the flag that moves the bound.
    pub(crate) fn flag(self) -> &'static str {
        match self {
            Self::BodyBytes => "--limit.body-size",
            Self::InFlight => "--limit.bodies-in-flight",
            Self::Series => "--limit.samples",
            Self::Labels => "--limit.labels",
            Self::LabelName => "--limit.label-name-length",
            Self::LabelValue => "--limit.label-value-length",
            Self::Groups => "--limit.groups",
            Self::Memory => "--limit.memory",
        }
    }
}

/// Why a push was not taken.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PushError {
    /// The body cannot be read. Nothing is noted for the group.
    Malformed(String),
    /// The body can be read but contradicts itself, the rules, or what other groups hold. The
    /// group gets the time of a failed push.
    Inconsistent(String),
    /// A bound is passed. The text says by what.
    Refused(Bound, String),
}

/// Makes the refusal of something that has a size.
pub(crate) fn refused(bound: Bound, what: &str, is: usize, most: usize) -> PushError {
    PushError::Refused(
        bound,
        format!("{what}: {is} is more than the limit of {most}; {} moves it", bound.flag()),
    )
}
