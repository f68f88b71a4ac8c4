//! The text of a comment that was written as HTML, which is what the web interface's editor makes.

/// Longest name of a character (`&thetasym;`), with its `&` and `;`.
const MAX_ENTITY: usize = 10;

/// Elements that begin a new line.
const LINES: [&str; 12] = ["br", "p", "div", "li", "tr", "h1", "h2", "h3", "h4", "blockquote", "pre", "hr"];

/// The text without its markup. What stands in `<style>` and `<script>` is no text.
pub(super) fn text(html: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(html.len()), html);
    // What no `>` follows is no tag; looked for once, since anybody can mail millions of `<`.
    let after_tags = html.rfind('>').map_or("", |at| &html[at..]).len();
    while let Some(at) = rest.find(['<', '&']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        rest = match rest.strip_prefix('<') {
            Some(_) if rest.len() > after_tags && after_tags > 0 => tag(rest, &mut out),
            Some(text) => {
                out.push('<');
                text
            }
            None => entity(rest, &mut out),
        };
    }
    out.push_str(rest);
    let lines: Vec<&str> = out.lines().map(str::trim).collect();
    lines.join("\n").trim().to_owned()
}

/// Reads one tag and returns what follows it; a `<` that begins none is text.
fn tag<'a>(html: &'a str, out: &mut String) -> &'a str {
    let name: String =
        html[1..].chars().take_while(|c| c.is_ascii_alphanumeric() || "/!-".contains(*c)).collect();
    let end = if name.is_empty() { None } else { html.find('>') };
    let Some(end) = end else {
        out.push('<');
        return &html[1..];
    };
    let name = name.trim_matches('/').to_ascii_lowercase();
    if LINES.contains(&name.as_str()) && !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
    let after = &html[end + 1..];
    if !matches!(name.as_str(), "style" | "script") || html.starts_with("</") {
        return after;
    }
    let close = format!("</{name}");
    let is_close =
        |at: &usize| after[*at..].get(..close.len()).is_some_and(|tag| tag.eq_ignore_ascii_case(&close));
    after.match_indices("</").map(|(at, _)| at).find(is_close).map_or("", |at| &after[at..])
}

/// Reads one character reference and returns what follows it; a `&` that begins none is text.
fn entity<'a>(html: &'a str, out: &mut String) -> &'a str {
    let end = html.char_indices().take(MAX_ENTITY).find(|(_, c)| *c == ';').map(|(at, _)| at);
    let named = end.and_then(|end| Some((character(&html[1..end])?, &html[end + 1..])));
    let (character, rest) = named.unwrap_or(('&', &html[1..]));
    out.push(character);
    rest
}

fn character(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some(' '),
        _ => {
            let digits = name.strip_prefix('#')?;
            let hex = digits.strip_prefix(['x', 'X']).map(|hex| u32::from_str_radix(hex, 16).ok());
            char::from_u32(hex.unwrap_or_else(|| digits.parse().ok())?)
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
        assert_eq!(text(html), "Hello Bob\n\n2 & 3 < 4 €\na\nb");
        assert_eq!(text("1 < 2 & 3 &unknown; <"), "1 < 2 & 3 &unknown; <");
        assert_eq!(text("<script>alert(1)"), "");
        assert_eq!(text("<p>text [lockstep ab.cd]</p>"), "text [lockstep ab.cd]");
    }

    /// Anybody may write to a ticket by mail. Each of these took very long when its length was paid for once per tag.
    #[test]
    fn a_mail_of_nothing_but_tags_is_read_in_one_pass() {
        let many = |part: &str| part.repeat(1_000_000 / part.len());
        assert_eq!(text(&many("<")).len(), 1_000_000);
        assert_eq!(text(&many("<a")).len(), 1_000_000);
        assert_eq!(text(&many("<style></style>")), "");
        assert_eq!(text(&format!("{}>", many("<"))).len(), 1_000_001);
        assert_eq!(text(&many("&")).len(), 1_000_000);
    }

    proptest! {
        #![proptest_config(cases(2_000))]

        #[test]
        fn any_text_is_read(html in "(<|>|&|;|/|p|br|#x4|amp|é| |\n|script){0,40}") {
            let _ = text(&html);
        }
    }
}
