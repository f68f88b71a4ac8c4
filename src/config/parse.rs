//! What single values must look like. Each parser says what it wanted and shows an example.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use toml::de::DeValue;
use url::Url;

use super::reader::nearest;

/// Any text that is not blank.
pub(super) fn text(value: &DeValue<'_>) -> Result<String, String> {
    match value.as_str().map(str::trim) {
        Some("") => Err("must not be empty".to_owned()),
        Some(text) => Ok(text.to_owned()),
        None => Err(format!("must be a text in quotes, not {}", a(value))),
    }
}

/// A name that can stand in record references, addresses and metric labels.
pub(super) fn name(value: &DeValue<'_>) -> Result<String, String> {
    let name = text(value)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.chars().all(plain) {
        Ok(name)
    } else {
        Err(format!("'{name}' may hold only letters, digits, '-', '_' and '.'"))
    }
}

/// `true` or `false`.
pub(super) fn boolean(value: &DeValue<'_>) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| format!("must be true or false, not {}", a(value)))
}

/// A number above zero, at most 1000.
pub(super) fn factor(value: &DeValue<'_>) -> Result<f64, String> {
    let written = value.as_float().map(toml::de::DeFloat::as_str);
    let written = written.or_else(|| value.as_integer().map(toml::de::DeInteger::as_str));
    match written.and_then(|text| text.replace('_', "").parse::<f64>().ok()) {
        Some(factor) if factor > 0.0 && factor <= 1000.0 => Ok(factor),
        _ => Err("must be a number above 0 and up to 1000, such as 1.0".to_owned()),
    }
}

/// A path.
pub(super) fn path(value: &DeValue<'_>) -> Result<PathBuf, String> {
    text(value).map(PathBuf::from)
}

/// An address to listen on; port 0 lets the system choose.
pub(super) fn listen(value: &DeValue<'_>) -> Result<SocketAddr, String> {
    let text = text(value)?;
    text.replace("localhost", "127.0.0.1")
        .parse()
        .map_err(|_| format!("'{text}' is no address to listen on; write one like \"127.0.0.1:8787\""))
}

/// An http or https address.
pub(super) fn url(value: &DeValue<'_>) -> Result<Url, String> {
    let text = text(value)?;
    // The text stays out of the message: a proxy address may hold a password.
    let url = Url::parse(&text)
        .map_err(|error| format!("this is no URL ({error}); write one like \"https://host/path\""))?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() {
        Ok(url)
    } else {
        Err("a URL must begin with https:// (or http://) and name a host".to_owned())
    }
}

/// A duration above zero: `250ms`, `15s`, `2m`, `1h`, `30d`.
pub(super) fn duration(value: &DeValue<'_>) -> Result<Duration, String> {
    let example = "write a number with its unit, such as \"15s\", \"2m\" or \"1h\"";
    let Some(text) = value.as_str().map(str::trim) else {
        return Err(format!("is {}; {example}", a(value)));
    };
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_ms: u64 = match unit.trim() {
        "ms" => 1,
        "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(format!("'{text}' is no duration; {example}")),
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_ms)) {
        Some(0) => Err(format!("'{text}' must be above zero; {example}")),
        Some(ms) => Ok(Duration::from_millis(ms)),
        None => Err(format!("'{text}' is no duration; {example}")),
    }
}

/// A moment in UTC, as text or as a TOML date-time with offset.
pub(super) fn timestamp(value: &DeValue<'_>) -> Result<Timestamp, String> {
    let text = match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Datetime(datetime) => datetime.to_string(),
        other => return Err(format!("must be a moment, such as \"2026-11-01T00:00:00Z\", not {}", a(other))),
    };
    text.parse().map_err(|_| format!("'{text}' is no moment; write one like \"2026-11-01T00:00:00Z\""))
}

/// One of a few words.
pub(super) fn word<T: Copy>(value: &DeValue<'_>, words: &[(&str, T)]) -> Result<T, String> {
    let written = text(value)?;
    if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == written) {
        return Ok(*meaning);
    }
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let hint = nearest(&written, &known).map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
    Err(format!("'{written}' is none of {}{hint}", known.join(", ")))
}

/// The type of a value with its article.
fn a(value: &DeValue<'_>) -> String {
    match value.type_str() {
        kind @ ("integer" | "array") => format!("an {kind}"),
        kind => format!("a {kind}"),
    }
}
