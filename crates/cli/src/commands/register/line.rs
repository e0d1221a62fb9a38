//! A line of `register --from`: a run and its lineage, in the form that `find --format ndjson` prints.

use std::fmt;
use std::marker::PhantomData;

use anyhow::{Context, bail};
use runlineage::RunId;
use runlineage::lineage::{Direction, Kind, Node, NodeArg};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::super::Result;
use crate::args::LineageArgs;

/// The field of an entry that names its origin.
const FROM: &str = "from";
/// The origin, as JSON, of what a tag of the run says.
const TAG: &str = "\"tag\"";

/// The fields of a JSON object. Duplicates are errors, since a parser would drop one of the two.
struct Fields<T>(Vec<(String, T)>);

impl<T> Fields<T> {
    fn get(&self, name: &str) -> Option<&T> {
        let field = self.0.iter().find(|(other, _)| other == name);
        field.map(|(_, value)| value)
    }
}

/// The run of a line and its lineage, which is not empty. Other fields of a run are ignored.
pub(super) fn parse(line: &[u8]) -> Result<(RunId, LineageArgs)> {
    let line = std::str::from_utf8(line).context("the line is not UTF-8")?;
    let line: Fields<&RawValue> = serde_json::from_str(line)
        .context("the line is not of the form {\"_id\": RUN_ID, \"inputs\": …, \"outputs\": …}")?;
    let run = line
        .get("_id")
        .context("the line has no \"_id\", which is the id of the run")?;
    let run: String = serde_json::from_str(run.get()).context("\"_id\" is not a string")?;
    let mut nodes = Vec::new();
    let mut says_nothing = true;
    for direction in Direction::BOTH {
        if let Some(side) = line.get(direction.field()) {
            let entries = side_entries(direction, side)
                .with_context(|| format!("\"{}\" is not valid lineage", direction.field()))?;
            says_nothing &= entries.is_empty();
            let tagged = entries.into_iter().flatten();
            nodes.extend(tagged.map(|node| (direction, node)));
        }
    }
    if says_nothing {
        bail!(
            "the line has no lineage; add it under \"inputs\" or \"outputs\", such as \"inputs\": {{\"models\": [{{\"name\": \"churn\", \"version\": \"3\"}}]}}"
        );
    }
    Ok((run.parse()?, LineageArgs { nodes }))
}

/// The entries of a side: the node to register, or `None` for what MLflow itself knows, which no tag repeats.
fn side_entries(direction: Direction, side: &RawValue) -> Result<Vec<Option<NodeArg>>> {
    let side: Fields<Vec<Fields<&RawValue>>> = serde_json::from_str(side.get())?;
    let mut nodes = Vec::new();
    for (field, entries) in &side.0 {
        // Ignoring an unknown field could lose lineage.
        let kind = Kind::of_direction(direction).find(|kind| kind.spec().field == field);
        let kind = kind.with_context(|| format!("unknown field `{field}`"))?;
        for entry in entries {
            let origin = entry.get(FROM).map(|from| from.get());
            let is_tagged = origin.is_none_or(|origin| origin == TAG);
            let node = is_tagged.then(|| node(kind, entry)).transpose()?;
            nodes.push(node.map(NodeArg::Node));
        }
    }
    Ok(nodes)
}

fn node(kind: Kind, entry: &Fields<&RawValue>) -> Result<Node> {
    let spec = kind.spec();
    let detail = spec.detail.map(|detail| detail.field);
    let known = |field: &str| field == spec.key || field == FROM || Some(field) == detail;
    if let Some((unknown, _)) = entry.0.iter().find(|(field, _)| !known(field)) {
        bail!("unknown field `{unknown}` in `{}`", spec.field);
    }
    let key = entry.get(spec.key);
    let key = key.with_context(|| format!("missing field `{}` in `{}`", spec.key, spec.field))?;
    let key: String = serde_json::from_str(key.get())
        .with_context(|| format!("the {} is not a string", spec.key_means))?;
    let detail = detail.and_then(|field| Some((field, entry.get(field)?)));
    let detail = match detail {
        Some((field, value)) => text_or_number(field, value)?,
        None => None,
    };
    // A flag refuses the same keys.
    if kind.read(&key).is_err() {
        bail!("{key:?} is not a valid {}", spec.key_means);
    }
    Ok(Node::new(kind, &key, detail.as_deref())?)
}

/// A number keeps its text, as in a lineage tag.
fn text_or_number(field: &str, value: &RawValue) -> Result<Option<String>> {
    match value.get().as_bytes() {
        b"null" => Ok(None),
        [b'"', ..] => Ok(Some(serde_json::from_str(value.get())?)),
        [b'-' | b'0'..=b'9', ..] => Ok(Some(value.get().to_owned())),
        _ => bail!("the {field} is neither a string nor a number"),
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Fields<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = Fields<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Fields<T>, A::Error> {
                let mut read = Fields(Vec::new());
                while let Some((name, value)) = fields.next_entry::<String, T>()? {
                    if read.get(&name).is_some() {
                        return Err(A::Error::custom(format!("duplicate field `{name}`")));
                    }
                    read.0.push((name, value));
                }
                Ok(read)
            }
        }

        deserializer.deserialize_map(Reader(PhantomData))
    }
}
