//! The description of the API as an OpenAPI document. A test compares it with the committed file `openapi.json`.

use std::sync::LazyLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Content, OpenApi, Ref, RefOr, Response, ResponseBuilder, SecurityRequirement,
};
use utoipa::{Modify, OpenApi as _, ToSchema as _};

use crate::problem::Problem;

static DESCRIPTION: LazyLock<String> = LazyLock::new(|| {
    // The document has only keys that are texts, so it can always be written.
    document().to_pretty_json().unwrap_or_default() + "\n"
});

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "runlineage",
        description = "Answers lineage questions from a mirror of MLflow. Everything is read-only.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    modifiers(&Tokens),
    tags(
        (name = "runs", description = "Search runs."),
        (name = "lineage", description = "Walk from a node to what it came from and what used it."),
        (name = "mirror", description = "The mirror itself."),
        (name = "session", description = "Tokens and cookies."),
    )
)]
struct Head;

/// A token in a header, or the cookie of a session.
struct Tokens;

impl Modify for Tokens {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
        let cookie = ApiKeyValue::with_description(
            "runlineage-8321",
            "The cookie that `/api/v1/session` sets. Its name ends with the port of the server.",
        );
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
        let none: [&str; 0] = [];
        document.security = Some(vec![
            SecurityRequirement::new("token", none),
            SecurityRequirement::new("session", none),
        ]);
    }
}

/// The description, made from the code.
fn document() -> OpenApi {
    let mut document = Head::openapi();
    document.merge(super::data().into_openapi());
    document.merge(super::open().into_openapi());
    let operations = document.paths.paths.values_mut().flat_map(|item| {
        [&mut item.get, &mut item.post, &mut item.delete]
            .into_iter()
            .flatten()
    });
    for operation in operations {
        // What the checks around all endpoints answer, such as 401, 421 and 429.
        let other = ("default".to_owned(), RefOr::T(problem()));
        operation.responses.responses.extend([other]);
    }
    document
}

fn problem() -> Response {
    let schema = Ref::from_schema_name(Problem::name());
    let content = Content::new(Some(schema));
    ResponseBuilder::new()
        .description("Any problem: what is wrong, and what to do.")
        .content("application/problem+json", content)
        .build()
}

/// This description, as an OpenAPI 3.1 document.
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    tag = "mirror",
    operation_id = "description",
    responses((status = 200, description = "An OpenAPI 3.1 document.", body = Object)),
    security(())
)]
pub(crate) async fn description() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DESCRIPTION.as_str())
}

#[cfg(test)]
mod tests {
    use super::DESCRIPTION;

    /// `RUNLINEAGE_WRITE_OPENAPI=1 cargo test -p runlineage-server` writes the file anew.
    #[test]
    fn the_committed_description_is_that_of_the_code() {
        const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        if std::env::var_os("RUNLINEAGE_WRITE_OPENAPI").is_some() {
            std::fs::write(FILE, DESCRIPTION.as_str()).unwrap();
            return;
        }
        assert!(
            std::fs::read_to_string(FILE).unwrap() == *DESCRIPTION,
            "openapi.json is out of date; run `RUNLINEAGE_WRITE_OPENAPI=1 cargo test -p runlineage-server --lib` and read what changed"
        );
    }
}
