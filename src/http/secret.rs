//! Where a secret comes from: an environment variable, a file, or (discouraged) the configuration itself.
//!
//! A [`SecretRef`] is resolved each time it is needed, so a rotated file is picked up without a restart, and
//! no secret stays in memory longer than its use.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

/// Largest secret file that is read, in bytes. A key with its chain stays far below.
const MAX_SECRET_FILE: u64 = 256 * 1024;

/// A reference to a secret, as written in the configuration.
///
/// `{ env = "X" }` names an environment variable, `{ file = "/run/secrets/x" }` a file (read afresh at each
/// use), a bare string is the secret itself.
#[derive(Clone)]
pub enum SecretRef {
    /// Name of the environment variable that holds the secret.
    Env(String),
    /// Path of the file that holds the secret; one trailing line break is not part of it.
    File(PathBuf),
    /// The secret itself, in the configuration. The loader warns about it.
    Inline(SecretString),
}

/// Why a secret could not be had. Each text names the place and what to do, never the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The environment variable does not exist.
    #[error("environment variable {0} is not set; set it for the lockstep process, or name another source")]
    EnvMissing(String),
    /// The environment variable is not UTF-8.
    #[error("environment variable {0} is not valid UTF-8; store the secret as text")]
    EnvNotText(String),
    /// The file cannot be read.
    #[error(
        "secret file {path} cannot be read ({reason}); check that it exists and that lockstep may read it"
    )]
    File {
        /// The file as configured.
        path: String,
        /// What the operating system said.
        reason: String,
    },
    /// The file is not UTF-8 or larger than any secret.
    #[error("secret file {path} {reason}; it must hold the secret alone, as text")]
    FileContent {
        /// The file as configured.
        path: String,
        /// What is wrong with the content.
        reason: &'static str,
    },
    /// There is a secret, but it is blank.
    #[error("the secret from {0} is empty; put the secret there")]
    Empty(String),
}

impl SecretRef {
    /// Reads the secret now. Files are read again at each call.
    pub fn resolve(&self) -> Result<SecretString, SecretError> {
        let secret = match self {
            Self::Env(name) => from_env(name)?,
            Self::File(path) => from_file(path)?,
            Self::Inline(secret) => secret.clone(),
        };
        if secret.expose_secret().trim().is_empty() {
            return Err(SecretError::Empty(self.to_string()));
        }
        Ok(secret)
    }

    /// Whether the secret stands in the configuration itself, which deserves a warning.
    pub fn is_inline(&self) -> bool {
        matches!(self, Self::Inline(_))
    }

    /// Changes when the secret's file was replaced; constant for the other sources. Lets a failed
    /// credential be tried again at once after a rotation.
    pub fn revision(&self) -> u64 {
        match self {
            Self::File(path) => file_revision(path),
            Self::Env(_) | Self::Inline(_) => 0,
        }
    }
}

/// A number that changes when the file is replaced or written (modification time and length).
pub(crate) fn file_revision(path: &Path) -> u64 {
    let Ok(meta) = std::fs::metadata(path) else { return 0 };
    let mut hasher = DefaultHasher::new();
    meta.modified().ok().hash(&mut hasher);
    meta.len().hash(&mut hasher);
    hasher.finish()
}

fn from_env(name: &str) -> Result<SecretString, SecretError> {
    match std::env::var(name) {
        Ok(value) => Ok(SecretString::from(value)),
        Err(std::env::VarError::NotPresent) => Err(SecretError::EnvMissing(name.to_owned())),
        Err(std::env::VarError::NotUnicode(_)) => Err(SecretError::EnvNotText(name.to_owned())),
    }
}

