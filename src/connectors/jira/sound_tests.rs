//! Every operation and what may be answered to it, as a table.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use url::Url;

use super::Deployment;
use super::sound::Answers;
use crate::connectors::sound::{Asked, Meaning, Sound, Unsound};
use crate::http::{Answer, CallError, CallSite, Effect, Evidence};

const READ: (&str, &str) = ("tickets.get", "issue/10042");
const LIST: (&str, &str) = ("tickets.list", "search/jql");
const FIND: (&str, &str) = ("tickets.find", "search/jql");
const CREATE: (&str, &str) = ("tickets.create", "issue");
const UPDATE: (&str, &str) = ("tickets.update", "issue/10042");
const MOVE: (&str, &str) = ("tickets.transition", "issue/10042/transitions");
const NOTE: (&str, &str) = ("tickets.transition", "issue/10042/comment");
const COMMENT: (&str, &str) = ("comments.create", "issue/10042/comment");
const COMMENTS: (&str, &str) = ("comments.list", "issue/10042/comment?startAt=0&maxResults=100");
const OFFERS: (&str, &str) = ("transitions.list", "issue/10042/transitions");
const ME: (&str, &str) = ("users.me", "myself");
const USERS: (&str, &str) = ("users.find", "user/assignable/search");

const ALL: [(&str, &str); 12] =
    [READ, LIST, FIND, CREATE, UPDATE, MOVE, NOTE, COMMENT, COMMENTS, OFFERS, ME, USERS];

fn answers(deployment: Deployment) -> Answers {
    Answers { deployment, project: "SOC".to_owned() }
}

fn url(path: &str) -> Url {
    Url::parse(&format!("https://jira.example/rest/api/3/{path}")).unwrap()
}

