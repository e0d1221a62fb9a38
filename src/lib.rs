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
//! | name what lineage connects | [`Node`], [`Kind`] |
//! | say what a run read and wrote | [`Lineage`], [`lineage::of`] |
//! | look for runs | [`Query`] and [`query`], [`Search`], [`RunStore`], [`MongoRunStore`] and [`mongo`] |
//! | read what was found | [`Run`], [`Texts`] |
//! | talk to MLflow | [`MlflowClient`] and [`mlflow`] |
//! | mirror a tracking server | [`sync`] |
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `unstable` | no | the write path of [`MongoRunStore`], such as `save_runs`, for this project's own tests and benchmarks; it may change in any version |
//!
//! The program is the package `runlineage-cli`; this one brings no argument parser, web server or terminal. [`bson`] and
//! [`mongodb`] are the versions that the interface uses.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod codec;
mod error;
pub mod mlflow;
pub mod mongo;
mod node;
pub mod query;
mod register;
mod registry;
mod run;
mod store;
pub mod sync;

pub use bson;
pub use mongodb;

pub use codec::nest::{Texts, text_of};
pub use error::{Error, MlflowCode, Result};
pub use mlflow::MlflowClient;
pub use mongo::MongoRunStore;
pub use node::{Direction, Inputs, Kind, Lineage, Node, Origin, Outputs, Reference};
pub use query::{Query, Search};
pub use registry::{Alias, Evaluation, LoggedModel, ModelVersion, RegisteredModel};
pub use run::{Experiment, ExperimentSelector, Problem, Run, RunId};
pub use store::{RunStore, RunStoreExt, RunStream};

/// What runs read and wrote, and how that is registered.
pub mod lineage {
    pub use crate::node::{
        Detail, Details, Direction, Inputs, Kind, KindSpec, Lineage, LineageInfo, ModelPointer,
        Node, NodeArg, Origin, Outputs, PointsTo, Reference,
    };
    pub use crate::register::{Registration, of};
}
