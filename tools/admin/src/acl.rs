//! Rights: what the user who asks may do, and the rules (ACLs) behind it.

use std::fmt;

use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::{
    CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest, DescribeClusterRequest,
};
use serde::{Deserialize, Serialize};

use crate::admin::Admin;
use crate::error::{AdminError, Outcomes, Refusal, check};
use crate::wire::To;

/// Kafka's number for "any" in a filter.
const ANY: i8 = 1;
/// The bits of an answer that was not asked for.
const NOT_ASKED: i32 = i32::MIN;

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$variant_doc:meta])* $variant:ident = $number:literal $text:literal,)+
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            fn number(self) -> i8 {
                match self { $(Self::$variant => $number,)+ }
            }

            fn of(number: i8) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)+ _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Self::$variant => $text,)+ })
            }
        }
    };
}

numbered! {
    /// What a rule is about.
    ResourceKind {
        /// A topic.
        Topic = 2 "topic",
        /// A consumer group.
        Group = 3 "group",
        /// The cluster as a whole.
        Cluster = 4 "cluster",
        /// A transactional id.
        TransactionalId = 5 "transactional id",
        /// A delegation token.
        DelegationToken = 6 "delegation token",
        /// A user.
        User = 7 "user",
    }
}

numbered! {
    /// How a rule's name is compared.
    Pattern {
        /// It is the name.
        Literal = 3 "literal",
        /// It is what the name starts with.
        Prefixed = 4 "prefixed",
    }
}

numbered! {
    /// What may be done.
    AclOperation {
        /// Everything.
        All = 2 "All",
        /// Read messages, join a group.
        Read = 3 "Read",
        /// Write messages, use a transactional id.
        Write = 4 "Write",
        /// Make one.
        Create = 5 "Create",
        /// Delete it.
        Delete = 6 "Delete",
        /// Change it.
        Alter = 7 "Alter",
        /// See that it is there.
        Describe = 8 "Describe",
        /// Act as a broker.
        ClusterAction = 9 "ClusterAction",
        /// See its configuration.
        DescribeConfigs = 10 "DescribeConfigs",
        /// Change its configuration.
        AlterConfigs = 11 "AlterConfigs",
        /// Write idempotently.
        IdempotentWrite = 12 "IdempotentWrite",
        /// Make a token.
        CreateTokens = 13 "CreateTokens",
        /// See a token.
        DescribeTokens = 14 "DescribeTokens",
        /// Commit with two phases.
        TwoPhaseCommit = 15 "TwoPhaseCommit",
    }
}

/// A user as Kafka writes it: `User:name`.
pub type Principal = String;

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Acl {
    /// Who, as `User:name`; `User:*` is everybody.
    pub principal: Principal,
    /// Where from; `*` is everywhere.
    pub host: String,
    /// What.
    pub operation: AclOperation,
    /// On what kind of thing.
    pub kind: ResourceKind,
    /// The thing's name.
    pub name: String,
    /// How the name is compared.
    pub pattern: Pattern,
    /// Whether it is allowed or denied.
    pub allow: bool,
}

/// Chooses rules; what is none matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AclFilter {
    /// Who.
    pub principal: Option<Principal>,
    /// On what kind of thing.
    pub kind: Option<ResourceKind>,
    /// The thing's name, exactly as the rule has it.
    pub name: Option<String>,
}

/// What the user who asked may do with one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operations(i32);

impl Operations {
    pub(crate) fn from_bits(bits: i32) -> Self {
        Self(bits)
    }

    /// Tells whether the user may do it; none when the broker did not say.
    #[must_use]
    pub fn allows(self, operation: AclOperation) -> Option<bool> {
        (self.0 != NOT_ASKED).then_some(self.0 >> operation.number() & 1 == 1)
    }
}

impl Acl {
    /// Tells whether this rule allows what another one would: the same or more, to the same user
    /// or everybody.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let name = match self.pattern {
            Pattern::Literal => {
                self.name == "*" || self.name == other.name && other.pattern == Pattern::Literal
            }
            Pattern::Prefixed => other.name.starts_with(&self.name),
        };
        self.allow
            && other.allow
            && self.kind == other.kind
            && name
            && (self.principal == other.principal || self.principal == "User:*")
            && (self.host == other.host || self.host == "*")
            && (self.operation == other.operation
                || self.operation == AclOperation::All
                || implies(self.operation, other.operation))
    }
}

/// Describing comes with every right to use or change a thing.
fn implies(given: AclOperation, wanted: AclOperation) -> bool {
    use AclOperation::{Alter, Delete, Describe, Read, Write};
    wanted == Describe && matches!(given, Read | Write | Alter | Delete)
}

impl fmt::Display for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { principal, host, operation, kind, name, .. } = self;
        let verb = if self.allow { "may" } else { "must not" };
        let star = if self.pattern == Pattern::Prefixed { "*" } else { "" };
        write!(f, "{principal} {verb} {operation} {kind} {name}{star}")?;
        if host != "*" { write!(f, " from {host}") } else { Ok(()) }
    }
}

