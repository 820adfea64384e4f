//! Brokers that ask who is there, and what a user may do.

use std::time::Duration;

use anyhow::{Result, anyhow};
use nubium_admin::{
    Acl, AclFilter, AclOperation, Admin, AdminError, Mode, NewTopic, Pattern, ResourceKind,
};
use nubium_config::{Cluster, Login, Sasl, SaslMechanism, SecurityProtocol, Tls};
use nubium_test_kit::secure::{PASSWORD, Secure, USER};
use nubium_test_kit::topics::unique;

use crate::{aside, at};

const WRONG: &str = "battery-staple-0e9d";

fn with_password(secure: &Secure, mechanism: SaslMechanism, password: &str) -> Cluster {
    let tls = Tls { ca_location: Some(secure.file("ca.pem").into()), ..Tls::default() };
    let (username, password) = (USER.to_owned(), password.to_owned().into());
    let sasl = Some(Sasl::Password(Login { mechanism, username, password }));
    Cluster { url: secure.sasl(), protocol: SecurityProtocol::SaslSsl, sasl, tls, protected: false }
}

const ALL: [SaslMechanism; 3] =
    [SaslMechanism::Plain, SaslMechanism::ScramSha256, SaslMechanism::ScramSha512];

#[tokio::test]
async fn every_mechanism_lets_the_right_password_in() -> Result<()> {
    for mechanism in ALL {
        let cluster = with_password(Secure::shared(), mechanism, PASSWORD);
        let admin = Admin::connect(&cluster, "secure").await?;
        assert_eq!(admin.cluster().await?.brokers.len(), 1, "{mechanism:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_shown() {
    for mechanism in ALL {
        let cluster = with_password(Secure::shared(), mechanism, WRONG);
        let error = Admin::connect(&cluster, "secure").await.unwrap_err();
        assert!(matches!(error, AdminError::NotLetIn { .. }), "{mechanism:?}: {error:?}");
        assert!(!format!("{error} {error:?}").contains(WRONG), "{error}");
    }
}

#[tokio::test]
async fn a_client_certificate_lets_in() -> Result<()> {
    let secure = Secure::shared();
    let tls = Tls {
        ca_location: Some(secure.file("ca.pem").into()),
        certificate_location: Some(secure.file("client.pem").into()),
        key_location: Some(secure.file("client.key").into()),
        key_password: None,
    };
    let cluster = Cluster {
        url: secure.mtls(),
        protocol: SecurityProtocol::Ssl,
        sasl: None,
        tls,
        protected: false,
    };
    let admin = Admin::connect(&cluster, "secure").await?;
    assert_eq!(admin.cluster().await?.brokers.len(), 1);
    Ok(())
}

/// The same key behind a password, as PEM.
fn encrypted(key: &str, password: &str) -> Result<String> {
    use pkcs8::der::pem::PemLabel as _;
    use pkcs8::{EncryptedPrivateKeyInfo, PrivateKeyInfo, SecretDocument, pkcs5::pbes2};
    let (_, plain) = SecretDocument::from_pem(key).map_err(|error| anyhow!("{error}"))?;
    let plain = PrivateKeyInfo::try_from(plain.as_bytes()).map_err(|error| anyhow!("{error}"))?;
    let how = pbes2::Parameters::pbkdf2_sha256_aes256cbc(2_048, b"8 bytes!", &[7; 16]);
    let how = how.map_err(|error| anyhow!("{error}"))?;
    let encrypted = plain.encrypt_with_params(how, password).map_err(|e| anyhow!("{e}"))?;
    let pem = encrypted.to_pem(EncryptedPrivateKeyInfo::PEM_LABEL, Default::default());
    Ok(pem.map_err(|error| anyhow!("{error}"))?.to_string())
}

#[tokio::test]
async fn a_private_key_with_a_password_is_opened_and_the_password_not_shown() -> Result<()> {
    let secure = Secure::shared();
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("client.key");
    let key = encrypted(&std::fs::read_to_string(secure.file("client.key"))?, PASSWORD)?;
    std::fs::write(&path, key)?;
    let mut tls = Tls {
        ca_location: Some(secure.file("ca.pem").into()),
        certificate_location: Some(secure.file("client.pem").into()),
        key_location: Some(path),
        key_password: Some(PASSWORD.to_owned().into()),
    };
    let (url, protocol) = (secure.mtls(), SecurityProtocol::Ssl);
    let cluster =
        Cluster { url: url.clone(), protocol, sasl: None, tls: tls.clone(), protected: false };
    assert_eq!(Admin::connect(&cluster, "secure").await?.cluster().await?.brokers.len(), 1);
    tls.key_password = Some(WRONG.to_owned().into());
    let cluster = Cluster { url, protocol, sasl: None, tls, protected: false };
    let error = Admin::connect(&cluster, "secure").await.unwrap_err().to_string();
    assert!(error.contains("ssl_key_password does not open it"), "{error}");
    assert!(!error.contains(WRONG), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_broker_of_an_unknown_authority_is_not_trusted() {
    let secure = Secure::shared();
    let mut cluster = with_password(secure, SaslMechanism::Plain, PASSWORD);
    cluster.tls.ca_location = Some(secure.file("client.pem").into());
    let error = Admin::connect(&cluster, "secure").await.unwrap_err().to_string();
    assert!(error.contains(&secure.sasl()) && error.contains("certificate"), "{error}");
}

/// Lists rights until there are so many: the broker takes them from the controller's log in its own
/// time. After 10 s, what there is.
async fn listed(admin: &Admin, filter: &AclFilter, count: usize) -> Result<Vec<Acl>> {
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    for _ in 0..100 {
        if admin.acls(filter).await?.len() == count {
            break;
        }
        ticks.tick().await;
    }
    Ok(admin.acls(filter).await?)
}

#[tokio::test]
async fn rights_are_refused_added_seen_and_taken_away() -> Result<()> {
    let secure = Secure::guarded();
    let root = Admin::connect(&at(&aside(|| secure.cluster().bootstrap)), "root").await?;
    let cluster = with_password(secure, SaslMechanism::ScramSha512, PASSWORD);
    let user = Admin::connect(&cluster, "user").await?;
    let name = unique("admin-acl");
    let new = NewTopic { name: name.clone(), partitions: Some(1), ..NewTopic::default() };
    let refused = user.create_topics(std::slice::from_ref(&new), Mode::Apply).await?;
    let why = refused[0].1.as_ref().unwrap_err();
    assert!(why.is_unauthorized(), "{why}");

    let rule = |operation| Acl {
        principal: format!("User:{USER}"),
        host: "*".into(),
        operation,
        kind: ResourceKind::Topic,
        name: name.clone(),
        pattern: Pattern::Literal,
        allow: true,
    };
    let rules = [rule(AclOperation::Create), rule(AclOperation::Write)];
    for (_, outcome) in root.create_acls(&rules).await? {
        outcome?;
    }
    let filter = AclFilter { name: Some(name.clone()), ..AclFilter::default() };
    let mut found = listed(&root, &filter, rules.len()).await?;
    found.sort_by_key(|acl| acl.operation);
    assert_eq!(found, [rules[1].clone(), rules[0].clone()]);
    user.create_topics(std::slice::from_ref(&new), Mode::Apply).await?[0].1.clone()?;
    let seen = &user.describe_topics(&[&name]).await?[&name];
    assert_eq!(seen.operations.allows(AclOperation::Write), Some(true));
    assert_eq!(seen.operations.allows(AclOperation::Read), Some(false));
    assert!(user.acls(&filter).await.unwrap_err().refusal().unwrap().is_unauthorized());
    for (_, outcome) in root.delete_acls(&rules).await? {
        outcome?;
    }
    assert_eq!(listed(&root, &filter, 0).await?, []);
    Ok(())
}

#[tokio::test]
async fn a_cluster_without_rights_says_so() -> Result<()> {
    let admin = crate::admin().await?;
    let error = admin.acls(&AclFilter::default()).await.unwrap_err();
    assert!(error.to_string().contains("SECURITY_DISABLED"), "{error}");
    Ok(())
}
