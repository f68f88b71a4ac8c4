//! The part of `OData` that both services take in `$filter` and `$orderby`.
//!
//! `or`, `and`, `not`, parentheses, comparisons of a property with a literal, `contains(p,'x')` and
//! `contains(toLower(p),'x')`, and `p/any(v:v/q eq 'x')`.

use std::cmp::Ordering;

use jiff::Timestamp;

/// A property's value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Null,
    Text(String),
    Time(Timestamp),
    Number(i64),
    /// The names in a collection, for `any`.
    Names(Vec<String>),
}

impl Operand {
    /// A text, or null.
    pub(super) fn text(text: Option<&str>) -> Self {
        text.map_or(Self::Null, |text| Self::Text(text.to_owned()))
    }
}

/// What kind of value a filterable property has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Free text.
    Text,
    /// One of these members.
    Enum(&'static [&'static str]),
    Time,
    Number,
    /// A collection whose elements have this property.
    Names(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
}

/// A filter that was read and checked.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Filter {
    Any(Vec<Filter>),
    All(Vec<Filter>),
    Not(Box<Filter>),
    Compare(String, OpLiteral),
    Contains { property: String, lower: bool, text: String },
    AnyName { property: String, text: String },
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct OpLiteral {
    op: Op,
    literal: Operand,
}

/// Why a filter is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FilterError {
    /// No such property, or not one to filter on.
    Property(String),
    /// Anything else, in words.
    Syntax(String),
}

impl Filter {
    /// Reads a filter. `shape` tells which properties may be filtered on, by their full path.
    pub(super) fn parse(text: &str, shape: &dyn Fn(&str) -> Option<Shape>) -> Result<Self, FilterError> {
        let tokens = tokens(text)?;
        let mut parser = Parser { tokens: &tokens, shape };
        let filter = parser.any_of()?;
        match parser.tokens.first() {
            None => Ok(filter),
            Some(token) => Err(unexpected(token)),
        }
    }

    /// Whether a record passes; `property` gives its values.
    pub(super) fn passes(&self, property: &dyn Fn(&str) -> Operand) -> bool {
        match self {
            Self::Any(parts) => parts.iter().any(|part| part.passes(property)),
            Self::All(parts) => parts.iter().all(|part| part.passes(property)),
            Self::Not(part) => !part.passes(property),
            Self::Compare(name, comparison) => comparison.holds(&property(name)),
            Self::Contains { property: name, lower, text } => match property(name) {
                Operand::Text(value) if *lower => value.to_lowercase().contains(text),
                Operand::Text(value) => value.contains(text),
                _ => false,
            },
            Self::AnyName { property: name, text } => match property(name) {
                Operand::Names(names) => names.contains(text),
                _ => false,
            },
        }
    }
}

impl OpLiteral {
    fn holds(&self, value: &Operand) -> bool {
        let order = compare(value, &self.literal);
        match self.op {
            Op::Eq => order == Some(Ordering::Equal),
            Op::Ne => order != Some(Ordering::Equal),
            Op::Gt => order == Some(Ordering::Greater),
            Op::Ge => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            Op::Lt => order == Some(Ordering::Less),
            Op::Le => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        }
    }
}

fn compare(a: &Operand, b: &Operand) -> Option<Ordering> {
    match (a, b) {
        (Operand::Null, Operand::Null) => Some(Ordering::Equal),
        (Operand::Text(a), Operand::Text(b)) => Some(a.cmp(b)),
        (Operand::Time(a), Operand::Time(b)) => Some(a.cmp(b)),
        (Operand::Number(a), Operand::Number(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// Order of two values for `$orderby`; null comes first.
pub(super) fn order(a: &Operand, b: &Operand) -> Ordering {
    compare(a, b).unwrap_or_else(|| (*b == Operand::Null).cmp(&(*a == Operand::Null)))
}

/// `$orderby`: properties, each with whether it descends.
pub(super) fn order_by(text: &str) -> Result<Vec<(String, bool)>, String> {
    let part = |part: &str| {
        let mut words = part.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some(name), None | Some("asc"), None) => Ok((name.to_owned(), false)),
            (Some(name), Some("desc"), None) => Ok((name.to_owned(), true)),
            _ => Err(format!("The query specified in the URI is not valid. Syntax error in '{part}'.")),
        }
    };
    text.split(',').map(part).collect()
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Open,
    Close,
    Comma,
    Colon,
    Text(String),
    Word(String),
}

fn unexpected(token: &Token) -> FilterError {
    let text = match token {
        Token::Open => "(",
        Token::Close => ")",
        Token::Comma => ",",
        Token::Colon => ":",
        Token::Text(text) | Token::Word(text) => text,
    };
    FilterError::Syntax(format!("Syntax error at '{text}' in the filter."))
}

fn tokens(text: &str) -> Result<Vec<Token>, FilterError> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            _ if c.is_whitespace() => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            ',' => Token::Comma,
            ':' => Token::Colon,
            '\'' => Token::Text(quoted(&mut chars)?),
            _ => {
                let mut word = String::from(c);
                // A colon belongs to a word only inside a time, that is after a digit.
                while let Some(next) = chars.next_if(|next| {
                    let in_time = *next == ':' && word.starts_with(|c: char| c.is_ascii_digit());
                    in_time || !(next.is_whitespace() || "(),':".contains(*next))
                }) {
                    word.push(next);
                }
                Token::Word(word)
            }
        });
    }
    Ok(tokens)
}

