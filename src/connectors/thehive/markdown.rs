//! Texts of others in fields that TheHive shows as Markdown: what goes in is shown as it is written, and our own
//! texts read back as they were.

/// What Markdown and HTML give a meaning to: links, images, tags, entities, emphasis, headings, code, tables. Marks
/// that only indent or number a line are left alone.
const ACTIVE: &[char] = &['\\', '`', '*', '_', '[', ']', '<', '>', '#', '|', '~', '&', '!'];
/// How a mark of ours begins (`reconcile/marker.rs`); it is kept as it is, and means nothing in Markdown.
const MARK: &str = "[lockstep ";

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
    match split(text) {
        Some((body, mark)) => format!("{}{mark}", escape(body)),
        None => escape(text),
    }
}

/// A comment as plain text. Only what ends in a mark was escaped by us; people's back-slashes are their own.
pub(super) fn read(text: &str) -> String {
    match split(text) {
        Some((body, mark)) => format!("{}{mark}", plain(body)),
        None => text.to_owned(),
    }
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

/// Whether a text ends in what looks like a mark of ours.
pub(super) fn is_marked(text: &str) -> bool {
    split(text).is_some()
}

/// The text and the mark it ends in.
fn split(text: &str) -> Option<(&str, &str)> {
    let at = text.rfind(MARK)?;
    let (body, mark) = text.split_at(at);
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '.';
    let inner = mark[MARK.len()..].trim_end().strip_suffix(']')?;
    inner.chars().all(plain).then_some((body, mark))
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
