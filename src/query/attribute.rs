//! The fields of a run itself that a query asks for: their words in texts, and where a run has them.

use bson::{Document, doc};

use super::render;
use crate::run::field;

/// A field of the run itself that holds a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attribute {
    /// The experiment by its id or its name.
    Experiment,
    ExperimentId,
    ExperimentName,
    Status,
    User,
    Name,
    Id,
    Parent,
}

/// A time of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    Start,
    End,
}

/// Each attribute with its words, of which the first is printed, and its path in a run.
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

const CLOCKS: [(Clock, &[&str], &str); 2] = [
    (Clock::Start, &["start_time", "created"], field::START_TIME),
    (Clock::End, &["end_time"], field::END_TIME),
];

impl Attribute {
    pub(super) fn of_word(word: &str) -> Option<Self> {
        let row = ATTRIBUTES
            .iter()
            .find(|(_, words, _)| words.contains(&word));
        row.map(|(attribute, ..)| *attribute)
    }

    /// The words that are printed, for messages.
    pub(super) fn words() -> impl Iterator<Item = &'static str> {
        ATTRIBUTES.iter().map(|(_, words, _)| words[0])
    }

    pub(super) fn word(self) -> &'static str {
        self.row().1[0]
    }

    pub(super) fn path(self) -> &'static str {
        self.row().2
    }

    /// The attribute whose field alone is asked whether it is there: an experiment has an id wherever it has a name.
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

impl Clock {
    pub(super) fn of_word(word: &str) -> Option<Self> {
        let row = CLOCKS.iter().find(|(_, words, _)| words.contains(&word));
        row.map(|(clock, ..)| *clock)
    }

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Start => CLOCKS[0].2,
            Self::End => CLOCKS[1].2,
        }
    }
}
