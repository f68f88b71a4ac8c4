//! HTML as plain text: what web editors make of comments, and what playbooks and mail programs write.
//!
//! html5gum reads the tags as a browser does; no tree is built, so neither depth nor length costs more than one pass.

use html5gum::{DefaultEmitter, StartTag, Token, Tokenizer};

use super::rich_text::{PlainText, file_name};
use super::text::is_marked;

/// What an element does to the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    /// Nothing: its words are part of the line.
    Inline,
    /// It stands on lines of its own.
    Line,
    /// It stands apart.
    Block,
    Heading,
    Preformatted,
    Quote,
    List,
    Item,
    Row,
    Cell,
    Break,
    Rule,
    Link,
    Image,
    /// Something that is shown in its place.
    Embedded(&'static str),
    /// Its words stand between these characters.
    Between(&'static str),
    /// A field of a form.
    Input,
    /// Its content is no text.
    Silent,
}

/// The table of elements. One that is not here leaves a trace.
fn element(name: &str) -> Option<Element> {
    Some(match name {
        "p" | "table" | "dl" | "figure" | "details" | "hgroup" => Element::Block,
        "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => Element::Heading,
        "pre" | "xmp" | "listing" => Element::Preformatted,
        "blockquote" => Element::Quote,
        "ul" | "ol" | "menu" | "dir" => Element::List,
        "li" => Element::Item,
        "tr" => Element::Row,
        "td" | "th" => Element::Cell,
        "br" => Element::Break,
        "hr" => Element::Rule,
        "a" => Element::Link,
        "img" | "v:imagedata" => Element::Image,
        "iframe" | "frame" | "embed" | "object" => Element::Embedded("embedded"),
        "video" | "audio" => Element::Embedded("media"),
        "svg" | "canvas" => Element::Embedded("image"),
        "del" | "s" | "strike" => Element::Between("~~"),
        "q" => Element::Between("\""),
        "input" => Element::Input,
        "script" | "style" | "title" => Element::Silent,
        "div" | "dt" | "dd" | "address" | "section" | "article" | "header" | "footer" | "main" | "nav"
        | "aside" | "summary" | "figcaption" | "caption" | "option" | "optgroup" | "legend" | "fieldset"
        | "form" | "center" | "html" | "head" | "body" | "thead" | "tbody" | "tfoot" => Element::Line,
        "span" | "b" | "strong" | "i" | "em" | "u" | "ins" | "small" | "big" | "sub" | "sup" | "font"
        | "code" | "kbd" | "samp" | "var" | "tt" | "mark" | "abbr" | "acronym" | "cite" | "dfn" | "time"
        | "label" | "bdi" | "bdo" | "ruby" | "rt" | "rp" | "rb" | "rtc" | "wbr" | "nobr" | "data"
        | "output" | "button" | "picture" | "source" | "track" | "param" | "map" | "area" | "col"
        | "colgroup" | "meta" | "link" | "base" | "noscript" | "template" | "slot" | "select"
        | "textarea" | "math" | "meter" | "progress" => Element::Inline,
        // What Word and Outlook put around words.
        name if ["o:", "v:", "w:", "m:", "x:", "st1:"].iter().any(|prefix| name.starts_with(prefix)) => {
            Element::Inline
        }
        _ => return None,
    })
}

/// Elements that tell HTML from plain text: what editors and playbooks write, and people do not by chance.
const TELLING: [&str; 25] = [
    "p",
    "div",
    "span",
    "b",
    "strong",
    "i",
    "em",
    "u",
    "ul",
    "ol",
    "li",
    "table",
    "tr",
    "td",
    "th",
    "h1",
    "h2",
    "h3",
    "h4",
    "a",
    "pre",
    "code",
    "blockquote",
    "font",
    "body",
];

/// The words of a text of which its system does not say whether it is HTML: converted if it is, else as it is. What ends
/// in a mark of ours is read as it was written.
pub(super) fn words_of(text: &str) -> String {
    if is_likely(text) && !is_marked(text) { text_of(text) } else { text.to_owned() }
}

/// Whether a text is written in HTML: it breaks a line, or opens and closes an element that editors write. A `<` or a
/// tag that somebody quotes makes no HTML of a plain text.
pub(super) fn is_likely(text: &str) -> bool {
    let (mut opened, mut rest) = ([false; TELLING.len()], text);
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let (closes, tag) = rest.strip_prefix('/').map_or((false, rest), |tag| (true, tag));
        let name: String = tag.chars().take(11).take_while(char::is_ascii_alphanumeric).collect();
        let ends = tag[name.len()..].starts_with(|c: char| c == '>' || c == '/' || c.is_ascii_whitespace());
        let name = name.to_ascii_lowercase();
        match TELLING.iter().position(|known| *known == name) {
            _ if !ends => {}
            Some(known) if closes && opened[known] => return true,
            Some(known) if !closes => opened[known] = true,
            None if name == "br" && tag[2..].trim_start().starts_with(['>', '/']) => return true,
            _ => {}
        }
    }
    false
}

