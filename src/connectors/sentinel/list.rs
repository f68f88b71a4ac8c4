//! Lists: changed incidents, comments of one, alerts of one.

use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use uuid::Uuid;

use super::Sentinel;
use super::snapshot::{alert_link, comment, incident};
use crate::connectors::endpoint::set_query;
use crate::connectors::text::shown;
use crate::connectors::{Malformed, Page, PageToken};
use crate::http::{Answer, Call, CallError, Priority};
use crate::model::{Comment, RecordRef, SystemName};

/// Rows per page; the service takes up to 1,000 (`sentinel.md` 1.3), but such pages are large and slow.
const PAGE_SIZE: &str = "200";
/// Pages of one list. More is taken for a loop that never repeats a link.
const MAX_PAGES: usize = 500;
/// Pages of one incident's comments, of which it can have 100 (`sentinel.md` 2.1).
const MAX_COMMENT_PAGES: usize = 20;

/// The operation names in logs and metrics.
const LIST: &str = "incidents.list";
const COMMENTS: &str = "comments.list";

/// The next page and the pages that were before.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Trail {
    /// The link to follow, already encoded.
    link: String,
    /// Digests of the links followed so far.
    seen: Vec<Uuid>,
}

impl Trail {
    /// The trail after this link, unless it goes in circles.
    fn further(&self, link: &Url, most: usize) -> Result<Self, String> {
        let digest = Uuid::new_v5(&Uuid::NAMESPACE_URL, link.as_str().as_bytes());
        if self.seen.contains(&digest) {
            return Err(format!("nextLink repeats itself: {}", shown(link.as_str())));
        }
        if self.seen.len() + 1 >= most {
            return Err(format!("more than {most} pages; last nextLink: {}", shown(link.as_str())));
        }
        let seen = self.seen.iter().copied().chain([digest]).collect();
        Ok(Self { link: link.to_string(), seen })
    }
}

impl Sentinel {
    /// One page of changed incidents, by the service's own links.
    pub(super) async fn changes(
        &self,
        since: Timestamp,
        page: Option<&PageToken>,
    ) -> Result<Page, CallError> {
        let trail: Trail = match page {
            None => Trail::default(),
            Some(token) => serde_json::from_str(&token.0)
                .map_err(|e| self.endpoint.invalid(LIST, format!("foreign page token: {e}")))?,
        };
        let url = if trail.link.is_empty() {
            let filter = format!("properties/lastModifiedTimeUtc ge {since:.3}");
            let order = "properties/lastModifiedTimeUtc asc";
            self.url(LIST, &[], &[("$filter", &filter), ("$orderby", order), ("$top", PAGE_SIZE)])?
        } else {
            self.own_link(&trail.link).map_err(|what| self.endpoint.invalid(LIST, what))?
        };
        let answer =
            self.endpoint.send(Call::get(LIST, "arm-read", url).with_priority(Priority::Poll)).await?;
        let mut result = Page { server_time: answer.date, ..Page::default() };
        for row in self.endpoint.values(LIST, &answer)? {
            match incident(&self.endpoint.system, self.peer.as_ref(), row, false) {
                Ok(read) => result.snapshots.push(read),
                Err(reason) => {
                    result.malformed.push(Malformed { id: row["name"].as_str().map(shown), reason });
                }
            }
        }
        if let Some(next) = self.next(LIST, &answer, &trail, MAX_PAGES)? {
            let token = serde_json::to_string(&next)
                .map_err(|e| self.endpoint.invalid(LIST, format!("page token: {e}")))?;
            result.next = Some(PageToken(token));
        }
        Ok(result)
    }

    /// All comments of an incident. One that cannot be read fails the list: a look-up must not overlook a copy.
    pub(super) async fn comments(&self, record: &RecordRef) -> Result<Vec<Comment>, CallError> {
        let mut url = self.url(COMMENTS, &[record.id.as_str(), "comments"], &[])?;
        let (mut all, mut trail) = (Vec::new(), Trail::default());
        loop {
            let answer = self.endpoint.send(Call::get(COMMENTS, "comments-get", url)).await?;
            for row in self.endpoint.values(COMMENTS, &answer)? {
                let read = comment(row);
                all.push(
                    read.map_err(|e| self.endpoint.malformed(COMMENTS, &answer, format!("{record}: {e}")))?,
                );
            }
            let Some(next) = self.next(COMMENTS, &answer, &trail, MAX_COMMENT_PAGES)? else { return Ok(all) };
            url =
                self.own_link(&next.link).map_err(|what| self.endpoint.malformed(COMMENTS, &answer, what))?;
            trail = next;
        }
    }

