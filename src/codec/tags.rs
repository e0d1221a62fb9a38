//! Lineage in the tags of MLflow: reads the tags of mlopus and of `register`, and writes tags that both can read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use bson::Bson;
use regex::Regex;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::value::{double_quotes, dumps, undouble_quotes};
use crate::error::{Error, Result};
use crate::node::{Direction, Kind, Node, Reference};
use crate::run::Problem;

const PREFIX: &str = "lineage.";
const OVERFLOW: &str = "lineage_overflow.";
const MAX_KEY: usize = 250;
/// Every MLflow server since 2.22 accepts values of this length.
const MAX_VALUE: usize = 5_000;

/// The names that mlopus reads and writes: `[\w\-/]+` of Python. The oldest Python versions that run MLflow 2.22 and mlopus,
/// 3.9 and 3.10, know Unicode 13. MLflow on such a version refuses a tag with a newer letter, so the pattern excludes them.
static MLOPUS_KEY: LazyLock<Regex> = LazyLock::new(|| {
    #[allow(
        clippy::expect_used,
        reason = "the pattern is a literal, and every test of this module compiles it"
    )]
    Regex::new(r"^[[\p{L}\p{N}&&\p{Age:13.0}]_/-]+$").expect("a valid pattern")
});

/// Whether mlopus can write this model name or run id into a tag.
pub(crate) fn fits_mlopus(key: &str) -> bool {
    MLOPUS_KEY.is_match(key)
}

/// Whether the tag holds lineage.
pub(crate) fn is_lineage(key: &str) -> bool {
    key.starts_with(PREFIX) || key.starts_with(OVERFLOW)
}

/// The references in the tags of a run, and a problem for each lineage tag that cannot be read.
pub(crate) fn read<'a>(
    tags: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> (BTreeSet<Reference>, Vec<Problem>) {
    let mut references = BTreeSet::new();
    let mut problems = Vec::new();
    for (key, text) in tags {
        let read = if key.starts_with(PREFIX) {
            read_mlopus(key, text, &mut references)
        } else if key.starts_with(OVERFLOW) {
            read_overflow(text, &mut references)
        } else {
            Ok(())
        };
        if let Err(reason) = read {
            problems.push(Problem {
                key: key.to_owned(),
                reason,
            });
        }
    }
    (references, problems)
}

/// The tags to set in order to add these references to those in the present tags.
///
/// MLflow has no compare-and-set for tags, so a writer of mlopus' tag may overwrite what another program has just written
/// there. Each reference is therefore also written to an overflow tag. The name of that tag is a hash of its value, so no
/// writer can overwrite the entries of another one. mlopus' tag keeps its present values, and receives all references of its key in overflow tags.
///
/// # Errors
/// [`Error::InvalidArgument`] if a name, version or path is too long for any tag.
pub(crate) fn write(
    references: &BTreeSet<Reference>,
    present: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
    let overflowed = overflowed(present);
    let mut tags = BTreeMap::new();
    for value in overflow_values(references.difference(&overflowed))? {
        tags.insert(format!("{OVERFLOW}{}", hash(&value)), value);
    }
    let mut by_key: BTreeMap<(Direction, Kind, &str), Vec<&Reference>> = BTreeMap::new();
    for reference in references.union(&overflowed) {
        let node = &reference.node;
        by_key
            .entry((reference.direction, node.kind(), node.key()))
            .or_default()
            .push(reference);
    }
    let of_mlopus = by_key
        .into_iter()
        .filter(|((_, kind, _), _)| kind.spec().is_mlopus);
    for ((direction, kind, key), references) in of_mlopus {
        let tag = format!("{PREFIX}{}.{key}", kind.path(direction));
        if let Some(value) = mlopus_value(&tag, key, present.get(&tag), &references) {
            tags.insert(tag, value);
        }
    }
    Ok(tags)
}

/// Whether overflow tags hold all of these references. No other program changes those tags.
pub(crate) fn is_recorded(
    references: &BTreeSet<Reference>,
    present: &BTreeMap<String, String>,
) -> bool {
    references.is_subset(&overflowed(present))
}

fn overflowed(present: &BTreeMap<String, String>) -> BTreeSet<Reference> {
    let tags = present.iter().filter(|(key, _)| key.starts_with(OVERFLOW));
    read(tags.map(|(key, text)| (key.as_str(), text.as_str()))).0
}

/// The value of mlopus' tag with these references added. `None` if the tag has them already, or if mlopus' format cannot
/// express them.
fn mlopus_value(
    tag: &str,
    key: &str,
    present: Option<&String>,
    new: &[&Reference],
) -> Option<String> {
    // MLflow refuses a key that is not a normal path.
    let is_normal_path = key.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if !fits_mlopus(key) || !is_normal_path || tag.chars().count() > MAX_KEY {
        return None;
    }
    let mut values: BTreeSet<Option<String>> = BTreeSet::new();
    if let Some(text) = present {
        // Keep a tag that is not fully readable: rewriting it would lose the rest.
        values = read_array(text).ok()?;
    }
    let before = present.is_some().then(|| values.clone());
    let new = new.iter().map(|reference| reference.node.detail());
    values.extend(new.map(|detail| detail.map(str::to_owned)));
    if before.as_ref() == Some(&values) {
        return None;
    }
    // An empty array means "no version or path" to every reader. Beside other values, an empty string means it.
    if values.iter().all(Option::is_none) {
        values.clear();
    }
    let values = values.into_iter().map(Option::unwrap_or_default);
    let values = values.map(Bson::String).collect();
    let text = double_quotes(&dumps(&Bson::Array(values)));
    (text.chars().count() <= MAX_VALUE).then_some(text)
}

