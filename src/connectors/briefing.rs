//! What the briefs of both Microsoft services are gathered with.

use serde_json::Value;

use super::stated::time;

/// The text of a property, unless it is blank or something else than a text.
pub(super) fn text(value: &Value) -> Option<&str> {
    value.as_str().map(str::trim).filter(|text| !text.is_empty())
}

/// The same, empty where there is none.
pub(super) fn text_or_empty(value: &Value) -> String {
    text(value).unwrap_or_default().to_owned()
}

/// A time in the form that briefs give it: RFC 3339, UTC, whole seconds.
pub(super) fn seconds(value: &Value) -> Option<String> {
    time(text(value)?).ok().map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// Entries of one list that are kept. Nobody reads more, and each is compared with all that are there.
const MOST: usize = 1_000;

/// Adds a text to a list that does not hold it yet, in whatever case.
pub(super) fn add(list: &mut Vec<String>, text: Option<&str>) {
    if let Some(text) = text.map(str::trim).filter(|text| !text.is_empty())
        && list.len() < MOST
        && !list.iter().any(|known| known.eq_ignore_ascii_case(text))
    {
        list.push(text.to_owned());
    }
}

/// Adds the texts of an array.
pub(super) fn add_all(list: &mut Vec<String>, array: &Value) {
    for value in array.as_array().into_iter().flatten() {
        add(list, text(value));
    }
}

/// An account by its directory name, else by domain and name.
pub(super) fn account_name(
    principal: Option<&str>,
    domain: Option<&str>,
    name: Option<&str>,
) -> Option<String> {
    match (principal, domain, name) {
        (Some(principal), _, _) => Some(principal.to_owned()),
        (None, Some(domain), Some(name)) => Some(format!("{domain}\\{name}")),
        (None, None, name) => name.map(str::to_owned),
        (None, Some(_), None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brief_of_very_many_users_has_an_end() {
        let users: Value = (0..300_000).map(|n| format!("user{n}@example.org")).collect();
        let mut list = Vec::new();
        add_all(&mut list, &users);
        assert_eq!((list.len(), list[999].as_str()), (MOST, "user999@example.org"));
    }
}
