//! Tokens of the person who is logged in to the Azure CLI, for trying things out.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::process::Command;

use super::cache::{Fetch, Fresh};
use super::decode::shorten;
use super::entra::fresh;
use super::token::TokenError;

/// `az` starts a Python interpreter and may renew its own token.
const TIMEOUT: Duration = Duration::from_secs(30);
const ADVICE: &str = "run `az login` as the user that runs lockstep";

/// `az account get-access-token`.
pub(crate) struct AzureCli {
    /// The program and what comes before the arguments.
    command: Vec<OsString>,
    args: Vec<String>,
}

impl AzureCli {
    pub(crate) fn new(tenant: &str, scope: &str) -> Self {
        Self::with_program(vec!["az".into()], tenant, scope)
    }

    fn with_program(command: Vec<OsString>, tenant: &str, scope: &str) -> Self {
        let mut args: Vec<String> =
            ["account", "get-access-token", "-o", "json", "--scope", scope].map(str::to_owned).to_vec();
        if !tenant.is_empty() {
            args.extend(["--tenant".to_owned(), tenant.to_owned()]);
        }
        Self { command, args }
    }
}

#[async_trait]
impl Fetch for AzureCli {
    async fn fetch(&self) -> Result<Fresh, TokenError> {
        let (program, before) =
            self.command.split_first().ok_or_else(|| TokenError::permanent("no program", ADVICE))?;
        let mut command = Command::new(program);
        command.args(before).args(&self.args).stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(TIMEOUT, command.output())
            .await
            .map_err(|_| TokenError::transient("the Azure CLI did not answer within 30 s"))?
            .map_err(|e| {
                let advice = "install the Azure CLI or use another credential";
                TokenError::permanent(format!("the Azure CLI cannot be started ({e})"), advice)
            })?;
        if !output.status.success() {
            let said = shorten(&String::from_utf8_lossy(&output.stderr));
            return Err(TokenError::permanent(format!("the Azure CLI failed: {said}"), ADVICE));
        }
        read(&output.stdout)
    }

    fn revision(&self) -> u64 {
        0
    }
}

/// The CLI spells the token `accessToken`; `expires_on` (epoch) is there since 2.54, and its older
/// `expiresOn` is local time without a zone, so it is not used.
fn read(stdout: &[u8]) -> Result<Fresh, TokenError> {
    let unusable = || TokenError::permanent("the Azure CLI's output is not a token", ADVICE);
    let mut value: Value = serde_json::from_slice(stdout).map_err(|_| unusable())?;
    value["access_token"] = value.get_mut("accessToken").map(Value::take).ok_or_else(unusable)?;
    fresh(value.to_string().as_bytes()).map_err(|_| unusable())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use secrecy::ExposeSecret;

    /// A stand-in for `az`, run by the shell so that no freshly written file is executed.
    async fn run(script: &str) -> Result<Fresh, TokenError> {
        let command = vec!["sh".into(), "-c".into(), script.into(), "az".into()];
        AzureCli::with_program(command, "tenant-1", "https://graph.microsoft.com/.default").fetch().await
    }

    #[tokio::test]
    async fn passes_scope_and_tenant_and_reads_the_token() {
        let script = r#"test "$*" = "account get-access-token -o json --scope https://graph.microsoft.com/.default --tenant tenant-1" && echo '{"accessToken":"abc","expires_in":60}'"#;
        let token = run(script).await.unwrap();
        assert_eq!((token.secret.expose_secret(), token.lifetime.as_secs()), ("abc", 60));
    }

    #[tokio::test]
    async fn failures_say_what_to_do() {
        let failed = run("echo 'Please run az login' >&2; exit 1").await.err().unwrap();
        assert!(failed.is_permanent() && failed.to_string().contains("run `az login` as"), "{failed}");
        assert!(run("echo '{}'").await.err().unwrap().to_string().contains("not a token"));
        let missing = AzureCli::with_program(vec!["lockstep-no-such-az".into()], "", "s").fetch().await;
        assert!(missing.err().unwrap().to_string().contains("install the Azure CLI"));
    }
}
