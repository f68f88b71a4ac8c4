//! The part of `TicketSQL` that programs use, with its traps: dates in the caller's zone, 1970 for what is no date, a
//! field that does not exist finds nothing.

use jiff::{SignedDuration, Timestamp};

use super::ticket::{Ticket, Transaction};

/// What a condition is tried on.
pub(super) enum Subject<'a> {
    Ticket(&'a Ticket),
    /// A transaction and the queue of its ticket.
    Transaction(&'a Transaction, &'a str),
}

/// A search.
#[derive(Debug)]
pub(super) enum Query {
    Everything,
    And(Vec<Query>),
    Or(Vec<Query>),
    Condition { field: Field, operator: String, value: String },
    Date { field: Field, operator: String, from: Timestamp },
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Field {
    Id,
    Queue,
    Status,
    Subject,
    Owner,
    Created,
    Updated,
    ObjectType,
    ObjectId,
    Type,
    /// What a transaction changed.
    Changed,
    /// A custom field of the queue by its place, or one that does not exist.
    Custom(Option<usize>),
}

impl Query {
    /// Reads a search. The error is the service's sentence.
    pub(super) fn parse(text: &str, fields: &[String], zone: i64) -> Result<Self, String> {
        let tokens = tokens(text)?;
        if tokens.is_empty() {
            return Ok(Self::Everything);
        }
        let mut parser = Parser { tokens, at: 0, fields, zone };
        let query = parser.any()?;
        if parser.at < parser.tokens.len() { Err(parser.wrong("AGGREGATOR")) } else { Ok(query) }
    }

