//! [`Attribute`] and [`TimeField`]: the top-level fields of a run that a query can name, with their names and paths.

use bson::{Document, doc};

use super::render;
use crate::run::field;

/// A text field of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attribute {
    /// The experiment, by id or by name.
    Experiment,
    ExperimentId,
    ExperimentName,
    Status,
    User,
    Name,
    Id,
    Parent,
}

/// A time field of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeField {
    Start,
    End,
}

/// Each attribute with its names and its path in the stored document. Queries print the first name.
const ATTRIBUTES: [(Attribute, &[&str], &str); 8] = [
    (Attribute::Experiment, &["exp", "experiment"], field::EXP_ID),
    (
        Attribute::ExperimentId,
        &["exp.id", "experiment_id"],
        field::EXP_ID,
    ),
    (
        Attribute::ExperimentName,
        &["exp.name", "experiment_name"],
        field::EXP_NAME,
    ),
    (Attribute::Status, &["status"], field::STATUS),
    (Attribute::User, &["user", "user_id"], field::USER),
    (Attribute::Name, &["name", "run_name"], field::NAME),
    (Attribute::Id, &["run_id", "_id", "id"], field::ID),
    (Attribute::Parent, &["parent"], field::PARENT),
];

const TIME_FIELDS: [(TimeField, &[&str], &str); 2] = [
    (
        TimeField::Start,
        &["start_time", "created"],
        field::START_TIME,
    ),
    (TimeField::End, &["end_time"], field::END_TIME),
];

impl Attribute {
    pub(super) fn parse(name: &str) -> Option<Self> {
        let row = ATTRIBUTES
            .iter()
            .find(|(_, names, _)| names.contains(&name));
        row.map(|(attribute, ..)| *attribute)
    }

    /// The printed names, for error messages.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        ATTRIBUTES.iter().map(|(_, names, _)| names[0])
    }

    pub(super) fn name(self) -> &'static str {
        self.row().1[0]
    }

    pub(super) fn path(self) -> &'static str {
        self.row().2
    }

    /// The attribute whose single path decides presence: an experiment always has an id.
    pub(super) fn of_presence(self) -> Self {
        match self {
            Self::Experiment => Self::ExperimentId,
            attribute => attribute,
        }
    }

    pub(super) fn equal(self, text: &str) -> Document {
        let by_path = doc! { self.path(): text };
        match self {
            Self::Experiment => render::any([by_path, doc! { field::EXP_NAME: text }]),
            _ => by_path,
        }
    }

    fn row(self) -> &'static (Self, &'static [&'static str], &'static str) {
        let row = ATTRIBUTES.iter().find(|(attribute, ..)| *attribute == self);
        row.unwrap_or(&ATTRIBUTES[0])
    }
}

impl TimeField {
    pub(super) fn parse(name: &str) -> Option<Self> {
        let row = TIME_FIELDS
            .iter()
            .find(|(_, names, _)| names.contains(&name));
        row.map(|(time_field, ..)| *time_field)
    }

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Start => TIME_FIELDS[0].2,
            Self::End => TIME_FIELDS[1].2,
        }
    }
}
