use super::*;
use crate::connectors::SystemSettings;
use crate::http::Credential;
use crate::model::Field;
use crate::reconcile::Direction;

const EXAMPLE: &str = include_str!("../../config/lockstep.example.toml");

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    Config::parse(Path::new("lockstep.toml"), text)
}

fn errors(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

/// The example with one line replaced.
fn with(old: &str, new: &str) -> String {
    assert!(EXAMPLE.contains(old), "the example has no line {old}");
    EXAMPLE.replacen(old, new, 1)
}

#[test]
fn the_example_parses_as_it_says() {
    let config = parse(EXAMPLE).unwrap();
    assert_eq!(config.warnings, []);
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8787");
    let defender = config.system(&SystemName::new("defender").unwrap()).unwrap();
    let SystemSettings::Defender(settings) = &defender.settings else { panic!("{defender:?}") };
    assert_eq!(settings.scope, "https://graph.microsoft.com/.default");
    assert!(matches!(settings.credential, Credential::ClientSecret { .. }));
    let bridge = &config.bridges[0];
    assert_eq!(bridge.native_sync.as_ref().unwrap().writer.as_str(), "defender");
    assert!(matches!(bridge.direction(Field::Title), Direction::From(name) if name.as_str() == "defender"));
    assert_eq!(*bridge.direction(Field::Status), Direction::Both);
    assert_eq!(config.secrets().len(), 1);
}

#[test]
fn every_optional_key_of_the_example_parses() {
    let optional = |line: &str| match line.strip_prefix("# ") {
        // Prose begins with a capital letter or has no `=` right after its first word.
        Some(rest) if rest.starts_with('[') || rest.split_whitespace().nth(1) == Some("=") => rest.to_owned(),
        _ => line.to_owned(),
    };
    let mut seen_certificate = false;
    let text: Vec<String> = EXAMPLE
        .lines()
        .map(optional)
        .filter(|line| {
            !(line.starts_with("credential")
                && line.contains("certificate\",")
                && !std::mem::replace(&mut seen_certificate, true))
        })
        .collect();
    let config = parse(&text.join("\n")).unwrap();
    assert!(config.telemetry.otlp_endpoint.is_some() && config.store.marker_key.is_some());
    let SystemSettings::Defender(settings) = &config.systems[0].settings else { panic!() };
    assert_eq!(settings.settle, std::time::Duration::from_secs(30));
}

#[test]
fn unknown_keys_name_the_nearest_one_and_its_place() {
    let text = with("tenant_id = \"00000000-0000-0000-0000-000000000001\"\npoll", "tenant = \"x\"\npoll");
    insta::assert_snapshot!(errors(&text), @r#"
    lockstep.toml:26:1: [[systems]] "defender" lacks 'tenant_id'; add it
    lockstep.toml:29:1: unknown key 'tenant' in [[systems]] "defender"; did you mean 'tenant_id'?
    "#);
}

#[test]
fn all_problems_are_reported_together() {
    insta::assert_snapshot!(errors(r#"
[store]
path = 12

[server]
listen = "0.0.0.0:8787"
colour = "blue"

[http]
timeout = "soon"

[[systems]]
name = "defender"
kind = "defender"
poll = "15"
cloud = "china"
credential = { kind = "client-secret", client_id = "c", secrett = "hunter2" }

[[systems]]
name = "defender"
kind = "sentinel"
subscription_id = "s"
arm_url = "management.azure.com"
credential = { kind = "kerberos" }

[[systems]]
name = "tickets"
kind = "servicenow"
url = "https://example.service-now.com"

[[systems]]
name = "other"
kind = "sentinal"

[[bridges]]
systems = ["defender", "sentinell", "tickets", "other"]
native_sync = ["defender"]
create_in = ["defender", "nowhere"]
since = "yesterday"
filter = { severity_at_least = "hihg" }
conflicts = "mine"
[bridges.fields]
title = { from = "defendr" }
status = "sideways"
statsu = "both"
[bridges.closing]
comment = "Closed in {{ origin.sytem }}"
default_verdict = "guilty"
reopen = "new-tickets"
"#), @r#"
    lockstep.toml:3:8: path in [store]: must be a text in quotes, not an integer
    lockstep.toml:6:10: listen is 0.0.0.0:8787, which others can reach, and there is no token; add token = { env = "LOCKSTEP_ADMIN_TOKEN" } or listen on 127.0.0.1
    lockstep.toml:7:1: unknown key 'colour' in [server]; known here: listen, token
    lockstep.toml:10:11: timeout in [http]: 'soon' is no duration; write a number with its unit, such as "15s", "2m" or "1h"
    lockstep.toml:15:8: poll in [[systems]] "defender": '15' is no duration; write a number with its unit, such as "15s", "2m" or "1h"
    lockstep.toml:16:9: [[systems]] "defender" cannot live in this cloud: Microsoft Graph in Azure China has no security API, so Defender incidents cannot be read there
    lockstep.toml:17:14: the credential of [[systems]] "defender" lacks 'secret'; add it
    lockstep.toml:17:57: unknown key 'secrett' in the credential of [[systems]] "defender"; did you mean 'secret'?
    lockstep.toml:19:1: [[systems]] "defender" lacks 'resource_group'; add it
    lockstep.toml:19:1: [[systems]] "defender" lacks 'workspace'; add it
    lockstep.toml:20:8: two systems are called 'defender'; give each a name of its own
    lockstep.toml:23:11: arm_url in [[systems]] "defender": this is no URL (relative URL without a base); write one like "https://host/path"
    lockstep.toml:24:14: credential in [[systems]] "defender" is of kind 'kerberos'; use one of client-secret, certificate, workload-identity, managed-identity, azure-cli
    lockstep.toml:26:1: [[systems]] "tickets" lacks 'credential'; add one, such as credential = { kind = "basic" }
    lockstep.toml:33:8: kind in [[systems]] "other": 'sentinal' is none of defender, sentinel, servicenow, jira, request-tracker, thehive, sidecar; did you mean 'sentinel'?
    lockstep.toml:35:1: [[bridges]] lacks 'name'; add it
    lockstep.toml:36:24: [[bridges]] names 'sentinell', which is not in [[systems]]; known: defender, defender, tickets, other
    lockstep.toml:37:16: native_sync of [[bridges]] must name two systems, the one to write to first
    lockstep.toml:38:26: create_in: [[bridges]] names 'nowhere', which is not in 'systems' of the bridge; known: defender, sentinell, tickets, other
    lockstep.toml:39:9: since in [[bridges]]: 'yesterday' is no moment; write one like "2026-11-01T00:00:00Z"
    lockstep.toml:40:32: severity_at_least in 'filter' of [[bridges]]: 'hihg' is none of informational, low, medium, high; did you mean 'high'?
    lockstep.toml:41:13: conflicts in [[bridges]]: 'mine' is none of close-wins, order, latest
    lockstep.toml:43:18: title: 'fields' of [[bridges]] names 'defendr', which is not in 'systems' of the bridge; did you mean 'defender'?
    lockstep.toml:44:10: status in 'fields' of [[bridges]] is no direction; write "both", "off" or { from = "SYSTEM" }
    lockstep.toml:45:1: unknown key 'statsu' in 'fields' of [[bridges]]; did you mean 'status'?
    lockstep.toml:47:11: comment in 'closing' of [[bridges]]: the template fails (undefined value); it may use {{ origin.system }}, {{ origin.actor }} and {{ origin.comment }}
    lockstep.toml:48:19: default_verdict in 'closing' of [[bridges]]: `guilty` is no verdict (such as `true-positive/phishing` or `undetermined`)
    lockstep.toml:49:10: reopen in 'closing' of [[bridges]]: 'new-tickets' is none of propagate, ignore, new-ticket; did you mean 'new-ticket'?
    "#);
}

#[test]
fn text_that_is_no_toml_is_placed_and_not_quoted() {
    let text = errors("[store]\npath = \"data\nsecret = hunter2\n");
    assert!(text.starts_with("lockstep.toml:2:"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn an_empty_file_says_what_is_missing() {
    insta::assert_snapshot!(errors(""), @r#"
    lockstep.toml:1:1: the file lacks [[systems]]; name the Defender tenant and the Sentinel workspace to keep in agreement
    lockstep.toml:1:1: the file lacks [[bridges]]; name the systems that are to be kept in agreement
    "#);
}

#[test]
fn a_bridge_of_systems_that_nobody_declared_says_so() {
    insta::assert_snapshot!(errors("[[bridges]]\nname = \"corp\"\nsystems = [\"defender\", \"tickets\"]\n"), @r#"
    lockstep.toml:1:1: the file lacks [[systems]]; name the Defender tenant and the Sentinel workspace to keep in agreement
    lockstep.toml:3:12: [[bridges]] "corp" names 'defender', which is not in [[systems]]; none is there yet
    lockstep.toml:3:24: [[bridges]] "corp" names 'tickets', which is not in [[systems]]; none is there yet
    "#);
}

#[test]
fn a_missing_file_is_named() {
    let error = Config::load(Path::new("/no/such/lockstep.toml")).unwrap_err().to_string();
    assert!(error.starts_with("/no/such/lockstep.toml: cannot be read"), "{error}");
}

#[test]
fn inline_secrets_are_warned_about_and_never_shown() {
    let config = parse(&with("secret = { env = \"DEFENDER_SECRET\" }", "secret = \"hunter2\"")).unwrap();
    insta::assert_snapshot!(config.warnings[0], @r#"lockstep.toml:31:14: credential in [[systems]] "defender" holds the secret itself; use { env = "NAME" } or { file = "PATH" }"#);
    assert!(!format!("{config:?}").contains("hunter2"));
    let numeric = errors(&with("secret = { env = \"DEFENDER_SECRET\" }", "secret = 271828"));
    assert!(!numeric.contains("271828"), "{numeric}");
}

#[test]
fn other_clouds_have_other_hosts() {
    let config = parse(&with("poll = \"15s\"", "cloud = \"dod\"")).unwrap();
    let SystemSettings::Defender(system) = &config.systems[0].settings else { panic!() };
    assert_eq!(system.scope, "https://dod-graph.microsoft.us/.default");
    assert_eq!(system.authority_url.as_str(), "https://login.microsoftonline.us/");
}

#[test]
fn native_sync_needs_one_of_each_kind() {
    let text = with("name = \"sentinel\"\nkind = \"sentinel\"", "name = \"sentinel\"\nkind = \"defender\"");
    let text =
        text.replace("subscription_id =", "#").replace("resource_group =", "#").replace("workspace =", "#");
    insta::assert_snapshot!(errors(&text), @r#"lockstep.toml:66:16: native_sync of [[bridges]] "corp" must name a defender and a sentinel system"#);
}

/// The example with this description template.
fn described(template: &str) -> String {
    format!("{EXAMPLE}\n[bridges.tickets]\ndescription = {template:?}\n")
}

#[test]
fn a_faulty_description_is_found_when_the_file_is_loaded() {
    for (template, word) in [
        ("{{ titel }}", "undefined"),
        ("{% if title %}", "syntax"),
        ("{{ briefs[0].users[0] }}", "undefined"),
        ("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}", "fuel"),
    ] {
        let errors = errors(&described(template));
        let place = "description in 'tickets' of [[bridges]]";
        assert!(errors.contains(place) && errors.contains(word), "{template}: {errors}");
        assert!(errors.contains("it may use title, severity"), "{errors}");
    }
    let sound = "{{ title }}{% for brief in briefs %} {{ brief.system }}{% endfor %}";
    assert_eq!(parse(&described(sound)).unwrap().bridges[0].tickets.description, sound);
}

#[test]
fn the_secret_of_a_hook_is_one_of_the_secrets() {
    let text = with("poll = \"15s\"", "hook_secret = { env = \"NO_SUCH_HOOK_SECRET\" }");
    let config = parse(&text).unwrap();
    let SystemSettings::Defender(settings) = &config.systems[0].settings else { panic!() };
    assert!(settings.hook.is_some());
    assert_eq!(config.secrets().len(), 2);
}
