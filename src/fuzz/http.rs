//! What every service's answers go through before a connector sees them, and the answers of token services.

use url::Url;

use super::script::Script;
use super::{assert_message, block_on, is_harmless};
use crate::http::secret::SecretRef;
use crate::http::{
    Answer, Budgets, Call, CallError, Credential, Door, Effect, Login, Method, RetryPolicy, Scheme,
    TokenError, TokenSource, token_source,
};

const HOME: &str = "https://remote.example/base";
/// Requests of one read at most: three attempts that follow three redirects each.
const MOST_READS: usize = 12;
/// What no message may show.
const SECRETS: [&str; 2] = ["hunter2-client", "hunter2-person"];

fn home() -> Url {
    Url::parse(HOME).expect("the address is sound")
}

/// Statuses, heads and bodies of any form, of a read and of a write.
pub(super) fn answer(input: &[u8]) {
    let read = Call::get("fuzz.read", "fuzz", home());
    let write = Call::write("fuzz.write", "fuzz", Method::POST, home(), serde_json::json!({"a": 1}));
    for call in [read, write] {
        let effect = call.effect;
        let script = Script::new(input, &home());
        let login = Login::Basic { username: "u".to_owned(), password: SecretRef::Inline("p".into()) };
        let tokens = login.tokens(Scheme::Bearer, &home(), &script.http()).expect("the login is sound");
        let door = Door::new("remote", script.http(), tokens, Budgets::unlimited(), RetryPolicy::default());
        let result = block_on(door.send(call));
        match effect {
            Effect::Read => assert!(script.requests() <= MOST_READS, "{} requests", script.requests()),
            Effect::Write => assert_eq!(script.requests(), 1, "a write leaves once"),
        }
        judge(effect, result);
    }
}

fn judge(effect: Effect, result: Result<Answer, CallError>) {
    match result {
        Ok(answer) => {
            assert!((200..=299).contains(&answer.status) || answer.status == 304, "{}", answer.status);
            assert!(answer.request_id.as_deref().is_none_or(is_harmless), "{:?}", answer.request_id);
        }
        Err(error) => {
            assert_message(&error.to_string());
            assert!(error.retry_after().is_none_or(|wait| wait.as_secs() <= 3_600), "{error}");
            if effect == Effect::Write {
                judge_write(&error);
            }
        }
    }
}

/// Only what a service refuses was certainly not executed.
fn judge_write(error: &CallError) {
    let status = error.status().unwrap_or_default();
    let refused = (300..=499).contains(&status) && status != 408 && status != 304;
    let is_unknown = matches!(error, CallError::Unknown { .. });
    assert_eq!(is_unknown, !refused, "{status}: {error:?}");
}

/// Answers to requests for a token, which were sent a secret.
pub(super) fn token(input: &[u8]) {
    let secret = |text: &str| SecretRef::Inline(text.to_owned().into());
    let client_id = "client".to_owned();
    let script = Script::new(input, &home());
    let entra = Credential::ClientSecret { client_id: client_id.clone(), secret: secret(SECRETS[0]) };
    let entra = token_source(&entra, "tenant", &home(), "https://remote.example/.default", &script.http());
    let login = Login::OauthPassword {
        client_id,
        secret: secret(SECRETS[0]),
        username: "u".to_owned(),
        password: secret(SECRETS[1]),
    };
    let login = login.tokens(Scheme::Bearer, &home(), &script.http());
    for source in [entra, login] {
        script.go_to(0);
        block_on(twice(source.expect("the credential is sound").as_ref()));
    }
}

/// Asks for a token, and for another one as after a 401.
async fn twice(source: &dyn TokenSource) {
    for _ in 0..2 {
        match source.token().await {
            Ok(token) => {
                let header = token.authorization();
                let text = secrecy::ExposeSecret::expose_secret(&header);
                assert!(axum::http::HeaderValue::from_str(text).is_ok(), "a token that no header can carry");
                source.invalidate(&token);
            }
            Err(error) => check(&error),
        }
    }
}

fn check(error: &TokenError) {
    let shown = format!("{error} {error:?}");
    assert_message(&error.to_string());
    assert!(!SECRETS.iter().any(|secret| shown.contains(secret)), "a secret is shown: {shown}");
    assert!(error.retry_after().is_none_or(|wait| wait.as_secs() <= 3_600), "{error}");
}
