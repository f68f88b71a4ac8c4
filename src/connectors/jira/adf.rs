//! The Atlassian Document Format, Cloud's form of texts, from and to plain text (`ticketing.md` 2.6).

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::connectors::rich_text::{PlainText, file_name};

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

/// What a node does to the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Text,
    Break,
    /// Nothing of its own: its content counts.
    Container,
    /// Holds text.
    Paragraph,
    /// Holds blocks.
    Block,
    Quote,
    List,
    Item,
    /// An item with what is to be said of it first: a task's state, a decision.
    Marked,
    Row,
    Cell,
    Rule,
    /// Stands for something that its attributes name, within a line.
    Inline,
    Media,
    Unknown,
}

/// The table of node types.
fn node(kind: &str) -> Node {
    match kind {
        "text" => Node::Text,
        "hardBreak" => Node::Break,
        "doc" | "table" | "layoutSection" | "layoutColumn" | "mediaGroup" | "mediaSingle"
        | "extensionFrame" => Node::Container,
        "paragraph" | "heading" | "codeBlock" | "caption" => Node::Paragraph,
        "panel" | "expand" | "nestedExpand" => Node::Block,
        "blockquote" => Node::Quote,
        "bulletList" | "orderedList" | "taskList" | "decisionList" => Node::List,
        "listItem" => Node::Item,
        "taskItem" | "blockTaskItem" | "decisionItem" => Node::Marked,
        "tableRow" => Node::Row,
        "tableCell" | "tableHeader" => Node::Cell,
        "rule" => Node::Rule,
        "mention" | "emoji" | "date" | "status" | "placeholder" | "inlineCard" | "blockCard"
        | "embedCard" => Node::Inline,
        "media" | "mediaInline" | "image" => Node::Media,
        // Macros of apps, and whatever comes after this table was written.
        _ => Node::Unknown,
    }
}

/// The text of a document, formatting left out. What [`from_text`] made comes out as it went in.
pub(super) fn to_text(document: &Value) -> String {
    let mut reader = Reader::default();
    // No recursion: a document may be as deep as its sender likes.
    let mut steps = vec![Step::Begin(document, "")];
    while let Some(step) = steps.pop() {
        match step {
            Step::Begin(Value::String(text), _) => reader.text.words(text),
            Step::Begin(node, parent) => {
                let kind = node["type"].as_str().unwrap_or_default();
                reader.begin(node, kind, parent);
                steps.push(Step::End(kind, parent));
                let children = match &node["content"] {
                    Value::Array(children) => children.as_slice(),
                    Value::Null => &[],
                    other => std::slice::from_ref(other),
                };
                steps.extend(children.iter().rev().map(|child| Step::Begin(child, kind)));
            }
            Step::End(kind, parent) => reader.end(kind, parent),
        }
    }
    reader.text.finish()
}

/// What is still to be read; nodes with the type of what they stand in.
enum Step<'a> {
    Begin(&'a Value, &'a str),
    End(&'a str, &'a str),
}

/// The text so far, and where in the document it is.
#[derive(Default)]
struct Reader {
    text: PlainText,
    /// Per open list the number of its next item.
    lists: Vec<Option<u64>>,
    cells: usize,
}

