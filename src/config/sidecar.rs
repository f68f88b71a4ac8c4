//! `kind = "sidecar"`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::parse;
use super::reader::Section;
use super::ticketing::AUDIENCES;
use crate::connectors::SystemSettings;
use crate::connectors::sidecar::{SidecarListen, SidecarSettings, SidecarWebhook};
use crate::model::SystemName;

/// How long closed tickets stay in the mailbox unless configured.
const DEFAULT_KEEP: Duration = Duration::from_hours(24 * 30);

pub(super) fn read(section: &mut Section<'_>, name: &SystemName) -> Option<SystemSettings> {
    let listen = section.require("listen", listen);
    let token = section.secret("token");
    let webhook = section.child("webhook").map(webhook);
    let comments = section.get("comments", |value| parse::word(value, AUDIENCES)).map(Spanned::into_inner);
    let keep = section.get("keep", parse::duration).map(Spanned::into_inner);
    // A webhook that is written but faulty is reported, and must not count as none.
    let webhook = match webhook {
        Some(None) => return None,
        given => given.flatten(),
    };
    Some(SystemSettings::Sidecar(SidecarSettings {
        name: name.clone(),
        listen: listen?.into_inner(),
        token,
        webhook,
        comments: comments.unwrap_or_default(),
        keep: keep.unwrap_or(DEFAULT_KEEP),
        mailbox: None,
    }))
}

/// A loopback address, or `unix:` and the path of a socket.
fn listen(value: &DeValue<'_>) -> Result<SidecarListen, String> {
    let text = parse::text(value)?;
    if let Some(path) = text.strip_prefix("unix:") {
        let path = PathBuf::from(path);
        return if path.is_absolute() {
            Ok(SidecarListen::Unix(path))
        } else {
            Err("the path of a socket must be absolute, such as \"unix:/run/lockstep/tickets.sock\""
                .to_owned())
        };
    }
    let address: SocketAddr = parse::listen(value)?;
    if address.ip().is_loopback() {
        Ok(SidecarListen::Tcp(address))
    } else {
        Err(format!(
            "{address} can be reached from other machines, and the adapter is meant to run beside lockstep; listen on \
             127.0.0.1 or on a socket (\"unix:/run/lockstep/tickets.sock\")"
        ))
    }
}

fn webhook(mut section: Section<'_>) -> Option<SidecarWebhook> {
    let url = section.require("url", parse::url);
    if !section.has("secret") {
        section.missing("'secret'", "add one, such as secret = { env = \"LOCKSTEP_WEBHOOK_SECRET\" }");
    }
    let secret = section.secret("secret");
    section.finish();
    Some(SidecarWebhook { url: url?.into_inner(), secret: secret? })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    const EXAMPLE: &str = include_str!("../../config/examples/sidecar.toml");

    fn errors(from: &str, to: &str) -> String {
        assert!(EXAMPLE.contains(from));
        Config::parse(Path::new("x.toml"), &EXAMPLE.replace(from, to)).unwrap_err().to_string()
    }

    fn settings(text: &str) -> (SidecarSettings, Duration) {
        let config = Config::parse(Path::new("x.toml"), text).unwrap();
        let system = config.system(&SystemName::new("tickets").unwrap()).unwrap();
        let SystemSettings::Sidecar(settings) = &system.settings else { panic!("{system:?}") };
        (settings.clone(), system.poll)
    }

    #[test]
    fn the_example_loads() {
        let (settings, poll) = settings(EXAMPLE);
        assert_eq!(settings.listen, SidecarListen::Tcp("127.0.0.1:8790".parse().unwrap()));
        assert!(settings.webhook.is_none() && settings.keep == DEFAULT_KEEP);
        assert_eq!(poll, Duration::from_secs(1), "the mailbox is at hand");
    }

    #[test]
    fn every_key_loads() {
        let more = "listen = \"unix:/run/lockstep/tickets.sock\"\ntoken = { env = \"T\" }\ncomments = \"public\"\n\
                    keep = \"7d\"\nwebhook = { url = \"http://127.0.0.1:9/h\", secret = { env = \"W\" } }";
        let (settings, _) = settings(&EXAMPLE.replace("listen = \"127.0.0.1:8790\"", more));
        assert_eq!(settings.listen, SidecarListen::Unix("/run/lockstep/tickets.sock".into()));
        assert_eq!(settings.keep, Duration::from_hours(168));
        assert_eq!(SystemSettings::Sidecar(settings).secrets().len(), 2);
    }

    #[test]
    fn nothing_beyond_this_machine_is_listened_on() {
        let line = "listen = \"127.0.0.1:8790\"";
        assert!(errors(line, "listen = \"0.0.0.0:8790\"").contains("reached from other machines"));
        assert!(errors(line, "listen = \"unix:tickets.sock\"").contains("absolute"));
        assert!(errors(line, "").contains("lacks 'listen'"));
        let webhook = format!("{line}\nwebhook = {{ url = \"http://127.0.0.1:9/h\" }}");
        assert!(errors(line, &webhook).contains("lacks 'secret'"));
    }
}
