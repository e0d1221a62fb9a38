//! The table of the kinds of nodes. A new kind needs a row here, and code that reads it from MLflow.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use super::Direction;
use super::text::{self, NodeArg};

/// A kind of node, such as a model or an artifact: a row of the table of kinds.
#[derive(Clone, Copy)]
pub struct Kind(&'static KindSpec);

/// A row of the table of kinds: how the program stores, parses, prints and documents nodes of one kind.
#[derive(Debug)]
pub struct KindSpec {
    /// The name of the kind in texts, flags and terms: `logged-model` gives `logged-model:…`, `--input-logged-model`, `input.logged_model`.
    pub noun: &'static str,
    /// The directions in which runs refer to it. Empty for a kind whose nodes are documents of their own.
    pub directions: &'static [Direction],
    /// The array of its entries in `inputs` and `outputs`.
    pub field: &'static str,
    /// Whether mlopus records it: it has lineage tags, and every document has its arrays, empty ones too.
    pub is_mlopus: bool,
    /// The field of an entry that names it.
    pub key: &'static str,
    /// What the key is, for messages, such as `model name`.
    pub key_means: &'static str,
    /// The version or path that an entry may have beside the key.
    pub detail: Option<Detail>,
    /// Parses the value of a flag or a query term of this kind.
    pub read: fn(Kind, &str) -> Result<NodeArg, String>,
    /// The placeholder of a flag's value in the help.
    pub value_name: &'static str,
    /// Examples of a value, for help and messages.
    pub example: &'static str,
}

/// The second part of an entry, beside its key: a model's version, or an artifact's path.
#[derive(Debug, Clone, Copy)]
pub struct Detail {
    /// The field of an entry that holds the detail.
    pub field: &'static str,
    /// The character between key and detail in texts.
    pub separator: char,
    /// Whether the detail is a path, so that other details can lie below it.
    pub is_path: bool,
    /// The word of the term and the flag that match a detail of any key, such as `path` in `input.path` and `--input-path`.
    pub of_any_key: Option<&'static str>,
    /// The word of the term that matches entries without a detail, such as `unversioned_model`.
    pub absent: Option<&'static str>,
}

/// The table. Its order is the order of fields, flags and printing.
const KINDS: &[Kind] = &[
    Kind::RUN,
    Kind::MODEL,
    Kind::ARTIFACT,
    Kind::DATASET,
    Kind::LOGGED_MODEL,
    Kind::PROMPT,
    #[cfg(test)]
    super::kinds_tests::GADGET,
];

/// The rows.
impl Kind {
    /// A run.
    pub const RUN: Self = Self(&KindSpec {
        noun: "run",
        directions: &[],
        field: "_id",
        is_mlopus: false,
        key: "_id",
        key_means: "run id",
        detail: None,
        read: text::read_run,
        value_name: "RUN_ID",
        example: "8f2c61d04a7b4f0e9d3c5b6a7e8f9012",
    });

    /// A registered model, or one version of it.
    pub const MODEL: Self = Self(&KindSpec {
        noun: "model",
        directions: &Direction::BOTH,
        field: "models",
        is_mlopus: true,
        key: "name",
        key_means: "model name",
        detail: Some(Detail {
            field: "version",
            separator: ':',
            is_path: false,
            of_any_key: None,
            absent: Some("unversioned_model"),
        }),
        read: text::read_model,
        value_name: "NAME[:VERSION]",
        example: "churn, churn:3, models:/churn/3 or models:/churn@champion; end a name that has colons with one more: `a:b:`",
    });

    /// The artifacts of a run, or a path among them.
    pub const ARTIFACT: Self = Self(&KindSpec {
        noun: "artifact",
        directions: &Direction::BOTH,
        field: "runs",
        is_mlopus: true,
        key: "id",
        key_means: "run id",
        detail: Some(Detail {
            field: "path",
            separator: '/',
            is_path: true,
            of_any_key: Some("path"),
            absent: None,
        }),
        read: text::read_artifact,
        value_name: "RUN_ID[/PATH]",
        example: "8f2c61d04a7b4f0e9d3c5b6a7e8f9012/data/train.parquet or runs:/8f2c61d04a7b4f0e9d3c5b6a7e8f9012/data",
    });

    /// A dataset that MLflow records as an input of a run.
    pub const DATASET: Self = Self(&KindSpec {
        noun: "dataset",
        directions: &[Direction::Input],
        field: "datasets",
        is_mlopus: false,
        key: "name",
        key_means: "dataset name",
        detail: Some(Detail {
            field: "digest",
            separator: '@',
            is_path: false,
            of_any_key: None,
            absent: None,
        }),
        read: text::read_dataset,
        value_name: "NAME[@DIGEST]",
        example: "clicks or clicks@4f2a91c3; a name that holds an @ ends in one: `a@b@`",
    });

    /// A logged model of MLflow 3. MLflow 2 names what it calls a logged model by 32 hexadecimal digits.
    pub const LOGGED_MODEL: Self = Self(&KindSpec {
        noun: "logged-model",
        directions: &Direction::BOTH,
        field: "logged_models",
        is_mlopus: false,
        key: "id",
        key_means: "logged model id",
        detail: None,
        read: text::read_logged_model,
        value_name: "ID",
        example: "m-3f0b6c1d2e4a4f5b8c7d9e0f1a2b3c4d or models:/m-3f0b6c1d2e4a4f5b8c7d9e0f1a2b3c4d",
    });

    /// A prompt of MLflow's registry, or one version of it.
    pub const PROMPT: Self = Self(&KindSpec {
        noun: "prompt",
        directions: &[Direction::Input],
        field: "prompts",
        is_mlopus: false,
        key: "name",
        key_means: "prompt name",
        detail: Some(Detail {
            field: "version",
            separator: ':',
            is_path: false,
            of_any_key: None,
            absent: None,
        }),
        read: text::read_prompt,
        value_name: "NAME[:VERSION]",
        example: "summary, summary:2 or prompts:/summary/2; a name that holds a colon ends in one: `a:b:`",
    });
}

impl Kind {
    /// Every kind, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        KINDS.iter().copied()
    }

    /// The kinds to which runs refer in this direction.
    pub fn of_direction(direction: Direction) -> impl Iterator<Item = Self> {
        Self::all().filter(move |kind| kind.0.directions.contains(&direction))
    }

    /// A kind with this row, which need not be in the table.
    #[must_use]
    pub const fn new(spec: &'static KindSpec) -> Self {
        Self(spec)
    }

    /// The row of this kind.
    #[must_use]
    pub const fn spec(self) -> &'static KindSpec {
        self.0
    }

    /// Whether the detail of its nodes is a path. Paths overlap if one contains the other; versions and digests do not.
    #[must_use]
    pub fn has_paths(self) -> bool {
        self.0.detail.is_some_and(|detail| detail.is_path)
    }

    /// The flag that searches for nodes of this kind or registers them, without its dashes: `input-model`.
    #[must_use]
    pub fn flag(self, direction: Direction) -> String {
        format!("{direction}-{}", self.0.noun)
    }

    /// The term for nodes of this kind in the text of a query: `input.logged_model`.
    #[must_use]
    pub fn term(self, direction: Direction) -> String {
        format!("{direction}.{}", self.0.noun.replace('-', "_"))
    }

    /// The dotted path of its array in the document of a run: `inputs.models`.
    #[must_use]
    pub fn path(self, direction: Direction) -> String {
        format!("{}.{}", direction.field(), self.0.field)
    }

    /// The dotted path of its key in the document of a run: `inputs.models.name`.
    #[must_use]
    pub fn key_path(self, direction: Direction) -> String {
        format!("{}.{}", self.path(direction), self.0.key)
    }

    /// The kind with this noun; `None` if the table has no such kind.
    pub(crate) fn of_noun(noun: &str) -> Option<Self> {
        Self::all().find(|kind| kind.0.noun == noun)
    }

    /// The kind whose entries are in this array of `inputs` or `outputs`.
    pub(crate) fn of_field(direction: Direction, field: &str) -> Option<Self> {
        Self::of_direction(direction).find(|kind| kind.0.field == field)
    }

    fn place(self) -> usize {
        let same = |kind: &Self| std::ptr::eq(kind.0, self.0) || kind.0.noun == self.0.noun;
        KINDS.iter().position(same).unwrap_or(KINDS.len())
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        // Sorting and hashing nodes compares their kinds very often, and nearly always equal ones.
        std::ptr::eq(self.0, other.0) || self.0.noun == other.0.noun
    }
}

impl Eq for Kind {}

impl PartialOrd for Kind {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Kind {
    fn cmp(&self, other: &Self) -> Ordering {
        if self == other {
            return Ordering::Equal;
        }
        let by_name = || self.0.noun.cmp(other.0.noun);
        self.place().cmp(&other.place()).then_with(by_name)
    }
}

impl Hash for Kind {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.noun.hash(state);
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.noun)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.noun)
    }
}