fn quoted(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String, FilterError> {
    let mut text = String::new();
    while let Some(c) = chars.next() {
        if c != '\'' {
            text.push(c);
        } else if chars.next_if_eq(&'\'').is_some() {
            text.push('\'');
        } else {
            return Ok(text);
        }
    }
    Err(FilterError::Syntax("There is an unterminated string literal in the filter.".to_owned()))
}

struct Parser<'a> {
    tokens: &'a [Token],
    shape: &'a dyn Fn(&str) -> Option<Shape>,
}

impl Parser<'_> {
    fn next(&mut self) -> Result<&Token, FilterError> {
        let (first, rest) = self
            .tokens
            .split_first()
            .ok_or_else(|| FilterError::Syntax("The filter ends too early.".to_owned()))?;
        self.tokens = rest;
        Ok(first)
    }

    fn expect(&mut self, wanted: &Token) -> Result<(), FilterError> {
        let token = self.next()?;
        if token == wanted { Ok(()) } else { Err(unexpected(token)) }
    }

    fn word(&mut self) -> Result<String, FilterError> {
        match self.next()? {
            Token::Word(word) => Ok(word.clone()),
            other => Err(unexpected(other)),
        }
    }

    fn text(&mut self) -> Result<String, FilterError> {
        match self.next()? {
            Token::Text(text) => Ok(text.clone()),
            other => Err(unexpected(other)),
        }
    }

    fn skip_word(&mut self, word: &str) -> bool {
        let found = matches!(self.tokens.first(), Some(Token::Word(w)) if w == word);
        if found {
            self.tokens = &self.tokens[1..];
        }
        found
    }

    fn any_of(&mut self) -> Result<Filter, FilterError> {
        let mut parts = vec![self.all_of()?];
        while self.skip_word("or") {
            parts.push(self.all_of()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Filter::Any(parts) })
    }

    fn all_of(&mut self) -> Result<Filter, FilterError> {
        let mut parts = vec![self.one()?];
        while self.skip_word("and") {
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Filter::All(parts) })
    }

    fn one(&mut self) -> Result<Filter, FilterError> {
        if self.skip_word("not") {
            return Ok(Filter::Not(Box::new(self.one()?)));
        }
        if self.tokens.first() == Some(&Token::Open) {
            self.next()?;
            let inner = self.any_of()?;
            self.expect(&Token::Close)?;
            return Ok(inner);
        }
        let word = self.word()?;
        match (word.as_str(), word.strip_suffix("/any")) {
            ("contains", _) => self.contains(),
            (_, Some(collection)) => self.any_name(collection),
            _ => self.comparison(word),
        }
    }

    fn contains(&mut self) -> Result<Filter, FilterError> {
        self.expect(&Token::Open)?;
        let mut property = self.word()?;
        let lower = property.eq_ignore_ascii_case("tolower");
        if lower {
            self.expect(&Token::Open)?;
            property = self.word()?;
            self.expect(&Token::Close)?;
        }
        if (self.shape)(&property).is_none() {
            return Err(FilterError::Property(property));
        }
        self.expect(&Token::Comma)?;
        let text = self.text()?;
        self.expect(&Token::Close)?;
        Ok(Filter::Contains { property, lower, text })
    }

    fn any_name(&mut self, collection: &str) -> Result<Filter, FilterError> {
        let Some(Shape::Names(member)) = (self.shape)(collection) else {
            return Err(FilterError::Property(collection.to_owned()));
        };
        self.expect(&Token::Open)?;
        let variable = self.word()?;
        self.expect(&Token::Colon)?;
        let path = self.word()?;
        if path != format!("{variable}/{member}") || !self.skip_word("eq") {
            return Err(FilterError::Syntax(format!(
                "Only '{variable}/{member} eq' is understood in any()."
            )));
        }
        let text = self.text()?;
        self.expect(&Token::Close)?;
        Ok(Filter::AnyName { property: collection.to_owned(), text })
    }

    fn comparison(&mut self, property: String) -> Result<Filter, FilterError> {
        let shape = (self.shape)(&property).ok_or_else(|| FilterError::Property(property.clone()))?;
        let op = match self.word()?.as_str() {
            "eq" => Op::Eq,
            "ne" => Op::Ne,
            "gt" => Op::Gt,
            "ge" => Op::Ge,
            "lt" => Op::Lt,
            "le" => Op::Le,
            other => return Err(FilterError::Syntax(format!("Unknown operator '{other}' in the filter."))),
        };
        let literal = literal(self.next()?, shape)?;
        if !matches!(op, Op::Eq | Op::Ne) && matches!(shape, Shape::Text | Shape::Enum(_)) {
            return Err(FilterError::Syntax(format!("'{property}' can only be compared with eq and ne.")));
        }
        Ok(Filter::Compare(property, OpLiteral { op, literal }))
    }
}