fn headers(of: &[(&str, &str)]) -> HeaderMap {
    let header = |(name, value): &(&str, &str)| {
        (HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    let mut headers = HeaderMap::new();
    for (name, value) in of.iter().map(header) {
        headers.append(name, value);
    }
    headers
}

fn success(
    deployment: Deployment,
    (operation, path): (&'static str, &str),
    of: &[(&str, &str)],
    body: &Value,
) -> Result<(), Unsound> {
    let answer = Answer {
        status: 200,
        body: body.clone(),
        request_id: None,
        client_request_id: String::new(),
        date: None,
        etag: None,
        link: None,
        total_count: None,
        headers: headers(of),
    };
    let url = url(path);
    answers(deployment).success(&Asked { operation, effect: Effect::Read, url: &url }, &answer)
}

fn refusal(
    (operation, path): (&'static str, &str),
    status: u16,
    of: &[(&str, &str)],
    body: Option<Value>,
) -> Meaning {
    let mut site = CallSite::new("tickets", operation);
    site.evidence = Some(Box::new(Evidence { body, headers: headers(of) }));
    let (site, code, message) = (Box::new(site), String::new(), "words".to_owned());
    let error = match status {
        401 | 403 => CallError::Denied { site, status, code, message },
        404 | 410 => CallError::NotFound { site, status, code, message },
        409 => CallError::Conflict { site, status, code, message },
        500.. => CallError::Unknown { site, status: Some(status), message, retry_after: None },
        _ => CallError::Refused { site, status, code, message },
    };
    let url = url(path);
    answers(Deployment::Cloud).refusal(&Asked { operation, effect: Effect::Write, url: &url }, &error)
}

fn complaint(general: &[&str], fields: &[(&str, &str)]) -> Value {
    let fields: serde_json::Map<String, Value> =
        fields.iter().map(|(name, why)| ((*name).to_owned(), json!(why))).collect();
    json!({"errorMessages": general, "errors": fields})
}

/// A sound answer of each operation.
fn sound(deployment: Deployment, operation: (&str, &str)) -> Value {
    let page = |rows: &str| json!({rows: [{}, {}], "startAt": 0, "maxResults": 50, "total": 2});
    match operation {
        LIST | FIND if deployment == Deployment::Cloud => json!({"issues": [], "isLast": true}),
        LIST | FIND => page("issues"),
        READ => json!({"id": "10042", "fields": {}}),
        CREATE | COMMENT | NOTE => json!({"id": "10042"}),
        COMMENTS => page("comments"),
        OFFERS => json!({"transitions": []}),
        ME => json!({"accountId": "me"}),
        USERS => json!([]),
        _ => Value::Null,
    }
}

#[test]
fn a_sound_answer_passes_and_no_other_does() {
    for deployment in [Deployment::Cloud, Deployment::DataCenter] {
        for operation in ALL {
            let good = sound(deployment, operation);
            assert_eq!(
                success(deployment, operation, &[("x-aaccountid", "me")], &good),
                Ok(()),
                "{operation:?}"
            );
            let ok = [("x-seraph-loginreason", "OUT"), ("x-seraph-loginreason", "OK"), ("x-ausername", "me")];
            assert_eq!(success(deployment, operation, &ok, &good), Ok(()), "{operation:?}");
            // What was answered to a stranger is not even looked at.
            for who in [
                ("x-seraph-loginreason", "AUTHENTICATED_FAILED"),
                ("x-seraph-loginreason", "AUTHENTICATION_DENIED"),
                ("x-ausername", "anonymous"),
            ] {
                let said = success(deployment, operation, &[who], &good);
                assert!(matches!(said, Err(Unsound::Denied(_))), "{operation:?} {who:?}: {said:?}");
            }
            let failed = success(deployment, operation, &[], &complaint(&["Internal server error"], &[]));
            assert!(matches!(failed, Err(Unsound::Failed(_))), "{operation:?}: {failed:?}");
            for odd in [json!("ok"), json!({}), json!([]), json!(7), Value::Null] {
                let said = success(deployment, operation, &[], &odd);
                let fits = odd == good || operation == ME && odd.is_object();
                assert_eq!(said.is_ok(), fits, "{operation:?} {odd}: {said:?}");
            }
        }
    }
}

#[test]
fn an_issue_is_the_one_that_was_asked_for() {
    let read = |id: Value| success(Deployment::Cloud, READ, &[], &json!({"id": id, "fields": {}}));
    assert_eq!(read(json!("10042")), Ok(()));
    assert_eq!(read(json!(10042)), Ok(()));
    for other in [json!("10043"), json!(10043), json!(null), json!("SOC-7"), json!(["10042"])] {
        assert!(matches!(read(other.clone()), Err(Unsound::Malformed(_))), "{other}");
    }
}

#[test]
fn a_page_says_where_it_ends_and_holds_what_it_says() {
    let cloud = |more: Value| {
        let mut page = json!({"issues": []});
        page.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        success(Deployment::Cloud, LIST, &[], &page)
    };
    for clear in [
        json!({"isLast": true}),
        json!({"nextPageToken": "a"}),
        json!({"isLast": false, "nextPageToken": "a"}),
    ] {
        assert_eq!(cloud(clear.clone()), Ok(()), "{clear}");
    }
    for unclear in [
        json!({}),
        json!({"isLast": false}),
        json!({"isLast": true, "nextPageToken": "a"}),
        json!({"isLast": "true"}),
        json!({"isLast": false, "nextPageToken": ""}),
        json!({"isLast": false, "nextPageToken": 7}),
        json!({"isLast": true, "warningMessages": ["A clause was left out"]}),
    ] {
        assert!(matches!(cloud(unclear.clone()), Err(Unsound::Malformed(_))), "{unclear}");
    }
    let warned = json!({"isLast": true, "warningMessages": ["The value 'SOC' does not exist for the field 'project'."]});
    assert!(matches!(cloud(warned), Err(Unsound::Denied(_))));

    let counted = |start: u64, most: u64, total: u64, rows: usize| {
        let rows = vec![json!({}); rows];
        let page = json!({"issues": rows, "startAt": start, "maxResults": most, "total": total});
        success(Deployment::DataCenter, LIST, &[], &page).is_ok()
    };
    assert!(counted(0, 50, 0, 0) && counted(0, 50, 2, 2) && counted(50, 50, 70, 20) && counted(0, 2, 9, 2));
    assert!(counted(5, 50, 3, 0), "rows that vanished meanwhile");
    assert!(!counted(0, 50, 2, 1) && !counted(0, 50, 2, 0) && !counted(0, 50, 1, 2) && !counted(0, 0, 5, 0));
    let comments = |start: u64| {
        let page = json!({"comments": [{}], "startAt": start, "maxResults": 50, "total": start + 1});
        success(Deployment::Cloud, COMMENTS, &[], &page).is_ok()
    };
    assert!(comments(0) && !comments(50), "another page than the one that was asked for");
}

#[test]
fn only_jira_says_that_an_issue_is_gone() {
    let gone = complaint(&["Issue does not exist or you do not have permission to see it."], &[]);
    for of_issue in [READ, UPDATE, MOVE, COMMENT, COMMENTS, OFFERS] {
        assert_eq!(refusal(of_issue, 404, &[], Some(gone.clone())), Meaning::Gone, "{of_issue:?}");
        let stranger = [("x-seraph-loginreason", "AUTHENTICATED_FAILED")];
        let said = refusal(of_issue, 404, &stranger, Some(gone.clone()));
        assert!(matches!(said, Meaning::Denied(_)), "{of_issue:?}: {said:?}");
    }
    for not_of_issue in [LIST, FIND, CREATE, ME] {
        assert_eq!(
            refusal(not_of_issue, 404, &[], Some(gone.clone())),
            Meaning::AsStated,
            "{not_of_issue:?}"
        );
    }
    for odd in [
        None,
        Some(json!({"message": "null for uri", "status-code": 404})),
        Some(json!({"error": "Not Found"})),
        Some(json!({"code": 404, "message": "no route"})),
        Some(complaint(&[], &[])),
        Some(complaint(&[], &[("transition", "x")])),
    ] {
        assert_eq!(refusal(READ, 404, &[], odd.clone()), Meaning::AsStated, "{odd:?}");
    }
    assert_eq!(refusal(READ, 410, &[], Some(gone)), Meaning::AsStated);
}

#[test]
fn a_refusal_may_be_about_the_caller() {
    let lost = complaint(&["The value 'SOC' does not exist for the field 'project'."], &[]);
    let denied = [
        (LIST, 400, lost.clone()),
        (FIND, 400, lost),
        // In whatever language: the query is always the same.
        (FIND, 400, complaint(&["Der Wert ist falsch."], &[])),
        (LIST, 400, complaint(&["Der Wert „SOC“ existiert nicht für das Feld „project“."], &[])),
        (CREATE, 400, complaint(&[], &[("project", "valid project is required")])),
        (CREATE, 400, complaint(&[], &[("issuetype", "Specify an issue type")])),
        (ME, 401, complaint(&["Client must be authenticated"], &[])),
        (USERS, 404, complaint(&["No project could be found with key 'SOC'."], &[])),
    ];
    for (operation, status, body) in denied {
        let said = refusal(operation, status, &[], Some(body.clone()));
        assert!(matches!(said, Meaning::Denied(_)), "{operation:?} {body}: {said:?}");
    }
    let as_stated = [
        (LIST, 400, complaint(&["The nextPageToken is invalid."], &[])),
        (CREATE, 400, complaint(&[], &[("priority", "cannot be set")])),
        (UPDATE, 400, complaint(&[], &[("summary", "cannot be set")])),
        (MOVE, 400, complaint(&[], &[("resolution", "resolution is required.")])),
        (MOVE, 403, complaint(&["You may not"], &[])),
        (UPDATE, 409, complaint(&["Another update"], &[])),
        (UPDATE, 500, complaint(&["Internal server error"], &[])),
    ];
    for (operation, status, body) in as_stated {
        assert_eq!(
            refusal(operation, status, &[], Some(body.clone())),
            Meaning::AsStated,
            "{operation:?} {body}"
        );
    }
    let to = |place: &'static str| refusal(READ, 302, &[("location", place)], None);
    assert!(matches!(to("https://sso.example/saml?x"), Meaning::Denied(_)));
    assert!(matches!(to("/login.jsp?os_destination=x"), Meaning::Denied(_)));
    assert!(matches!(to("https://elsewhere.example/rest"), Meaning::Failed(_)));
}

#[test]
fn what_is_not_in_jiras_form_is_no_refusal_of_jira() {
    for operation in [UPDATE, MOVE, CREATE, COMMENT] {
        for body in [None, Some(json!({"message": "blocked by policy"})), Some(complaint(&[], &[]))] {
            let said = refusal(operation, 400, &[], body);
            assert!(matches!(said, Meaning::Failed(_)), "{operation:?}: {said:?}");
        }
    }
}

/// A redirect to the page to log in, which a read follows within the site.
#[test]
fn a_page_to_log_in_is_a_denial() {
    let page = |title: &str| {
        let site = Box::new(CallSite::new("tickets", "tickets.get"));
        let message = format!("a web page titled \"{title}\"");
        let error = CallError::Malformed { site, status: 200, message, too_large: false };
        let url = url("issue/10042");
        answers(Deployment::DataCenter)
            .refusal(&Asked { operation: "tickets.get", effect: Effect::Read, url: &url }, &error)
    };
    assert!(matches!(page("Log in - Jira"), Meaning::Denied(_)));
    assert_eq!(page("Down for maintenance"), Meaning::AsStated);
}