    /// The Defender alerts of an incident.
    pub(super) async fn alert_links(
        &self,
        record: &RecordRef,
        peer: &SystemName,
    ) -> Result<Vec<RecordRef>, CallError> {
        let operation = "incident-alerts.list";
        let url = self.url(operation, &[record.id.as_str(), "alerts"], &[])?;
        let answer = self.endpoint.send(Call::query(operation, "alerts", url, None)).await?;
        let mut links: Vec<_> = self
            .endpoint
            .values(operation, &answer)?
            .iter()
            .filter_map(|alert| alert_link(alert, peer))
            .collect();
        links.sort();
        links.dedup();
        Ok(links)
    }

    fn next(
        &self,
        operation: &'static str,
        answer: &Answer,
        trail: &Trail,
        most: usize,
    ) -> Result<Option<Trail>, CallError> {
        let link = match &answer.body["nextLink"] {
            Value::Null => return Ok(None),
            Value::String(link) if link.is_empty() => return Ok(None),
            Value::String(link) => link,
            other => {
                let what = format!("nextLink is no text: {}", shown(&other.to_string()));
                return Err(self.endpoint.malformed(operation, answer, what));
            }
        };
        let next = self.own_link(link).and_then(|url| trail.further(&url, most));
        next.map(Some).map_err(|what| self.endpoint.malformed(operation, answer, what))
    }

    /// A link of the service in a form that it accepts: it sends them unescaped (`sentinel.md` 1.3). Our token
    /// goes to the configured origin only.
    fn own_link(&self, link: &str) -> Result<Url, String> {
        let url = encoded(link).map_err(|e| format!("nextLink {} is no address: {e}", shown(link)))?;
        if self.endpoint.is_ours(&url) {
            Ok(url)
        } else {
            Err(format!("nextLink {} leads away from the configured arm_url", shown(link)))
        }
    }
}

/// Decodes and encodes again every query value, so that escaped and unescaped links come out the same.
fn encoded(link: &str) -> Result<Url, url::ParseError> {
    let (address, query) = link.split_once('?').unwrap_or((link, ""));
    let mut url = Url::parse(address)?;
    let pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
            (decode(name), decode(value))
        })
        .collect();
    set_query(&mut url, pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    Ok(url)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::connectors::testing::cases;

    #[test]
    fn raw_and_escaped_links_come_out_the_same() {
        let raw = "https://h/p?api-version=1&$filter=properties/a ge 2026-01-01T00:00:00Z&$skipToken=a+b/c==";
        let url = encoded(raw).unwrap();
        assert_eq!(
            url.query(),
            Some(
                "api-version=1&$filter=properties/a%20ge%202026-01-01T00%3A00%3A00Z&$skipToken=a%2Bb/c%3D%3D"
            )
        );
        assert_eq!(encoded(url.as_str()).unwrap(), url);
        assert!(encoded("/relative?x=1").is_err());
    }

    proptest! {
        #![proptest_config(cases(1_000))]

        #[test]
        fn links_of_any_text_are_addresses_or_refused(text in "\\PC{0,40}", query in any::<String>()) {
            for link in [text, format!("https://h/p?{query}")] {
                if let Ok(url) = encoded(&link) {
                    prop_assert_eq!(encoded(url.as_str()).ok(), Some(url.clone()), "{}", url);
                }
            }
        }
    }

    #[test]
    fn a_repeated_link_and_an_endless_list_are_errors() {
        let link = |n: u32| Url::parse(&format!("https://h/p?x={n}")).unwrap();
        let trail = Trail::default().further(&link(1), 5).unwrap().further(&link(2), 5).unwrap();
        assert!(trail.further(&link(1), 5).unwrap_err().contains("repeats"));
        assert!(trail.further(&link(3), 3).unwrap_err().contains("more than 3 pages"));
    }
}
