//! A line of a file of lineage: a run, and what it read and wrote, as `find --format ndjson` prints them.

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

/// The fields of a JSON object, of which none stands twice: of two, one would be lost.
struct Fields<T>(Vec<(String, T)>);

impl<T> Fields<T> {
    fn get(&self, name: &str) -> Option<&T> {
        let field = self.0.iter().find(|(other, _)| other == name);
        field.map(|(_, value)| value)
    }
}

/// The run of a line and its lineage, of which there is some. Whatever else a run has may stand beside.
pub(super) fn parse(line: &[u8]) -> Result<(RunId, LineageArgs)> {
    let line = std::str::from_utf8(line).context("it is not text in UTF-8")?;
    let line: Fields<&RawValue> = serde_json::from_str(line)
        .context("it is not {\"_id\": RUN_ID, \"inputs\": …, \"outputs\": …}")?;
    let run = line.get("_id").context("it has no \"_id\", the run's id")?;
    let run: String = serde_json::from_str(run.get()).context("its \"_id\" is not a text")?;
    let mut nodes = Vec::new();
    let mut says_nothing = true;
    for direction in Direction::BOTH {
        if let Some(side) = line.get(direction.field()) {
            let entries = side_entries(direction, side)
                .with_context(|| format!("its \"{}\" are no lineage", direction.field()))?;
            says_nothing &= entries.is_empty();
            let tagged = entries.into_iter().flatten();
            nodes.extend(tagged.map(|node| (direction, node)));
        }
    }
    if says_nothing {
        bail!(
            "it says no lineage; write it under \"inputs\" or \"outputs\", such as \"inputs\": {{\"models\": [{{\"name\": \"churn\", \"version\": \"3\"}}]}}"
        );
    }
    Ok((run.parse()?, LineageArgs { nodes }))
}

/// The entries of a side: the node to register, or `None` for what MLflow itself knows, which no tag repeats.
fn side_entries(direction: Direction, side: &RawValue) -> Result<Vec<Option<NodeArg>>> {
    let side: Fields<Vec<Fields<&RawValue>>> = serde_json::from_str(side.get())?;
    let mut nodes = Vec::new();
    for (field, entries) in &side.0 {
        // An unknown field would be lineage that is lost.
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
        .with_context(|| format!("a {} is a text", spec.key_means))?;
    let detail = detail.and_then(|field| Some((field, entry.get(field)?)));
    let detail = match detail {
        Some((field, value)) => text_or_number(field, value)?,
        None => None,
    };
    // As a flag would refuse it.
    if kind.read(&key).is_err() {
        bail!("{key:?} is no {}", spec.key_means);
    }
    Ok(Node::new(kind, &key, detail.as_deref())?)
}

/// A number is its own text, as in a tag.
fn text_or_number(field: &str, value: &RawValue) -> Result<Option<String>> {
    match value.get().as_bytes() {
        b"null" => Ok(None),
        [b'"', ..] => Ok(Some(serde_json::from_str(value.get())?)),
        [b'-' | b'0'..=b'9', ..] => Ok(Some(value.get().to_owned())),
        _ => bail!("a {field} is a text or a number"),
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
