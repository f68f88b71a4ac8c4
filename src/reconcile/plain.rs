//! Remote text made fit to be read as plain text: no control characters, bounded, on its line.

/// Longest single-line value, in characters.
const MAX_LINE: usize = 500;
/// Longest link, in characters; a longer one is left out, since half a link leads nowhere.
const MAX_LINK: usize = 2_000;
/// Most entries of a list.
const MAX_ENTRIES: usize = 20;

/// A single-line value: white space of any kind becomes one space, and other control characters go.
pub(super) fn flat(text: &str) -> String {
    let words: Vec<&str> = text.split(char::is_whitespace).collect();
    let words = words.iter().map(|word| word.chars().filter(|c| !is_hidden(*c)).collect::<String>());
    shortened(&words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "), MAX_LINE)
}

/// A text of several lines, in `\n` form.
pub(super) fn block(text: &str, most: usize) -> String {
    let text = text.replace("\r\n", "\n").replace(['\r', '\u{85}', '\u{2028}', '\u{2029}'], "\n");
    let kept: String = text.chars().filter(|c| matches!(c, '\n' | '\t') || !is_hidden(*c)).collect();
    shortened(kept.trim(), most)
}

/// A link for people, if it is one that a browser would follow over the web, and cannot break out of its place.
pub(super) fn link(text: &str) -> Option<String> {
    let text = text.trim();
    let is_web = ["https://", "http://"].iter().any(|scheme| text.starts_with(scheme));
    let breaks = |c: char| c.is_whitespace() || is_hidden(c) || matches!(c, '<' | '>' | '"' | '\\' | '`');
    (is_web && !text.contains(breaks) && text.chars().count() <= MAX_LINK).then(|| text.to_owned())
}

/// A list of single-line values, each once; what is too much of it is counted in a last entry.
pub(super) fn list(texts: &[String]) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for text in texts.iter().map(|text| flat(text)) {
        if !text.is_empty() && !kept.contains(&text) {
            kept.push(text);
        }
    }
    let rest = more(&kept, MAX_ENTRIES);
    kept.truncate(MAX_ENTRIES);
    if rest > 0 {
        kept.push(format!("and {rest} more"));
    }
    kept
}

/// How many there are beyond so many.
pub(super) fn more<T>(list: &[T], most: usize) -> usize {
    list.len().saturating_sub(most)
}

/// Control characters (of terminals, among others), and those that reverse or hide the text around them.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_line_stays_on_its_line() {
        assert_eq!(flat(" a\r\nb\tc\u{2028}d\u{85}e\u{b}f "), "a b c d e f");
        assert_eq!(flat("\u{1b}[31mred\u{202e}der\u{200b}"), "[31mredder");
        assert_eq!(flat(&"x".repeat(1_000)).chars().count(), 500);
    }

    #[test]
    fn a_block_keeps_its_lines_and_nothing_worse() {
        assert_eq!(block("a\r\nb\rc\u{1b}[0m\n\n\td\0", 100), "a\nb\nc[0m\n\n\td");
        assert!(block(&"y".repeat(50), 10).ends_with('…'));
    }

    #[test]
    fn links_are_of_the_web_and_whole() {
        assert_eq!(link(" https://a.example/b?c=d ").as_deref(), Some("https://a.example/b?c=d"));
        let hidden = "https://a.example\u{202e}/b";
        for bad in
            ["javascript:alert(1)", "https://a\nb", "https://a/<script>", "file:///etc/passwd", "", hidden]
        {
            assert_eq!(link(bad), None, "{bad}");
        }
        assert_eq!(link(&format!("https://a/{}", "b".repeat(3_000))), None);
    }

    #[test]
    fn lists_say_each_once_and_count_the_rest() {
        let texts: Vec<String> = (0..30).map(|n| format!("u{n}")).chain(["u1".to_owned()]).collect();
        let kept = list(&texts);
        assert_eq!((kept.len(), kept[20].as_str()), (21, "and 10 more"));
    }
}
