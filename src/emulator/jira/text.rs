//! Texts in Cloud's document format and in Data Center's markup.

use serde_json::{Value, json};

use super::settings::Deployment;

/// A person's text in the form of the deployment.
pub(super) fn rich(text: &str, deployment: Deployment) -> Value {
    match deployment {
        Deployment::DataCenter => Value::String(text.to_owned()),
        Deployment::Cloud => {
            let paragraph = |line: &str| {
                let content =
                    if line.is_empty() { json!([]) } else { json!([{"type": "text", "text": line}]) };
                json!({"type": "paragraph", "content": content})
            };
            json!({"type": "doc", "version": 1, "content": text.lines().map(paragraph).collect::<Vec<_>>()})
        }
    }
}

/// The words of a text, one paragraph a line.
pub(super) fn plain(body: &Value) -> String {
    if let Some(text) = body.as_str() {
        return unescaped(text);
    }
    let mut lines = Vec::new();
    for block in body["content"].as_array().into_iter().flatten() {
        let mut line = String::new();
        inline(block, &mut line);
        lines.push(line);
    }
    lines.join("\n")
}

fn inline(node: &Value, line: &mut String) {
    match node["type"].as_str() {
        Some("text") => line.push_str(node["text"].as_str().unwrap_or_default()),
        Some("hardBreak") => line.push('\n'),
        _ => {}
    }
    for child in node["content"].as_array().into_iter().flatten() {
        inline(child, line);
    }
}

/// What a reader of the rendered markup sees, for the few escapes that matter here.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(next) if c == '\\' && next.is_ascii_punctuation() => {}
            _ => out.push(c),
        }
    }
    let entities = [("&#92;", "\\"), ("&#35;", "#"), ("&#45;", "-"), ("&#46;", "."), ("&#38;", "&")];
    entities.iter().fold(out, |text, (entity, plain)| text.replace(entity, plain))
}

/// Why a text is not in the form of the deployment (the description of the API calls the field by its name).
pub(super) fn check(body: &Value, deployment: Deployment) -> Result<(), String> {
    match (deployment, body) {
        (Deployment::DataCenter, Value::String(text)) if text.encode_utf16().count() > 32_767 => {
            Err("The entered text is too long. It exceeds the allowed limit of 32,767 characters.".to_owned())
        }
        (Deployment::DataCenter, Value::String(_)) => Ok(()),
        (Deployment::DataCenter, _) => Err("Operation value must be a string".to_owned()),
        (Deployment::Cloud, Value::Object(doc))
            if doc.get("type") == Some(&json!("doc")) && doc.get("version") == Some(&json!(1)) =>
        {
            if plain(body).encode_utf16().count() > 32_767 {
                return Err("CONTENT_LIMIT_EXCEEDED".to_owned());
            }
            if well_formed(body, 0) { Ok(()) } else { Err("INVALID_INPUT".to_owned()) }
        }
        (Deployment::Cloud, _) => {
            Err("Operation value must be an Atlassian Document (see the Atlassian Document Format)"
                .to_owned())
        }
    }
}

/// Text nodes must not be empty, and blocks must not stand within blocks of text.
fn well_formed(node: &Value, depth: usize) -> bool {
    let kind = node["type"].as_str().unwrap_or_default();
    let fits = match kind {
        "doc" => depth == 0,
        "paragraph" => depth == 1,
        "text" => depth == 2 && node["text"].as_str().is_some_and(|text| !text.is_empty()),
        "hardBreak" => depth == 2,
        _ => false,
    };
    fits && node["content"].as_array().into_iter().flatten().all(|child| well_formed(child, depth + 1))
}
