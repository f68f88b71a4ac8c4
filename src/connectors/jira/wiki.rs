//! Wiki markup, Data Center's form of texts, from and to plain text (`ticketing.md` 2.6).
//!
//! What reads well as it is stays (emphasis, dashes, smileys, macros that are not known); what hides words or addresses
//! is put into words: links, files, mentions, headings, numbered lists, tables, and the macros of the table below.

use crate::connectors::rich_text::{PlainText, file_name, says};
use crate::connectors::text::is_marked;

/// What could begin markup that links, embeds, notifies or runs a macro. A backslash takes its meaning away.
const MARKUP: &[char] = &['{', '}', '[', ']', '!', '|', '*', '_', '~', '^', '+'];
/// The characters that are written as entities: a backslash does not help against these.
const ENTITIES: [(char, &str); 5] =
    [('\\', "&#92;"), ('&', "&#38;"), ('#', "&#35;"), ('-', "&#45;"), ('.', "&#46;")];
/// Endings of files that are shown as images.
const IMAGES: [&str; 9] = ["png", "jpg", "jpeg", "gif", "svg", "webp", "bmp", "tif", "tiff"];

/// Markup that shows the text as it is.
pub(super) fn from_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let entity = |c: char| ENTITIES.iter().find(|(own, _)| *own == c).map(|(_, entity)| *entity);
    for line in text.replace("\r\n", "\n").split_inclusive('\n') {
        let begins = beginning(line);
        for (at, c) in line.char_indices() {
            match entity(c) {
                // Two backslashes are a line break, and an entity must not become what it names.
                Some(entity) if matches!(c, '\\' | '&') || begins == Some(at) => out.push_str(entity),
                _ if MARKUP.contains(&c) => out.extend(['\\', c]),
                _ => out.push(c),
            }
        }
    }
    out
}

/// Where the character is that makes the beginning of a line a heading, a quote, a list or a rule.
fn beginning(line: &str) -> Option<usize> {
    let body = line.trim_start_matches([' ', '\t']);
    let at = line.len() - body.len();
    let is_named = heading(body).is_some() || body.starts_with("bq.");
    if is_named { Some(at + 2) } else { body.starts_with(['#', '-']).then_some(at) }
}

/// What follows the `h1.` of a heading.
fn heading(line: &str) -> Option<&str> {
    let rest = line.strip_prefix('h')?;
    rest.strip_prefix(|c: char| ('1'..='6').contains(&c))?.strip_prefix('.')
}

/// The text as people see it. What [`from_text`] made comes out as it went in.
pub(super) fn to_text(markup: &str) -> String {
    let markup = markup.replace("\r\n", "\n");
    let plain = unescaped(&markup);
    if is_marked(&plain) {
        return plain;
    }
    let mut page = Page::default();
    for line in markup.split('\n') {
        page.line(line);
    }
    page.text.finish()
}

/// The text, escapes taken out.
fn unescaped(markup: &str) -> String {
    let mut out = String::with_capacity(markup.len());
    let mut rest = markup;
    while let Some(c) = rest.chars().next() {
        let (plain, after) = escape(rest).unwrap_or((c, &rest[c.len_utf8()..]));
        out.push(plain);
        rest = after;
    }
    out
}

/// The character that an escape at the beginning stands for, and what follows it.
fn escape(text: &str) -> Option<(char, &str)> {
    if let Some(after) = text.strip_prefix('\\') {
        let plain = after.chars().next().filter(|c| MARKUP.contains(c))?;
        return Some((plain, &after[plain.len_utf8()..]));
    }
    ENTITIES.iter().find_map(|(plain, entity)| Some((*plain, text.strip_prefix(entity)?)))
}

/// The text so far, and where in the markup it is.
#[derive(Default)]
struct Page {
    text: PlainText,
    /// The macro whose content is shown as it is.
    verbatim: Option<&'static str>,
    quotes: bool,
    /// Whether a quote ends on this line.
    unquoted: bool,
    panel: bool,
    /// Numbers of the list items so far, by depth.
    numbers: Vec<u64>,
}

