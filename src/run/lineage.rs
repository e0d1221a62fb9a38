//! What a stored run read and wrote: in place, or as a [`Lineage`]; and the form in which it is stored.

use std::collections::BTreeMap;

use bson::raw::{RawArray, RawBsonRef};
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
        let kinds = Direction::BOTH
            .into_iter()
            .flat_map(|direction| Kind::of_direction(direction).map(move |kind| (direction, kind)));
        kinds.flat_map(move |(direction, kind)| {
            self.entries(direction, kind).map(move |entry| {
                let RawEntry {
                    key,
                    detail,
                    origin,
                    ..
                } = entry?;
                Ok(Reference {
                    direction,
                    node: Node::stored(kind, key, detail),
                    origin,
                })
            })
        })
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
            self.entry(direction, kind, element)
        });
        error.into_iter().map(Err).chain(entries)
    }

    fn array(&self, direction: Direction, kind: Kind) -> Result<Option<&RawArray>> {
        let (document, side) = (&self.document, direction.field());
        let side_field = document.get(side);
        let array = match side_field.map_err(|error| self.malformed(error))? {
            None => return Ok(None),
            Some(RawBsonRef::Document(side)) => side.get(kind.spec().field),
            Some(_) => return Err(self.malformed(format!("`{side}` is not a document"))),
        };
        match array.map_err(|error| self.malformed(error))? {
            None => Ok(None),
            Some(RawBsonRef::Array(array)) => Ok(Some(array)),
            Some(_) => {
                let path = kind.path(direction);
                Err(self.malformed(format!("`{path}` is not an array")))
            }
        }
    }

    fn entry<'a>(
        &self,
        direction: Direction,
        kind: Kind,
        element: RawBsonRef<'a>,
    ) -> Result<RawEntry<'a>> {
        let (spec, path) = (kind.spec(), || kind.path(direction));
        let entry = element
            .as_document()
            .ok_or_else(|| self.malformed(format!("an entry of `{}` is not a document", path())))?;
        let key = entry.get_str(spec.key);
        let key = key.map_err(|error| self.malformed(error))?;
        let detail = match spec.detail {
            None => None,
            Some(detail) => {
                let value = entry.get(detail.field);
                match value.map_err(|error| self.malformed(error))? {
                    None | Some(RawBsonRef::Null) => None,
                    Some(RawBsonRef::String(value)) => Some(value),
                    Some(_) => {
                        let field = detail.field;
                        let reason = format!("a `{field}` of `{}` is not a string", path());
                        return Err(self.malformed(reason));
                    }
                }
            }
        };
        // Only documents of other programs lack `from`. Their entries count as lineage from a tag.
        let origin = entry.get_str(FROM).ok().and_then(Origin::parse);
        Ok(RawEntry {
            key,
            detail,
            origin: origin.unwrap_or_default(),
            context: entry.get_str(CONTEXT).ok(),
        })
    }
}

/// An entry of a side, in the document's own bytes.
struct RawEntry<'a> {
    key: &'a str,
    detail: Option<&'a str>,
    origin: Origin,
    context: Option<&'a str>,
}
