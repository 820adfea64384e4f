//! What tokens are made of and when they are renewed; asking for them is tested on a server that
//! answers as it is told.

mod asking;
mod machine;
mod msk;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::claims::Claims;
use super::{Token, renewal};
use nubium_config::{AwsCredentials, TokenOrigin};

/// A token that nobody signed.
pub(super) fn jwt(claims: &str) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", part(r#"{"alg":"ES256"}"#), part(claims), part("signature"))
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
fn a_token_says_when_it_ends_and_whom_it_names() {
    let claims = Claims::of(&jwt(r#"{"sub": "funnel", "exp": 1800000000.5}"#));
    assert_eq!(claims.until(), Some(at(1_800_000_000) + Duration::from_millis(500)));
    assert_eq!(claims.principal().as_deref(), Some("funnel"));
    for none in ["", "opaque", "a.b.c", &jwt("[]"), &jwt(r#"{"exp": "soon"}"#), &jwt("{}")] {
        assert_eq!(Claims::of(none).until(), None, "{none}");
    }
    assert_eq!(Claims::of(&jwt(r#"{"exp": 1e300}"#)).until(), None);
    assert_eq!(Claims::of(&jwt(r#"{"exp": -1}"#)).until(), None);
}

#[test]
fn a_token_does_not_print_and_holds_nothing_that_would_change_the_exchange() {
    let token = Token::checked(" abc.def-_~+/= \n", "p".into(), at(9)).expect("a token");
    assert_eq!(token.expose(), "abc.def-_~+/=");
    assert!(!format!("{token:?}").contains("abc"), "{token:?}");
    for wrong in ["", " ", "a b", "a\u{1}host=x", "ü"] {
        assert!(Token::checked(wrong, "p".into(), at(9)).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_token_is_due_before_a_connection_must_show_it_again() {
    let file = TokenOrigin::File("token".into());
    let other = TokenOrigin::Msk { region: "x".into(), credentials: AwsCredentials::Environment };
    let due = |left: u64, origin| {
        let due = renewal::due(at(1_000), at(1_000 + left), origin);
        due.duration_since(at(1_000)).expect("later").as_secs_f64()
    };
    assert_eq!(due(3_600, &other), 2_700.0);
    assert_eq!(due(8, &other), 6.0);
    assert_eq!(due(0, &other), 0.5);
    assert_eq!(due(3_600, &file), 30.0);
    assert_eq!(due(8, &file), 6.0);
    let pauses: Vec<_> = (1..8).map(|failures| renewal::pause(failures).as_secs()).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 15, 15, 15]);
}
