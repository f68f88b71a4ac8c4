//! Texts of others in fields that TheHive shows as Markdown: what goes in is shown as it is written, and our own
//! texts read back as they were. Of people's Markdown, links, images and HTML are put into words; the rest reads well as
//! it is.

use crate::connectors::html;
use crate::connectors::rich_text::{file_name, says};
use crate::connectors::text::split_mark;

/// What Markdown and HTML give a meaning to: links, images, tags, entities, emphasis, headings, code, tables. Marks
/// that only indent or number a line are left alone.
const ACTIVE: &[char] = &['\\', '`', '*', '_', '[', ']', '<', '>', '#', '|', '~', '&', '!'];
/// Plain text as Markdown that shows exactly it.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if ACTIVE.contains(&c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A comment of ours: all but its mark escaped.
pub(super) fn write(text: &str) -> String {
    match split_mark(text) {
        Some((body, mark)) => format!("{}{mark}", escape(body)),
        None => escape(text),
    }
}

/// A comment as plain text. Only what ends in a mark was escaped by us; people's back-slashes are their own.
pub(super) fn read(text: &str) -> String {
    match split_mark(text) {
        Some((body, mark)) => format!("{}{mark}", plain(body)),
        None if text.trim_start().starts_with('<') && html::is_likely(text) => html::text_of(text),
        None => in_words(text),
    }
}

/// Markdown with its links and images in words. Code is left alone, and so is what a back-slash stands before.
fn in_words(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(['`', '\\', '!', '[']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some((words, after)) = link(rest) {
            out.push_str(&words);
            rest = after;
        } else {
            let (as_is, after) = rest.split_at(left_alone(rest));
            out.push_str(as_is);
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// The words of the link or image at the beginning, and what follows it.
fn link(text: &str) -> Option<(String, &str)> {
    let (is_image, inner) = text.strip_prefix('!').map_or((false, text), |inner| (true, inner));
    let inner = inner.strip_prefix('[')?;
    // Neither goes over a line or another bracket, so that a text costs one pass.
    let end = inner.find(['[', ']', '\n']).filter(|end| inner[*end..].starts_with("]("))?;
    let (shown, target) = (&inner[..end], &inner[end + 2..]);
    let end = target.find(['(', ')', '\n', ' ']).filter(|end| !target[*end..].starts_with(['(', '\n']))?;
    let (address, rest) = target.split_at(end);
    // A title may follow the address.
    let close = rest.find(['(', ')', '\n']).filter(|close| rest[*close..].starts_with(')'))?;
    let words = match (is_image, shown.trim()) {
        (true, "") => format!("[image {}]", file_name(address).unwrap_or("without a name")),
        (true, alt) => format!("[image {alt}]"),
        (false, shown) if says(shown, address) => shown.to_owned(),
        (false, shown) => format!("{shown} ({address})").trim_start().to_owned(),
    };
    Some((words, &rest[close + 1..]))
}

/// How much of the beginning is no markup: code up to its end, an escaped character, or one character.
fn left_alone(text: &str) -> usize {
    let length = |text: &str| text.chars().next().map_or(0, char::len_utf8);
    if let Some(escaped) = text.strip_prefix('\\') {
        return 1 + length(escaped);
    }
    let fence = text.len() - text.trim_start_matches('`').len();
    if fence == 0 {
        return length(text);
    }
    let within = &text[fence..];
    let end = within.find(&text[..fence]);
    // Code in a line ends in it; a fence goes over lines.
    end.filter(|end| fence >= 3 || !within[..*end].contains('\n')).map_or(fence, |end| fence + end + fence)
}

/// Markdown as people see it, as far as [`escape`] goes.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match rest.peek() {
            Some(next) if c == '\\' && ACTIVE.contains(next) => out.extend(rest.next()),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::connectors::testing::cases;

    #[test]
    fn links_images_and_tags_stay_text() {
        let text = "[x](http://evil) ![i](http://evil/p) <img onerror=a> &lt; `c` **b** # h | t ~~s~~";
        let escaped = escape(text);
        assert!(escaped.starts_with("\\[x\\](http://evil) \\!\\[i\\]"), "{escaped}");
        assert!(escaped.contains("\\<img onerror=a\\> \\&lt;"), "{escaped}");
    }

    #[test]
    fn peoples_back_slashes_are_their_own() {
        for text in ["\\\\server\\_share", "C:\\[tmp]", "a\\*b [lockstep"] {
            assert_eq!(read(text), text);
        }
    }

    #[test]
    fn links_images_and_html_of_people_are_read_in_words() {
        for (text, read_as) in [
            (
                "see [the page](https://x.example/a \"tip\"), [https://y.example](https://y.example)",
                "see the page (https://x.example/a), https://y.example",
            ),
            (
                "![shot](data:image/png;base64,AAAA) ![](/i/b.png) ![]()",
                "[image shot] [image b.png] [image without a name]",
            ),
            ("a [1] b! [x] (y) [z](no end", "a [1] b! [x] (y) [z](no end"),
            ("`[a](b)` ```\n![c](d)\n``` \\[e](f) ``", "`[a](b)` ```\n![c](d)\n``` \\[e](f) ``"),
            ("**bold** _it_ # h\n- a\n1 < 2 <b>", "**bold** _it_ # h\n- a\n1 < 2 <b>"),
            ("<p>a &amp; <b>b</b></p>", "a & b"),
        ] {
            assert_eq!(read(text), read_as, "{text}");
        }
    }

    #[test]
    fn a_comment_of_nothing_but_markup_is_read_in_one_pass() {
        for part in ["[", "![", "[a](", "[a](b", "\\", "!", "` ", "`` ", "[a](b)"] {
            let _ = read(&part.repeat(200_000 / part.len()));
        }
    }

    proptest! {
        #![proptest_config(cases(1_000))]

        #[test]
        fn our_texts_read_back_as_they_were(body in "\\PC{0,60}", mark in "[0-9a-f]{24}\\.[0-9a-f]{24}") {
            let text = format!("{body} [lockstep {mark}]");
            let written = write(&text);
            let kept = format!("[lockstep {mark}]");
            prop_assert!(written.ends_with(&kept));
            prop_assert_eq!(read(&written), text);
        }
    }
}