impl Admin {
    /// Reads the rules that a filter matches.
    ///
    /// # Errors
    /// The broker is lost, or refuses: SECURITY_DISABLED when it has no authorizer.
    pub async fn acls(&self, filter: &AclFilter) -> Result<Vec<Acl>, AdminError> {
        let what = "read the ACLs";
        let request = DescribeAclsRequest::default()
            .with_resource_type_filter(filter.kind.map_or(ANY, ResourceKind::number))
            .with_resource_name_filter(filter.name.clone().map(Into::into))
            .with_pattern_type_filter(ANY)
            .with_principal_filter(filter.principal.clone().map(Into::into))
            .with_host_filter(None)
            .with_operation(ANY)
            .with_permission_type(ANY);
        let answer = self.network.ask(what, To::Any, &request).await?;
        check(what, answer.error_code, answer.error_message)?;
        let mut acls = Vec::new();
        for resource in answer.resources {
            let Some(kind) = ResourceKind::of(resource.resource_type) else { continue };
            let Some(pattern) = Pattern::of(resource.pattern_type) else { continue };
            for acl in resource.acls {
                let Some(operation) = AclOperation::of(acl.operation) else { continue };
                acls.push(Acl {
                    principal: acl.principal.to_string(),
                    host: acl.host.to_string(),
                    operation,
                    kind,
                    name: resource.resource_name.to_string(),
                    pattern,
                    allow: acl.permission_type == 3,
                });
            }
        }
        acls.sort();
        Ok(acls)
    }

    /// Adds rules; one that is there already is no error. Outcomes are named by the rule's text.
    ///
    /// # Errors
    /// The broker is lost.
    pub async fn create_acls(&self, acls: &[Acl]) -> Result<Outcomes, AdminError> {
        let creations = acls.iter().map(|acl| {
            AclCreation::default()
                .with_resource_type(acl.kind.number())
                .with_resource_name(acl.name.clone().into())
                .with_resource_pattern_type(acl.pattern.number())
                .with_principal(acl.principal.clone().into())
                .with_host(acl.host.clone().into())
                .with_operation(acl.operation.number())
                .with_permission_type(if acl.allow { 3 } else { 2 })
        });
        let request = CreateAclsRequest::default().with_creations(creations.collect());
        let answer = self.network.ask("add ACLs", To::Controller, &request).await?;
        let outcomes = answer.results.into_iter().zip(acls).map(|(result, acl)| {
            (acl.to_string(), Refusal::outcome(result.error_code, result.error_message))
        });
        Ok(outcomes.collect())
    }

    /// Removes exactly these rules; one that is not there is no error.
    ///
    /// # Errors
    /// The broker is lost.
    pub async fn delete_acls(&self, acls: &[Acl]) -> Result<Outcomes, AdminError> {
        let filters = acls.iter().map(|acl| {
            DeleteAclsFilter::default()
                .with_resource_type_filter(acl.kind.number())
                .with_resource_name_filter(Some(acl.name.clone().into()))
                .with_pattern_type_filter(acl.pattern.number())
                .with_principal_filter(Some(acl.principal.clone().into()))
                .with_host_filter(Some(acl.host.clone().into()))
                .with_operation(acl.operation.number())
                .with_permission_type(if acl.allow { 3 } else { 2 })
        });
        let request = DeleteAclsRequest::default().with_filters(filters.collect());
        let answer = self.network.ask("remove ACLs", To::Controller, &request).await?;
        let outcomes = answer.filter_results.into_iter().zip(acls).map(|(result, acl)| {
            (acl.to_string(), Refusal::outcome(result.error_code, result.error_message))
        });
        Ok(outcomes.collect())
    }

    /// Asks what the user may do with the cluster as a whole.
    ///
    /// # Errors
    /// The broker is lost, refuses, or is older than Kafka 2.8.
    pub async fn cluster_operations(&self) -> Result<Operations, AdminError> {
        let what = "read the rights on the cluster";
        let request =
            DescribeClusterRequest::default().with_include_cluster_authorized_operations(true);
        let answer = self.network.ask(what, To::Any, &request).await?;
        check(what, answer.error_code, answer.error_message)?;
        Ok(Operations::from_bits(answer.cluster_authorized_operations))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(operation: AclOperation, name: &str, pattern: Pattern) -> Acl {
        Acl {
            principal: "User:app".into(),
            host: "*".into(),
            operation,
            kind: ResourceKind::Topic,
            name: name.into(),
            pattern,
            allow: true,
        }
    }

    #[test]
    fn a_wider_rule_covers_a_narrower_one() {
        use AclOperation::{All, Describe, Read, Write};
        use Pattern::{Literal, Prefixed};
        let wanted = acl(Read, "orders", Literal);
        for (given, covered) in [
            (acl(Read, "orders", Literal), true),
            (acl(All, "orders", Literal), true),
            (acl(Read, "*", Literal), true),
            (acl(Read, "ord", Prefixed), true),
            (acl(Write, "orders", Literal), false),
            (acl(Describe, "orders", Literal), false),
            (acl(Read, "order", Literal), false),
            (acl(Read, "orders2", Prefixed), false),
            (Acl { allow: false, ..wanted.clone() }, false),
            (Acl { principal: "User:*".into(), ..wanted.clone() }, true),
            (Acl { principal: "User:else".into(), ..wanted.clone() }, false),
            (Acl { host: "10.0.0.1".into(), ..wanted.clone() }, false),
            (Acl { kind: ResourceKind::Group, ..wanted.clone() }, false),
        ] {
            assert_eq!(given.covers(&wanted), covered, "{given}");
        }
        assert!(acl(Write, "orders", Literal).covers(&acl(Describe, "orders", Literal)));
        assert!(!acl(Read, "orders", Literal).covers(&acl(Read, "orders", Prefixed)));
    }

    #[test]
    fn rights_that_were_not_asked_for_are_not_known() {
        assert_eq!(Operations::from_bits(i32::MIN).allows(AclOperation::Read), None);
        let read = Operations::from_bits(1 << 3);
        assert_eq!(read.allows(AclOperation::Read), Some(true));
        assert_eq!(read.allows(AclOperation::Write), Some(false));
    }
}
