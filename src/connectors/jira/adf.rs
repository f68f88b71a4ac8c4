//! The Atlassian Document Format, Cloud's form of texts, from and to plain text (`ticketing.md` 2.6).

use serde_json::{Value, json};

/// Nested deeper than any editor makes them; the rest is left out.
const MAX_DEPTH: usize = 40;

/// Nodes that stand in a line of their own.
const BLOCKS: [&str; 15] = [
    "paragraph",
    "heading",
    "blockquote",
    "codeBlock",
    "bulletList",
    "orderedList",
    "listItem",
    "taskList",
    "taskItem",
    "decisionList",
    "decisionItem",
    "panel",
    "expand",
    "nestedExpand",
    "tableRow",
];

/// A document that shows the text as it is: nothing in it is markup. Blank lines separate paragraphs.
pub(super) fn from_text(text: &str) -> Value {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let paragraphs: Vec<Value> = text
        .split("\n\n")
        .map(|paragraph| json!({"type": "paragraph", "content": lines(paragraph)}))
        .collect();
    json!({"type": "doc", "version": 1, "content": paragraphs})
}

/// The lines of a paragraph with breaks between them. Text nodes must not be empty.
fn lines(paragraph: &str) -> Vec<Value> {
    let mut nodes = Vec::new();
    for (at, line) in paragraph.split('\n').enumerate() {
        if at > 0 {
            nodes.push(json!({"type": "hardBreak"}));
        }
        if !line.is_empty() {
            nodes.push(json!({"type": "text", "text": line}));
        }
    }
    nodes
}

/// The text of a document, formatting left out. What [`from_text`] made comes out as it went in.
pub(super) fn to_text(document: &Value) -> String {
    let mut text = Text::default();
    text.node(document, 0);
    text.out.trim_end_matches('\n').to_owned()
}

#[derive(Default)]
struct Text {
    out: String,
    /// Whether a block ended, so that the next one begins on a line of its own.
    ended: bool,
}

impl Text {
    fn node(&mut self, node: &Value, depth: usize) {
        let kind = node["type"].as_str().unwrap_or_default();
        let is_block = BLOCKS.contains(&kind);
        if is_block {
            self.begin_block();
        }
        match kind {
            "text" => self.push(node["text"].as_str().unwrap_or_default()),
            "hardBreak" => self.push("\n"),
            "mention" | "status" | "emoji" | "placeholder" | "date" | "inlineCard" | "blockCard" => {
                self.push(inline(kind, &node["attrs"]));
            }
            _ => {}
        }
        if depth < MAX_DEPTH {
            for child in node["content"].as_array().into_iter().flatten() {
                self.node(child, depth + 1);
            }
        }
        if is_block {
            self.ended = true;
        }
        if kind == "tableCell" || kind == "tableHeader" {
            self.push(" ");
        }
    }

    fn begin_block(&mut self) {
        if std::mem::take(&mut self.ended) {
            self.out.push_str("\n\n");
        }
    }

    fn push(&mut self, text: &str) {
        if !text.is_empty() {
            self.begin_block();
            self.out.push_str(text);
        }
    }
}

/// What stands for a node that is no text.
fn inline<'a>(kind: &str, attributes: &'a Value) -> &'a str {
    let of = |name: &str| attributes[name].as_str();
    match kind {
        "date" => of("timestamp"),
        "inlineCard" | "blockCard" => of("url"),
        "emoji" => of("text").or_else(|| of("shortName")),
        _ => of("text"),
    }
    .unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::connectors::testing::{any_json, cases};

    #[test]
    fn nothing_in_a_text_becomes_markup() {
        let text = "h1. *bold* [x|http://evil]\n{code}\n\n— ana in sentinel [lockstep ab.cd]";
        let document = from_text(text);
        assert_eq!(document["content"][0]["content"][1], json!({"type": "hardBreak"}));
        assert_eq!(to_text(&document), text);
        assert_eq!(to_text(&from_text("")), "");
    }

    #[test]
    fn what_people_write_is_read_as_they_see_it() {
        let text = |text: &str| json!({"type": "text", "text": text, "marks": [{"type": "strong"}]});
        let item =
            |t: &str| json!({"type": "listItem", "content": [{"type": "paragraph", "content": [text(t)]}]});
        let document = json!({"type": "doc", "version": 1, "content": [
            {"type": "paragraph", "content": [
                {"type": "mention", "attrs": {"id": "5b1", "text": "@Ana"}}, text(" see "),
                {"type": "inlineCard", "attrs": {"url": "https://x.example/1"}},
            ]},
            {"type": "bulletList", "content": [item("one"), item("two")]},
            {"type": "somethingNew", "content": [{"type": "paragraph", "content": [text("three")]}]},
        ]});
        let read = to_text(&document);
        let words: Vec<&str> = read.split_whitespace().collect();
        assert_eq!(words, ["@Ana", "see", "https://x.example/1", "one", "two", "three"]);
    }

    proptest! {
        #![proptest_config(cases(500))]

        #[test]
        fn any_text_survives_but_for_white_space_at_its_end(text in "[a-z \\n\\[\\]*|{}😀]{0,80}") {
            let back = to_text(&from_text(&text));
            prop_assert_eq!(back.trim_end_matches('\n'), text.trim_end_matches('\n'));
        }

        #[test]
        fn any_json_has_a_text(json in any_json()) {
            to_text(&json);
        }
    }
}
