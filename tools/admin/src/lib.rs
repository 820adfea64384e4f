//! Administration of a cluster: topics, configurations, ACLs, groups and transactions.
