//! The signed assertion of certificate credentials: PS256 with `x5t#S256` (graph-security.md 1.3).

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PSS_SHA256, RsaKeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::token::TokenError;

/// Validity in seconds. One is made per token request, so it need not last.
const VALID_FOR: i64 = 600;

/// Signs an assertion for `audience` (the token endpoint) with the present time and a new id.
pub(crate) fn sign_now(
    certificate: &Path,
    key: &SecretString,
    client_id: &str,
    audience: &str,
) -> Result<SecretString, TokenError> {
    let pem = std::fs::read(certificate).map_err(|e| {
        let what = format!("certificate file {} cannot be read ({e})", certificate.display());
        TokenError::permanent(what, "check that it exists and that lockstep may read it")
    })?;
    let certificate = CertificateDer::from_pem_slice(&pem).map_err(|_| {
        let what = format!("{} holds no PEM certificate", certificate.display());
        TokenError::permanent(what, "give the certificate as PEM")
    })?;
    let signer = Signer { key: key_pair(key)?, certificate };
    signer.sign(client_id, audience, jiff::Timestamp::now().as_second(), &uuid::Uuid::new_v4().to_string())
}

struct Signer {
    key: RsaKeyPair,
    certificate: CertificateDer<'static>,
}

impl Signer {
    fn sign(&self, client_id: &str, audience: &str, now: i64, id: &str) -> Result<SecretString, TokenError> {
        let thumbprint = ring::digest::digest(&ring::digest::SHA256, &self.certificate);
        let header =
            json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": URL_SAFE_NO_PAD.encode(thumbprint.as_ref()) });
        let claims = json!({
            "aud": audience, "iss": client_id, "sub": client_id, "jti": id,
            "iat": now, "nbf": now, "exp": now + VALID_FOR,
        });
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(&claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PSS_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)
            .map_err(|_| TokenError::permanent("signing failed", "use an RSA key of 2048 bits or more"))?;
        Ok(SecretString::from(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }
}

/// Reads an RSA key from PEM, PKCS#8 or PKCS#1.
fn key_pair(pem: &SecretString) -> Result<RsaKeyPair, TokenError> {
    let unusable = |what: &str| {
        TokenError::permanent(
            what,
            "give an unencrypted RSA key (2048 bits or more) as PEM, PKCS#8 preferred",
        )
    };
    let der = PrivateKeyDer::from_pem_slice(pem.expose_secret().as_bytes())
        .map_err(|_| unusable("the certificate's key is not a PEM private key"))?;
    let pair = match &der {
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
        _ => return Err(unusable("the certificate's key is not an RSA key")),
    };
    pair.map_err(|_| unusable("the certificate's key is not a usable RSA key"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ring::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
    use serde_json::Value;

    const KEY: &str = include_str!("testdata/key.pem");
    const CERTIFICATE: &str = include_str!("testdata/cert.pem");

    fn decode(part: &str) -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn assertion_verifies_and_claims_what_entra_wants() {
        let signer = Signer {
            key: key_pair(&SecretString::from(KEY)).unwrap(),
            certificate: CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap(),
        };
        let jwt = signer.sign("client", "https://login.example/t/oauth2/v2.0/token", 1000, "id-1").unwrap();
        let parts: Vec<_> = jwt.expose_secret().split('.').collect();
        assert_eq!(decode(parts[0])["alg"], "PS256");
        // SHA-256 fingerprint of the certificate, as `openssl x509 -fingerprint -sha256` gives it.
        assert_eq!(decode(parts[0])["x5t#S256"], include_str!("testdata/cert.x5t").trim());
        let claims = decode(parts[1]);
        assert_eq!(
            (&claims["exp"], &claims["jti"], &claims["sub"]),
            (&json!(1600), &json!("id-1"), &json!("client"))
        );
        let public = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, signer.key.public().as_ref());
        let message = format!("{}.{}", parts[0], parts[1]);
        public.verify(message.as_bytes(), &URL_SAFE_NO_PAD.decode(parts[2]).unwrap()).unwrap();
    }

    #[test]
    fn bad_keys_are_explained_and_not_shown() {
        let error = key_pair(&SecretString::from("not-a-key-hunter2")).unwrap_err();
        assert!(error.is_permanent());
        assert!(error.to_string().contains("PKCS#8") && !error.to_string().contains("hunter2"));
    }

    #[test]
    fn missing_certificate_is_named() {
        let error = sign_now(Path::new("/no/cert.pem"), &SecretString::from(KEY), "c", "a").unwrap_err();
        assert!(error.to_string().contains("/no/cert.pem"));
    }
}
