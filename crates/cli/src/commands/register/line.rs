//! A line of a file of lineage: a run, and what it read and wrote, as `find --format ndjson` prints them.

use anyhow::{Context, bail};
use runlineage::RunId;
use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::super::Result;
use crate::args::{ArtifactArg, LineageArgs, ModelArg};

/// Whatever else a run has may stand beside; within lineage, an unknown field would be lineage that is lost.
#[derive(Debug, Deserialize)]
struct Line {
    #[serde(rename = "_id")]
    run: String,
    #[serde(default)]
    inputs: Side,
    #[serde(default)]
    outputs: Side,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Side {
    #[serde(default)]
    models: Vec<Model>,
    #[serde(default)]
    runs: Vec<Artifact>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Model {
    name: String,
    #[serde(default, deserialize_with = "text_or_number")]
    version: Option<String>,
    /// Where the mirror has it from.
    #[serde(rename = "from")]
    _from: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Artifact {
    id: String,
    path: Option<String>,
    #[serde(rename = "from")]
    _from: Option<IgnoredAny>,
}

/// The run of a line and its lineage, of which there is some.
pub(super) fn parse(line: &[u8]) -> Result<(RunId, LineageArgs)> {
    let line = std::str::from_utf8(line).context("it is not text in UTF-8")?;
    let Line {
        run,
        inputs,
        outputs,
    } = serde_json::from_str(line)
        .context("it is not {\"_id\": RUN_ID, \"inputs\": …, \"outputs\": …}")?;
    let lineage = LineageArgs {
        input_model: models(inputs.models),
        output_model: models(outputs.models),
        input_artifact: artifacts(inputs.runs)?,
        output_artifact: artifacts(outputs.runs)?,
    };
    if lineage.is_empty() {
        bail!(
            "it says no lineage; write it under \"inputs\" or \"outputs\", such as \"inputs\": {{\"models\": [{{\"name\": \"churn\", \"version\": \"3\"}}]}}"
        );
    }
    Ok((run.parse()?, lineage))
}

fn models(models: Vec<Model>) -> Vec<ModelArg> {
    let arg = |Model { name, version, .. }| ModelArg {
        name,
        version,
        alias: None,
    };
    models.into_iter().map(arg).collect()
}

fn artifacts(artifacts: Vec<Artifact>) -> Result<Vec<ArtifactArg>> {
    let arg = |Artifact { id, path, .. }: Artifact| {
        let run = id.parse()?;
        Ok(ArtifactArg { run, path })
    };
    artifacts.into_iter().map(arg).collect()
}

/// A number is its own text, as in a tag.
fn text_or_number<'de, D: Deserializer<'de>>(version: D) -> Result<Option<String>, D::Error> {
    let Some(version) = Option::<Box<RawValue>>::deserialize(version)? else {
        return Ok(None);
    };
    match version.get().as_bytes() {
        [b'"', ..] => serde_json::from_str(version.get()).map_err(D::Error::custom),
        [b'-' | b'0'..=b'9', ..] => Ok(Some(version.get().to_owned())),
        _ => Err(D::Error::custom("a version is a text or a number")),
    }
}
