//! The keys that a cluster has for what it proves, as the docs page lists them.

/// The keys of a cluster that are read here; each is `NU_KAFKA_<KEY>` for all clusters.
pub(crate) const KEYS: &[(&str, &str)] = &[
    ("oauth_token_url", "OAUTHBEARER: the token endpoint, asked with client credentials."),
    ("oauth_client_id", "Who asks there."),
    ("oauth_client_secret", "The client's secret."),
    ("oauth_client_secret_file", "A file that holds it, instead."),
    ("oauth_scope", "What is asked for; several scopes are separated by spaces."),
    ("oauth_audience", "Whom the token is for, at providers that want to know."),
    ("oauth_ca_location", "Authorities of the token endpoint (PEM), beside the system's."),
    ("oauth_token_location", "OAUTHBEARER: a file with the token instead, which is read again."),
    ("oauth_extensions", "A map of what brokers are told beside the token (SASL extensions)."),
    ("aws_region", "AWS_MSK_IAM: the cluster's region."),
    ("aws_access_key_id", "Keys to sign with, instead of those of the environment (`AWS_*`)."),
    ("aws_secret_access_key", "The secret key."),
    ("aws_secret_access_key_file", "A file that holds it."),
    ("aws_session_token", "The session's token, of temporary keys."),
    ("aws_session_token_file", "A file that holds it."),
    ("aws_role_arn", "A role to take on with the token in `aws_web_identity_token_location`."),
    ("aws_web_identity_token_location", "The file with that token."),
    ("aws_sts_url", "The security token service, where it is not the region's."),
    ("kerberos_service_name", "GSSAPI: the brokers' service; `kafka` when not given."),
    ("kerberos_principal", "The client's principal."),
    ("kerberos_keytab_location", "The file with the client's key."),
];
