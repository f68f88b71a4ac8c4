//! `lockstep check`: what is wrong with the configuration and the world it names, and what to mend.

use std::path::Path;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::output::{self, BAD, DIM, Format, FormatArg, GOOD, WARN, clean, styled};
use super::worker::{self, Mailboxes};
use super::{ConfigArg, Exit, Global};
use crate::config::{Config, ConfigErrors};
use crate::connectors::{Connector, connect};
use crate::http::Http;
use crate::reconcile::Policy;
use crate::translate::{Translation, laws};

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    pub(super) config: ConfigArg,
    /// Also ask every system: tokens, permissions, reach. Reads a little, writes nothing
    #[arg(long)]
    pub(super) online: bool,
    #[command(flatten)]
    pub(super) format: FormatArg,
}

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Warning,
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    level: Level,
    /// What was looked at: a system, a bridge, the store.
    subject: String,
    /// What was found, and for a problem what to mend.
    message: String,
}

/// Everything that was found.
#[derive(Debug, Serialize)]
struct Findings {
    problems: usize,
    findings: Vec<Finding>,
}

pub(super) async fn run(args: CheckArgs, global: &Global) -> anyhow::Result<Exit> {
    let _logs = global.quiet_logs()?;
    let config = match args.config.load() {
        Ok(config) => config,
        Err(errors) => return faulty(errors, args.format),
    };
    let (mut found, connectors) = offline(&config);
    if args.online {
        online(&connectors, &mut found).await;
    }
    let problems = found.iter().filter(|finding| finding.level == Level::Problem).count();
    args.format.print(&Findings { problems, findings: found }, render)?;
    Ok(if problems == 0 { Exit::Done } else { Exit::Findings })
}

/// A configuration that cannot be loaded: nothing else can be looked at.
fn faulty(errors: ConfigErrors, format: FormatArg) -> anyhow::Result<Exit> {
    if format.format == Format::Text {
        return Err(errors.into());
    }
    let findings: Vec<Finding> =
        errors.problems().iter().map(|p| problem("configuration", p.to_string())).collect();
    format.print(&Findings { problems: findings.len(), findings }, render)?;
    Ok(Exit::Configuration)
}

/// What can be found without a network, and the systems that can be asked for the rest.
fn offline(config: &Config) -> (Vec<Finding>, Vec<Arc<dyn Connector>>) {
    let file = config.file.display();
    let mut found = vec![ok("configuration", format!("{file} is well formed"))];
    found.extend(config.warnings.iter().map(|warning| Finding {
        level: Level::Warning,
        subject: "configuration".to_owned(),
        message: warning.to_string(),
    }));
    found.push(store(&config.store.path));
    for (place, secret) in config.secrets() {
        found.push(match secret.resolve() {
            Ok(_) => ok(&place, format!("the secret from {secret} can be read")),
            Err(error) => problem(&place, error.to_string()),
        });
    }
    let unfit = worker::unfit_webhook_secrets(config).into_iter();
    found.extend(unfit.map(|(system, fault)| problem(system.as_str(), fault.to_string())));
    let connectors = connectors(config, &mut found);
    for bridge in &config.bridges {
        translations(bridge, &mut found);
    }
    (found, connectors)
}

fn store(path: &Path) -> Finding {
    let shown = path.display();
    let folder_above =
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.is_dir() {
        ok("store", format!("{shown} is there"))
    } else if path.exists() {
        problem("store", format!("{shown} is no folder; name one in [store] path"))
    } else if folder_above.is_dir() {
        ok("store", format!("{shown} will be created by the first run"))
    } else {
        let above = folder_above.display();
        problem(
            "store",
            format!(
                "{shown} cannot be created, since {above} is not there; create it or change path in [store]"
            ),
        )
    }
}

fn connectors(config: &Config, found: &mut Vec<Finding>) -> Vec<Arc<dyn Connector>> {
    let http = match Http::new(&config.http) {
        Ok(http) => http,
        Err(error) => {
            found.push(problem("http", error.to_string()));
            return Vec::new();
        }
    };
    let mut connectors = Vec::new();
    for system in &config.systems {
        match connect(&worker::settings(system, config, &Mailboxes::new()), &http, None) {
            Ok(connector) => connectors.push(connector),
            Err(error) => found.push(problem(system.name.as_str(), error.to_string())),
        }
    }
    connectors
}

