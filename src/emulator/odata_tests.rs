//! Filters that pass, fail and are refused.

use super::odata::{Filter, FilterError, Operand, Shape, order_by};

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
    for text in ["status eq 'resolved'", "at le 2026-01-01T00:00:00Z", "labels/any(x:x/labelName eq 'snow')"]
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
    assert_eq!(order_by("at desc,number").unwrap(), [("at".to_owned(), true), ("number".to_owned(), false)]);
    assert!(order_by("at downwards").is_err());
}
