//! [`SyncJob`] mirrors a tracking server, and [`Watch`] repeats that.
//!
//! A job lists the experiments, scans each page by page, compares the runs with the mirror and writes those that differ.
//! Its parts, each of which knows only those below it:
//!
//! | file | does |
//! |---|---|
//! | `watch` | repeats passes by a schedule |
//! | `job` | the public handle: settings, and one method for each kind of work |
//! | `pass`, `quick`, `verify`, `forget` | one kind of work each |
//! | `exclusive` | makes sure that one process at a time writes |
//! | `experiment` | the scan of one experiment to its end |
//! | `registry` | registered models, their versions and logged models |
//! | `missing` | the mirrored runs that a scan did not show |
//! | `gone` | the runs that leave the mirror at the end of a pass |
//! | `triage` | whether an error is one experiment's or everybody's |
//! | `verdict`, `deletion_guard` | MLflow's verdict on a missing run, and how many may leave |
//! | `pages`, `save`, `seen`, `compare` | pages of runs: fetched, saved, remembered, compared |
//! | `settings`, `scope`, `totals`, `report` | what a job works with, and what it comes to |

mod compare;
mod deletion_guard;
mod exclusive;
mod experiment;
mod forget;
mod gone;
mod inquiry;
mod job;
mod missing;
mod pages;
mod pass;
mod quick;
mod registry;
mod report;
mod save;
mod scope;
mod seen;
mod settings;
mod totals;
mod triage;
mod verdict;
mod verify;
mod watch;

pub use tokio_util::sync::CancellationToken;

pub use compare::Difference;
pub use job::SyncJob;
pub use report::{Incomplete, Progress, RegistryCounts, RegistryReport, Report};
pub use verify::Verification;
pub use watch::{PassEnded, PassKind, Watch};
