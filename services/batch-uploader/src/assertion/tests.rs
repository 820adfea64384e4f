use super::*;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize};
use rustls::crypto::aws_lc_rs::default_provider;

fn parts(token: &str) -> (Value, Value, Vec<u8>) {
    let parts: Vec<_> = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part)).collect();
    let [Ok(head), Ok(claims), Ok(signature)] = &parts[..] else { panic!("{token}") };
    let json = |bytes: &[u8]| serde_json::from_slice(bytes).expect("JSON");
    (json(head), json(claims), signature.clone())
}

fn verifies(scheme: SignatureScheme, key: &KeyPair, token: &str, signature: &[u8]) -> bool {
    let signed = token.rsplit_once('.').expect("three parts").0.as_bytes();
    let known = default_provider().signature_verification_algorithms.mapping;
    let (_, algorithms) = known.iter().find(|(known, _)| *known == scheme).expect("known");
    let public = key.public_key_raw();
    algorithms.iter().any(|it| it.verify_signature(public, signed, signature).is_ok())
}

#[test]
fn tokens_are_signed_by_the_kind_of_their_key() {
    let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("key");
    let ed = KeyPair::generate_for(&PKCS_ED25519).expect("key");
    for (key, name, scheme) in [
        (&rsa, "RS256", SignatureScheme::RSA_PKCS1_SHA256),
        (&ed, "EdDSA", SignatureScheme::ED25519),
    ] {
        let claims = json!({"iss": "up"});
        let token = sign(&key.serialize_pem(), Some("k1"), &claims).expect("a token");
        let (head, read, signature) = parts(&token);
        assert_eq!((head, read), (json!({"alg": name, "typ": "JWT", "kid": "k1"}), claims));
        assert!(verifies(scheme, key, &token, &signature), "{name}");
    }
    let ec = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("key");
    for _ in 0..20 {
        let token = sign(&ec.serialize_pem(), None, &json!({})).expect("a token");
        let (head, _, signature) = parts(&token);
        assert_eq!((head, signature.len()), (json!({"alg": "ES256", "typ": "JWT"}), 64));
        let number = |half: &[u8]| {
            let start = half.iter().position(|byte| *byte != 0).unwrap_or(0);
            let sign = (half[start] >= 0x80).then_some(0);
            let bytes: Vec<u8> = sign.into_iter().chain(half[start..].to_vec()).collect();
            [&[2, bytes.len() as u8][..], &bytes].concat()
        };
        let both = [number(&signature[..32]), number(&signature[32..])].concat();
        let der = [&[0x30, both.len() as u8][..], &both].concat();
        assert!(verifies(SignatureScheme::ECDSA_NISTP256_SHA256, &ec, &token, &der));
    }
}

#[test]
fn what_is_no_key_is_refused_and_not_quoted() {
    for text in ["", "hunter2", "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----"] {
        let error = format!("{:#}", sign(text, None, &json!({})).expect_err("refused"));
        assert!(error.contains("private key") && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn signatures_of_no_known_form_are_none() {
    let good = [0x30, 6, 2, 1, 7, 2, 1, 9];
    assert_eq!(halves(&good, 2), Some(vec![0, 7, 0, 9]));
    assert_eq!(halves(&[0x30, 8, 2, 3, 0, 1, 7, 2, 1, 9], 2), Some(vec![1, 7, 0, 9]));
    for bad in [&[][..], &good[..7], &[0x30, 6, 2, 1, 7, 3, 1, 9], &[0x30, 3, 2, 1, 7]] {
        assert_eq!(halves(bad, 2), None, "{bad:?}");
    }
    assert_eq!(halves(&[0x30, 8, 2, 3, 9, 9, 9, 2, 1, 9], 2), None, "too long");
}
