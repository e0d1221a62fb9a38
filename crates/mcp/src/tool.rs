//! The table of tools, and the way of every question.

use std::sync::Arc;

use futures::future::BoxFuture;
use rmcp::handler::server::common::schema_for_output;
use rmcp::model::{CallToolResult, JsonObject, Tool, ToolAnnotations};
use rmcp::schemars::{JsonSchema, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::answer::{Answer, Found};
use crate::diff::DiffRuns;
use crate::find::Find;
use crate::graph::ShowGraph;
use crate::impact::ShowImpact;
use crate::mirror::{Mirror, State};
use crate::node::ShowNode;
use crate::provenance::ShowProvenance;
use crate::refusal::Refusal;

/// A question of an assistant, as the arguments of a tool.
pub(crate) trait Question: DeserializeOwned + JsonSchema + Send + 'static {
    const NAME: &'static str;
    const TITLE: &'static str;
    const DESCRIPTION: &'static str;

    /// Asks the mirror.
    fn ask(
        self,
        mirror: &Mirror,
        state: &State,
    ) -> impl Future<Output = Result<Found, Refusal>> + Send;
}

/// A tool: what clients see of it, and its question.
pub(crate) struct Row {
    pub(crate) tool: Tool,
    pub(crate) call: for<'a> fn(&'a Mirror, JsonObject) -> BoxFuture<'a, CallToolResult>,
}

/// Every tool.
pub(crate) fn table() -> Vec<Row> {
    vec![
        row::<Find>(),
        row::<ShowNode>(),
        row::<ShowGraph>(),
        row::<ShowImpact>(),
        row::<ShowProvenance>(),
        row::<DiffRuns>(),
    ]
}

fn row<Q: Question>() -> Row {
    let annotations = ToolAnnotations::new()
        .read_only(true)
        .destructive(false)
        .idempotent(true)
        .open_world(false);
    let tool = Tool::new(Q::NAME, Q::DESCRIPTION, input::<Q>())
        .with_title(Q::TITLE)
        .with_raw_output_schema(schema_for_output::<Answer>())
        .with_annotations(annotations);
    Row {
        tool,
        call: |mirror, arguments| Box::pin(call::<Q>(mirror, arguments)),
    }
}

fn input<Q: Question>() -> Arc<JsonObject> {
    let generator = SchemaSettings::draft2020_12().into_generator();
    match generator.into_root_schema_for::<Q>().to_value() {
        Value::Object(mut schema) => {
            // They name and describe the type, which no client knows.
            schema.remove("title");
            schema.remove("description");
            Arc::new(schema)
        }
        _ => Arc::default(),
    }
}

async fn call<Q: Question>(mirror: &Mirror, arguments: JsonObject) -> CallToolResult {
    Answer::result(ask::<Q>(mirror, arguments).await, mirror)
}

async fn ask<Q: Question>(
    mirror: &Mirror,
    arguments: JsonObject,
) -> Result<(Found, State), Refusal> {
    let question: Q = serde_json::from_value(Value::Object(arguments))
        .map_err(|error| Refusal::of(format!("invalid arguments: {error}")))?;
    // The semaphore is never closed.
    let place = mirror.places.acquire().await;
    let state = mirror.state().await?;
    let found = question.ask(mirror, &state).await?;
    drop(place);
    Ok((found, state))
}
