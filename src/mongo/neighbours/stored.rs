//! [`StoredRun`]: what a walk needs of a run, parsed from the bytes of a batch.

use bson::DateTime;
use bson::raw::{RawBsonRef, RawDocument};

use crate::error::{Error, Result};
use crate::node::{Kind, Node, Reference};
use crate::run::field;
use crate::run::lineage::each_reference;

/// Stands in an error for an `_id` that was not read.
const UNKNOWN_ID: &str = "?";

/// A mirrored run.
#[derive(Debug)]
pub(crate) struct StoredRun {
    pub(crate) node: Node,
    /// The run's inputs and outputs.
    pub(crate) references: Vec<Reference>,
    pub(crate) is_deleted: bool,
    pub(crate) facts: StoredFacts,
}

/// The fields of a run that become facts of a node. Those that were not read are `None`.
#[derive(Debug, Default)]
pub(crate) struct StoredFacts {
    pub(crate) name: Option<String>,
    pub(crate) exp_id: Option<String>,
    pub(crate) exp_name: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) start_time: Option<DateTime>,
    pub(crate) end_time: Option<DateTime>,
    pub(crate) user: Option<String>,
    pub(crate) is_purged: bool,
}

impl StoredFacts {
    /// The fields to read.
    pub(super) const FIELDS: [&str; 6] = [
        field::NAME,
        field::EXP,
        field::STATUS,
        field::START_TIME,
        field::END_TIME,
        field::USER,
    ];

    fn add(&mut self, field: &str, value: RawBsonRef<'_>) {
        match field {
            field::NAME => self.name = text(value),
            field::STATUS => self.status = text(value),
            field::USER => self.user = text(value),
            field::START_TIME => self.start_time = value.as_datetime(),
            field::END_TIME => self.end_time = value.as_datetime(),
            field::EXP => {
                let exp = value.as_document();
                let of = |field| exp.and_then(|exp| exp.get(field).ok()?.and_then(text));
                (self.exp_id, self.exp_name) = (of("id"), of("name"));
            }
            field::MIRROR => {
                let purged = value.as_document().map(|mirror| mirror.get(field::PURGED));
                let purged = purged.and_then(|purged| purged.ok()?.and_then(|is| is.as_bool()));
                self.is_purged = purged.unwrap_or_default();
            }
            _ => {}
        }
    }
}

impl StoredRun {
    /// Parses the run in one pass, because a walk reads very many.
    pub(super) fn parse(document: &RawDocument, is_deleted: bool) -> Result<Self> {
        let mut run = Self {
            node: Node::stored(Kind::RUN, UNKNOWN_ID, None),
            references: Vec::new(),
            is_deleted,
            facts: StoredFacts::default(),
        };
        let parsed = run.read(document);
        parsed.map_err(|reason| Error::Document {
            id: run.node.key().to_owned(),
            reason,
        })?;
        Ok(run)
    }

    fn read(&mut self, document: &RawDocument) -> Result<(), String> {
        for element in document.iter_elements() {
            let element = element.map_err(|error| error.to_string())?;
            let value = element.value().map_err(|error| error.to_string())?;
            match (element.key().as_str(), value) {
                (field::ID, RawBsonRef::String(id)) => {
                    self.node = Node::stored(Kind::RUN, id, None);
                }
                (field::ID, _) => return Err(
                    "its `_id` is not a string, so another program wrote it; remove the document"
                        .to_owned(),
                ),
                (field, value) => self.facts.add(field, value),
            }
        }
        each_reference(document, |reference| self.references.push(reference))
    }
}

fn text(value: RawBsonRef<'_>) -> Option<String> {
    value.as_str().map(str::to_owned)
}
