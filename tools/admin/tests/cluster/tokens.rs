//! A broker that checks signed tokens and wants to see one again every three seconds.

use std::time::Duration;

use anyhow::Result;
use nubium_admin::{Admin, AdminError};
use nubium_config::{
    Cluster, Sasl, SecurityProtocol, Tls, TokenEndpoint, TokenOrigin, TokenSource,
};
use nubium_test_kit::secure::Secure;
use nubium_test_kit::tokens::{CLIENT, CLIENT_SECRET, Mode, Provider};

fn with_tokens(secure: &Secure) -> Result<Cluster> {
    let tls = Tls { ca_location: Some(secure.file("ca.pem").into()), ..Tls::default() };
    let origin = TokenOrigin::Endpoint(TokenEndpoint {
        url: secure.provider().url().parse()?,
        client_id: CLIENT.into(),
        client_secret: CLIENT_SECRET.to_owned().into(),
        scope: Some("kafka".into()),
        audience: None,
        ca_location: None,
    });
    let extensions = [("traceId".to_owned(), "4711".to_owned())].into();
    let sasl = Some(Sasl::Token(TokenSource { origin, extensions }));
    let (url, protocol) = (secure.token(), SecurityProtocol::SaslSsl);
    Ok(Cluster { url, protocol, sasl, tls, protected: false })
}

/// Connects while the provider does something, and gives the error.
async fn refused(secure: &Secure, provider: &Provider, mode: Mode) -> Result<AdminError> {
    provider.set(mode, Duration::from_secs(60));
    let error = Admin::connect(&with_tokens(secure)?, "tokens").await.expect_err("not let in");
    provider.assert_hidden(&format!("{error} {error:?}"));
    Ok(error)
}

/// One test, for there is one provider.
#[tokio::test]
async fn a_connection_outlives_its_tokens_and_each_trouble_is_told() -> Result<()> {
    let secure = Secure::shared();
    let provider = secure.provider();
    provider.set(Mode::Serves, Duration::from_secs(4));
    let admin = Admin::connect(&with_tokens(secure)?, "tokens").await?;
    let before = provider.asked();
    while provider.asked() < before + 2 {
        assert_eq!(admin.cluster().await?.brokers.len(), 1);
        // A connection at rest, whose session runs on.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    let error = refused(secure, provider, Mode::Misleads).await?;
    assert!(matches!(&error, AdminError::NotLetIn { why, .. } if why.contains("invalid_token")));
    assert!(error.to_string().contains("OAUTHBEARER"), "{error}");
    let error = refused(secure, provider, Mode::Refuses).await?;
    assert!(matches!(&error, AdminError::NoToken { why, .. } if why.contains("who is that?")));
    assert!(error.to_string().contains("check oauth_client_id"), "{error}");
    let error = refused(secure, provider, Mode::Down).await?;
    assert!(error.to_string().contains("does not answer"), "{error}");
    assert!(error.to_string().contains(&provider.url()), "{error}");
    Ok(())
}
