//! What the converters of rich text share: plain text that grows block by block, and the words that stand for what is
//! no text. Each markup has a converter of its own, with a table of its node types: `html.rs`, `jira/adf.rs`,
//! `jira/wiki.rs`, `thehive/markdown.rs`.

/// Bytes of a converted text. A copy of ours is far shorter, and a copied comment is cut long before.
const MAX_BYTES: usize = 256 * 1024;
/// What a text that is longer ends in.
const CUT: &str = "\n[cut here by lockstep]";
/// Levels of quotes and of indentation that are shown; each line pays for them.
const MAX_LEVELS: usize = 6;
/// Characters of an address.
const MAX_ADDRESS: usize = 2_000;
/// Characters of a name.
const MAX_NAME: usize = 200;

/// Plain text in the making. Line breaks and spaces between blocks are owed until words follow.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about the line")]
pub(super) struct PlainText {
    out: String,
    /// Line breaks owed before the next words.
    breaks: usize,
    /// Whether a space is owed, unless a line break is.
    space: bool,
    /// Whether anything was written or begun.
    began: bool,
    /// Whether what follows stays on this line: a mark of a list or the beginning of a cell stands there.
    glued: bool,
    /// Whether words were written on this line.
    within_line: bool,
    quotes: usize,
    indents: usize,
    link: Option<Link>,
    full: bool,
}

/// A link whose words are being written.
#[derive(Debug)]
struct Link {
    address: String,
    /// Where its words begin.
    from: Option<usize>,
}

impl PlainText {
    /// The boundary of a block: the next words are at least so many lines further down.
    pub(super) fn gap(&mut self, lines: usize) {
        if self.began && !self.glued {
            self.breaks = self.breaks.max(lines);
        }
    }

    /// A line break of the text itself; each counts.
    pub(super) fn line_break(&mut self) {
        self.glued = false;
        if self.began {
            self.breaks += 1;
        }
    }

    /// Writes what is owed, even if no words follow.
    pub(super) fn settle(&mut self) {
        self.began = true;
        let owed = if self.breaks > 0 {
            "\n".repeat(std::mem::take(&mut self.breaks))
        } else if self.space && self.within_line && !self.out.ends_with(' ') {
            " ".to_owned()
        } else {
            String::new()
        };
        self.space = false;
        self.append(&owed);
    }

    /// Text as it is, line breaks included.
    pub(super) fn words(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.settle();
        self.glued = false;
        if let Some(Link { from: from @ None, .. }) = &mut self.link {
            *from = Some(self.out.len());
        }
        self.append(text);
    }

    /// Text in which white space of any length is one space, as in HTML.
    pub(super) fn flow(&mut self, text: &str) {
        let is_space = |c: char| c.is_ascii_whitespace() || c == '\u{a0}';
        self.space |= text.starts_with(is_space);
        let mut words = text.split(is_space).filter(|word| !word.is_empty()).peekable();
        while let Some(word) = words.next() {
            self.words(word);
            self.space = words.peek().is_some();
        }
        self.space |= text.ends_with(is_space);
    }

    /// Something named in brackets: `[image screenshot.png]`.
    pub(super) fn named(&mut self, what: &str, name: Option<&str>) {
        let name = name.map(|name| one_line(name, MAX_NAME)).filter(|name| !name.is_empty());
        match name {
            Some(name) => self.words(&format!("[{what} {name}]")),
            None => self.words(&format!("[{what}]")),
        }
    }

    /// The visible trace of what the table of a markup does not know.
    pub(super) fn unsupported(&mut self, node: &str) {
        let node = one_line(node, MAX_NAME);
        self.words(&format!("[unsupported: {}]", if node.is_empty() { "node" } else { &node }));
    }

    /// What an item begins with (`1. `); its first block stays on the line.
    pub(super) fn mark(&mut self, mark: &str) {
        self.words(mark);
        self.glued = true;
    }

    /// The next cell of a row; its first block stays on the line.
    pub(super) fn cell(&mut self, is_first: bool) {
        if is_first {
            self.settle();
        } else {
            (self.breaks, self.space) = (0, false);
            self.words(" | ");
        }
        self.glued = true;
    }

    /// The end of an item or a cell.
    pub(super) fn unglue(&mut self) {
        self.glued = false;
    }

    /// From here on (or no longer) within a quote.
    pub(super) fn quote(&mut self, opens: bool) {
        self.quotes = if opens { self.quotes + 1 } else { self.quotes.saturating_sub(1) };
    }

    /// From here on (or no longer) further to the right.
    pub(super) fn indent(&mut self, opens: bool) {
        self.indents = if opens { self.indents + 1 } else { self.indents.saturating_sub(1) };
    }

    /// Out of every quote, list and link: another part begins.
    pub(super) fn leave(&mut self) {
        self.link(None);
        self.glued = false;
        if self.quotes + self.indents > 0 {
            self.gap(2);
        }
        (self.quotes, self.indents) = (0, 0);
    }

