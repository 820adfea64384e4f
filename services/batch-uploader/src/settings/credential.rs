//! From YAML to credentials.

use super::document::Document;
use super::reader::Part;
use super::{Auth, Grant, OAuth2, Proof};
use crate::assertion;

impl Document<'_> {
    pub(super) fn auth(&mut self, root: &Part) -> Auth {
        let example = "auth: {bearer: {token_file: /etc/secrets/token}}";
        let Some(part) = self.reader.part(root, "auth", example) else { return Auth::None };
        let kinds = ["basic", "bearer", "oauth2"];
        self.reader.names(&part, &kinds);
        let given: Vec<_> = kinds.into_iter().filter(|kind| part.has(kind)).collect();
        if given.len() != 1 {
            let read = if given.is_empty() { "nothing".to_owned() } else { given.join(" and ") };
            self.reader.problem("auth", &read, "one of basic, bearer, oauth2", example);
            return Auth::None;
        }
        let Some(inner) = self.reader.part(&part, given[0], example) else { return Auth::None };
        match given[0] {
            "basic" => {
                self.reader.names(&inner, &["username", "password_file"]);
                let username = self.reader.required(&inner, "username", "uploader");
                Auth::Basic { username, password_file: self.secret(&inner, "password_file") }
            }
            "bearer" => {
                self.reader.names(&inner, &["token_file"]);
                Auth::Bearer { token_file: self.secret(&inner, "token_file") }
            }
            _ => self.oauth2(&inner),
        }
    }

    fn oauth2(&mut self, part: &Part) -> Auth {
        let known = [
            "token_url",
            "client_id",
            "client_secret_file",
            "scope",
            "audience",
            "client_auth",
            "client_key_file",
            "key_id",
            "assertion_audience",
            "grant",
            "subject",
        ];
        self.reader.names(part, &known);
        let token_url = self.url(part, "token_url", "https://login.example.com/oauth2/token");
        let client_id = self.reader.required(part, "client_id", "uploader");
        let ways = [("basic", 0), ("body", 1), ("private_key_jwt", 2)];
        let way = self.reader.choice(part, "client_auth", &ways);
        let bearer = self.reader.choice(
            part,
            "grant",
            &[("client_credentials", false), ("jwt_bearer", true)],
        );
        let subject = self.reader.text(part, "subject", "uploader@example.com");
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
            self.reader.refuse(part, name, "a value", expected, example);
        }
        let grant = if bearer { Grant::JwtBearer(subject) } else { Grant::ClientCredentials };
        let scope = self.reader.text(part, "scope", "orders.write");
        let audience = self.reader.text(part, "audience", "https://api.example.com");
        let Some(token_url) = token_url else { return Auth::None };
        Auth::OAuth2(Box::new(OAuth2 { token_url, client_id, proof, grant, scope, audience }))
    }

    /// Reads the private key of a client, and tries it.
    fn key(&mut self, part: &Part) -> Proof {
        let file = self.secret(part, "client_key_file");
        let id = self.reader.text(part, "key_id", "2026-11");
        let audience = self.reader.text(part, "assertion_audience", "https://login.example.com");
        if let Ok(key) = crate::secret_file::read(&file)
            && let Err(error) = assertion::sign(key.expose(), None, &serde_json::json!({}))
        {
            let expected = format!("a file with a private key, but: {error:#}");
            let example = "client_key_file: /etc/secrets/key.pem";
            self.reader.refuse(part, "client_key_file", "a file", &expected, example);
        }
        Proof::Key { file, id, audience }
    }
}
