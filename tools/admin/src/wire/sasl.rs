//! Proving who we are on a new connection.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use kafka_protocol::messages::{SaslAuthenticateRequest, SaslHandshakeRequest};
use nubium_config::{Choice as _, Sasl, SaslMechanism};
use rustls::crypto::aws_lc_rs;

use super::connection::Connection;
use super::scram::Scram;
use crate::error::{AdminError, Refusal};

const WHAT: &str = "prove username and password";

/// Has a connection let in.
pub(super) async fn authenticate(
    connection: &mut Connection,
    sasl: &Sasl,
) -> Result<(), AdminError> {
    let mechanism = sasl.mechanism.name();
    let request = SaslHandshakeRequest::default().with_mechanism(mechanism.into());
    let answer = connection.ask(WHAT, &request).await?;
    if answer.error_code != 0 {
        let known: Vec<_> = answer.mechanisms.iter().map(ToString::to_string).collect();
        let why = format!("it knows {} alone", known.join(", "));
        return Err(not_let_in(connection, sasl, why));
    }
    match sasl.mechanism {
        SaslMechanism::Plain => {
            let text = format!("\0{}\0{}", sasl.username, sasl.password.expose());
            send(connection, sasl, text).await.map(drop)
        }
        SaslMechanism::ScramSha256 | SaslMechanism::ScramSha512 => scram(connection, sasl).await,
    }
}

async fn scram(connection: &mut Connection, sasl: &Sasl) -> Result<(), AdminError> {
    let mut random = [0; 24];
    let filled = aws_lc_rs::default_provider().secure_random.fill(&mut random);
    filled.map_err(|_| not_let_in(connection, sasl, "the system has no random numbers".into()))?;
    let nonce = STANDARD_NO_PAD.encode(random);
    let scram = Scram::new(sasl.mechanism, &sasl.username, sasl.password.expose(), nonce);
    let challenge = send(connection, sasl, scram.first()).await?;
    let proof = scram.prove(&challenge).map_err(|why| not_let_in(connection, sasl, why))?;
    let last = send(connection, sasl, proof.message.clone()).await?;
    proof.check(&last).map_err(|why| not_let_in(connection, sasl, why))
}

async fn send(
    connection: &mut Connection,
    sasl: &Sasl,
    text: String,
) -> Result<String, AdminError> {
    let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from(text));
    let answer = connection.ask(WHAT, &request).await?;
    match Refusal::of(answer.error_code, answer.error_message) {
        Some(refusal) => Err(not_let_in(connection, sasl, refusal.to_string())),
        None => Ok(String::from_utf8_lossy(&answer.auth_bytes).into_owned()),
    }
}

fn not_let_in(connection: &Connection, sasl: &Sasl, why: String) -> AdminError {
    let (broker, mechanism) = (connection.broker().to_owned(), sasl.mechanism.name().into());
    AdminError::NotLetIn { broker, mechanism, why }
}
