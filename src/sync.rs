//! [`SyncJob`] mirrors a tracking server once, and [`Watch`] repeats its passes.
//!
//! A job lists the experiments, scans each of them page by page, compares the runs with the mirror and writes those that
//! differ. Each of its parts knows only the parts below it:
//!
//! | file | does |
//! |---|---|
//! | `watch` | repeats passes by a schedule |
//! | `job` | the public handle: settings, and one method per operation |
//! | `pass`, `quick`, `verify`, `forget` | one operation each |
//! | `exclusive` | holds the lease, so that one process at a time writes |
//! | `experiment` | scans one experiment from its checkpoint to its end |
//! | `registry` | mirrors registered models, their versions and logged models |
//! | `missing` | finds the mirrored runs that a scan did not show |
//! | `deleted_upstream` | removes runs that MLflow no longer knows, at the end of a pass |
//! | `inquiry`, `verdict` | ask MLflow about one missing run |
//! | `deletion_guard` | limits how many runs one pass may remove |
//! | `triage` | decides whether an error concerns one experiment or all of them |
//! | `model_inputs` | adds what MLflow shows of single runs only |
//! | `pages`, `save`, `seen`, `compare` | fetch, save, remember and compare pages of runs |
//! | `settings`, `scope`, `names`, `totals`, `report` | the settings of a job, and its results |

mod compare;
mod deleted_upstream;
mod deletion_guard;
mod exclusive;
mod experiment;
mod forget;
mod inquiry;
mod job;
mod missing;
mod model_inputs;
mod names;
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