    pub(super) fn matches(&self, subject: &Subject<'_>) -> bool {
        match self {
            Self::Everything => true,
            Self::And(all) => all.iter().all(|part| part.matches(subject)),
            Self::Or(all) => all.iter().any(|part| part.matches(subject)),
            Self::Date { field, operator, from } => {
                let at = match (field, subject) {
                    (Field::Updated, Subject::Ticket(ticket)) => ticket.updated,
                    (_, Subject::Ticket(ticket)) => ticket.created,
                    (_, Subject::Transaction(transaction, _)) => transaction.created,
                };
                within(at, operator, *from)
            }
            Self::Condition { field: field @ (Field::Id | Field::ObjectId), operator, value } => {
                let id = match subject {
                    Subject::Ticket(ticket) => ticket.id,
                    Subject::Transaction(transaction, _) if *field == Field::ObjectId => transaction.ticket,
                    Subject::Transaction(transaction, _) => transaction.id,
                };
                compare(&id, operator, &value.parse().unwrap_or_default())
            }
            Self::Condition { field, operator, value } => {
                let own = text_of(field, subject).unwrap_or_default().to_lowercase();
                let value = value.to_lowercase();
                match operator.as_str() {
                    "LIKE" => own.contains(&value),
                    "NOT LIKE" => !own.contains(&value),
                    _ if own.is_empty() => operator == "!=",
                    _ => compare(&own, operator, &value),
                }
            }
        }
    }
}

fn text_of(field: &Field, subject: &Subject<'_>) -> Option<String> {
    match (field, subject) {
        (Field::Queue, Subject::Ticket(ticket)) => Some(ticket.queue.clone()),
        (Field::Queue, Subject::Transaction(_, queue)) => Some((*queue).to_owned()),
        (Field::Status, Subject::Ticket(ticket)) => Some(ticket.status.clone()),
        (Field::Subject, Subject::Ticket(ticket)) => Some(ticket.subject.clone()),
        (Field::Owner, Subject::Ticket(ticket)) => Some(ticket.owner.clone()),
        (Field::Custom(Some(at)), Subject::Ticket(ticket)) => ticket.field(*at).map(str::to_owned),
        (Field::ObjectType, Subject::Transaction(..)) => Some("RT::Ticket".to_owned()),
        (Field::Type, Subject::Transaction(transaction, _)) => Some(transaction.kind.to_owned()),
        (Field::Changed, Subject::Transaction(transaction, _)) => Some(transaction.field.clone()),
        _ => None,
    }
}

fn compare<T: PartialOrd>(own: &T, operator: &str, value: &T) -> bool {
    match operator {
        "=" => own == value,
        "!=" => own != value,
        ">" => own > value,
        ">=" => own >= value,
        "<" => own < value,
        "<=" => own <= value,
        _ => false,
    }
}

/// `=` means the whole day.
fn within(at: Timestamp, operator: &str, from: Timestamp) -> bool {
    if operator != "=" {
        return compare(&at, operator, &from);
    }
    let day = SignedDuration::from_hours(24);
    at >= from && from.checked_add(day).is_ok_and(|end| at < end)
}

/// A date in the caller's zone. In the form `...T...Z` the time of the day is passed over (seen on 5.0.3); what is no
/// date counts as 1970.
fn date(text: &str, zone: i64) -> Timestamp {
    let text = text.trim().trim_end_matches("UTC").trim_end();
    let (day, time) = match text.split_once([' ', 'T']) {
        Some((day, time)) if time.ends_with('Z') => (day, "00:00:00"),
        Some(both) => both,
        None => (text, "00:00:00"),
    };
    let sound = day.len() == 10 && time.len() == 8;
    let local: Option<Timestamp> = sound.then(|| format!("{day}T{time}Z").parse().ok()).flatten();
    let shifted = local.and_then(|at| at.checked_sub(SignedDuration::from_mins(zone)).ok());
    shifted.unwrap_or(Timestamp::UNIX_EPOCH)
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Operator(String),
    Open,
    Close,
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let (mut found, mut rest) = (Vec::new(), text.trim_start());
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '(' => take(&mut found, Token::Open, 1),
            ')' => take(&mut found, Token::Close, 1),
            '\'' | '"' => {
                let (value, length) = quoted(rest, first)
                    .ok_or_else(|| format!("Incomplete query, no closing quote in '{text}'"))?;
                take(&mut found, Token::Text(value), length)
            }
            '=' | '!' | '<' | '>' => {
                let length = rest.chars().take_while(|c| "=!<>".contains(*c)).count();
                take(&mut found, Token::Operator(rest[..length].to_owned()), length)
            }
            _ => {
                let end = word_end(rest);
                take(&mut found, Token::Word(rest[..end].to_owned()), end)
            }
        };
        rest = rest[length..].trim_start();
    }
    Ok(found)
}

fn take(found: &mut Vec<Token>, token: Token, length: usize) -> usize {
    found.push(token);
    length
}

/// A word ends at white space, but not within braces: `CF.{Lockstep Key}`.
fn word_end(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ if depth > 0 => {}
            _ if at > 0 && (c.is_whitespace() || "()=!<>'\"".contains(c)) => return at,
            _ => {}
        }
    }
    text.len()
}

/// The text in quotes and the length with them; a backslash takes the next character as it is.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            _ if c == quote => return Some((value, at + 1)),
            _ => value.push(c),
        }
    }
    None
}

struct Parser<'a> {
    tokens: Vec<Token>,
    at: usize,
    fields: &'a [String],
    zone: i64,
}

