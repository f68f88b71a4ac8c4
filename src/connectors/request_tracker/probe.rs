//! What `lockstep check --online` tries. Nothing is written.

use super::zone::{self, Zone};
use super::{CLASS, RequestTracker};
use crate::connectors::Probe;
use crate::connectors::ticketing::IMPOSSIBLE_KEY;
use crate::http::{Call, CallError};

impl RequestTracker {
    /// Login, queue, custom fields, time zone, feed and look-up, each with what is to be mended.
    pub(super) async fn probes(&self) -> Vec<Probe> {
        let mut probes = vec![self.endpoint.probe_token().await];
        if probes[0].result.is_err() {
            return probes;
        }
        let call = self.url("server.version", &["rt"], &[]);
        let call = call.map(|url| Call::get("server.version", CLASS, url));
        let needed =
            "a token or password of a privileged user; a token is sent as `Authorization: token ...`";
        probes.push(self.endpoint.probe_read("log in", call, needed).await);
        probes.push(self.probe_fields().await);
        probes.push(self.probe_key().await);
        probes.push(self.probe_zone().await);
        probes.push(self.probe_feed().await);
        probes.push(Probe {
            what: "write permission".to_owned(),
            result: Ok("not tried, since trying would write; the user needs CreateTicket, ModifyTicket, OwnTicket, \
                        ReassignTicket, CommentOnTicket, ModifyCustomField and SetInitialCustomField on the queue"
                .to_owned()),
        });
        probes
    }

    async fn probe_fields(&self) -> Probe {
        let queue = &self.settings.queue;
        let result = match self.queue_fields().await {
            Err(CallError::Denied { .. } | CallError::NotFound { .. }) => Err(format!(
                "queue `{queue}` does not exist, or this user may not see it; correct `queue` or grant SeeQueue"
            )),
            Err(error) => Err(error.to_string()),
            Ok(fields) => {
                let settings = &self.settings;
                let optional = settings.verdict_field.iter().chain(&settings.closing_field);
                let wanted = std::iter::once(&settings.key_field).chain(optional);
                let missing: Vec<&str> =
                    wanted.filter(|name| !fields.contains(name)).map(String::as_str).collect();
                if missing.is_empty() {
                    Ok(format!("queue {queue} has them all"))
                } else {
                    Err(format!(
                        "queue {queue} has no custom field {} that this user may see; apply it to the queue and grant \
                         SeeCustomField",
                        missing.join(" and ")
                    ))
                }
            }
        };
        Probe { what: "custom fields".to_owned(), result }
    }

    /// An impossible key must find nothing.
    async fn probe_key(&self) -> Probe {
        let id = crate::model::RecordId::new(IMPOSSIBLE_KEY);
        let result = match id {
            Err(error) => Err(error.to_string()),
            Ok(id) => {
                let planned = crate::model::RecordRef::ticket(&self.endpoint.system, id);
                let found = self.find_by_key(&planned, crate::connectors::Depth::Record).await;
                match found {
                    Ok(None) => Ok("an unused key finds nothing".to_owned()),
                    Ok(Some(found)) => Err(format!("{} carries a key that nobody made", found.record)),
                    Err(error) => Err(error.to_string()),
                }
            }
        };
        Probe { what: "look-up by key".to_owned(), result }
    }

    async fn probe_zone(&self) -> Probe {
        let result = match self.zone().await {
            Ok(Zone::Utc) => Ok("searches take times in UTC".to_owned()),
            Ok(Zone::Untried) => {
                Ok("not tried, since the queue has no ticket yet; the user's Timezone must be UTC".to_owned())
            }
            Ok(Zone::Other) => Err(zone::WRONG.to_owned()),
            Err(error) => Err(error.to_string()),
        };
        Probe { what: "time zone".to_owned(), result }
    }

    async fn probe_feed(&self) -> Probe {
        let query = [("query", "ObjectType = 'RT::Ticket'"), ("per_page", "1")];
        let call = self.url("tickets.list", &["transactions"], &query);
        let call = call.map(|url| Call::get("tickets.list", CLASS, url));
        let needed = "SeeQueue, ShowTicket and ShowTicketComments on the queue";
        self.endpoint.probe_read("list transactions", call, needed).await
    }
}
