//! The little of JQL that is spoken here; all else is refused, as Jira refuses what it does not understand.

use jiff::Timestamp;
use jiff::tz::Offset;

use super::issue::Issue;

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Clause {
    All(Vec<Clause>),
    Any(Vec<Clause>),
    Project(String),
    Label(String),
    /// At or after this time.
    UpdatedFrom(Timestamp),
}

/// What the rows are sorted by, ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Updated,
    Created,
    Key,
}

/// A query.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Query {
    pub(super) clause: Clause,
    pub(super) order: Vec<Order>,
}

impl Clause {
    pub(super) fn matches(&self, issue: &Issue) -> bool {
        match self {
            Self::All(all) => all.iter().all(|clause| clause.matches(issue)),
            Self::Any(any) => any.iter().any(|clause| clause.matches(issue)),
            Self::Project(key) => issue.project == *key,
            // Exact, in upper and lower case, unlike `~`.
            Self::Label(label) => issue.labels.contains(label),
            Self::UpdatedFrom(at) => issue.updated >= *at,
        }
    }
}

impl Query {
    /// What a row is sorted by.
    pub(super) fn rank(&self, issue: &Issue) -> Vec<i64> {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let of = |order: &Order| match order {
            Order::Updated => issue.updated.as_millisecond(),
            Order::Created => issue.created.as_millisecond(),
            Order::Key => number(issue.number),
        };
        // Issues of several projects can have one number; the index has an order of its own then.
        self.order.iter().map(of).chain([number(issue.id)]).collect()
    }
}

/// Reads a query; `zone_hours` is the offset of the account, in which times in text are meant.
pub(super) fn parse(text: &str, zone_hours: i8) -> Result<Query, String> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, zone_hours };
    let clause = parser.any()?;
    let order = parser.order()?;
    match parser.next() {
        None => Ok(Query { clause, order }),
        Some(token) => {
            Err(format!("Error in the JQL Query: Expecting either 'OR' or 'AND' but got '{token}'."))
        }
    }
}

fn tokens(text: &str) -> Result<Vec<String>, String> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_whitespace() {
            continue;
        }
        let mut token = c.to_string();
        match c {
            '"' => loop {
                match chars.next() {
                    Some('"') => break,
                    Some('\\') => token.extend(chars.next()),
                    Some(c) => token.push(c),
                    None => {
                        return Err(
                            "Error in the JQL Query: The quoted string has not been completed.".to_owned()
                        );
                    }
                }
            },
            '(' | ')' | ',' => {}
            '=' | '>' | '<' | '!' | '~' => {
                while let Some(c) = chars.next_if(|c| matches!(c, '=' | '>' | '<' | '~')) {
                    token.push(c);
                }
            }
            _ => {
                while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.')) {
                    token.push(c);
                }
            }
        }
        tokens.push(token);
    }
    Ok(tokens)
}

struct Parser {
    /// Quoted ones begin with a quotation mark and have none at the end.
    tokens: Vec<String>,
    at: usize,
    zone_hours: i8,
}

