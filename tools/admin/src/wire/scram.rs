//! SCRAM, the client's side (RFC 5802), without channel binding, as Kafka speaks it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use nubium_config::SaslMechanism;
use sha2::{Digest, Sha256, Sha512};

/// More rounds than any server asks for; a false one could keep us busy for ever.
const ITERATIONS_MAX: u32 = 1_000_000;

/// One exchange with a server.
pub(super) struct Scram<'a> {
    hash: Hash,
    username: String,
    password: &'a str,
    nonce: String,
}

#[derive(Clone, Copy)]
enum Hash {
    Sha256,
    Sha512,
}

/// What is sent last, and what the server must answer to prove that it knows the password too.
pub(super) struct Proof {
    pub(super) message: String,
    pub(super) signature: String,
}

impl<'a> Scram<'a> {
    /// Prepares an exchange; `nonce` is random and printable.
    pub(super) fn new(
        mechanism: SaslMechanism,
        username: &str,
        password: &'a str,
        nonce: String,
    ) -> Self {
        let hash = match mechanism {
            SaslMechanism::ScramSha512 => Hash::Sha512,
            SaslMechanism::ScramSha256 | SaslMechanism::Plain => Hash::Sha256,
        };
        let username = username.replace('=', "=3D").replace(',', "=2C");
        Self { hash, username, password, nonce }
    }

    /// What is sent first.
    pub(super) fn first(&self) -> String {
        format!("n,,{}", self.first_bare())
    }

    fn first_bare(&self) -> String {
        format!("n={},r={}", self.username, self.nonce)
    }

    /// Answers the server's first message.
    pub(super) fn prove(&self, server: &str) -> Result<Proof, String> {
        let field = |name: &str| {
            let found = server.split(',').find_map(|part| part.strip_prefix(name));
            found.ok_or_else(|| format!("its challenge has no {name}"))
        };
        let (nonce, salt, iterations) = (field("r=")?, field("s=")?, field("i=")?);
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("its challenge is not an answer to ours".into());
        }
        let salt = STANDARD.decode(salt).map_err(|_| "its salt is no base64")?;
        let iterations: u32 = iterations.parse().map_err(|_| "its iterations are no number")?;
        if !(1..=ITERATIONS_MAX).contains(&iterations) {
            return Err(format!("it asks for {iterations} iterations"));
        }
        let without_proof = format!("c=biws,r={nonce}");
        let signed = format!("{},{server},{without_proof}", self.first_bare());
        let password = self.password.as_bytes();
        let (proof, signature) = match self.hash {
            Hash::Sha256 => compute::<Hmac<Sha256>, Sha256>(password, &salt, iterations, &signed),
            Hash::Sha512 => compute::<Hmac<Sha512>, Sha512>(password, &salt, iterations, &signed),
        };
        let message = format!("{without_proof},p={}", STANDARD.encode(proof));
        Ok(Proof { message, signature: STANDARD.encode(signature) })
    }
}

impl Proof {
    /// Checks the server's last message.
    pub(super) fn check(&self, server: &str) -> Result<(), String> {
        if let Some(why) = server.strip_prefix("e=") {
            return Err(why.to_owned());
        }
        match server.split(',').next().and_then(|part| part.strip_prefix("v=")) {
            Some(signature) if signature == self.signature => Ok(()),
            _ => Err("it does not prove that it knows the password".into()),
        }
    }
}

/// Gives the client's proof and the server's signature.
fn compute<M: Mac + KeyInit, D: Digest>(
    password: &[u8],
    salt: &[u8],
    iterations: u32,
    signed: &str,
) -> (Vec<u8>, Vec<u8>) {
    let salted = salted::<M>(password, salt, iterations);
    let client_key = mac::<M>(&salted, &[b"Client Key"]);
    let stored_key = D::digest(&client_key);
    let client_signature = mac::<M>(&stored_key, &[signed.as_bytes()]);
    let proof = client_key.iter().zip(client_signature).map(|(a, b)| a ^ b).collect();
    let server_key = mac::<M>(&salted, &[b"Server Key"]);
    (proof, mac::<M>(&server_key, &[signed.as_bytes()]))
}

/// `Hi` of RFC 5802: PBKDF2 of one block.
fn salted<M: Mac + KeyInit>(password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
    let mut last = mac::<M>(password, &[salt, &1_u32.to_be_bytes()]);
    let mut sum = last.clone();
    for _ in 1..iterations {
        last = mac::<M>(password, &[&last]);
        sum.iter_mut().zip(&last).for_each(|(sum, byte)| *sum ^= byte);
    }
    sum
}

fn mac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac =
        <M as Mac>::new_from_slice(key).unwrap_or_else(|_| unreachable!("HMAC takes any key"));
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc_7677() -> Scram<'static> {
        let nonce = "rOprNGfwEbeRWgbNEkqO".to_owned();
        Scram::new(SaslMechanism::ScramSha256, "user", "pencil", nonce)
    }

    const CHALLENGE: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
        s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    #[test]
    fn speaks_the_example_of_rfc_7677() {
        let scram = rfc_7677();
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let proof = scram.prove(CHALLENGE).unwrap();
        assert_eq!(
            proof.message,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        proof.check("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap();
    }

    #[test]
    fn a_false_server_is_found_out() {
        let scram = rfc_7677();
        let own = "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        for challenge in [
            "",
            own,
            &CHALLENGE.replace("r=r", "r=x"),
            &CHALLENGE.replace("4096", "0"),
            &CHALLENGE.replace("4096", "4000000000"),
            &CHALLENGE.replace("W22Z", "!!!!"),
        ] {
            assert!(scram.prove(challenge).is_err(), "{challenge}");
        }
        let proof = scram.prove(CHALLENGE).unwrap();
        assert!(proof.check("v=AAAA").is_err() && proof.check("").is_err());
        assert_eq!(proof.check("e=invalid-proof").unwrap_err(), "invalid-proof");
    }

    #[test]
    fn commas_and_equal_signs_in_a_name_are_escaped() {
        let scram = Scram::new(SaslMechanism::ScramSha512, "a=b,c", "x", "n".into());
        assert_eq!(scram.first(), "n,,n=a=3Db=2Cc,r=n");
    }
}
