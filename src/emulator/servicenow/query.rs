//! Encoded queries, with their habit of dropping what they do not understand (`ticketing.md` 1.2).

use std::cmp::Ordering;

/// One condition.
#[derive(Debug, Clone, PartialEq)]
struct Condition {
    field: String,
    operator: &'static str,
    value: String,
}

/// A query: any of the groups, each of which wants all of its alternatives.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Query {
    groups: Vec<Vec<Vec<Condition>>>,
    order: Vec<(String, bool)>,
    /// Whether a part was not understood.
    pub(super) is_bad: bool,
}

/// The longer ones first.
const OPERATORS: [&str; 13] = [
    "STARTSWITH",
    "ENDSWITH",
    "ISNOTEMPTY",
    "ISEMPTY",
    "NOT LIKE",
    "LIKE",
    "IN",
    ">=",
    "<=",
    "!=",
    "=",
    ">",
    "<",
];

impl Query {
    /// Reads a query; `knows` tells whether a field exists.
    pub(super) fn parse(text: &str, knows: &dyn Fn(&str) -> bool) -> Self {
        let mut query = Self::default();
        for group in text.split("^NQ") {
            let mut all: Vec<Vec<Condition>> = Vec::new();
            for part in group.split('^').filter(|part| !part.is_empty() && *part != "EQ") {
                if let Some(field) = part.strip_prefix("ORDERBY") {
                    let (field, down) =
                        field.strip_prefix("DESC").map_or((field, false), |field| (field, true));
                    query.order.push((field.to_owned(), down));
                    continue;
                }
                let (is_or, part) = part.strip_prefix("OR").map_or((false, part), |part| (true, part));
                match (condition(part).filter(|condition| knows(&condition.field)), is_or) {
                    (None, _) => query.is_bad = true,
                    (Some(condition), true) if !all.is_empty() => {
                        if let Some(last) = all.last_mut() {
                            last.push(condition);
                        }
                    }
                    (Some(condition), _) => all.push(vec![condition]),
                }
            }
            query.groups.push(all);
        }
        query
    }

    /// Every value that a condition compares with.
    pub(super) fn values(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().flatten().flatten().map(|condition| condition.value.as_str())
    }

    /// Whether a row is found.
    pub(super) fn matches(&self, row: &dyn Fn(&str) -> String) -> bool {
        let any = |alternatives: &Vec<Condition>| alternatives.iter().any(|condition| condition.holds(row));
        self.groups.iter().any(|all| all.iter().all(any))
    }

    /// The order of two rows.
    pub(super) fn compare(&self, a: &dyn Fn(&str) -> String, b: &dyn Fn(&str) -> String) -> Ordering {
        let by = |(field, down): &(String, bool)| {
            let order = a(field).cmp(&b(field));
            if *down { order.reverse() } else { order }
        };
        self.order.iter().map(by).find(|order| *order != Ordering::Equal).unwrap_or(Ordering::Equal)
    }
}

fn condition(text: &str) -> Option<Condition> {
    let field = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.';
    let end = text.find(|c| !field(c))?;
    let (field, rest) = text.split_at(end);
    let operator = OPERATORS.into_iter().find(|operator| rest.starts_with(operator))?;
    Some(Condition { field: field.to_owned(), operator, value: rest[operator.len()..].to_owned() })
}

impl Condition {
    /// Texts are compared without regard to case, as the usual collation does.
    fn holds(&self, row: &dyn Fn(&str) -> String) -> bool {
        let (own, value) = (row(&self.field).to_lowercase(), self.value.to_lowercase());
        match self.operator {
            "=" => own == value,
            "!=" => own != value,
            ">" => own > value,
            ">=" => own >= value,
            "<" => !own.is_empty() && own < value,
            "<=" => !own.is_empty() && own <= value,
            "STARTSWITH" => own.starts_with(&value),
            "ENDSWITH" => own.ends_with(&value),
            "LIKE" => own.contains(&value),
            "NOT LIKE" => !own.contains(&value),
            "IN" => value.split(',').any(|one| one == own),
            "ISEMPTY" => own.is_empty(),
            _ => !own.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(text: &str) -> bool {
        let knows = |field: &str| ["a", "b", "sys_updated_on"].contains(&field);
        let row = |field: &str| match field {
            "a" => "One".to_owned(),
            "b" => String::new(),
            _ => "2026-11-02 08:00:00".to_owned(),
        };
        Query::parse(text, &knows).matches(&row)
    }

    #[test]
    fn conditions_groups_and_what_is_dropped() {
        for yes in [
            "",
            "a=one",
            "aSTARTSWITHOn",
            "a=x^ORa=One^bISEMPTY",
            "a=x^NQa=one",
            "aINx,one",
            "b=",
            "sys_updated_on>=2026-11-02 08:00:00^ORDERBYa",
            "nosuchfield=5",
            "a=one^nosuch=5",
        ] {
            assert!(finds(yes), "{yes}");
        }
        for no in ["a=x", "a=x^ORb=y", "sys_updated_on>2026-11-02 08:00:00", "aISEMPTY", "a=one^b=z"] {
            assert!(!finds(no), "{no}");
        }
    }
}