fn from_file(path: &Path) -> Result<SecretString, SecretError> {
    let shown = path.display().to_string();
    let unreadable =
        |error: std::io::Error| SecretError::File { path: shown.clone(), reason: error.to_string() };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_SECRET_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_SECRET_FILE {
        return Err(SecretError::FileContent { path: shown, reason: "is larger than 256 KiB" });
    }
    let Ok(text) = String::from_utf8(bytes) else {
        return Err(SecretError::FileContent { path: shown, reason: "is not valid UTF-8" });
    };
    // Editors and `echo` end the file with a line break that no one means as part of a password.
    let text = text.strip_suffix('\n').map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t));
    Ok(SecretString::from(text))
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Inline(_) => f.write_str("the configuration (inline)"),
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => f.debug_tuple("Env").field(name).finish(),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Inline(_) => f.write_str("Inline([redacted])"),
        }
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RefVisitor)
    }
}

/// Written by hand because serde's untagged enums cannot say which key was wrong.
struct RefVisitor;

impl<'de> Visitor<'de> for RefVisitor {
    type Value = SecretRef;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{ env = \"NAME\" }, { file = \"PATH\" } or a string")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<SecretRef, E> {
        Ok(SecretRef::Inline(SecretString::from(value)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretRef, A::Error> {
        let Some(key) = map.next_key::<String>()? else {
            return Err(de::Error::custom("a secret needs `env` or `file`"));
        };
        let found = match key.as_str() {
            "env" => SecretRef::Env(map.next_value()?),
            "file" => SecretRef::File(map.next_value()?),
            other => return Err(de::Error::unknown_field(other, &["env", "file"])),
        };
        if map.next_key::<String>()?.is_some() {
            return Err(de::Error::custom("a secret has one source: `env` or `file`, not both"));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(serde::Deserialize)]
    struct Doc {
        secret: SecretRef,
    }

    fn parse(text: &str) -> Result<SecretRef, String> {
        toml::from_str::<Doc>(text).map(|d| d.secret).map_err(|e| e.message().to_owned())
    }

    #[test]
    fn three_sources_parse() {
        assert!(matches!(parse("secret = { env = 'A' }").unwrap(), SecretRef::Env(n) if n == "A"));
        assert!(matches!(parse("secret = { file = '/x' }").unwrap(), SecretRef::File(_)));
        assert!(parse("secret = 'plain'").unwrap().is_inline());
    }

    #[test]
    fn wrong_keys_are_named() {
        assert!(parse("secret = { envv = 'A' }").unwrap_err().contains("envv"));
        assert!(parse("secret = { env = 'A', file = 'b' }").unwrap_err().contains("one source"));
        assert!(parse("secret = {}").unwrap_err().contains("needs"));
        assert!(parse("secret = 12").unwrap_err().contains("env = \"NAME\""));
    }

    #[test]
    fn debug_and_display_never_show_the_value() {
        let secret = parse("secret = 'hunter2'").unwrap();
        assert!(!format!("{secret:?} {secret}").contains("hunter2"));
        assert_eq!(secret.resolve().unwrap().expose_secret(), "hunter2");
    }

    #[test]
    fn file_is_read_again_when_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let secret = SecretRef::File(path.clone());
        assert!(secret.resolve().unwrap_err().to_string().contains("s cannot be read"));
        std::fs::write(&path, "one\r\n").unwrap();
        let before = secret.revision();
        assert_eq!(secret.resolve().unwrap().expose_secret(), "one");
        std::fs::write(&path, "second\n").unwrap();
        assert_eq!(secret.resolve().unwrap().expose_secret(), "second");
        assert_ne!(before, secret.revision());
    }

    #[test]
    fn errors_say_where_and_what_to_do() {
        let missing = SecretRef::Env("LOCKSTEP_NO_SUCH_VARIABLE".into()).resolve().unwrap_err();
        assert!(missing.to_string().contains("LOCKSTEP_NO_SUCH_VARIABLE is not set"));
        let blank = SecretRef::Inline(SecretString::from("  ")).resolve().unwrap_err();
        assert!(matches!(blank, SecretError::Empty(_)));
    }
}