fn literal(token: &Token, shape: Shape) -> Result<Operand, FilterError> {
    match (token, shape) {
        (Token::Word(word), _) if word == "null" => Ok(Operand::Null),
        (Token::Text(text), Shape::Text) => Ok(Operand::Text(text.clone())),
        (Token::Text(text), Shape::Enum(members)) if members.contains(&text.as_str()) => {
            Ok(Operand::Text(text.clone()))
        }
        (Token::Word(word), Shape::Time) => word.parse().map(Operand::Time).map_err(|_| unexpected(token)),
        (Token::Word(word), Shape::Number) => {
            word.parse().map(Operand::Number).map_err(|_| unexpected(token))
        }
        _ => Err(unexpected(token)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shape(name: &str) -> Option<Shape> {
        match name {
            "status" => Some(Shape::Enum(&["active", "resolved"])),
            "owner" => Some(Shape::Text),
            "at" => Some(Shape::Time),
            "number" => Some(Shape::Number),
            "labels" => Some(Shape::Names("labelName")),
            _ => None,
        }
    }

    fn record(name: &str) -> Operand {
        match name {
            "status" => Operand::text(Some("active")),
            "at" => Operand::Time("2026-01-01T00:00:00.5Z".parse().unwrap()),
            "number" => Operand::Number(7),
            "labels" => Operand::Names(vec!["Snow".to_owned()]),
            _ => Operand::Null,
        }
    }

    fn passes(text: &str) -> bool {
        Filter::parse(text, &shape).unwrap().passes(&record)
    }

    #[test]
    fn filters_pass_and_refuse() {
        for text in [
            "status eq 'active'",
            "status ne 'resolved' and owner eq null",
            "(status eq 'resolved' or number eq 7) and at ge 2026-01-01T00:00:00Z",
            "at gt 2026-01-01T00:00:00.4999999Z and at lt 2026-01-02T00:00:00+01:00",
            "not (number gt 7)",
            "(labels/any(i:i/labelName eq 'Snow'))",
            "contains(toLower(status), 'act')",
            "owner ne 'it''s'",
        ] {
            assert!(passes(text), "{text}");
        }
        for text in
            ["status eq 'resolved'", "at le 2026-01-01T00:00:00Z", "labels/any(x:x/labelName eq 'snow')"]
        {
            assert!(!passes(text), "{text}");
        }
    }

    #[test]
    fn and_binds_closer_than_or() {
        assert!(passes("status eq 'active' or status eq 'resolved' and number eq 1"));
    }

    #[test]
    fn nonsense_is_refused() {
        let error = |text: &str| Filter::parse(text, &shape).unwrap_err();
        assert_eq!(error("colour eq 'x'"), FilterError::Property("colour".to_owned()));
        for text in [
            "",
            "status -eq \"Active\"",
            "status eq active",
            "status eq 'unheardOf'",
            "at ge '2026-01-01T00:00:00Z'",
            "at ge 2026-01-01T00:00:00 01:00",
            "status gt 'active'",
            "(status eq 'active'",
            "status eq 'active",
            "number eq 7 number eq 8",
        ] {
            assert!(matches!(error(text), FilterError::Syntax(_)), "{text}");
        }
    }

    #[test]
    fn orders_are_read() {
        assert_eq!(
            order_by("at desc,number").unwrap(),
            [("at".to_owned(), true), ("number".to_owned(), false)]
        );
        assert!(order_by("at downwards").is_err());
    }
}
