//! How lockstep proves who it is to ticket systems: a password, a token, or OAuth 2 at the system's own token endpoint.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::cache::{Cached, Fetch, Fresh};
use super::client::Http;
use super::credential::CredentialError;
use super::entra::{exchange, unresolved};
use super::token::{Scheme, Token, TokenError, TokenSource};
use crate::http::secret::SecretRef;

/// How lockstep proves who it is to a ticket system, `credential = { kind = "...", ... }`.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Login {
    /// User name and password, or e-mail and API token.
    Basic {
        /// User name; no colon in it.
        username: String,
        /// The password or API token.
        password: SecretRef,
    },
    /// A token that does not expire by itself: a personal access token, an API key.
    Token {
        /// The token.
        token: SecretRef,
    },
    /// OAuth 2 client credentials.
    OauthClientCredentials {
        /// The client.
        client_id: String,
        /// Its secret.
        secret: SecretRef,
        /// Space-separated scopes, where the system wants them.
        #[serde(default)]
        scope: Option<String>,
    },
    /// OAuth 2 resource owner password grant.
    OauthPassword {
        /// The client.
        client_id: String,
        /// Its secret.
        secret: SecretRef,
        /// The user.
        username: String,
        /// The user's password.
        password: SecretRef,
    },
}

impl Login {
    /// The secret references in it, for warnings about inline ones.
    pub fn secrets(&self) -> Vec<&SecretRef> {
        match self {
            Self::Basic { password, .. } => vec![password],
            Self::Token { token } => vec![token],
            Self::OauthClientCredentials { secret, .. } => vec![secret],
            Self::OauthPassword { secret, password, .. } => vec![secret, password],
        }
    }

    /// A token source. `scheme` is how the system wants lasting tokens; `token_url` its OAuth 2 token endpoint.
    ///
    /// # Errors
    /// A user name with a colon, which basic authentication cannot carry.
    pub fn tokens(
        &self,
        scheme: Scheme,
        token_url: &Url,
        http: &Http,
    ) -> Result<Arc<dyn TokenSource>, CredentialError> {
        Ok(match self {
            Self::Basic { username, password } => return basic(username, password),
            Self::Token { token } => Arc::new(Lasting { scheme, token: token.clone() }),
            Self::OauthClientCredentials { .. } | Self::OauthPassword { .. } => {
                let grant = Grant { http: http.clone(), url: token_url.clone(), login: self.clone() };
                Arc::new(Cached::new(Box::new(grant)))
            }
        })
    }
}

/// A token source for user name and password.
pub(super) fn basic(username: &str, password: &SecretRef) -> Result<Arc<dyn TokenSource>, CredentialError> {
    if username.contains(':') {
        return Err(CredentialError::UserName);
    }
    Ok(Arc::new(Basic { username: username.to_owned(), password: password.clone() }))
}

/// User name and password; read at each use, so a rotated file is picked up.
struct Basic {
    username: String,
    password: SecretRef,
}

#[async_trait]
impl TokenSource for Basic {
    async fn token(&self) -> Result<Token, TokenError> {
        let password = self.password.resolve().map_err(|e| unresolved(&e))?;
        let pair = SecretString::from(format!("{}:{}", self.username, password.expose_secret()));
        let encoded = SecretString::from(STANDARD.encode(pair.expose_secret()));
        Ok(Token::lasting(Scheme::Basic, encoded))
    }

    fn invalidate(&self, _used: &Token) {}
}

/// A lasting token; read at each use, so a rotated file is picked up.
struct Lasting {
    scheme: Scheme,
    token: SecretRef,
}

#[async_trait]
impl TokenSource for Lasting {
    async fn token(&self) -> Result<Token, TokenError> {
        let token = self.token.resolve().map_err(|e| unresolved(&e))?;
        Ok(Token::lasting(self.scheme, SecretString::from(token.expose_secret().trim())))
    }

    fn invalidate(&self, _used: &Token) {}
}

/// A grant that ends in a bearer token. Refresh tokens are not used: both grants can simply be made again.
struct Grant {
    http: Http,
    url: Url,
    login: Login,
}

#[async_trait]
impl Fetch for Grant {
    async fn fetch(&self) -> Result<Fresh, TokenError> {
        let secrets = self.login.secrets();
        let resolved: Vec<SecretString> =
            secrets.iter().map(|s| s.resolve().map_err(|e| unresolved(&e))).collect::<Result<_, _>>()?;
        let [secret, rest @ ..] = &resolved[..] else {
            return Err(TokenError::permanent("the credential has no secret", "add it"));
        };
        let mut form = vec![("client_secret", secret.expose_secret())];
        match &self.login {
            Login::OauthClientCredentials { client_id, scope, .. } => {
                form.extend([("grant_type", "client_credentials"), ("client_id", client_id)]);
                form.extend(scope.as_deref().map(|scope| ("scope", scope)));
            }
            Login::OauthPassword { client_id, username, .. } => {
                form.extend([("grant_type", "password"), ("client_id", client_id), ("username", username)]);
                form.extend(rest.iter().map(|password| ("password", password.expose_secret())));
            }
            Login::Basic { .. } | Login::Token { .. } => {}
        }
        let request = self.http.client().post(self.url.clone()).form(&form);
        let sent: Vec<&str> = resolved.iter().map(ExposeSecret::expose_secret).collect();
        exchange(&self.http, request, &sent).await
    }

    fn revision(&self) -> u64 {
        self.login.secrets().iter().fold(0, |sum, secret| sum.rotate_left(1) ^ secret.revision())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::http::ClientOptions;
    use crate::http::testing::{Server, http, json};

    async fn header(login: &str, scheme: Scheme) -> String {
        let login: Login = toml::from_str(login).unwrap();
        let http = Http::new(&ClientOptions::default()).unwrap();
        let url = Url::parse("https://x.example/oauth").unwrap();
        let source = login.tokens(scheme, &url, &http).unwrap();
        source.token().await.unwrap().authorization().expose_secret().to_owned()
    }

    #[tokio::test]
    async fn an_echoed_password_is_not_shown() {
        let secret = |text: &str| SecretRef::Inline(text.to_owned().into());
        let login = Login::OauthPassword {
            client_id: "c".to_owned(),
            secret: secret("client-word"),
            username: "u".to_owned(),
            password: secret("hunter2"),
        };
        let answer =
            json(400, r#"{"error":"invalid_grant","error_description":"hunter2 or client-word is wrong"}"#);
        let server = Server::start([answer]).await;
        let error = login.tokens(Scheme::Bearer, &server.url, &http()).unwrap().token().await.err().unwrap();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("[redacted] or [redacted] is wrong") && !shown.contains("hunter2"), "{shown}");
    }

    #[tokio::test]
    async fn lasting_secrets_go_into_the_header_as_the_system_wants_them() {
        assert_eq!(header("kind='basic'\nusername='u'\npassword='p'", Scheme::Bearer).await, "Basic dTpw");
        assert_eq!(header("kind='token'\ntoken='abc'", Scheme::Bearer).await, "Bearer abc");
        assert_eq!(header("kind='token'\ntoken='1-35-x'", Scheme::Token).await, "token 1-35-x");
        assert_eq!(basic("a:b", &SecretRef::Inline("p".into())).err(), Some(CredentialError::UserName));
    }
}
