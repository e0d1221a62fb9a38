//! Answers in the forms that the program, the HTTP API, the MCP server and the Python package share: the same question gives the same answer in
//! all of them.
//!
//! - runs: `runs` writes them, `column`, `cell` and `trim` reduce them, `condition` and `experiments` read what is asked for
//! - counts: `facet`
//! - texts: `secret` masks credentials, `invisible` escapes what steers a reader unseen
//! - nodes: `start` reads them, `node` and `versions` tell what is known of one
//! - graphs: `graph`, `impact`, `provenance`, `diff`, with links to MLflow by `pages`, and as files by `file`

mod cell;
mod column;
mod condition;
mod diff;
mod experiments;
mod facet;
mod file;
mod filter_names;
mod graph;
mod impact;
mod invisible;
mod node;
mod pages;
mod provenance;
mod runs;
mod secret;
mod start;
mod trim;
mod versions;

pub use cell::{at_path, value_text};
pub use column::{Column, NamedColumn};
pub use condition::{Condition, parse_condition};
pub use diff::{diff_csv, diff_title};
pub use experiments::{ExperimentNames, any_run, check_experiment};
pub use facet::{facet_csv, facet_json, facets};
pub use file::{diff_file, graph_file, picture_file};
pub use graph::{Drawn, LinkedGraph, LinkedNode, json_line, masked_picture};
pub use impact::impact_csv;
pub use invisible::{is_unprintable, push_escaped};
pub use node::{Facts, ListedRun, Runs, ShownNode};
pub use pages::Pages;
pub use provenance::{ProvenanceFile, doubts, reasons};
pub use runs::RunWriter;
pub use secret::masked;
pub use start::{has_flow, is_met, parse_levels, parse_start};
pub use trim::projection;
pub use versions::{ListedVersion, UsedBy, Versions};