impl Reader {
    fn begin(&mut self, json: &Value, kind: &str, parent: &str) {
        let attrs = &json["attrs"];
        let rule = node(kind);
        if !matches!(rule, Node::Text | Node::Inline | Node::Media) {
            self.text.link(None);
        }
        match rule {
            Node::Container => {}
            Node::Text => self.words(json),
            Node::Break => self.text.words("\n"),
            // Settled, so that an empty paragraph is a blank line.
            Node::Paragraph => {
                self.text.gap(lines_between(parent));
                self.text.settle();
            }
            Node::Block => {
                self.text.gap(lines_between(parent));
                self.text.words(attrs["title"].as_str().unwrap_or_default());
            }
            Node::Quote => {
                self.text.gap(lines_between(parent));
                self.text.quote(true);
            }
            Node::List => {
                self.text.unglue();
                self.text.gap(if self.lists.is_empty() { 2 } else { 1 });
                if !self.lists.is_empty() {
                    self.text.indent(true);
                }
                let first = attrs["order"].as_u64().unwrap_or(1);
                self.lists.push((kind == "orderedList").then_some(first));
            }
            Node::Item | Node::Marked => self.item(kind, attrs),
            Node::Row => {
                self.text.unglue();
                self.text.gap(if parent == "table" { 1 } else { 2 });
                self.cells = 0;
            }
            Node::Cell => {
                self.text.cell(self.cells == 0);
                self.cells += 1;
            }
            Node::Rule => {
                self.text.gap(2);
                self.text.words("---");
            }
            Node::Inline => {
                if kind == "blockCard" || kind == "embedCard" {
                    self.text.gap(lines_between(parent));
                }
                self.text.link(link(json));
                match inline(kind, attrs) {
                    Some(words) => self.text.words(&words),
                    None => self.text.unsupported(kind),
                }
            }
            Node::Media => self.media(json, kind, parent),
            Node::Unknown => {
                if node(parent) != Node::Paragraph {
                    self.text.gap(lines_between(parent));
                }
                self.text.unsupported(kind);
                let said = ["text", "title", "alt", "url"].map(|name| attrs[name].as_str());
                for words in said.into_iter().chain([json["text"].as_str()]).flatten() {
                    self.text.flow(&format!(" {words} "));
                }
                self.text.flow(" ");
            }
        }
    }

    fn words(&mut self, json: &Value) {
        let text = json["text"].as_str().unwrap_or_default();
        self.text.link(link(json));
        if mark(json, "strike").is_some() {
            self.text.words(&format!("~~{text}~~"));
        } else {
            self.text.words(text);
        }
    }

    fn item(&mut self, kind: &str, attrs: &Value) {
        self.text.unglue();
        self.text.gap(1);
        let mark = match kind {
            "decisionItem" => "[decision] ".to_owned(),
            "taskItem" | "blockTaskItem" if attrs["state"] == "DONE" => "[x] ".to_owned(),
            "taskItem" | "blockTaskItem" => "[ ] ".to_owned(),
            _ => match self.lists.last_mut() {
                Some(Some(number)) => {
                    let mark = format!("{number}. ");
                    *number = number.saturating_add(1);
                    mark
                }
                _ => return,
            },
        };
        self.text.mark(&mark);
    }

    /// A file. What kind it is, only the place tells: the service names neither kind nor address.
    fn media(&mut self, json: &Value, kind: &str, parent: &str) {
        let attrs = &json["attrs"];
        if parent == "mediaGroup" || parent == "mediaSingle" {
            self.text.gap(1);
        }
        let of = |name: &str| attrs[name].as_str().filter(|text| !text.trim().is_empty());
        let is_image =
            of("type") == Some("image") || kind == "image" || parent == "mediaSingle" || of("url").is_some();
        let name = of("alt").or_else(|| of("__fileName")).or_else(|| of("url").and_then(file_name));
        self.text.link(link(json));
        self.text.named(if is_image { "image" } else { "attachment" }, name);
        self.text.link(None);
    }

    fn end(&mut self, kind: &str, parent: &str) {
        let rule = node(kind);
        match rule {
            Node::Text | Node::Break | Node::Inline | Node::Media => {}
            Node::Container => {
                self.text.link(None);
                if kind != "doc" {
                    self.text.unglue();
                    self.text.gap(lines_between(parent));
                }
            }
            Node::Paragraph | Node::Block | Node::Rule => {
                self.text.link(None);
                self.text.gap(lines_between(parent));
            }
            Node::Quote => {
                self.text.link(None);
                self.text.gap(2);
                self.text.quote(false);
            }
            Node::List => {
                self.lists.pop();
                self.text.unglue();
                if self.lists.is_empty() {
                    self.text.gap(2);
                } else {
                    self.text.indent(false);
                    self.text.gap(1);
                }
            }
            Node::Item | Node::Marked | Node::Row => {
                self.text.link(None);
                self.text.unglue();
                self.text.gap(1);
            }
            Node::Cell => {
                self.text.link(None);
                self.text.unglue();
            }
            Node::Unknown => self.text.flow(" "),
        }
    }
}

