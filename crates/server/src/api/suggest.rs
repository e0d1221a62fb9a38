//! `/api/v1/suggest`: names that begin with a text.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use runlineage::mongo::Suggestion;
use runlineage::{Kind, Query};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::answer::json_line;
use crate::app::App;
use crate::body::Answer;
use crate::format::{Format, OBJECTS};
use crate::mirror::Mirror;
use crate::params::Params;
use crate::problem::Problem;

const MAX_SUGGESTIONS: usize = 20;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SuggestParams {
    /// The beginning of a name. Upper and lower case differ.
    #[param(min_length = 1, max_length = 1000, example = "c")]
    prefix: String,
}

/// A name.
#[derive(Serialize, ToSchema)]
pub(crate) struct Suggested {
    /// What has the name: a kind of node, `experiment`, `run-name` or `user`.
    kind: &'static str,
    /// The name.
    name: String,
    /// For a node, the text that names it, as `select` of `/graph` takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    /// The condition of the runs that have the name, or that read such a node, as `/search` takes it.
    r#where: String,
}

/// Lists the first 20 names that begin with a text.
#[utoipa::path(
    get,
    path = "/api/v1/suggest",
    tag = "lineage",
    operation_id = "suggest",
    params(SuggestParams),
    responses((status = 200, description = "The names, in alphabetical order.", body = Vec<Suggested>))
)]
pub(crate) async fn suggest(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Params(SuggestParams { prefix }): Params<SuggestParams>,
) -> Result<Answer, Problem> {
    let format = Format::of(None, &headers, &OBJECTS)?;
    if prefix.is_empty() || prefix.chars().count() > 1_000 {
        let reason = "write the beginning of a name, of 1 to 1,000 characters";
        return Err(Problem::parameter("prefix", reason));
    }
    let max_time = Some(app.limits.max_time);
    let names = async {
        let names = app.store.suggest(&prefix, MAX_SUGGESTIONS, max_time).await;
        names.map_err(Problem::from)
    };
    let (names, mirror) = futures::try_join!(names, Mirror::of(&app))?;
    let suggested: Vec<Suggested> = names.iter().map(Suggested::of).collect();
    let json = json_line(&suggested).map_err(|_| Problem::unwritten())?;
    Ok(Answer::new(format, json, &mirror))
}

impl Suggested {
    fn of(suggestion: &Suggestion) -> Self {
        let name = suggestion.name();
        let (kind, node, query) = match suggestion {
            Suggestion::Node(node) => {
                let query = match node.kind() == Kind::RUN {
                    true => Query::new().with_id(name),
                    false => Query::new().with_input(node.clone()),
                };
                (node.kind().spec().noun, Some(node.to_string()), query)
            }
            Suggestion::Experiment(_) => ("experiment", None, Query::new().with_exp_name(name)),
            Suggestion::RunName(_) => ("run-name", None, Query::new().with_name(name)),
            Suggestion::User(_) => ("user", None, Query::new().with_user(name)),
            // A name of a kind that the library has and this server does not know yet.
            _ => ("name", None, Query::new()),
        };
        Self {
            kind,
            name: name.to_owned(),
            node,
            r#where: query.to_string(),
        }
    }
}
