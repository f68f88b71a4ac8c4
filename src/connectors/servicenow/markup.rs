//! Journal fields render what stands between `[code]` and `[/code]` as HTML (`ticketing.md` 1.7). Incident texts are
//! other people's, so the tags are broken on the way in and mended on the way out: a text comes back as it went.

/// Word joiner: takes no room, breaks no line, and is no white space.
const JOINER: char = '\u{2060}';

/// The text with one joiner after the bracket of each such tag. Tags that have joiners already get one more, so that
/// [`mended`] can tell ours.
pub(super) fn broken(text: &str) -> String {
    with_tags(text, |joiners| joiners + 1)
}

/// The text as it was before [`broken`].
pub(super) fn mended(text: &str) -> String {
    with_tags(text, |joiners| joiners.saturating_sub(1))
}

fn with_tags(text: &str, joiners: impl Fn(usize) -> usize) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(at) = rest.find('[') {
        let (before, tag) = rest.split_at(at + 1);
        out.push_str(before);
        let inner = tag.trim_start_matches(JOINER);
        if is_code(inner) {
            let present = (tag.len() - inner.len()) / JOINER.len_utf8();
            out.extend(std::iter::repeat_n(JOINER, joiners(present)));
            rest = inner;
        } else {
            rest = tag;
        }
    }
    out.push_str(rest);
    out
}

/// Whether what follows a bracket makes it a tag.
fn is_code(inner: &str) -> bool {
    let name = inner.strip_prefix('/').unwrap_or(inner);
    name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("code]"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::connectors::testing::cases;

    #[test]
    fn tags_are_broken_and_mended() {
        let text = "a [code]<img src=x>[/CODE] [lockstep 1.2] [co";
        let sent = broken(text);
        assert!(!sent.to_lowercase().contains("[code]") && !sent.to_lowercase().contains("[/code]"));
        assert_eq!(mended(&sent), text);
        assert_eq!(mended("plain [lockstep 1.2]"), "plain [lockstep 1.2]");
    }

    proptest! {
        #![proptest_config(cases(1_000))]

        #[test]
        fn any_text_comes_back_as_it_went(text in "(\\[|/|code|CODE|\\]|\u{2060}| |\\PC){0,30}") {
            let sent = broken(&text);
            prop_assert!(!sent.to_ascii_lowercase().contains("[code]"));
            prop_assert_eq!(mended(&sent), text);
        }
    }
}
