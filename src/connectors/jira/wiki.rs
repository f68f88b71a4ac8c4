//! Wiki markup, Data Center's form of texts, from and to plain text (`ticketing.md` 2.6).

/// What could begin markup that links, embeds, notifies or runs a macro. A backslash takes its meaning away.
const MARKUP: &[char] = &['{', '}', '[', ']', '!', '|', '*', '_', '~', '^', '+'];

/// Markup that shows the text as it is.
pub(super) fn from_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.replace("\r\n", "\n").chars() {
        match c {
            // Two backslashes are a line break, and an entity must not become what it names.
            '\\' => out.push_str("&#92;"),
            '&' => out.push_str("&#38;"),
            c if MARKUP.contains(&c) => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

/// The text, escapes taken out. What [`from_text`] made comes out as it went in.
pub(super) fn to_text(markup: &str) -> String {
    let mut out = String::with_capacity(markup.len());
    let mut rest = markup;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let next = after.chars().next().filter(|next| c == '\\' && MARKUP.contains(next));
        if let Some(plain) = next {
            out.push(plain);
            rest = &after[plain.len_utf8()..];
        } else if let Some(after) = rest.strip_prefix("&#92;") {
            out.push('\\');
            rest = after;
        } else if let Some(after) = rest.strip_prefix("&#38;") {
            out.push('&');
            rest = after;
        } else {
            out.push(c);
            rest = after;
        }
    }
    out.replace("\r\n", "\n")
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

    proptest! {
        #![proptest_config(cases(1_000))]

        #[test]
        fn any_text_survives(text in "[a-z0-9 \\n\\\\&#;{}\\[\\]!|*_~^+]{0,60}") {
            prop_assert_eq!(to_text(&from_text(&text)), text);
        }
    }
}
