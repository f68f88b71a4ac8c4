//! Seeded mutations of an input: of its bytes and lines, and of its JSON where a part of it is some.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::Value;

use super::script::parted;

/// Longer inputs find nothing that shorter ones do not.
const MOST_BYTES: usize = 64 * 1024;

/// What parsers stumble over.
const NASTY: &[&str] = &[
    "null",
    "true",
    "-1",
    "0",
    "-0.0",
    "1e400",
    "1e-400",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "99999999999999999999",
    "NaN",
    "\"\"",
    "\" \"",
    "[]",
    "{}",
    "[",
    "}",
    "\"",
    "\\",
    "\\ud800",
    "\\u0000",
    "\0",
    "\u{1b}[2J",
    "\u{7f}",
    "\u{85}",
    "\u{a0}",
    "\u{200b}",
    "\u{202e}",
    "\u{2028}",
    "\u{feff}",
    "\u{fffd}",
    "e\u{301}\u{301}\u{301}",
    "😀",
    "ß",
    "İ",
    "\r\n",
    "\n\n",
    "\n%%\n",
    "%%",
    "\t",
    "..",
    "../",
    "/",
    "?",
    "#",
    "%2e%2e%2f",
    "%00",
    "'",
    "''",
    "' or 1=1 --",
    "^NQactive=true",
    "lockstep:",
    "lockstep-",
    "[lockstep ",
    "{{ title }}",
    "{% for a in range(99999) %}",
    "{{",
    "}}",
    "<script>",
    "&lt;",
    "&#0;",
    "&#x10ffff;",
    "<!--",
    "@",
    "=",
    "https://elsewhere.example/",
    "//elsewhere.example/",
    "https://remote.example@elsewhere.example/",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.9999999Z",
    "-009999-01-01T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "HTTP 204\n\n",
    "HTTP 302\nLocation: https://elsewhere.example/\n\n",
    "HTTP 429\nRetry-After: 1e9\n\n",
    "HTTP 500\n\n",
    "unknownFutureValue",
    "redirected",
    "Closed",
];

/// A mutation of one input; `others` are spliced into it.
pub(super) fn mutated(rng: &mut StdRng, input: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..rng.random_range(1..=4) {
        if rng.random_bool(0.5) {
            json(rng, &mut bytes);
        } else {
            text(rng, &mut bytes, others);
        }
        bytes.truncate(MOST_BYTES);
    }
    bytes
}

/// A range within, possibly empty.
fn range(rng: &mut StdRng, length: usize, most: usize) -> std::ops::Range<usize> {
    let start = rng.random_range(0..=length);
    start..(start + rng.random_range(0..=most)).min(length)
}

fn nasty(rng: &mut StdRng) -> &'static str {
    NASTY.choose(rng).copied().unwrap_or_default()
}

/// A change of bytes that needs to know nothing of them.
fn text(rng: &mut StdRng, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
    let length = bytes.len();
    match rng.random_range(0..9) {
        0 if length > 0 => bytes[rng.random_range(0..length)] ^= 1 << rng.random_range(0..8),
        1 if length > 0 => bytes[rng.random_range(0..length)] = rng.random(),
        2 => drop(bytes.drain(range(rng, length, 40))),
        3 => {
            let doubled = bytes[range(rng, length, 200)].to_vec();
            insert(bytes, rng.random_range(0..=length), &doubled);
        }
        4 => bytes.truncate(rng.random_range(0..=length)),
        5 => {
            let Some(other) = others.choose(rng) else { return };
            let tail = &other[rng.random_range(0..=other.len())..];
            bytes.truncate(rng.random_range(0..=length));
            bytes.extend_from_slice(tail);
        }
        6 => {
            let nested = [["[", "{\"a\":", "(", "{{ "][rng.random_range(0..4)]; 300].concat();
            insert(bytes, rng.random_range(0..=length), nested.as_bytes());
        }
        7 => {
            let at = range(rng, length, 12);
            bytes.splice(at, nasty(rng).bytes());
        }
        _ => insert(bytes, rng.random_range(0..=length), nasty(rng).as_bytes()),
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, new: &[u8]) {
    bytes.splice(at..at, new.iter().copied());
}

/// A change of one place in one part that is JSON, behind a head or without one.
fn json(rng: &mut StdRng, bytes: &mut Vec<u8>) {
    let mut parts: Vec<Vec<u8>> = parted(bytes).map(<[u8]>::to_vec).collect();
    let at = rng.random_range(0..parts.len());
    let part = &mut parts[at];
    let start = part.windows(2).position(|window| window == b"\n\n").map_or(0, |head| head + 2);
    let parsed = [start, 0]
        .into_iter()
        .find_map(|start| Some((start, serde_json::from_slice::<Value>(&part[start..]).ok()?)));
    let Some((start, mut value)) = parsed else { return };
    let mut places = Vec::new();
    list(&value, "", &mut places);
    let (place, source) = (places.choose(rng).cloned(), places.choose(rng).cloned());
    let copied = source.and_then(|place| value.pointer(&place)).cloned().unwrap_or_default();
    if let Some(target) = place.and_then(|place| value.pointer_mut(&place)) {
        change(rng, target, copied);
    }
    part.truncate(start);
    part.extend_from_slice(value.to_string().as_bytes());
    *bytes = parts.join(&b"\n%%\n"[..]);
}

/// Pointers to everything within.
fn list(value: &Value, at: &str, places: &mut Vec<String>) {
    places.push(at.to_owned());
    let mut below = |name: &str, value: &Value| list(value, &format!("{at}/{name}"), places);
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(name, value)| below(&name.replace('~', "~0").replace('/', "~1"), value));
        }
        Value::Array(list) => list.iter().enumerate().for_each(|(at, value)| below(&at.to_string(), value)),
        _ => {}
    }
}

fn change(rng: &mut StdRng, place: &mut Value, copied: Value) {
    match (rng.random_range(0..8), place) {
        (0, place) => *place = copied,
        (1, Value::Object(map)) => {
            let key = map.keys().nth(rng.random_range(0..=map.len())).cloned();
            let value = key.and_then(|key| map.remove(&key));
            map.insert(nasty(rng).to_owned(), value.unwrap_or(copied));
        }
        (1 | 2, Value::Array(list)) => {
            let again = list.choose(rng).cloned().unwrap_or(copied);
            list.extend(vec![again; rng.random_range(1..=60)]);
        }
        (1..=3, Value::String(text)) => {
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            let at = ends.collect::<Vec<_>>().choose(rng).copied().unwrap_or_default();
            text.insert_str(at, &nasty(rng).repeat(if rng.random_bool(0.1) { 400 } else { 1 }));
        }
        (4, place) => *place = Value::Null,
        (5, place) => *place = Value::String(nasty(rng).to_owned()),
        (6, place) => *place = serde_json::from_str(nasty(rng)).unwrap_or_default(),
        (_, place) => *place = Value::Array(vec![place.take()]),
    }
}
