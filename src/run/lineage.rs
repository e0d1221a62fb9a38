//! What a stored run read and wrote: in place, or as a [`Lineage`]; and the form in which it is stored.

use std::collections::BTreeMap;

use bson::raw::{RawArray, RawBsonRef, RawDocument};
use bson::{Bson, Document, doc};

use super::Run;
use crate::error::Result;
use crate::node::{Direction, Kind, Lineage, Node, Origin, Reference};

/// The field of an entry that names its origin.
pub(crate) const FROM: &str = "from";

/// The field of an entry that says what a dataset was used for.
pub(crate) const CONTEXT: &str = "context";

/// A reference, and what else MLflow records of it, such as the context of a dataset.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) reference: Reference,
    pub(crate) facts: Document,
}

impl From<Reference> for Entry {
    fn from(reference: Reference) -> Self {
        Self {
            reference,
            facts: Document::new(),
        }
    }
}

impl Entry {
    /// The entry as it is stored in the array of its kind.
    pub(crate) fn to_document(&self) -> Document {
        let Reference { node, origin, .. } = &self.reference;
        let spec = node.kind().spec();
        let mut entry = doc! { spec.key: node.key() };
        if let (Some(detail), Some(value)) = (spec.detail, node.detail()) {
            entry.insert(detail.field, value);
        }
        entry.extend(self.facts.clone());
        entry.insert(FROM, origin.as_str());
        entry
    }
}

/// One side of a run as it is stored: an array for each kind of mlopus, and for each other kind that has entries.
pub(crate) fn to_side<'a>(
    direction: Direction,
    entries: impl IntoIterator<Item = &'a Entry>,
) -> Document {
    let mut arrays: BTreeMap<Kind, Vec<Bson>> = Kind::of_direction(direction)
        .filter(|kind| kind.spec().is_mlopus)
        .map(|kind| (kind, Vec::new()))
        .collect();
    for entry in entries {
        if entry.reference.direction == direction {
            let array = arrays.entry(entry.reference.node.kind()).or_default();
            array.push(entry.to_document().into());
        }
    }
    let fields = arrays.into_iter();
    fields
        .map(|(kind, array)| (kind.spec().field.to_owned(), array.into()))
        .collect()
}

impl Run {
    /// The lineage of the run, from all origins.
    ///
    /// # Errors
    /// [`Error::Document`](crate::Error::Document) when a field of the lineage has another shape than this program writes.
    pub fn lineage(&self) -> Result<Lineage> {
        let mut lineage = Lineage::new();
        for reference in self.references() {
            let Reference {
                direction, node, ..
            } = reference?;
            lineage.add(direction, node);
        }
        Ok(lineage)
    }

    /// The lineage of the run, one entry at a time.
    ///
    /// # Errors
    /// An item is an error where [`lineage`](Self::lineage) would fail.
    pub fn references(&self) -> impl Iterator<Item = Result<Reference>> {
        let mut found = Vec::new();
        let read = each_reference(&self.document, |reference| found.push(Ok(reference)));
        found.extend(read.err().map(|reason| Err(self.malformed(reason))));
        found.into_iter()
    }

    /// The models that the run read, each with its version if one is recorded. Borrows from the document.
    ///
    /// ```
    /// # use bson::doc;
    /// # use runlineage::Run;
    /// let run = Run::try_from(&doc! {
    ///     "_id": "8f2c",
    ///     "inputs": { "models": [{ "name": "churn", "version": "3" }, { "name": "geo" }], "runs": [] },
    /// })?;
    /// let models: Vec<_> = run.input_models().collect::<runlineage::Result<_>>()?;
    /// assert_eq!(models, [("churn", Some("3")), ("geo", None)]);
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    ///
    /// # Errors
    /// An item is an error where [`lineage`](Self::lineage) would fail.
    pub fn input_models(&self) -> impl Iterator<Item = Result<(&str, Option<&str>)>> {
        self.pairs(Direction::Input, Kind::MODEL)
    }

    /// The models that the run wrote, each with its version if one is recorded. Borrows from the document.
    ///
    /// # Errors
    /// An item is an error where [`lineage`](Self::lineage) would fail.
    pub fn output_models(&self) -> impl Iterator<Item = Result<(&str, Option<&str>)>> {
        self.pairs(Direction::Output, Kind::MODEL)
    }

    /// The artifacts that the run read: the id of a run, and the path in it if one is recorded. Borrows from the document.
    ///
    /// # Errors
    /// An item is an error where [`lineage`](Self::lineage) would fail.
    pub fn input_artifacts(&self) -> impl Iterator<Item = Result<(&str, Option<&str>)>> {
        self.pairs(Direction::Input, Kind::ARTIFACT)
    }

    /// The artifacts that the run wrote: the id of a run, and the path in it if one is recorded. Borrows from the document.
    ///
    /// # Errors
    /// An item is an error where [`lineage`](Self::lineage) would fail.
    pub fn output_artifacts(&self) -> impl Iterator<Item = Result<(&str, Option<&str>)>> {
        self.pairs(Direction::Output, Kind::ARTIFACT)
    }