/// How many lines apart blocks are, by what they stand in.
fn lines_between(parent: &str) -> usize {
    if matches!(node(parent), Node::Item | Node::Marked | Node::Cell | Node::List | Node::Row) {
        1
    } else {
        2
    }
}

/// A mark of a node, of the many that it may have.
fn mark<'a>(json: &'a Value, kind: &str) -> Option<&'a Value> {
    json["marks"].as_array()?.iter().find(|mark| mark["type"] == kind)
}

/// Where a node leads to.
fn link(json: &Value) -> Option<&str> {
    mark(json, "link")?["attrs"]["href"].as_str()
}

/// What stands for a node that its attributes name.
fn inline(kind: &str, attrs: &Value) -> Option<String> {
    let of = |name: &str| attrs[name].as_str().filter(|text| !text.trim().is_empty());
    let words = match kind {
        "date" => return date(&attrs["timestamp"]),
        "mention" => match of("text") {
            Some(text) => Some(text),
            None => return of("id").map(|id| format!("@{id}")),
        },
        // A card shows what its address leads to, or data that came along.
        "inlineCard" | "blockCard" | "embedCard" => {
            let data = |name: &str| attrs["data"][name].as_str();
            of("url").or_else(|| data("url")).or_else(|| data("name"))
        }
        "emoji" => of("text").or_else(|| of("shortName")),
        _ => of("text"),
    };
    words.map(str::to_owned)
}