    /// The link that the next words are part of. A link that ends is followed by its address, unless that is what
    /// its words say.
    pub(super) fn link(&mut self, address: Option<&str>) {
        let address = address.map(|address| one_line(address, MAX_ADDRESS));
        let address = address.filter(|address| !address.is_empty() && !address.starts_with('#'));
        if self.link.as_ref().map(|link| &link.address) == address.as_ref() {
            return;
        }
        let ended = std::mem::replace(&mut self.link, address.map(|address| Link { address, from: None }));
        let Some(Link { address, from }) = ended else { return };
        let shown = from.and_then(|from| self.out.get(from..)).unwrap_or_default().trim();
        if shown.is_empty() {
            let next = self.link.take();
            self.words(&address);
            (self.link, self.space) = (next, true);
        } else if !says(shown, &address) {
            self.append(&format!(" ({address})"));
        }
    }

    /// The text, without line breaks at its end.
    pub(super) fn finish(mut self) -> String {
        self.link(None);
        self.out.truncate(self.out.trim_end_matches('\n').len());
        if self.full {
            self.out.push_str(CUT);
        }
        self.out
    }

    fn append(&mut self, text: &str) {
        for line in text.split_inclusive('\n') {
            if self.full {
                return;
            }
            if !self.within_line && line != "\n" {
                self.out.push_str(&"> ".repeat(self.quotes.min(MAX_LEVELS)));
                self.out.push_str(&"  ".repeat(self.indents.min(MAX_LEVELS)));
            }
            let room = MAX_BYTES.saturating_sub(self.out.len());
            self.full = line.len() > room;
            self.out.push_str(&line[..line.floor_char_boundary(room)]);
            self.within_line = !line.ends_with('\n');
        }
    }
}

/// Whether the words of a link say its address already.
pub(super) fn says(shown: &str, address: &str) -> bool {
    let bare = address.strip_prefix("mailto:").or_else(|| address.strip_prefix("tel:")).unwrap_or(address);
    shown == address || shown.trim_end_matches('/') == bare.trim_end_matches('/')
}

/// Remote text for a place within a line.
fn one_line(text: &str, limit: usize) -> String {
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let line = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// The file that an address ends in.
pub(super) fn file_name(address: &str) -> Option<&str> {
    if address.starts_with("data:") {
        return None;
    }
    let path = address.split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit(['/', ':']).next().unwrap_or_default();
    Some(name).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_apart_and_links_keep_their_address() {
        let mut text = PlainText::default();
        text.gap(2);
        text.flow(" see  the ");
        text.link(Some("https://x.example/a"));
        text.flow("page");
        text.link(None);
        text.flow(", now");
        text.gap(2);
        text.quote(true);
        text.words("quoted\ntwice");
        text.quote(false);
        text.gap(1);
        text.mark("1. ");
        text.gap(2);
        text.words("one");
        let expected = "see the page (https://x.example/a), now\n\n> quoted\n> twice\n1. one";
        assert_eq!(text.finish(), expected);
    }

    #[test]
    fn an_address_is_said_once() {
        for (shown, address) in [
            ("https://x.example", "https://x.example/"),
            ("ana@example.org", "mailto:ana@example.org"),
            ("https://x.example/a", "https://x.example/a"),
        ] {
            let mut text = PlainText::default();
            text.link(Some(address));
            text.words(shown);
            assert_eq!(text.finish(), shown);
        }
        let mut text = PlainText::default();
        text.link(Some("https://x.example"));
        text.link(Some("https://y.example"));
        text.words("y");
        assert_eq!(text.finish(), "https://x.example y (https://y.example)");
    }

    #[test]
    fn a_text_without_end_is_cut_visibly() {
        let mut text = PlainText::default();
        for _ in 0..100 {
            text.quote(true);
        }
        for _ in 0..MAX_BYTES {
            text.gap(2);
            text.words("wörter");
        }
        let text = text.finish();
        assert!(text.ends_with(CUT) && text.len() <= MAX_BYTES + 4 * MAX_LEVELS + CUT.len());
        assert!(text.starts_with("> > > > > > wörter\n"));
    }

    #[test]
    fn names_are_one_short_line() {
        let mut text = PlainText::default();
        text.named("image", Some("a\n\u{1b}b.png"));
        text.named("image", Some(" "));
        text.unsupported("");
        assert_eq!(text.finish(), "[image a b.png][image][unsupported: node]");
        assert_eq!(one_line(&"x".repeat(500), 10), "xxxxxxxxxx…");
        assert_eq!(file_name("https://x.example/a/b.png?c=/d"), Some("b.png"));
        assert_eq!(file_name("cid:image001.png"), Some("image001.png"));
        assert_eq!((file_name("data:image/png;base64,xx"), file_name("https://x.example/")), (None, None));
    }
}
