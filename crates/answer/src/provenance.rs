//! A provenance as a file.

use bson::DateTime;
use runlineage::Node;
use runlineage::graph::{Provenance, Unresolved};
use serde::Serialize;

/// The name of the file's form. A change that breaks readers gets the next number.
const FORM: &str = "runlineage.provenance/1";

/// The file: the provenance, and what a reader needs to judge it years later.
#[derive(Debug, Serialize)]
pub struct ProvenanceFile<'a> {
    form: &'static str,
    written_at: String,
    program: &'static str,
    /// Whether nothing upstream is missing or in doubt.
    complete: bool,
    #[serde(flatten)]
    provenance: &'a Provenance,
}

impl<'a> ProvenanceFile<'a> {
    /// The file of a provenance, written now. `is_whole` tells whether all levels were walked.
    #[must_use]
    pub fn of(provenance: &'a Provenance, is_whole: bool) -> Self {
        Self {
            form: FORM,
            written_at: DateTime::now().try_to_rfc3339_string().unwrap_or_default(),
            program: concat!("runlineage ", env!("CARGO_PKG_VERSION")),
            complete: is_whole && doubts(&provenance.unresolved).is_empty(),
            provenance,
        }
    }
}

/// What keeps the provenance from being complete, in words.
#[must_use]
pub fn doubts(unresolved: &Unresolved) -> Vec<String> {
    reasons(unresolved)
        .into_iter()
        .filter(|(_, nodes)| !nodes.is_empty())
        .map(|(reason, nodes)| format!("{} {reason}", nodes.len()))
        .chain(
            unresolved
                .truncated
                .as_ref()
                .map(|_| "a limit cut the walk".to_owned()),
        )
        .chain(
            unresolved
                .mirror
                .full_pass
                .is_none()
                .then(|| "the mirror never saw a full pass".to_owned()),
        )
        .collect()
}

/// Each reason of doubt with its nodes.
#[must_use]
pub fn reasons(unresolved: &Unresolved) -> [(&'static str, Vec<String>); 6] {
    let texts = |nodes: &[Node]| nodes.iter().map(Node::to_string).collect();
    let uncertain = unresolved.uncertain.iter();
    let uncertain = uncertain.map(|flow| format!("{} → {}", flow.written, flow.read));
    [
        ("not mirrored", texts(&unresolved.unmirrored)),
        ("deleted in MLflow", texts(&unresolved.deleted)),
        (
            "without version or digest",
            texts(&unresolved.without_version),
        ),
        ("uncertain", uncertain.collect()),
        (
            "registered only after a run had read this number",
            texts(&unresolved.made_anew),
        ),
        ("mirrored in part", texts(&unresolved.quarantined)),
    ]
}