/// The day of a time in milliseconds, in UTC; what is no time is shown as it is.
fn date(timestamp: &Value) -> Option<String> {
    let text = timestamp.as_str().map_or_else(|| timestamp.to_string(), str::to_owned);
    let time = text.trim().parse().ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
    let day = time.map(|time| time.strftime("%Y-%m-%d").to_string());
    day.or(Some(text).filter(|text| !timestamp.is_null() && !text.trim().is_empty()))
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

    fn doc(content: &Value) -> Value {
        json!({"type": "doc", "version": 1, "content": content})
    }

    fn text(text: &str) -> Value {
        json!({"type": "text", "text": text, "marks": [{"type": "strong"}]})
    }

    fn of(kind: &str, content: &Value) -> Value {
        json!({"type": kind, "content": content})
    }

    fn p(words: &str) -> Value {
        of("paragraph", &json!([text(words)]))
    }

    fn with(kind: &str, attrs: &Value) -> Value {
        json!({"type": kind, "attrs": attrs})
    }

    #[test]
    fn an_image_alone_is_named() {
        let media =
            with("media", &json!({"id": "2c3b", "type": "file", "collection": "", "alt": "screenshot.png"}));
        assert_eq!(to_text(&doc(&json!([of("mediaSingle", &json!([media]))]))), "[image screenshot.png]");
    }

    /// Each type of the table, and how it survives.
    #[test]
    #[expect(clippy::too_many_lines, reason = "one table")]
    fn every_type_of_node_survives_in_words() {
        let linked = |words: &str, href: &str, more: &str| json!({"type": "text", "text": words, "marks": [{"type": more}, {"type": "link", "attrs": {"href": href}}]});
        let item = |kind: &str, words: &str| of(kind, &json!([p(words)]));
        let file = |attrs: Value| with("media", &attrs);
        let cases = [
            (json!([p("a"), of("heading", &json!([text("b")])), p("c")]), "a\n\nb\n\nc"),
            (
                json!([of("bulletList", &json!([item("listItem", "a"), item("listItem", "b")])), p("c")]),
                "a\nb\n\nc",
            ),
            (
                json!([{"type": "orderedList", "attrs": {"order": 3}, "content": [
                    of("listItem", &json!([p("a"), of("orderedList", &json!([item("listItem", "b")]))])),
                    item("listItem", "c")]}]),
                "3. a\n  1. b\n4. c",
            ),
            (
                json!([
                    of(
                        "taskList",
                        &json!([
                    {"type": "taskItem", "attrs": {"state": "DONE"}, "content": [text("a")]},
                    {"type": "taskItem", "attrs": {"state": "TODO"}, "content": [text("b")]}])
                    ),
                    of("decisionList", &json!([of("decisionItem", &json!([text("c")]))]))
                ]),
                "[x] a\n[ ] b\n\n[decision] c",
            ),
            (json!([of("blockquote", &json!([p("a"), p("b")])), p("c")]), "> a\n\n> b\n\nc"),
            (json!([of("codeBlock", &json!([{"type": "text", "text": "if a:\n  b"}]))]), "if a:\n  b"),
            (json!([of("panel", &json!([p("a")])), of("rule", &json!([])), p("b")]), "a\n\n---\n\nb"),
            (json!([{"type": "expand", "attrs": {"title": "More"}, "content": [p("a")]}]), "More\n\na"),
            (
                json!([
                    of(
                        "table",
                        &json!([
                            of("tableRow", &json!([item("tableHeader", "h"), item("tableHeader", "i")])),
                            of(
                                "tableRow",
                                &json!([item("tableCell", "1"), of("tableCell", &json!([p("2"), p("3")]))])
                            )
                        ])
                    ),
                    p("a")
                ]),
                "h | i\n1 | 2\n3\n\na",
            ),
            (
                json!([of(
                    "layoutSection",
                    &json!([of("layoutColumn", &json!([p("a")])), of("layoutColumn", &json!([p("b")]))])
                )]),
                "a\n\nb",
            ),
            (
                json!([of(
                    "paragraph",
                    &json!([
                        text("see "),
                        linked("the ", "https://x.example", "em"),
                        linked("page", "https://x.example", "code"),
                        text(", "),
                        linked("https://y.example", "https://y.example", "em")
                    ])
                )]),
                "see the page (https://x.example), https://y.example",
            ),
            (
                json!([of(
                    "paragraph",
                    &json!([{"type": "text", "text": "a", "marks": [{"type": "strike"}]}])
                )]),
                "~~a~~",
            ),
            (
                json!([of(
                    "paragraph",
                    &json!([
                    with("mention", &json!({"id": "5b1", "text": "@Ana"})), text(" "), with("mention", &json!({"id": "5b2"})),
                    text(" "), with("date", &json!({"timestamp": "1793603730000"})), text(" "), with("date", &json!({"timestamp": "soon"})),
                    text(" "), with("status", &json!({"text": "DONE"})), text(" "), with("emoji", &json!({"shortName": ":x:", "text": "✗"})),
                    text(" "), with("emoji", &json!({"shortName": ":y:"})), text(" "), with("inlineCard", &json!({"url": "https://x.example/1"})),
                    text(" "), with("placeholder", &json!({"text": "here"})), {"type": "hardBreak"}, text("end")])
                )]),
                "@Ana @5b2 2026-11-02 soon DONE ✗ :y: https://x.example/1 here\nend",
            ),
            (
                json!([
                    with("blockCard", &json!({"url": "https://x.example/2"})),
                    with("embedCard", &json!({"url": "https://x.example/3"})),
                    with("blockCard", &json!({"data": {"name": "a page"}})),
                    with("blockCard", &json!({"datasource": {"id": "1"}}))
                ]),
                "https://x.example/2\n\nhttps://x.example/3\n\na page\n\n[unsupported: blockCard]",
            ),
            (
                json!([of(
                    "mediaGroup",
                    &json!([
                        file(json!({"type": "file", "alt": "x.pdf"})),
                        file(json!({"type": "file", "__fileName": "y.zip"})),
                        file(json!({"type": "file", "id": "1"}))
                    ])
                )]),
                "[attachment x.pdf]\n[attachment y.zip]\n[attachment]",
            ),
            (
                json!([of(
                    "mediaSingle",
                    &json!([
                        file(json!({"type": "external", "url": "https://x.example/i/p.png?a"})),
                        of("caption", &json!([text("fig. 1")]))
                    ])
                )]),
                "[image p.png]\n\nfig. 1",
            ),
            (
                json!([of(
                    "paragraph",
                    &json!([
                        text("a "),
                        with("mediaInline", &json!({"type": "file", "alt": "z.log"})),
                        text(" b "),
                        with("mediaInline", &json!({"type": "image", "alt": "q.png"}))
                    ])
                )]),
                "a [attachment z.log] b [image q.png]",
            ),
        ];
        for (content, expected) in cases {
            assert_eq!(to_text(&doc(&content)), expected, "{content}");
        }
    }

    #[test]
    fn what_the_table_lacks_leaves_a_trace_and_its_words() {
        let chart = json!({"type": "bodiedExtension", "attrs": {"extensionKey": "chart", "text": "by month"}, "content": [p("inner")]});
        let macros = json!([p("a"), with("extension", &json!({"extensionType": "com.x", "extensionKey": "toc"})), chart,
            of("paragraph", &json!([text("b "), with("inlineExtension", &json!({"text": "c"})), text(" d")])), {"content": [p("e")]}]);
        let read = to_text(&doc(&macros));
        let expected = "a\n\n[unsupported: extension]\n\n[unsupported: bodiedExtension] by month\n\ninner\n\nb \
                        [unsupported: inlineExtension] c  d\n\n[unsupported: node]\n\ne";
        assert_eq!(read.replace(" \n", "\n"), expected);
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let mut nested = p("deep");
        for _ in 0..200 {
            nested = of("bulletList", &json!([of("listItem", &json!([nested]))]));
        }
        let read = to_text(&doc(&json!([nested])));
        assert_eq!(read.trim(), "deep");
        let long: Vec<Value> = (0..3_000).map(|_| p(&"many words ".repeat(10))).collect();
        let read = to_text(&doc(&json!(long)));
        assert!(read.len() < 300_000 && read.ends_with("[cut here by lockstep]"));
    }

    /// Documents of known and unknown nodes, with the words that their text nodes hold.
    fn any_document() -> impl Strategy<Value = Value> {
        let words = "[a-z]{1,6}".prop_map(|words| json!({"type": "text", "text": format!("w{words}w")}));
        words.prop_recursive(6, 40, 5, |inner| {
            let kinds = [
                "paragraph",
                "heading",
                "codeBlock",
                "bulletList",
                "orderedList",
                "listItem",
                "taskItem",
                "blockquote",
                "panel",
                "expand",
                "table",
                "tableRow",
                "tableCell",
                "mediaSingle",
                "caption",
                "extension",
                "somethingNew",
                "",
                "inlineCard",
                "mention",
                "hardBreak",
                "rule",
                "text",
                "doc",
            ];
            (prop::sample::select(kinds.to_vec()), prop::collection::vec(inner, 0..5))
                .prop_map(|(kind, content)| json!({"type": kind, "attrs": {"order": 2}, "content": content}))
        })
    }

    fn said(node: &Value, into: &mut Vec<String>) {
        if node["type"] == "text" {
            into.extend(node["text"].as_str().map(str::to_owned));
        }
        for child in node["content"].as_array().into_iter().flatten() {
            said(child, into);
        }
    }

    proptest! {
        #![proptest_config(cases(500))]

        #[test]
        fn any_text_survives_but_for_white_space_at_its_end(text in "[a-z \\n\\[\\]*|{}<>&😀]{0,80}") {
            let back = to_text(&from_text(&text));
            prop_assert_eq!(back.trim_end_matches('\n'), text.trim_end_matches('\n'));
        }

        #[test]
        fn any_json_has_a_text(json in any_json()) {
            to_text(&json);
        }

        #[test]
        fn no_text_nodes_words_are_lost(document in any_document()) {
            let mut words = Vec::new();
            said(&document, &mut words);
            let read = to_text(&document);
            let mut rest = read.as_str();
            for word in words {
                let at = rest.find(&word);
                prop_assert!(at.is_some(), "{word} is lost or out of order in {read:?}");
                rest = &rest[at.unwrap_or_default() + word.len()..];
            }
        }
    }
}
