//! [`Lookup`]: a query for references, as filters on runs.

use std::collections::BTreeSet;
use std::sync::Arc;

use bson::{Bson, Document, doc};

use super::{CHUNK, chunks};
use crate::hash::FastIndexSet;
use crate::mongo::indexes::INDEXES;
use crate::node::{Direction, Kind, Node};

/// The largest number of (name, version) combinations in one query. MongoDB seeks each of them in its index.
const COMBINATIONS: usize = 20_000;

/// Two queries share the keys from twice this number on, so that MongoDB answers with two cores.
const SHARED: usize = 500;

/// A query for references of one kind on one side of runs.
#[derive(Debug, Clone)]
pub(crate) struct Lookup {
    pub(crate) direction: Direction,
    pub(crate) kind: Kind,
    pub(crate) keys: FastIndexSet<Arc<str>>,
    /// These details, and references without a detail; `None` for any detail.
    pub(crate) details: Option<BTreeSet<String>>,
}

impl Lookup {
    /// The name of the index by the key.
    pub(super) fn index(&self) -> &'static str {
        let leading = self.kind.key_path(self.direction);
        let mut indexes = INDEXES.iter();
        let index = indexes.find(|index| index.leading_field() == leading && !index.is_by_time());
        index.map_or("", |index| index.name)
    }

    /// A lookup for each key, with those of the details that are wanted of this key.
    pub(super) fn by_key(&self, is_wanted: &dyn Fn(&Node) -> bool) -> impl Iterator<Item = Self> {
        self.keys.iter().map(|key| Self {
            direction: self.direction,
            kind: self.kind,
            keys: [Arc::clone(key)].into_iter().collect(),
            details: self.details_of(key, is_wanted),
        })
    }

    /// The details that are wanted of this key.
    pub(super) fn details_of(
        &self,
        key: &str,
        is_wanted: &dyn Fn(&Node) -> bool,
    ) -> Option<BTreeSet<String>> {
        let details = self.details.as_ref()?.iter();
        let wanted = details.filter(|detail| {
            let node = Node::stored(self.kind, key, Some(detail));
            is_wanted(&node)
        });
        Some(wanted.cloned().collect())
    }

    /// Whether the lookup finds this reference.
    pub(super) fn finds(&self, node: &Node) -> bool {
        node.kind() == self.kind && self.keys.contains(node.key()) && self.has(node.detail())
    }

    /// Whether the lookup finds references with this detail.
    pub(super) fn has(&self, detail: Option<&str>) -> bool {
        let details = self.details.as_ref().zip(detail);
        details.is_none_or(|(details, detail)| details.contains(detail))
    }

    /// The filter of the runs that have exactly this reference.
    pub(super) fn exact(direction: Direction, node: &Node) -> Document {
        let (kind, spec) = (node.kind(), node.kind().spec());
        let mut element = doc! { spec.key: node.key() };
        if let Some(detail) = spec.detail {
            // Null stands for a missing field, too.
            element.insert(detail.field, node.detail());
        }
        doc! { kind.path(direction): { "$elemMatch": element } }
    }

    /// The filters of the queries. Their keys are disjoint.
    pub(super) fn filters(&self) -> Vec<Document> {
        let kind = self.kind;
        let filter = |mut element: Document| match element.len() {
            1 => {
                let condition = element.remove(kind.spec().key);
                doc! { kind.key_path(self.direction): condition }
            }
            _ => doc! { kind.path(self.direction): { "$elemMatch": element } },
        };
        self.elements().map(filter).collect()
    }

    fn elements(&self) -> impl Iterator<Item = Document> {
        let spec = self.kind.spec();
        let details = spec.detail.zip(self.details.as_ref());
        let half = self.keys.len().div_ceil(2);
        let fitting = if half < SHARED {
            CHUNK
        } else {
            half.min(CHUNK)
        };
        let size = details.map_or(fitting, |(_, details)| {
            (COMBINATIONS / (details.len() + 1)).clamp(1, fitting)
        });
        chunks(&self.keys, size).map(move |keys| {
            let mut element = doc! { spec.key: { "$in": keys } };
            if let Some((detail, details)) = details {
                let details = details.iter().map(|detail| Bson::from(detail.as_str()));
                let details: Vec<Bson> = details.chain([Bson::Null]).collect();
                element.insert(detail.field, doc! { "$in": details });
            }
            element
        })
    }
}