impl Page {
    fn line(&mut self, line: &str) {
        let body = line.trim_start_matches([' ', '\t']);
        self.unquoted = false;
        let mut out = String::with_capacity(line.len());
        let mut had_macro = false;
        let is_quote = self.verbatim.is_none() && body.starts_with("bq. ");
        if self.verbatim.is_some() {
            self.inline(line, false, &mut out, &mut had_macro);
        } else if let Some(item) = self.item(body, &mut out) {
            self.inline(item, false, &mut out, &mut had_macro);
        } else if let Some(title) = heading(body).and_then(|rest| rest.strip_prefix(' ')) {
            self.inline(title, false, &mut out, &mut had_macro);
        } else if is_quote {
            self.inline(&body[4..], false, &mut out, &mut had_macro);
        } else if body.len() >= 4 && body.trim_end().bytes().all(|b| b == b'-') {
            out.push_str("---");
        } else if body.starts_with('|') {
            self.inline(body.trim_end().trim_matches('|'), true, &mut out, &mut had_macro);
        } else {
            self.inline(line, false, &mut out, &mut had_macro);
        }
        if had_macro {
            // A title needs no empty line behind it, and a line of macros alone is none.
            out.truncate(out.trim_end_matches('\n').len());
            if out.trim().is_empty() {
                return;
            }
        }
        let is_quote = is_quote || self.quotes || self.unquoted;
        self.text.quote(is_quote);
        self.text.words(&out);
        if is_quote {
            self.text.quote(false);
        }
        self.text.words("\n");
    }

    /// What follows the mark of a list item; its number is written.
    fn item<'a>(&mut self, body: &'a str, out: &mut String) -> Option<&'a str> {
        let mark = &body[..body.len() - body.trim_start_matches(['*', '#']).len()];
        let rest = body[mark.len()..].strip_prefix(' ').filter(|_| !mark.is_empty());
        let Some(rest) = rest else {
            if !body.is_empty() {
                self.numbers.clear();
            }
            return None;
        };
        self.numbers.resize(mark.len(), 0);
        out.push_str(&"  ".repeat((mark.len() - 1).min(6)));
        if let Some(number) = self.numbers.last_mut().filter(|_| mark.ends_with('#')) {
            *number += 1;
            out.extend([number.to_string().as_str(), ". "]);
        }
        Some(rest)
    }

    fn inline(&mut self, line: &str, is_row: bool, out: &mut String, had_macro: &mut bool) {
        let mut rest = line;
        while let Some(c) = rest.chars().next() {
            let after = &rest[c.len_utf8()..];
            rest = if let Some(name) = self.verbatim {
                if let Some(after) = end_of(name, rest) {
                    (self.verbatim, *had_macro) = (None, true);
                    after
                } else {
                    out.push(c);
                    after
                }
            } else if let Some((plain, after)) = escape(rest) {
                out.push(plain);
                after
            } else if let Some(after) = self.special(c, after, is_row, out, had_macro) {
                after
            } else {
                out.push(c);
                after
            };
        }
    }

    /// Reads what a character begins and returns what follows it, if it begins anything.
    fn special<'a>(
        &mut self,
        c: char,
        after: &'a str,
        is_row: bool,
        out: &mut String,
        had_macro: &mut bool,
    ) -> Option<&'a str> {
        match c {
            '{' if after.starts_with('{') => {
                let (inner, rest) = within(&after[1..], '{', '}')?;
                let rest = rest.strip_prefix('}')?;
                out.push_str(&unescaped(inner));
                Some(rest)
            }
            '{' => {
                let (inner, rest) = within(after, '{', '}')?;
                self.run(inner, out)?;
                *had_macro = true;
                Some(rest)
            }
            '[' => {
                let (inner, rest) = within(after, '[', ']')?;
                out.push_str(&link(inner)?);
                Some(rest)
            }
            '!' => {
                let (inner, rest) = within(after, '!', '!')?;
                out.push_str(&file(inner)?);
                Some(rest)
            }
            '|' if is_row => {
                out.truncate(out.trim_end().len());
                out.push_str(" | ");
                Some(after.trim_start_matches('|').trim_start())
            }
            _ => None,
        }
    }

    /// The table of macros: what is between the braces is put into effect; `None` where it is no macro of the table.
    fn run(&mut self, inner: &str, out: &mut String) -> Option<()> {
        let (name, parameters) = inner.split_once(':').unwrap_or((inner, ""));
        let titled = || parameters.split('|').find_map(|p| p.strip_prefix("title="));
        match name {
            "code" => self.verbatim = Some("code"),
            "noformat" => self.verbatim = Some("noformat"),
            "quote" => {
                self.unquoted |= self.quotes;
                self.quotes = !self.quotes;
            }
            "panel" => {
                self.panel = !self.panel;
                if let Some(title) = titled().filter(|_| self.panel) {
                    out.push_str(title);
                    out.push('\n');
                }
            }
            "color" | "anchor" => {}
            _ => return None,
        }
        if let Some(title) = titled().filter(|_| self.verbatim.is_some()) {
            out.push_str(title);
            out.push('\n');
        }
        Some(())
    }
}

