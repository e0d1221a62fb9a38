//! A lineage index for machine-learning runs, stored in MongoDB.
//!
//! Runs that MLflow tracks carry, in tags that the Python library mlopus writes, which models and artifacts they read
//! and wrote. This crate mirrors them into a MongoDB collection `runs` and answers from there, indexed.
//!
//! ```no_run
//! use futures::TryStreamExt;
//! use runlineage::{MongoRunStore, Query};
//!
//! # async fn example() -> runlineage::Result<()> {
//! let store = MongoRunStore::connect("mongodb://localhost:27017/runlineage").await?;
//! let query = Query::new().with_input_model("churn", "3");
//! let mut runs = store.find_runs(query).await?;
//! while let Some(run) = runs.try_next().await? {
//!     println!("{} {:?}", run.id(), run.name());
//! }
//! # Ok(()) }
//! ```
//!
//! | to | see |
//! |---|---|
//! | say what a run read and wrote | [`Lineage`], [`lineage::of`] |
//! | look for runs | [`Query`], [`Test`], [`Search`], [`RunStore`], [`MongoRunStore`] |
//! | read what was found | [`Run`], [`Texts`] |
//! | talk to MLflow | [`MlflowClient`] |
//! | mirror a tracking server | [`Sync`](sync::Sync) |

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod codec;
mod error;
pub mod lineage;
mod mlflow;
mod mongo;
mod query;
mod register;
mod run;
mod store;
pub mod sync;

/// What a filter from outside may hold ([`Search::checked`]), and how times are written.
pub mod filter {
    pub use crate::query::{
        FIELD_ROOTS, MAX_BYTES, MAX_DEPTH, MAX_LIST, MAX_NODES, MAX_PATH, MAX_TEXT, OPERATORS,
        parse_time,
    };
}

pub use codec::nest::Texts;
pub use error::{Error, MlflowCode, Result};
pub use lineage::{Inputs, Lineage, Outputs};
pub use mlflow::{ExperimentInfo, MlflowClient, MlflowClientBuilder};
pub use mongo::explain::Plan;
pub use mongo::find::{Facet, FacetCount};
pub use mongo::migrate::MigrationStatus;
pub use mongo::save::Saved;
pub use mongo::source::Freshness;
pub use mongo::{MongoRunStore, Ticket};
pub use query::{Query, Search, Test, Value};
pub use run::{Experiment, Problem, Run, RunId};
pub use store::{RunStore, RunStream};
