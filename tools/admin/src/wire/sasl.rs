//! Proving who we are.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use kafka_protocol::messages::{SaslAuthenticateRequest, SaslHandshakeRequest};
use nubium_config::{Choice as _, Login, SaslMechanism, TokenSource};
use nubium_token::{Token, Wallet};
use rustls::crypto::aws_lc_rs;

use super::access::Proof;
use super::connection::Connection;
use super::scram::Scram;
use crate::error::{AdminError, Refusal};

const WHAT: &str = "prove who we are";

/// What a broker says to a proof.
struct Said {
    text: String,
    /// How long the session lasts from now on, where it ends at all.
    session: Option<Duration>,
}

/// Has a connection let in; gives how long the session lasts, where it ends.
pub(super) async fn authenticate(
    connection: &mut Connection,
    proof: &Proof,
) -> Result<Option<Duration>, AdminError> {
    match proof {
        Proof::Password(login) => {
            handshake(connection, login.mechanism).await?;
            match login.mechanism {
                SaslMechanism::Plain => {
                    let text = format!("\0{}\0{}", login.username, login.password.expose());
                    Ok(send(connection, login.mechanism, text).await?.session)
                }
                _ => scram(connection, login).await,
            }
        }
        Proof::Token(source, wallet) => bearer(connection, source, wallet).await,
    }
}

async fn handshake(
    connection: &mut Connection,
    mechanism: SaslMechanism,
) -> Result<(), AdminError> {
    let request = SaslHandshakeRequest::default().with_mechanism(mechanism.name().into());
    let answer = connection.ask(WHAT, &request).await?;
    if answer.error_code != 0 {
        let known: Vec<_> = answer.mechanisms.iter().map(ToString::to_string).collect();
        let why = format!("it knows {} alone", known.join(", "));
        return Err(not_let_in(connection, mechanism, why));
    }
    Ok(())
}

async fn scram(connection: &mut Connection, login: &Login) -> Result<Option<Duration>, AdminError> {
    let mechanism = login.mechanism;
    let mut random = [0; 24];
    let filled = aws_lc_rs::default_provider().secure_random.fill(&mut random);
    let none = |_| not_let_in(connection, mechanism, "the system has no random numbers".into());
    filled.map_err(none)?;
    let nonce = STANDARD_NO_PAD.encode(random);
    let scram = Scram::new(mechanism, &login.username, login.password.expose(), nonce);
    let challenge = send(connection, mechanism, scram.first()).await?.text;
    let proof = scram.prove(&challenge).map_err(|why| not_let_in(connection, mechanism, why))?;
    let last = send(connection, mechanism, proof.message.clone()).await?;
    proof.check(&last.text).map_err(|why| not_let_in(connection, mechanism, why))?;
    Ok(last.session)
}

/// Shows a token (RFC 7628).
async fn bearer(
    connection: &mut Connection,
    source: &TokenSource,
    wallet: &Wallet,
) -> Result<Option<Duration>, AdminError> {
    const MECHANISM: SaslMechanism = SaslMechanism::OAuthBearer;
    let token = wallet.token().await.map_err(|error| AdminError::NoToken {
        broker: connection.broker().to_owned(),
        why: error.to_string(),
    })?;
    handshake(connection, MECHANISM).await?;
    let said = match send(connection, MECHANISM, first(&token, source)).await {
        Ok(said) if said.text.is_empty() => return Ok(said.session),
        // The reason as JSON; the broker ends the exchange when it is told that we know.
        Ok(said) => {
            let _ = send(connection, MECHANISM, "\u{1}".into()).await;
            not_let_in(connection, MECHANISM, format!("it refused the token: {}", said.text))
        }
        Err(error) => error,
    };
    // A broker closes the connection after a refusal, so a new token is for the next one.
    wallet.distrust().await;
    Err(said)
}

/// What is sent first: the token, and what is told beside it.
fn first(token: &Token, source: &TokenSource) -> String {
    let beside = source.extensions.iter().map(|(name, value)| format!("{name}={value}\u{1}"));
    format!("n,,\u{1}auth=Bearer {}\u{1}{}\u{1}", token.expose(), beside.collect::<String>())
}

async fn send(
    connection: &mut Connection,
    mechanism: SaslMechanism,
    text: String,
) -> Result<Said, AdminError> {
    let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from(text));
    let answer = connection.ask(WHAT, &request).await?;
    match Refusal::of(answer.error_code, answer.error_message) {
        Some(refusal) => Err(not_let_in(connection, mechanism, refusal.to_string())),
        None => {
            let text = String::from_utf8_lossy(&answer.auth_bytes).into_owned();
            let session = u64::try_from(answer.session_lifetime_ms).ok().filter(|ms| *ms > 0);
            Ok(Said { text, session: session.map(Duration::from_millis) })
        }
    }
}

fn not_let_in(connection: &Connection, mechanism: SaslMechanism, why: String) -> AdminError {
    let (broker, mechanism) = (connection.broker().to_owned(), mechanism.name().into());
    AdminError::NotLetIn { broker, mechanism, why }
}