/// The text of HTML, formatting left out.
pub(super) fn text_of(html: &str) -> String {
    read_into(PlainText::default(), html).finish().trim().to_owned()
}

/// The text, and behind it that of HTML.
pub(super) fn read_into(text: PlainText, html: &str) -> PlainText {
    let mut emitter = DefaultEmitter::<usize>::new_with_span();
    emitter.naively_switch_states(true);
    let (mut page, mut read) = (Page { text, ..Page::default() }, 0);
    for Ok(token) in Tokenizer::new_with_emitter(html, emitter) {
        let end = match &token {
            Token::StartTag(tag) => {
                page.begin(tag, html.get(tag.span.start..tag.span.end).unwrap_or_default());
                tag.span.end
            }
            Token::EndTag(tag) => {
                page.end(&lossy(&tag.name));
                tag.span.end
            }
            Token::String(text) => {
                page.string(&lossy(text));
                text.span.end
            }
            Token::Comment(comment) => comment.span.end,
            Token::Doctype(doctype) => doctype.span.end,
            Token::Error(_) => read,
        };
        read = read.max(end);
    }
    // A tag that is not closed is none: a browser drops all that follows, and people would miss it.
    if page.silent.is_none() {
        page.text.flow(html.get(read..).unwrap_or_default());
    }
    page.text.leave();
    page.text
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A list that is open: the number of its next item, and whether it stands within another.
#[derive(Debug)]
struct List {
    next: Option<u64>,
    is_inner: bool,
}

/// The text so far, and where in the page it is.
#[derive(Debug, Default)]
struct Page {
    text: PlainText,
    lists: Vec<List>,
    cells: usize,
    preformatted: usize,
    /// The element whose content is no text.
    silent: Option<String>,
    /// The element whose tags are drawing instructions.
    drawing: bool,
}

impl Page {
    fn string(&mut self, text: &str) {
        match (&self.silent, self.preformatted) {
            (Some(_), _) => {}
            (None, 0) => self.text.flow(text),
            (None, _) => self.text.words(text),
        }
    }

    fn begin(&mut self, tag: &StartTag<usize>, source: &str) {
        let name = lossy(&tag.name);
        let of = |name: &str| {
            let value = tag.attributes.get(name.as_bytes()).map(|value| lossy(value));
            value.filter(|value| !value.trim().is_empty())
        };
        if self.silent.is_some() || self.drawing {
            return;
        }
        let Some(element) = element(&name) else {
            // Words that somebody put into angle brackets look like this, too.
            return self.text.unsupported(source.trim_matches(['<', '>', '/']));
        };
        match element {
            Element::Inline => {}
            Element::Link => self.text.link(of("href").as_deref()),
            Element::Image => {
                let source = of("src");
                let name = of("alt")
                    .or_else(|| of("title"))
                    .or_else(|| file_name(source.as_deref()?).map(str::to_owned));
                self.text.named("image", name.as_deref());
            }
            Element::Embedded(what) => {
                self.drawing = name == "svg" && !tag.self_closing;
                let source = of("src").or_else(|| of("data")).or_else(|| of("aria-label"));
                self.text.named(what, source.or_else(|| of("title")).as_deref());
            }
            Element::Between(mark) => self.text.words(mark),
            Element::Input => self.input(&of, tag.attributes.contains_key(&b"checked"[..])),
            Element::Silent => self.silent = Some(name),
            Element::Break => self.text.line_break(),
            Element::Rule => {
                self.text.gap(1);
                self.text.words("---");
                self.text.gap(1);
            }
            Element::Line => self.text.gap(1),
            Element::Block | Element::Heading => self.text.gap(self.apart()),
            Element::Preformatted => {
                self.text.gap(self.apart());
                self.preformatted += 1;
            }
            Element::Quote => {
                self.text.gap(self.apart());
                self.text.quote(true);
            }
            Element::List => self.begin_list(name == "ol", of("start").and_then(|start| start.parse().ok())),
            Element::Item => self.begin_item(of("value").and_then(|value| value.parse().ok())),
            Element::Row => {
                self.text.unglue();
                self.text.gap(1);
                self.cells = 0;
            }
            Element::Cell => {
                self.text.cell(self.cells == 0);
                self.cells += 1;
            }
        }
    }

    /// How many lines apart blocks are: the items of a list stay together.
    fn apart(&self) -> usize {
        if self.lists.is_empty() { 2 } else { 1 }
    }

    fn input(&mut self, of: &dyn Fn(&str) -> Option<String>, is_checked: bool) {
        match of("type").unwrap_or_default().to_ascii_lowercase().as_str() {
            "checkbox" | "radio" => self.text.words(if is_checked { "[x] " } else { "[ ] " }),
            "hidden" => {}
            _ => match of("value") {
                Some(value) => self.text.flow(&value),
                None => self.text.unsupported("input"),
            },
        }
    }

    fn begin_list(&mut self, is_ordered: bool, start: Option<u64>) {
        let is_inner = !self.lists.is_empty();
        self.text.unglue();
        self.text.gap(self.apart());
        if is_inner {
            self.text.indent(true);
        }
        self.lists.push(List { next: is_ordered.then(|| start.unwrap_or(1)), is_inner });
    }

    fn begin_item(&mut self, value: Option<u64>) {
        self.text.unglue();
        self.text.gap(1);
        let Some(List { next: Some(next), .. }) = self.lists.last_mut() else { return };
        let number = value.unwrap_or(*next);
        *next = number.saturating_add(1);
        self.text.mark(&format!("{number}. "));
    }

    fn end(&mut self, name: &str) {
        if self.silent.as_deref() == Some(name) {
            self.silent = None;
            return;
        }
        if self.drawing {
            self.drawing = name != "svg";
            return;
        }
        match element(name) {
            Some(Element::Link) => self.text.link(None),
            Some(Element::Between(mark)) => self.text.words(mark),
            Some(Element::Line) => self.text.gap(1),
            Some(Element::Block | Element::Heading) => self.text.gap(self.apart()),
            Some(Element::Preformatted) => {
                self.text.gap(self.apart());
                self.preformatted = self.preformatted.saturating_sub(1);
            }
            Some(Element::Quote) => {
                self.text.gap(self.apart());
                self.text.quote(false);
            }
            Some(Element::List) => {
                if self.lists.pop().is_some_and(|list| list.is_inner) {
                    self.text.indent(false);
                }
                self.text.unglue();
                self.text.gap(self.apart());
            }
            Some(Element::Item | Element::Row) => {
                self.text.unglue();
                self.text.gap(1);
            }
            Some(Element::Cell) => self.text.unglue(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::connectors::testing::cases;

    #[test]
    fn markup_goes_and_words_stay() {
        let html = "<style>p { color: red }</style><p>Hello <b>Bob</b></p>\n<p>2 &amp; 3 &lt; 4&nbsp;&#8364;</p>a<br />b";
        assert_eq!(text_of(html), "Hello Bob\n\n2 & 3 < 4 €\n\na\nb");
        assert_eq!(text_of("1 < 2 & 3 &unknown; <"), "1 < 2 & 3 &unknown; <");
        assert_eq!(text_of("<script>alert(1)"), "");
        assert_eq!(text_of("<p>text [lockstep ab.cd]</p>"), "text [lockstep ab.cd]");
    }

    /// Each kind of element, and how it survives.
    #[test]
    fn every_kind_of_element_survives_in_words() {
        for (html, text) in [
            ("<p>a  b\n c</p><div>d</div>e", "a b c\n\nd\ne"),
            ("<h2>Title</h2><p>text</p>", "Title\n\ntext"),
            ("<p>x</p><ul><li>a</li><li><p>b</p></li></ul><p>y</p>", "x\n\na\nb\n\ny"),
            (
                "<ol><li>a<ol><li>b</li></ol></li><li value=7>c</li><li>d</li></ol>",
                "1. a\n  1. b\n7. c\n8. d",
            ),
            ("<ol start=3><li><p>a</p></li><li>b", "3. a\n4. b"),
            (
                "<table><tr><th>h</th><th>i</th></tr><tr><td><p>1</p></td><td>2</td></tr></table>",
                "h | i\n1 | 2",
            ),
            ("<table><tr><td></td><td>2</td></tr></table>", "| 2"),
            ("<blockquote><p>a</p><p>b<br>c</p></blockquote>d", "> a\n\n> b\n> c\n\nd"),
            ("a <q>b</q> <del>c</del>", "a \"b\" ~~c~~"),
            ("<pre>a\n  b &lt;</pre>", "a\n  b <"),
            (
                "see <a href='https://x.example/?a=1&amp;b'>the <b>page</b></a>.",
                "see the page (https://x.example/?a=1&b).",
            ),
            ("<a href='https://x.example/'>https://x.example</a>", "https://x.example"),
            ("<a href='mailto:ana@example.org'>ana@example.org</a> <a name=top>t</a>", "ana@example.org t"),
            (
                "<a href='https://x.example/'><img src='/i/logo.png?v=1'></a>",
                "[image logo.png] (https://x.example/)",
            ),
            ("<a href='https://x.example/'></a>", "https://x.example/"),
            (
                "a <img alt='shot 1'> <img src='cid:image001.png'> <img>",
                "a [image shot 1] [image image001.png] [image]",
            ),
            (
                "<iframe src='https://x.example/v'></iframe> <video src='v.mp4'></video>",
                "[embedded https://x.example/v] [media v.mp4]",
            ),
            ("a<svg><path d='M0'/><text>in</text></svg>b", "a[image]inb"),
            ("<input type=checkbox checked>done <input type=checkbox>open", "[x] done [ ] open"),
            ("a<hr>b", "a\n---\nb"),
            (
                "<o:p>&nbsp;</o:p>Word<v:shape><v:imagedata src='image002.png'/></v:shape>",
                "Word[image image002.png]",
            ),
            ("<p>a</p><!-- note --><p></p><p>b</p>", "a\n\nb"),
        ] {
            assert_eq!(text_of(html), text, "{html}");
        }
    }

    #[test]
    fn what_the_table_lacks_leaves_a_trace() {
        assert_eq!(text_of("a <x-chart data='1'>b</x-chart>"), "a [unsupported: x-chart data='1']b");
        assert_eq!(
            text_of("mail <ana@example.org> or <https://x.example/a>"),
            "mail [unsupported: ana@example.org] or [unsupported: https://x.example/a]"
        );
        assert_eq!(
            text_of("before <a href=\"never closed, and words"),
            "before <a href=\"never closed, and words"
        );
        assert_eq!(text_of("a <b"), "a <b");
    }

    #[test]
    fn plain_text_that_speaks_of_markup_stays_as_it_is() {
        for plain in [
            "1 < 2 && 3 > 2",
            "a &amp; b",
            "payload <script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "<p>a</p> [lockstep ab.cd]",
            "x<y>z",
            "if a <b && c> d",
            "List<a> and </b>",
            "<p without end",
            "</p><p>",
            "<broken>",
            "<br",
            "<<<",
            "<p",
        ] {
            assert_eq!(words_of(plain), plain);
        }
        for (html, text) in [
            ("<p>a &amp; b</p>", "a & b"),
            ("Report:<br>clean", "Report:\nclean"),
            ("Result <B>bad</B >", "Result bad"),
            ("<DIV class=x>a</DIV>", "a"),
        ] {
            assert_eq!(words_of(html), text);
        }
    }

    /// Anybody may write to a ticket by mail: a text costs one pass, whatever is in it.
    #[test]
    fn a_mail_of_nothing_but_tags_is_read_in_one_pass() {
        let many = |part: &str| part.repeat(200_000 / part.len());
        for part in [
            "<",
            "<a",
            "&",
            "<!--",
            "<div>",
            "<ul>",
            "<ol><li>",
            "<blockquote>x",
            "<blockquote></ul>",
            "</ul>",
            "<td>",
            "<a href=x>",
            "<a href='",
            "<svg>",
            "<x>",
            "<p></p>",
            "<br>",
            "<pre>",
            "&#x",
            "</",
            "<p <p ",
        ] {
            let text = text_of(&many(part));
            assert!(text.len() < 300_000, "{part}");
            let _ = words_of(&many(part));
        }
        assert_eq!(text_of(&many("<style></style>")), "");
    }

    proptest! {
        #![proptest_config(cases(2_000))]

        #[test]
        fn any_text_is_read(html in "(<|>|&|;|/|p|br|#x4|amp|é| |\n|script|ul|li|'|\"|=|a href|!--){0,40}") {
            let _ = (text_of(&html), words_of(&html));
        }

        /// Whatever our copies quote, they are read as they were written.
        #[test]
        fn copies_are_read_as_they_were_written(text in "(<p>|</p>|<br>|&amp;|[a-z <>&\n]){0,30}") {
            let copy = format!("{text} [lockstep 0a.0b]");
            prop_assert_eq!(words_of(&copy), copy);
        }

        /// Escaped words come out as they went in, whatever stands around them.
        #[test]
        fn no_word_is_lost(words in prop::collection::vec("[a-z<>&\"'é😀]{1,8}", 1..12), tags in prop::collection::vec(
            prop::sample::select(vec!["p", "div", "b", "li", "td", "blockquote", "code", "h1", "pre", "span", "dd", "o:p"]), 12)) {
            let escape = |word: &str| word.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let piece = |(word, tag): (&String, &&str)| format!("<{tag}> {} </{tag}>", escape(word));
            let html: String = words.iter().zip(&tags).map(piece).collect();
            let read = text_of(&html);
            let marks = |word: &&str| *word != ">" && *word != "|";
            let found: Vec<&str> = read.split_whitespace().filter(marks).collect();
            let expected: Vec<&str> = words.iter().map(String::as_str).filter(marks).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
