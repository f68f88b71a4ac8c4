//! Templates of operators with texts of attackers, and the marks of copied comments.

use super::systems::copy;
use crate::model::{AlertBrief, Brief};
use crate::reconcile::description::{self, Link, Story};
use crate::reconcile::{Mark, MarkerKey};

/// The first line of an input is the template, all of it the text of the incident. Where it is a template that the
/// configuration takes, it is filled; else the default one is.
pub(super) fn template(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let template = text.split("\n%%\n").next().unwrap_or_default();
    if let Err(message) = description::check(template) {
        assert!(!message.trim().is_empty(), "a template fails without a word");
    }
    for template in [template, description::DEFAULT] {
        let text = description::render(template, &story(&text));
        let hidden = |c: char| c.is_control() && c != '\n' && c != '\t';
        assert!(text.chars().count() <= 20_000, "{} characters", text.chars().count());
        assert!(!text.contains(hidden), "control characters in {text:?}");
        assert!(!text.starts_with(['=', '+', '-', '@']), "a formula: {text:?}");
    }
}

/// An incident of which an attacker wrote everything.
fn story(text: &str) -> Story {
    let owned = || text.to_owned();
    let list = || text.lines().map(str::to_owned).collect::<Vec<_>>();
    let alert = AlertBrief { title: owned(), severity: owned(), product: Some(owned()), url: Some(owned()) };
    let brief = Brief {
        system: owned(),
        number: owned(),
        title: owned(),
        severity: owned(),
        url: Some(owned()),
        created: Some(owned()),
        description: Some(owned()),
        products: list(),
        tactics: list(),
        techniques: list(),
        users: list(),
        devices: list(),
        mailboxes: list(),
        alerts: vec![alert; 30],
        more_alerts: 1,
        incomplete: true,
    };
    let link = Link { system: owned(), url: owned() };
    Story {
        title: owned(),
        severity: owned(),
        status: owned(),
        bridge: owned(),
        key: owned(),
        systems: list(),
        links: vec![link],
        briefs: vec![brief; 2],
        unread: list(),
    }
}

/// A text is no copy of ours; made one, it is; changed, it is none any more.
pub(super) fn marker(input: &[u8]) {
    let (key, text) = (MarkerKey::from_secret("fuzz"), String::from_utf8_lossy(input));
    assert!(!matches!(key.read(&text), Mark::Ours(_)), "somebody else's text is taken for a copy");
    let (name, copied) = copy(&text);
    assert_eq!(key.read(&copied), Mark::Ours(name.clone()), "a copy is not recognised");
    // Services trim and wrap.
    assert_eq!(key.read(&format!(" {}\n", copied.replace(' ', "\n "))), Mark::Ours(name), "a wrapped copy");
    assert!(!matches!(MarkerKey::from_secret("other").read(&copied), Mark::Ours(_)), "another's copy");
    // A place that the input itself chooses, so that mutations reach all of them.
    let place = input.iter().fold(7_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    for changed in changes(&copied, place) {
        assert!(!matches!(key.read(&changed), Mark::Ours(_)), "a changed copy is taken for one: {changed:?}");
    }
}

/// A copy with a character lost, replaced and doubled, where that is no white space.
fn changes(copied: &str, place: usize) -> Vec<String> {
    let all: Vec<char> = copied.chars().collect();
    let at = place % all.len();
    if all[at].is_whitespace() {
        return Vec::new();
    }
    let put = |middle: &[char]| [&all[..at], middle, &all[at + 1..]].concat().into_iter().collect::<String>();
    let other = if all[at] == 'x' { 'y' } else { 'x' };
    vec![put(&[]), put(&[other]), put(&[all[at], all[at]])]
}
