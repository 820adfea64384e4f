//! From YAML to credentials.

use nubium_service::document::Fields;

use super::document::Directory;
use super::{Auth, Grant, OAuth2, Proof};
use crate::assertion;

impl Directory<'_> {
    pub(super) fn auth(&self, root: &Fields<'_>) -> Auth {
        let example = "auth: {bearer: {token_file: /etc/secrets/token}}";
        let Some(part) = root.section("auth", example) else { return Auth::None };
        let kinds = ["basic", "bearer", "oauth2"];
        let given: Vec<_> = kinds.into_iter().filter(|kind| part.has(kind)).collect();
        if given.len() != 1 {
            let read = if given.is_empty() { "nothing".to_owned() } else { given.join(" and ") };
            root.problem("auth", &read, "one of basic, bearer, oauth2", example);
            return Auth::None;
        }
        let Some(inner) = part.section(given[0], example) else { return Auth::None };
        part.finish();
        let auth = match given[0] {
            "basic" => {
                let username = inner.needed("username", "text", "uploader").unwrap_or_default();
                Auth::Basic { username, password_file: self.secret(&inner, "password_file") }
            }
            "bearer" => Auth::Bearer { token_file: self.secret(&inner, "token_file") },
            _ => self.oauth2(&inner),
        };
        inner.finish();
        auth
    }

    fn oauth2(&self, part: &Fields<'_>) -> Auth {
        let token_url = self.url(part, "token_url", "https://login.example.com/oauth2/token");
        let client_id = part.needed("client_id", "text", "uploader").unwrap_or_default();
        let ways = [("basic", 0), ("body", 1), ("private_key_jwt", 2)];
        let way = part.choice("client_auth", &ways);
        let bearer = part.choice("grant", &[("client_credentials", false), ("jwt_bearer", true)]);
        let subject = part.text("subject", "uploader@example.com");
        let proof = match bearer || way == 2 {
            true => self.key(part),
            false => {
                Proof::Secret { file: self.secret(part, "client_secret_file"), in_body: way == 1 }
            }
        };
        let signs = matches!(proof, Proof::Key { .. });
        let of_keys = ["client_key_file", "key_id", "assertion_audience"];
        let others = if signs { &["client_secret_file"][..] } else { &of_keys[..] };
        for name in others.iter().filter(|name| part.has(name)) {
            let expected = "nothing: a client has a secret, or with `client_auth: \
                private_key_jwt` or `grant: jwt_bearer` a key";
            let example = "client_auth: private_key_jwt";
            part.problem(name, "a value", expected, example);
        }
        let grant = if bearer { Grant::JwtBearer(subject) } else { Grant::ClientCredentials };
        let scope = part.text("scope", "orders.write");
        let audience = part.text("audience", "https://api.example.com");
        let Some(token_url) = token_url else { return Auth::None };
        Auth::OAuth2(Box::new(OAuth2 { token_url, client_id, proof, grant, scope, audience }))
    }

    /// Reads the private key of a client, and tries it.
    fn key(&self, part: &Fields<'_>) -> Proof {
        let file = self.secret(part, "client_key_file");
        let id = part.text("key_id", "2026-11");
        let audience = part.text("assertion_audience", "https://login.example.com");
        if let Ok(key) = crate::secret_file::read(&file)
            && let Err(error) = assertion::sign(key.expose(), None, &serde_json::json!({}))
        {
            let expected = format!("a file with a private key, but: {error:#}");
            let example = "client_key_file: /etc/secrets/key.pem";
            part.problem("client_key_file", "a file", &expected, example);
        }
        Proof::Key { file, id, audience }
    }
}
