//! Tokens, AWS credentials and Kerberos: what is taken, and what is named that is missing.

use super::{bad, good};
use crate::{AwsCredentials, Cluster, Sasl, SecurityProtocol, TokenOrigin};

const CLUSTERS: &str = "NU_KAFKA_CLUSTERS_CONFIGS_JSON";
const BARE: &str = r#"{"main": {"url": "b"}}"#;
const ENDPOINT: [(&str, &str); 4] = [
    ("NU_KAFKA_SASL_MECHANISM", "oauthbearer"),
    ("NU_KAFKA_OAUTH_TOKEN_URL", "login.example.org/token"),
    ("NU_KAFKA_OAUTH_CLIENT_ID", "funnel"),
    ("NU_KAFKA_OAUTH_CLIENT_SECRET", "CANARY-9b1"),
];

fn cluster(clusters: &str, extra: &[(&str, &str)]) -> Cluster {
    let mut vars = vec![(CLUSTERS, clusters)];
    vars.extend(extra);
    let loaded = good(&vars);
    let shown = format!("{loaded:?}{:?}", loaded.config.effective());
    assert!(!shown.contains("CANARY"), "{shown}");
    loaded.config.clusters["main"].clone()
}

fn origin(cluster: &Cluster) -> &TokenOrigin {
    match &cluster.sasl {
        Some(Sasl::Token(source)) => &source.origin,
        other => panic!("{other:?} has no token"),
    }
}

#[test]
fn a_token_endpoint_means_sasl_ssl_and_https() {
    let found = cluster(BARE, &ENDPOINT);
    assert_eq!(found.protocol, SecurityProtocol::SaslSsl);
    let TokenOrigin::Endpoint(endpoint) = origin(&found) else { panic!("{found:?}") };
    assert_eq!(endpoint.url.as_str(), "https://login.example.org/token");
    assert_eq!(endpoint.client_secret.expose(), "CANARY-9b1");
}

#[test]
fn what_a_cluster_says_of_itself_stands_in_place_of_what_holds_for_all() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let path = file.path().to_str().expect("UTF-8");
    let own = format!(
        r#"{{"main": {{"url": "b", "oauth_token_location": {path:?},
            "oauth_extensions": {{"logicalCluster": "lkc-1"}}}}}}"#
    );
    let found = cluster(&own, &ENDPOINT);
    assert_eq!(origin(&found), &TokenOrigin::File(file.path().into()));
    let Some(Sasl::Token(source)) = &found.sasl else { panic!("{found:?}") };
    assert_eq!(source.extensions["logicalCluster"], "lkc-1");
    let plain = r#"{"main": {"url": "b", "sasl_mechanism": "PLAIN", "username": "u",
        "password": "p"}}"#;
    assert!(matches!(cluster(plain, &ENDPOINT).sasl, Some(Sasl::Password(_))));
}

#[test]
fn aws_credentials_come_from_the_environment_unless_they_are_named() {
    let common = [("NU_KAFKA_SASL_MECHANISM", "AWS_MSK_IAM"), ("NU_KAFKA_AWS_REGION", "eu-west-1")];
    let credentials = |clusters: &str| match origin(&cluster(clusters, &common)) {
        TokenOrigin::Msk { region, credentials } => {
            assert_eq!(region, "eu-west-1");
            credentials.clone()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(credentials(BARE), AwsCredentials::Environment);
    let keys = r#"{"main": {"url": "b", "aws_access_key_id": "AKIA",
        "aws_secret_access_key": "CANARY"}}"#;
    assert!(matches!(credentials(keys), AwsCredentials::Keys { session: None, .. }));
    let file = tempfile::NamedTempFile::new().expect("a file");
    let role = format!(
        r#"{{"main": {{"url": "b", "aws_role_arn": "arn:r",
            "aws_web_identity_token_location": {:?}}}}}"#,
        file.path()
    );
    assert!(matches!(credentials(&role), AwsCredentials::WebIdentity { sts: None, .. }));
}

#[test]
fn what_is_missing_or_not_used_is_named() {
    let oauth = r#""url": "b", "sasl_mechanism": "OAUTHBEARER""#;
    let msk = r#""url": "b", "sasl_mechanism": "AWS_MSK_IAM", "aws_region": "x""#;
    let cases = [
        (oauth.to_owned(), "oauth_token_url with a client's id"),
        (format!(r#"{oauth}, "oauth_token_url": "h", "oauth_client_id": "c""#), "client_secret"),
        (format!(r#"{oauth}, "oauth_token_location": "/nowhere""#), "no such file"),
        (format!(r#"{oauth}, "oauth_token_url": "https://u:CANARY@h""#), "without a login"),
        (format!(r#"{oauth}, "aws_region": "x", "oauth_token_url": "h""#), "or no aws_region"),
        (format!(r#"{msk}, "aws_access_key_id": "A""#), "aws_secret_access_key"),
        (r#""url": "b", "sasl_mechanism": "AWS_MSK_IAM", "aws_region": "a/b""#.into(), "a region"),
        (format!(r#"{oauth}, "oauth_extensions": {{"auth": "x"}}"#), "not `auth`"),
        (r#""url": "b", "oauth_client_id": "c""#.into(), "sasl_mechanism OAUTHBEARER"),
    ];
    for (cluster, told) in cases {
        let problems = bad(&[(CLUSTERS, &format!(r#"{{"main": {{{cluster}}}}}"#))]).to_string();
        assert!(problems.contains(told), "{cluster}: {told:?} is not said: {problems}");
        assert!(!problems.contains("CANARY"), "{problems}");
    }
    let typo = good(&[(CLUSTERS, r#"{"main": {"url": "b", "oauth_token_ulr": "h"}}"#)]);
    let warned = format!("{:?}", typo.warnings);
    assert!(warned.contains("did you mean oauth_token_url?"), "{warned}");
}

#[cfg(not(feature = "kerberos"))]
#[test]
fn a_build_without_kerberos_says_so() {
    let clusters = r#"{"main": {"url": "b", "sasl_mechanism": "GSSAPI"}}"#;
    let problems = bad(&[(CLUSTERS, clusters)]).to_string();
    assert!(problems.contains("cargo feature `kerberos`"), "{problems}");
}
