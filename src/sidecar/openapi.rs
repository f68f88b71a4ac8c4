//! The description of the API, made from the code (`docs/sidecar.openapi.json` is this, checked by a test).

use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi as Document, RefOr};
use utoipa::{Modify, OpenApi, PartialSchema, ToSchema};

use super::{adapter_side, api, message, wire};
use crate::model::{Field, Severity, Status};

macro_rules! word_schema {
    ($type:ty, $words:expr) => {
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                let object = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
                RefOr::T(Schema::Object(object.enum_values(Some($words)).build()))
            }
        }

        impl ToSchema for $type {}
    };
}

word_schema!(Status, Status::ALL.iter().map(|word| word.as_str()));
word_schema!(Severity, Severity::ALL.iter().map(|word| word.as_str()));
word_schema!(Field, Field::ALL.iter().map(|word| word.as_str()));

#[derive(OpenApi)]
#[openapi(
    info(
        title = "lockstep sidecar API",
        version = "1",
        description = "How an adapter carries tickets between lockstep's mailbox and ticketing software. Messages are \
                       repeated until they are acknowledged; messages and reports have names, so repeating one changes \
                       nothing."
    ),
    paths(
        api::status,
        api::openapi,
        api::tickets,
        api::ticket,
        api::report,
        api::remove,
        api::comments,
        api::add_comment,
        api::changes,
        api::acknowledge
    ),
    components(schemas(
        adapter_side::MailboxStatus,
        message::Message,
        message::TicketView,
        wire::TicketReport,
        wire::CommentReport,
        wire::Failure
    )),
    security((), ("token" = [])),
    modifiers(&Token)
)]
struct Api;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        if let Some(components) = &mut document.components {
            components.add_security_scheme("token", SecurityScheme::Http(scheme));
        }
    }
}

/// The `OpenAPI` description as JSON text.
pub fn description() -> String {
    // What derives from types can always be written.
    Api::openapi().to_pretty_json().unwrap_or_default() + "\n"
}
