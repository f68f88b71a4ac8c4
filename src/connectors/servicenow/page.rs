//! What a page of rows says of itself: its count (`X-Total-Count`) and its links (`ticketing.md` 1.2). The count is taken
//! before access rules hide rows, and the limit, too; so a page that shows fewer rows than it should hides some, or was cut
//! off, and cannot be taken for the whole.

use crate::http::Answer;

/// Why a page cannot be the whole of what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wrong {
    /// So many rows are counted and not shown.
    Hidden(u64),
    /// Its marks do not go together.
    Contradiction(String),
}

/// What the links of a page say of the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// There is none.
    None,
    /// There is one, which begins at this row where its address says so.
    At(Option<u64>),
}

impl Next {
    fn of(link: &str) -> Self {
        let Some(end) = link.find("rel=\"next\"") else { return Self::None };
        // Addresses may hold commas, so the one wanted is what stands in brackets before its name.
        let before = &link[..end];
        let address = &before[before.rfind('<').unwrap_or(0)..];
        let asked = address.split_once("sysparm_offset=").map(|(_, rest)| rest);
        let digits = asked.map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
        Self::At(digits.and_then(|digits| digits.parse().ok()))
    }
}

/// Whether the rows shown are those that the page should show, of at most `limit` asked for.
pub(super) fn examine(shown: u64, limit: u64, answer: &Answer) -> Result<(), Wrong> {
    let next = answer.link.as_deref().map(Next::of);
    let wrong = |what: String| Err(Wrong::Contradiction(what));
    let due = match (next, answer.total_count) {
        (Some(Next::At(_)), Some(total)) if total <= shown => {
            return wrong(format!("it counts {total} rows, shows {shown}, and has a next page"));
        }
        (Some(Next::None), Some(total)) if total > shown && shown >= limit => {
            return wrong(format!("it counts {total} rows, shows {shown}, and has no next page"));
        }
        (Some(Next::At(at)), _) => at.unwrap_or(limit),
        (_, Some(total)) => total.min(limit),
        (_, None) => return Ok(()),
    };
    if shown > due {
        return wrong(format!("it shows {shown} rows where it counts {due}"));
    }
    if shown < due { Err(Wrong::Hidden(due - shown)) } else { Ok(()) }
}

/// Whether more rows follow, by the service's own word: its links, else its count. Where it says neither, a page with rows
/// may have another one behind it, and one without `news` has not.
pub(super) fn more_follows(answer: &Answer, has_news: bool) -> bool {
    match (&answer.link, answer.total_count) {
        (Some(link), _) => Next::of(link) != Next::None,
        (None, Some(total)) => total > answer.body["result"].as_array().map_or(0, Vec::len) as u64,
        (None, None) => has_news,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn answer(link: Option<&str>, total_count: Option<u64>) -> Answer {
        Answer {
            status: 200,
            body: json!({"result": vec![Value::Null; 7]}),
            request_id: None,
            client_request_id: String::new(),
            date: None,
            etag: None,
            link: link.map(str::to_owned),
            total_count,
            headers: reqwest::header::HeaderMap::new(),
        }
    }

    const NEXT: &str = "<https://h/t?a=b,c&sysparm_offset=0>;rel=\"first\",<https://h/t?sysparm_offset=40&a=b,c>; rel=\"next\"";
    const LAST: &str = "<https://h/t?sysparm_offset=0>;rel=\"first\",<https://h/t>;rel=\"last\"";

    #[test]
    fn a_page_shows_what_its_marks_say() {
        let sound = Ok(());
        let hidden = |rows| Err(Wrong::Hidden(rows));
        for (shown, link, total, expected) in [
            (40, Some(NEXT), Some(50), sound.clone()),
            (39, Some(NEXT), Some(50), hidden(1)),
            (0, Some(NEXT), None, hidden(40)),
            (7, Some(LAST), Some(7), sound.clone()),
            (3, Some(LAST), Some(7), hidden(4)),
            (0, Some(LAST), Some(7), hidden(7)),
            (0, Some(LAST), Some(0), sound.clone()),
            (0, None, Some(1), hidden(1)),
            (100, None, Some(250), sound.clone()),
            (99, None, Some(250), hidden(1)),
            (5, None, None, sound.clone()),
            (5, Some(LAST), None, sound),
        ] {
            assert_eq!(examine(shown, 100, &answer(link, total)), expected, "{shown} {link:?} {total:?}");
        }
    }

    #[test]
    fn marks_that_do_not_go_together_are_no_page() {
        for (shown, link, total) in [
            (41, Some(NEXT), Some(50)),
            (40, Some(NEXT), Some(40)),
            (100, Some(LAST), Some(250)),
            (8, Some(LAST), Some(7)),
            (101, None, Some(250)),
        ] {
            let found = examine(shown, 100, &answer(link, total));
            assert!(matches!(found, Err(Wrong::Contradiction(_))), "{shown} {link:?} {total:?}: {found:?}");
        }
    }

    #[test]
    fn more_follows_where_the_service_says_so() {
        for (link, total, has_news, expected) in [
            (Some(NEXT), Some(50), true, true),
            (Some(LAST), Some(50), true, false),
            (None, Some(8), true, true),
            (None, Some(7), true, false),
            (None, None, true, true),
            (None, None, false, false),
        ] {
            assert_eq!(
                more_follows(&answer(link, total), has_news),
                expected,
                "{link:?} {total:?} {has_news}"
            );
        }
    }
}
