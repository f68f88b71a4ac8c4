//! What a service says when it refuses: JSON error bodies of several dialects, and HTML from what stands between.

use serde_json::Value;

/// Longest text of a remote message that is kept, in characters.
const MAX_MESSAGE: usize = 300;

/// The remote's own account of an error. Both may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RemoteError {
    pub(crate) code: String,
    pub(crate) message: String,
}

/// Reads an error body: `{"error":{code,message,innerError}}` (Graph, ARM), `{"error":"x","error_description":..}`
/// (Entra), other JSON, plain text or HTML.
pub(crate) fn remote_error(content_type: Option<&str>, body: &[u8]) -> RemoteError {
    if is_html(content_type, body) {
        return RemoteError { code: String::new(), message: html_message(body) };
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => from_json(&value),
        Err(_) => RemoteError { code: String::new(), message: shorten(&String::from_utf8_lossy(head(body))) },
    }
}

/// Whether a body is a web page, as proxies and hibernating instances send.
pub(crate) fn is_html(content_type: Option<&str>, body: &[u8]) -> bool {
    let declared = content_type.is_some_and(|c| c.to_ascii_lowercase().contains("html"));
    declared || body.trim_ascii_start().starts_with(b"<")
}

fn from_json(value: &Value) -> RemoteError {
    let error = &value["error"];
    if error.is_object() {
        // Graph spells it innerError, its documentation also innererror (graph-security.md 5.3).
        let inner = [&error["innerError"], &error["innererror"]].into_iter().find(|v| v.is_object());
        let inner_of = |key: &str| inner.and_then(|i| i[key].as_str()).unwrap_or_default();
        let code = first(&[error["code"].as_str().unwrap_or_default(), inner_of("code")]);
        // ServiceNow puts what matters into the detail (ticketing.md 1.8).
        let detail = error["detail"].as_str().filter(|detail| !detail.is_empty());
        let message = first(&[error["message"].as_str().unwrap_or_default(), inner_of("message")]);
        let message = &detail.map_or(message.to_owned(), |detail| format!("{message}: {detail}"));
        return RemoteError { code: shorten(code), message: shorten(message) };
    }
    if value["errorMessages"].is_array() || value["errors"].is_object() {
        return RemoteError { code: String::new(), message: shorten(&jira(value)) };
    }
    let text = |key: &str| value[key].as_str().unwrap_or_default();
    let code = error.as_str().unwrap_or_default();
    let message = first(&[text("error_description"), text("message"), text("detail"), text("title")]);
    let message = if message.is_empty() && !value.is_null() { value.to_string() } else { message.to_owned() };
    RemoteError { code: shorten(code), message: shorten(&message) }
}

/// `{"errorMessages":["..."],"errors":{"field":"..."}}` (Jira, ticketing.md 2.7).
fn jira(value: &Value) -> String {
    let general = value["errorMessages"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let fields = value["errors"].as_object().into_iter().flatten();
    let fields = fields.map(|(field, why)| format!("{field}: {}", why.as_str().unwrap_or_default()));
    general.map(str::to_owned).chain(fields).collect::<Vec<_>>().join("; ")
}

fn first<'a>(candidates: &[&'a str]) -> &'a str {
    candidates.iter().copied().find(|c| !c.trim().is_empty()).unwrap_or_default()
}

fn html_message(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(head(body));
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title").and_then(|at| {
        let start = at + lower[at..].find('>')? + 1;
        let end = start + lower[start..].find("</title")?;
        Some(text[start..end].trim().to_owned())
    });
    match title {
        Some(title) if !title.is_empty() => format!("a web page titled \"{}\"", shorten(&title)),
        _ => "a web page instead of JSON".to_owned(),
    }
}

/// The part of a body that can matter for a message.
fn head(body: &[u8]) -> &[u8] {
    &body[..body.len().min(8 * 1024)]
}

/// Cuts remote text to 300 characters and escapes control characters, so that it can neither flood nor forge
/// log lines.
pub(crate) fn shorten(text: &str) -> String {
    let text = text.trim();
    let mut out = String::with_capacity(text.len().min(MAX_MESSAGE));
    for (i, c) in text.chars().enumerate() {
        if i == MAX_MESSAGE {
            out.push('…');
            break;
        }
        if is_unsafe(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// Control characters, line separators, and the marks that reorder text on a terminal.
fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, rng_seed: RngSeed::Fixed(4711), ..ProptestConfig::default() })]

        #[test]
        fn errors_of_any_bytes_are_short_and_harmless(
            body in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..600),
                any::<String>().prop_map(|text| serde_json::json!({"error": {"code": text, "message": text}}).to_string().into_bytes()),
                any::<String>().prop_map(|text| format!("<html><title>{text}").into_bytes()),
            ],
            declared in prop::option::of(any::<String>()),
        ) {
            let RemoteError { code, message } = remote_error(declared.as_deref(), &body);
            for text in [code, message] {
                prop_assert!(text.len() < 5_000 && !text.contains(is_unsafe), "{:?}", text);
            }
        }
    }

    fn decode(body: &str) -> (String, String) {
        let error = remote_error(Some("application/json"), body.as_bytes());
        (error.code, error.message)
    }

    #[test]
    fn graph_and_arm() {
        assert_eq!(decode(r#"{"error":{"code":"C","message":"M"}}"#), ("C".into(), "M".into()));
        let inner = r#"{"error":{"code":"","message":"","innererror":{"code":"429","message":"Please"}}}"#;
        assert_eq!(decode(inner), ("429".into(), "Please".into()));
    }

    #[test]
    fn entra_and_others() {
        let entra = r#"{"error":"invalid_client","error_description":"AADSTS7000215: wrong"}"#;
        assert_eq!(decode(entra), ("invalid_client".into(), "AADSTS7000215: wrong".into()));
        assert_eq!(decode(r#"{"statusCode":500,"message":"m"}"#).1, "m");
        assert_eq!(decode(r#"{"x":1}"#).1, r#"{"x":1}"#);
        assert_eq!(decode("plain").1, "plain");
        assert_eq!(decode(""), (String::new(), String::new()));
    }

    #[test]
    fn html_by_type_and_by_look() {
        let page = b"<html><head><TITLE>Service \nUnavailable</TITLE></head></html>";
        let text = remote_error(Some("text/html; charset=utf-8"), page).message;
        assert_eq!(text, "a web page titled \"Service \\nUnavailable\"");
        assert_eq!(remote_error(None, b" <p>no").message, "a web page instead of JSON");
    }

    #[test]
    fn messages_are_cut_and_escaped() {
        let text = shorten(&format!("a\u{1b}[31m\nb{}", "ä".repeat(500)));
        assert!(text.starts_with("a\\u{1b}[31m\\nb") && text.ends_with('…'));
        assert!(text.chars().count() < 320);
    }
}