impl Parser {
    fn next(&mut self) -> Option<String> {
        self.at += 1;
        self.tokens.get(self.at - 1).cloned()
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.tokens.get(self.at).is_some_and(|token| token.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn any(&mut self) -> Result<Clause, String> {
        let mut clauses = vec![self.all()?];
        while self.take("OR") {
            clauses.push(self.all()?);
        }
        Ok(if clauses.len() == 1 { clauses.remove(0) } else { Clause::Any(clauses) })
    }

    fn all(&mut self) -> Result<Clause, String> {
        let mut clauses = vec![self.one()?];
        while self.take("AND") {
            clauses.push(self.one()?);
        }
        Ok(if clauses.len() == 1 { clauses.remove(0) } else { Clause::All(clauses) })
    }

    fn one(&mut self) -> Result<Clause, String> {
        if self.take("(") {
            let clause = self.any()?;
            return if self.take(")") { Ok(clause) } else { Err(refused("a bracket is not closed")) };
        }
        let field = self.next().ok_or_else(|| refused("a condition is missing"))?;
        let operator = self.next().unwrap_or_default();
        let value = self.next().ok_or_else(|| refused("a value is missing"))?;
        let text = value.strip_prefix('"').unwrap_or(&value).to_owned();
        match (field.to_ascii_lowercase().as_str(), operator.as_str()) {
            ("project", "=") => Ok(Clause::Project(text)),
            ("labels", "=") => Ok(Clause::Label(text)),
            ("labels", _) => {
                Err(refused(&format!("The operator '{operator}' is not supported by the 'labels' field.")))
            }
            ("updated", ">=") => self.time(&value, &text).map(Clause::UpdatedFrom),
            _ => Err(refused(&format!(
                "Field '{field}' does not exist or you do not have permission to view it."
            ))),
        }
    }

    /// Epoch milliseconds without quotes, or a text of minutes in the zone of the account.
    fn time(&self, value: &str, text: &str) -> Result<Timestamp, String> {
        if let Ok(millis) = value.parse::<i64>() {
            return Timestamp::from_millisecond(millis).map_err(|e| refused(&e.to_string()));
        }
        let fail = || {
            refused(&format!(
                "Date value '{text}' for field 'updated' is invalid. Valid formats include: 'yyyy/MM/dd HH:mm', 'yyyy-MM-dd HH:mm'."
            ))
        };
        let civil =
            jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M", text.replace('/', "-")).map_err(|_| fail())?;
        let offset = Offset::from_hours(self.zone_hours).unwrap_or(Offset::UTC);
        offset.to_timestamp(civil).map_err(|_| fail())
    }

    fn order(&mut self) -> Result<Vec<Order>, String> {
        let mut order = Vec::new();
        if !self.take("ORDER") {
            return Ok(order);
        }
        if !self.take("BY") {
            return Err(refused("Expecting 'BY'"));
        }
        loop {
            let field = self.next().unwrap_or_default();
            order.push(match field.to_ascii_lowercase().as_str() {
                "updated" => Order::Updated,
                "created" => Order::Created,
                "key" => Order::Key,
                _ => return Err(refused(&format!("Not able to sort using field '{field}'."))),
            });
            if self.take("DESC") {
                return Err(refused("descending order is not spoken here"));
            }
            self.take("ASC");
            if !self.take(",") {
                return Ok(order);
            }
        }
    }
}

fn refused(what: &str) -> String {
    format!("Error in the JQL Query: {what}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_lockstep_asks_is_understood() {
        let query = parse(
            "(project = \"SOC\" OR labels = \"lockstep\") AND updated >= 1795425177123 ORDER BY updated ASC, key ASC",
            0,
        );
        let query = query.unwrap();
        assert_eq!(query.order, [Order::Updated, Order::Key]);
        let Clause::All(all) = query.clause else { panic!() };
        assert_eq!(all[1], Clause::UpdatedFrom("2026-11-23T09:12:57.123Z".parse().unwrap()));
    }

    #[test]
    fn times_in_text_are_minutes_in_the_zone_of_the_account() {
        let query = parse("updated >= \"2026-11-23 10:12\"", 1).unwrap();
        assert_eq!(query.clause, Clause::UpdatedFrom("2026-11-23T09:12:00Z".parse().unwrap()));
        assert!(parse("updated >= \"2026-11-23 10:12:30\"", 1).is_err());
    }

    #[test]
    fn all_else_is_refused() {
        for text in [
            "",
            "labels ~ \"x\"",
            "issue.property[lockstep].key = \"x\"",
            "labels = \"x",
            "(labels = x",
            "labels = x x",
            "status = Done",
        ] {
            assert!(parse(text, 0).is_err(), "{text}");
        }
    }
}