/// What follows the end of a macro, if that stands here.
fn end_of<'a>(name: &str, text: &'a str) -> Option<&'a str> {
    text.strip_prefix('{')?.strip_prefix(name)?.strip_prefix('}')
}

/// What stands before the next `close`, and what follows it; nothing if another `open` comes first. Each search ends at
/// the next `open`, so that a line costs one pass.
fn within(text: &str, open: char, close: char) -> Option<(&str, &str)> {
    let at = text.find([open, close]).filter(|at| *at > 0 && text[*at..].starts_with(close))?;
    Some((&text[..at], &text[at + close.len_utf8()..]))
}

/// A link in words; what only stands in brackets is none.
fn link(inner: &str) -> Option<String> {
    let is_address =
        |text: &str| text.contains("://") || text.starts_with("mailto:") || text.starts_with("tel:");
    if let Some(user) = inner.strip_prefix('~') {
        return Some(format!("@{}", user.trim_start_matches("accountid:")));
    }
    if let Some(file) = inner.strip_prefix('^') {
        return Some(format!("[attachment {file}]"));
    }
    match inner.split_once('|') {
        Some((shown, target)) => {
            let target = target.split('|').next().filter(|target| !target.contains(char::is_whitespace))?;
            let shown = unescaped(shown);
            if let Some(file) = target.strip_prefix('^') {
                return Some(format!("{shown} [attachment {file}]"));
            }
            Some(if says(shown.trim(), target) { shown } else { format!("{shown} ({})", unescaped(target)) })
        }
        None if is_address(inner) => Some(inner.trim_start_matches("mailto:").to_owned()),
        None => None,
    }
}