impl Parser<'_> {
    fn wrong(&self, expected: &str) -> String {
        format!("Wrong query, expecting a {expected} at {}", self.at)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.tokens.get(self.at), Some(Token::Word(own)) if own.eq_ignore_ascii_case(word))
    }

    fn any(&mut self) -> Result<Query, String> {
        let mut parts = vec![self.all()?];
        while self.is_word("OR") {
            self.at += 1;
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Query::Or(parts) })
    }

    fn all(&mut self) -> Result<Query, String> {
        let mut parts = vec![self.one()?];
        while self.is_word("AND") {
            self.at += 1;
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Query::And(parts) })
    }

    fn one(&mut self) -> Result<Query, String> {
        if self.tokens.get(self.at) == Some(&Token::Open) {
            self.at += 1;
            let inner = self.any()?;
            if self.tokens.get(self.at) != Some(&Token::Close) {
                return Err(self.wrong("CLOSE_PAREN"));
            }
            self.at += 1;
            return Ok(inner);
        }
        let Some(Token::Word(name)) = self.tokens.get(self.at).cloned() else {
            return Err(self.wrong("KEYWORD"));
        };
        self.at += 1;
        let operator = self.operator()?;
        let value = match self.tokens.get(self.at) {
            Some(Token::Text(value) | Token::Word(value)) => value.clone(),
            _ => return Err(self.wrong("VALUE")),
        };
        self.at += 1;
        let field = self.field(&name)?;
        if matches!(field, Field::Created | Field::Updated) {
            return Ok(Query::Date { field, operator, from: date(&value, self.zone) });
        }
        Ok(Query::Condition { field, operator, value })
    }

    fn operator(&mut self) -> Result<String, String> {
        let mut operator = match self.tokens.get(self.at) {
            Some(Token::Operator(operator)) => operator.clone(),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("like") => "LIKE".to_owned(),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("not") => "NOT".to_owned(),
            _ => return Err(self.wrong("OPERATOR")),
        };
        self.at += 1;
        if operator == "NOT" && self.is_word("LIKE") {
            self.at += 1;
            "NOT LIKE".clone_into(&mut operator);
        }
        Ok(operator)
    }

    fn field(&self, name: &str) -> Result<Field, String> {
        if let Some(custom) = name.strip_prefix("CF.{").and_then(|rest| rest.strip_suffix('}')) {
            return Ok(Field::Custom(self.fields.iter().position(|own| own.eq_ignore_ascii_case(custom))));
        }
        match name.to_ascii_lowercase().as_str() {
            "id" => Ok(Field::Id),
            "queue" | "ticketqueue" => Ok(Field::Queue),
            "status" => Ok(Field::Status),
            "subject" => Ok(Field::Subject),
            "owner" => Ok(Field::Owner),
            "created" => Ok(Field::Created),
            "lastupdated" => Ok(Field::Updated),
            "objecttype" => Ok(Field::ObjectType),
            "objectid" => Ok(Field::ObjectId),
            "type" => Ok(Field::Type),
            "field" => Ok(Field::Changed),
            _ => Err(format!("Unknown field: {name}")),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_the_callers_zone_and_anything_else_is_1970() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        assert_eq!(date("2026-11-23 09:06:51", 0), at("2026-11-23T09:06:51Z"));
        assert_eq!(date("2026-11-23 09:06:51", -300), at("2026-11-23T14:06:51Z"));
        assert_eq!(date("2026-11-23 09:06:51 UTC", -300), at("2026-11-23T14:06:51Z"));
        assert_eq!(date("2026-11-23T09:06:51", 0), at("2026-11-23T09:06:51Z"));
        assert_eq!(date("2026-11-23T09:06:51Z", 60), at("2026-11-22T23:00:00Z"));
        for odd in ["1763888811", "20261123T090651Z", "garbage", ""] {
            assert_eq!(date(odd, 0), Timestamp::UNIX_EPOCH, "{odd}");
        }
    }

    #[test]
    fn searches_are_read_or_refused() {
        let fields = ["Lockstep Key".to_owned()];
        let parse = |text: &str| Query::parse(text, &fields, 0);
        assert!(parse("CF.{Lockstep Key} = 'a\\'b' AND (id = 1 OR id > 7)").is_ok());
        assert!(parse("Nope = 'x'").unwrap_err().contains("Unknown field: Nope"));
        assert!(parse("garbage ~ 'x'").unwrap_err().contains("OPERATOR"));
        assert!(parse("id = 'x").is_err());
    }
}
