//! The secret that webhooks are signed with, as <https://www.standardwebhooks.com> says: `whsec_` and the base64 of the
//! key. Both sides decode it by themselves, so a form that only one of them understands never verifies.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

const PREFIX: &str = "whsec_";
/// Shortest and longest key, in bytes.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Why a secret can never sign. The texts say how to make one that can, and never show the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the webhook's secret {0}; make one with `echo \"whsec_$(openssl rand -base64 32)\"`, and give the adapter the same"
)]
pub struct SecretFault(&'static str);

/// A key that signs messages. It is wiped from memory when dropped.
pub struct SigningKey(Zeroizing<Vec<u8>>);

impl SigningKey {
    /// Reads the secret. White space around it does not count.
    ///
    /// # Errors
    /// It lacks the prefix, is no padded standard base64, or is no key of 24 to 64 bytes.
    pub fn parse(secret: &SecretString) -> Result<Self, SecretFault> {
        let Some(encoded) = secret.expose_secret().trim().strip_prefix(PREFIX) else {
            return Err(SecretFault("does not begin with `whsec_`"));
        };
        let key = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| SecretFault(what_is_wrong(encoded)))?);
        if !KEY_BYTES.contains(&key.len()) {
            return Err(SecretFault("is no key of 24 to 64 bytes"));
        }
        Ok(Self(key))
    }

    /// `v1,` and the base64 of HMAC-SHA256 over id, time (Unix seconds) and body.
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> Result<String, String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).map_err(|error| error.to_string())?;
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    }
}

/// What keeps a text from being standard base64. The two forms that generators often print are named.
fn what_is_wrong(encoded: &str) -> &'static str {
    let unpadded = encoded.trim_end_matches('=');
    if unpadded.contains(['-', '_']) && URL_SAFE_NO_PAD.decode(unpadded).is_ok() {
        "is in the URL-safe form of base64 (`-` and `_`), where the standard form (`+` and `/`) is wanted"
    } else if URL_SAFE_NO_PAD.decode(unpadded.replace('+', "-").replace('/', "_")).is_ok() {
        "lacks the `=` that pad its base64 to a multiple of four characters"
    } else {
        "is no base64 behind `whsec_`"
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(secret: &str) -> Result<SigningKey, SecretFault> {
        SigningKey::parse(&SecretString::from(secret))
    }

    #[test]
    fn signatures_are_those_of_the_standard() {
        let key = parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_form_that_cannot_sign_is_named() {
        let key = [0xfb_u8; 32];
        let standard = STANDARD.encode(key);
        assert!(parse(&format!(" whsec_{standard}\n")).is_ok());
        let url_safe = standard.replace('+', "-").replace('/', "_");
        for (secret, word) in [
            (standard.clone(), "begin with `whsec_`"),
            (format!("whsec_{url_safe}"), "URL-safe"),
            (format!("whsec_{}", url_safe.trim_end_matches('=')), "URL-safe"),
            (format!("whsec_{}", standard.trim_end_matches('=')), "lacks the `=`"),
            ("whsec_%%".to_owned(), "no base64"),
            ("whsec_c2hvcnQ=".to_owned(), "24 to 64 bytes"),
            (format!("whsec_{}", STANDARD.encode([1; 65])), "24 to 64 bytes"),
        ] {
            let fault = parse(&secret).err().unwrap().to_string();
            assert!(fault.contains(word) && fault.contains("openssl rand"), "{fault}");
            assert!(!fault.contains(secret.trim_start_matches("whsec_")), "{fault}");
        }
    }
}