/// A file that is shown in its place; what only stands between exclamation marks is none.
fn file(inner: &str) -> Option<String> {
    let address = inner.split('|').next().unwrap_or_default();
    let name = if address.contains("://") { file_name(address).unwrap_or(address) } else { address };
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    let is_ending = |e: &&String| (2..=5).contains(&e.len()) && e.bytes().all(|b| b.is_ascii_alphanumeric());
    let ending = ending.filter(|ending| is_ending(&ending));
    if address.starts_with(char::is_whitespace) || ending.is_none() && !address.contains("://") {
        return None;
    }
    let is_image = ending.is_none_or(|ending| IMAGES.contains(&ending.as_str()));
    Some(format!("[{} {}]", if is_image { "image" } else { "attachment" }, unescaped(name)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::connectors::testing::cases;

    #[test]
    fn hostile_markup_is_shown_and_not_done() {
        let text = "!http://evil/x.png! [~admin] {html}x{html} a\\b &#92; [lockstep ab.cd]";
        let markup = from_text(text);
        assert!(markup.starts_with("\\!http://evil/x.png\\! \\[\\~admin\\] \\{html\\}"), "{markup}");
        assert_eq!(to_text(&markup), text);
    }

    #[test]
    fn nothing_at_the_beginning_of_a_line_becomes_markup() {
        let text = "h1. a\n bq. b\n# c\n- d\n----\n* e\n||f||\nh7. g\n-h-";
        let markup = from_text(text);
        assert!(
            markup.starts_with(
                "h1&#46; a\n bq&#46; b\n&#35; c\n&#45; d\n&#45;---\n\\* e\n\\|\\|f\\|\\|\nh7. g"
            ),
            "{markup}"
        );
        assert_eq!(to_text(&markup), text);
    }

    /// Copies that were written before lines were escaped at their beginning are still recognised.
    #[test]
    fn what_ends_in_a_mark_is_read_as_it_was_written() {
        assert_eq!(to_text("h1. a\n# b\n\\[lockstep ab.cd\\]"), "h1. a\n# b\n[lockstep ab.cd]");
    }

    /// Each kind of markup, and how it survives.
    #[test]
    fn every_kind_of_markup_survives_in_words() {
        for (markup, text) in [
            ("h2. Title\ntext", "Title\ntext"),
            ("bq. said\nnot", "> said\nnot"),
            ("{quote}\na\nb\n{quote}\nc", "> a\n> b\nc"),
            ("{quote}a{quote}\nb", "> a\nb"),
            ("{code:java|title=A.java}\nif (a[0]) { b! }\n{code}\nc", "A.java\nif (a[0]) { b! }\nc"),
            ("{noformat}\\* {code} h1. \n{noformat}", "\\* {code} h1. "),
            ("{code}never closed [x|y]", "never closed [x|y]"),
            ("{panel:title=Note|borderStyle=solid}\na\n{panel}", "Note\na"),
            ("{color:red}a{color} {{mono[0]}} {anchor:x}b", "a mono[0] b"),
            ("{unknown:a=b}x{unknown}", "{unknown:a=b}x{unknown}"),
            ("# a\n## b\n## c\n# d\n\n# e\nx\n# f", "1. a\n  1. b\n  2. c\n2. d\n\n3. e\nx\n1. f"),
            ("* a\n** b\n- c", "a\n  b\n- c"),
            ("||h||i||\n|1|[a|https://x.example]|", "h | i\n1 | a (https://x.example)"),
            (
                "see [the page|https://x.example/a|tip], [https://y.example] [mailto:ana@example.org]",
                "see the page (https://x.example/a), https://y.example ana@example.org",
            ),
            ("[https://x.example|https://x.example/]", "https://x.example"),
            (
                "[~ana] [~accountid:5b1] [^log.zip] [log|^log.zip]",
                "@ana @5b1 [attachment log.zip] log [attachment log.zip]",
            ),
            (
                "!shot 1.png|thumbnail! !https://x.example/i/p.png?a! !r.pdf!",
                "[image shot 1.png] [image p.png] [attachment r.pdf]",
            ),
            (
                "Stop! Now! a[0] [INFO] {\"a\": {\"b\": 1}} x!=y!",
                "Stop! Now! a[0] [INFO] {\"a\": {\"b\": 1}} x!=y!",
            ),
            (
                "*bold* _it_ -gone- C:\\dir \\\\server\\share &amp; <b>",
                "*bold* _it_ -gone- C:\\dir \\\\server\\share &amp; <b>",
            ),
            ("a\n----\nb", "a\n---\nb"),
            ("[a\nb] !c\nd.png! {code", "[a\nb] !c\nd.png! {code"),
        ] {
            assert_eq!(to_text(markup), text, "{markup}");
        }
    }

    #[test]
    fn a_comment_of_nothing_but_markup_is_read_in_one_pass() {
        for part in ["[", "{", "!", "|", "{{", "[a|", "\\", "&#", "*", "{code}", "{quote}", "# a\n", "!a"] {
            let _ = to_text(&part.repeat(200_000 / part.len()));
        }
    }

    proptest! {
        #![proptest_config(cases(1_000))]

        #[test]
        fn any_text_survives(text in "(h1\\.|bq\\.|code|quote|\\.png|lockstep|[a-z0-9 \\n\\\\&#;:{}\\[\\]!|*_~^+<>.-]){0,60}") {
            let back = to_text(&from_text(&text));
            prop_assert_eq!(back.trim_end_matches('\n'), text.trim_end_matches('\n'));
        }

        #[test]
        fn no_word_is_lost(words in prop::collection::vec("w[a-z]{1,5}w", 1..10), marks in prop::collection::vec(
            prop::sample::select(vec!["", "*", "{quote}", "{code}", "|", "[", "]", "!", "{{", "}}", "h1. ", "# ", "\n", "{color:red}"]), 11)) {
            let markup = words.iter().zip(&marks).map(|(word, mark)| format!("{mark}{word} ")).collect::<Vec<_>>().concat();
            let read = to_text(&markup);
            for word in &words {
                prop_assert!(read.contains(word.as_str()), "{word} is lost in {read:?}");
            }
        }
    }
}