fn overflow_values<'a>(references: impl Iterator<Item = &'a Reference>) -> Result<Vec<String>> {
    let mut values: Vec<String> = Vec::new();
    let mut current = String::new();
    for Reference {
        direction, node, ..
    } in references
    {
        let spec = node.kind().spec();
        let quadruple = [
            Some(direction.field()),
            Some(spec.field),
            Some(node.key()),
            node.detail(),
        ];
        let quadruple = quadruple.map(|part| part.map_or(Bson::Null, Bson::from));
        let text = double_quotes(&dumps(&Bson::Array(quadruple.into())));
        // The text is ASCII, so its length in bytes is its length in characters.
        if text.len() + 2 > MAX_VALUE {
            return Err(Error::invalid_argument(
                spec.key_means,
                format!(
                    "with its {} it has {} characters, and an MLflow tag holds at most {MAX_VALUE}; shorten it",
                    spec.detail.map_or("entry", |detail| detail.field),
                    text.len() + 2
                ),
            ));
        }
        if !current.is_empty() && current.len() + 2 + text.len() + 2 > MAX_VALUE {
            values.push(format!("[{}]", std::mem::take(&mut current)));
        }
        if !current.is_empty() {
            current.push_str(", ");
        }
        current.push_str(&text);
    }
    if !current.is_empty() {
        values.push(format!("[{current}]"));
    }
    Ok(values)
}

fn read_mlopus(tag: &str, text: &str, references: &mut BTreeSet<Reference>) -> Result<(), String> {
    let mut parts = tag.splitn(4, '.').skip(1);
    let (side, field, key) = (parts.next(), parts.next(), parts.next());
    let place = place(side.unwrap_or_default(), field.unwrap_or_default());
    let place = place.filter(|(_, kind)| kind.spec().is_mlopus);
    let (Some((direction, kind)), Some(key)) = (place, key.filter(|key| !key.is_empty())) else {
        return Err(
            "its key is not lineage.<inputs|outputs>.<models|runs>.<name or run id>".into(),
        );
    };
    let values = read_array(text)?;
    for value in values {
        references.extend(tagged(direction, kind, key, value.as_deref()));
    }
    Ok(())
}

fn read_overflow(text: &str, references: &mut BTreeSet<Reference>) -> Result<(), String> {
    type Quadruple = (String, String, String, Option<String>);
    let undoubled = undouble_quotes(text);
    let quadruples: Vec<Quadruple> = serde_json::from_str(&undoubled).map_err(|error| {
        format!("its value is not an array of [side, kind, key, value or null]: {error}")
    })?;
    for (side, field, key, value) in quadruples {
        let reference = place(&side, &field)
            .and_then(|(direction, kind)| tagged(direction, kind, &key, value.as_deref()));
        let reference =
            reference.ok_or_else(|| format!("[{side:?}, {field:?}, {key:?}, …] is no lineage"))?;
        references.insert(reference);
    }
    Ok(())
}

/// Parses the fields of a document, such as `inputs` and `models`.
fn place(side: &str, field: &str) -> Option<(Direction, Kind)> {
    let direction = Direction::of_field(side)?;
    Some((direction, Kind::of_field(direction, field)?))
}

/// A reference from a tag; `None` if the key is empty.
fn tagged(direction: Direction, kind: Kind, key: &str, detail: Option<&str>) -> Option<Reference> {
    let node = Node::checked(kind, key, detail).ok()?;
    Some(Reference::tagged(direction, node))
}

/// The strings of a JSON array. A number becomes its text. An empty string and an empty array become `None`.
fn read_array(text: &str) -> Result<BTreeSet<Option<String>>, String> {
    let undoubled = undouble_quotes(text);
    let elements: Vec<&RawValue> = serde_json::from_str(&undoubled)
        .map_err(|error| format!("its value is not a JSON array of strings: {error}"))?;
    if elements.is_empty() {
        return Ok([None].into());
    }
    elements
        .into_iter()
        .map(|element| {
            let element = element.get();
            match element.as_bytes().first() {
                Some(b'"') => serde_json::from_str::<String>(element)
                    .map(|text| Some(text).filter(|text| !text.is_empty()))
                    .map_err(|error| error.to_string()),
                Some(b'-' | b'0'..=b'9') => Ok(Some(element.to_owned())),
                _ => Err(format!(
                    "it holds {}, which is neither a string nor a number",
                    abridged(element)
                )),
            }
        })
        .collect()
}

fn abridged(text: &str) -> String {
    text.char_indices()
        .nth(40)
        .map_or_else(|| text.to_owned(), |(end, _)| format!("{}…", &text[..end]))
}

fn hash(value: &str) -> String {
    hex::encode(&Sha256::digest(value)[..8])
}