fn translations(bridge: &Policy, found: &mut Vec<Finding>) {
    let subject = format!("bridge {}", bridge.bridge);
    let tables: Vec<&Translation> = bridge.systems.iter().map(|system| &*system.translation).collect();
    let violations = laws::check_all(&tables);
    if violations.is_empty() {
        found.push(ok(
            &subject,
            "its translations keep their laws: no value is lost, nothing bounces".to_owned(),
        ));
    }
    found.extend(violations.iter().map(|violation| problem(&subject, violation.to_string())));
}

/// What only the systems themselves can tell.
async fn online(connectors: &[Arc<dyn Connector>], found: &mut Vec<Finding>) {
    for connector in connectors {
        let subject = connector.system().as_str();
        found.extend(connector.probe().await.into_iter().map(|probe| match probe.result {
            Ok(message) => ok(subject, format!("{}: {message}", probe.what)),
            Err(message) => problem(subject, format!("{}: {message}", probe.what)),
        }));
    }
}

fn ok(subject: &str, message: String) -> Finding {
    Finding { level: Level::Ok, subject: subject.to_owned(), message }
}

fn problem(subject: &str, message: String) -> Finding {
    Finding { level: Level::Problem, subject: subject.to_owned(), message }
}

fn render(findings: &Findings) -> String {
    let mut lines: Vec<String> = findings.findings.iter().map(line).collect();
    lines.push(match findings.problems {
        0 => styled(GOOD, "no problems"),
        1 => styled(BAD, "1 problem"),
        n => styled(BAD, format!("{n} problems")),
    });
    lines.join("\n")
}

fn line(finding: &Finding) -> String {
    let (style, word) = match finding.level {
        Level::Ok => (GOOD, "ok     "),
        Level::Warning => (WARN, "warning"),
        Level::Problem => (BAD, "problem"),
    };
    let subject = styled(output::BOLD, &finding.subject);
    let message = clean(&finding.message);
    let message = if finding.level == Level::Ok { styled(DIM, message) } else { message.into_owned() };
    format!("{}  {subject}: {message}", styled(style, word))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../config/lockstep.example.toml");

    fn text(config: &str) -> String {
        let config = Config::parse(Path::new("lockstep.toml"), config).unwrap();
        let (findings, _) = offline(&config);
        let problems = findings.iter().filter(|finding| finding.level == Level::Problem).count();
        anstream::adapter::strip_str(&render(&Findings { problems, findings })).to_string()
    }

    #[test]
    fn who_can_be_asked_is_asked_though_the_credential_of_another_is_incomplete() {
        let asked = |config: &str| {
            let config = Config::parse(Path::new("lockstep.toml"), config).unwrap();
            let names = offline(&config).1.iter().map(|c| c.system().to_string()).collect::<Vec<_>>();
            (names, config.systems.len())
        };
        // No variable names the token's file here.
        let (names, configured) = asked(EXAMPLE);
        assert!(names.contains(&"defender".to_owned()) && names.len() < configured, "{names:?}");
        let (names, configured) =
            asked(&EXAMPLE.replace("kind = \"workload-identity\"", "kind = \"azure-cli\""));
        assert_eq!(names.len(), configured);
    }

    #[test]
    fn a_webhook_secret_that_can_never_sign_is_a_problem() {
        let sidecar = include_str!("../../config/examples/sidecar.toml");
        let line = "listen = \"127.0.0.1:8790\"";
        assert!(sidecar.contains(line));
        let with = |secret: &str| {
            let webhook = format!("webhook = {{ url = \"http://127.0.0.1:9/h\", secret = \"{secret}\" }}");
            text(&sidecar.replace(line, &format!("{line}\n{webhook}")))
        };
        let good = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        assert!(!with(good).contains("problem  tickets"), "{}", with(good));
        let found = with("whsec_-_-_9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        assert!(found.contains("problem  tickets: the webhook's secret is in the URL-safe form"), "{found}");
    }

    #[test]
    fn each_finding_says_what_to_mend() {
        let config = EXAMPLE
            .replace("path = \"data\"", "path = \"/no/such/folder/data\"")
            .replace("{ env = \"DEFENDER_SECRET\" }", "{ env = \"LOCKSTEP_TEST_UNSET\" }")
            .replace("kind = \"workload-identity\"", "kind = \"azure-cli\"");
        insta::assert_snapshot!(text(&config), @r#"
        ok       configuration: lockstep.toml is well formed
        problem  store: /no/such/folder/data cannot be created, since /no/such/folder is not there; create it or change path in [store]
        problem  credential of defender: environment variable LOCKSTEP_TEST_UNSET is not set; set it for the lockstep process, or name another source
        ok       bridge corp: its translations keep their laws: no value is lost, nothing bounces
        2 problems
        "#);
    }
}