    /// The nodes that the run read, each with its context if MLflow recorded one, such as `training`.
    ///
    /// # Errors
    /// An item is an error where [`lineage`](Self::lineage) would fail.
    pub(crate) fn inputs_in_context(&self) -> impl Iterator<Item = Result<(Node, Option<&str>)>> {
        let kinds = Kind::of_direction(Direction::Input);
        kinds.flat_map(move |kind| {
            let entries = self.entries(Direction::Input, kind);
            entries.map(move |entry| {
                let entry = entry?;
                Ok((Node::stored(kind, entry.key, entry.detail), entry.context))
            })
        })
    }

    fn pairs(
        &self,
        direction: Direction,
        kind: Kind,
    ) -> impl Iterator<Item = Result<(&str, Option<&str>)>> {
        self.entries(direction, kind)
            .map(|entry| entry.map(|entry| (entry.key, entry.detail)))
    }

    fn entries(
        &self,
        direction: Direction,
        kind: Kind,
    ) -> impl Iterator<Item = Result<RawEntry<'_>>> {
        let (array, error) = match self.array(direction, kind) {
            Ok(array) => (array, None),
            Err(error) => (None, Some(error)),
        };
        let elements = array.into_iter().flat_map(<&RawArray>::into_iter);
        let entries = elements.map(move |element| {
            let element = element.map_err(|error| self.malformed(error))?;
            entry_of(direction, kind, element).map_err(|reason| self.malformed(reason))
        });
        error.into_iter().map(Err).chain(entries)
    }

    fn array(&self, direction: Direction, kind: Kind) -> Result<Option<&RawArray>> {
        let document = &self.document;
        let side = document.get(direction.field());
        let Some(side) = side.map_err(|error| self.malformed(error))? else {
            return Ok(None);
        };
        let side = side_of(direction, side).map_err(|reason| self.malformed(reason))?;
        let array = side.get(kind.spec().field);
        let array = array.map_err(|error| self.malformed(error))?;
        let array = array.map(|array| array_of(direction, kind, array));
        array.transpose().map_err(|reason| self.malformed(reason))
    }
}

/// Calls `take` with each reference of a stored run, in one pass over the document's bytes. The error is the reason why a field
/// of the lineage cannot be read.
pub(crate) fn each_reference(
    document: &RawDocument,
    mut take: impl FnMut(Reference),
) -> Result<(), String> {
    for field in document.iter_elements() {
        let field = field.map_err(text)?;
        let Some(direction) = Direction::of_field(field.key().as_str()) else {
            continue;
        };
        let side = field.value().map_err(text)?;
        for array in side_of(direction, side)?.iter_elements() {
            let array = array.map_err(text)?;
            let Some(kind) = Kind::of_field(direction, array.key().as_str()) else {
                continue;
            };
            let elements = array.value().map_err(text)?;
            for element in array_of(direction, kind, elements)? {
                let entry = entry_of(direction, kind, element.map_err(text)?)?;
                take(Reference {
                    direction,
                    node: Node::stored(kind, entry.key, entry.detail),
                    origin: entry.origin,
                });
            }
        }
    }
    Ok(())
}

fn side_of(direction: Direction, side: RawBsonRef<'_>) -> Result<&RawDocument, String> {
    let reason = || format!("`{}` is not a document", direction.field());
    side.as_document().ok_or_else(reason)
}

fn array_of(direction: Direction, kind: Kind, array: RawBsonRef<'_>) -> Result<&RawArray, String> {
    let reason = || format!("`{}` is not an array", kind.path(direction));
    array.as_array().ok_or_else(reason)
}

fn entry_of(
    direction: Direction,
    kind: Kind,
    element: RawBsonRef<'_>,
) -> Result<RawEntry<'_>, String> {
    let (spec, path) = (kind.spec(), || kind.path(direction));
    let entry = element.as_document();
    let entry = entry.ok_or_else(|| format!("an entry of `{}` is not a document", path()))?;
    let (mut key, mut detail, mut origin, mut context) = (None, None, None, None);
    for field in entry.iter_elements() {
        let field = field.map_err(text)?;
        let name = field.key().as_str();
        if name == spec.key {
            key = Some(field.value().map_err(text)?);
        } else if name == FROM {
            origin = Some(field.value().map_err(text)?);
        } else if name == CONTEXT {
            context = Some(field.value().map_err(text)?);
        } else if spec.detail.is_some_and(|detail| detail.field == name) {
            detail = Some(field.value().map_err(text)?);
        }
    }
    let not_a_text = |field: &str| format!("a `{field}` of `{}` is not a string", path());
    let Some(RawBsonRef::String(key)) = key else {
        return Err(not_a_text(spec.key));
    };
    let detail = match detail {
        None | Some(RawBsonRef::Null) => None,
        Some(RawBsonRef::String(detail)) => Some(detail),
        Some(_) => return Err(not_a_text(spec.detail.map_or("", |detail| detail.field))),
    };
    // Only documents of other programs lack `from`. Their entries count as lineage from a tag.
    let origin = origin.and_then(|origin| origin.as_str());
    Ok(RawEntry {
        key,
        detail,
        origin: origin.and_then(Origin::parse).unwrap_or_default(),
        context: context.and_then(|context| context.as_str()),
    })
}

fn text(error: bson::error::Error) -> String {
    error.to_string()
}

/// An entry of a side, in the document's own bytes.
struct RawEntry<'a> {
    key: &'a str,
    detail: Option<&'a str>,
    origin: Origin,
    context: Option<&'a str>,
}
