//! A lineage index for machine-learning runs, stored in MongoDB.
//!
//! MLflow tracks runs, and the Python library mlopus records in their tags which models and artifacts each run read and
//! wrote. This crate mirrors the runs into a MongoDB collection named `runs`. It answers lineage questions from there,
//! with indexes.
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
//! A query needs no server until a store runs it:
//!
//! ```
//! use bson::doc;
//! use runlineage::Query;
//!
//! let query: Query = "input.model = 'churn' and status = 'FAILED'".parse()?;
//! assert_eq!(query, Query::new().with_input_model("churn", None).with_status("FAILED"));
//! assert_eq!(
//!     query.render()?,
//!     doc! { "$and": [{ "inputs.models.name": "churn" }, { "status": "FAILED" }] }
//! );
//! # Ok::<(), runlineage::Error>(())
//! ```
//!
//! # Layout
//! Each module imports only modules from the rows above it. Private modules re-export their public items here.
//!
//! | module | contents |
//! |---|---|
//! | `error` | [`Error`], [`Result`], and [`MlflowCode`] for the error codes of MLflow |
//! | `node` | [`Node`], [`Kind`], [`Lineage`]: what lineage connects; public as [`lineage`] |
//! | `run` | [`Run`]: the stored document and its accessors |
//! | `codec` | [`Texts`], [`Data`], [`text_of`]: conversion between the texts of MLflow and BSON |
//! | [`query`] | [`Query`], [`Search`]: build, parse, print, render and check a search |
//! | `store` | [`RunStore`], [`RunStoreExt`]: the contract of every store that finds runs |
//! | [`mlflow`] | [`MlflowClient`]: the client of MLflow's REST API |
//! | [`mongo`] | [`MongoRunStore`]: find, write, index, migrate and lock in MongoDB |
//! | [`graph`] | [`Graph`](graph::Graph): walks upstream and downstream of a node |
//! | `register` | [`lineage::of`]: add lineage to a run in MLflow and in the mirror |
//! | [`sync`] | [`SyncJob`](sync::SyncJob): mirror a tracking server |
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `unstable` | no | the write path of [`MongoRunStore`], such as `save_runs`, for this project's own tests and benchmarks; it may change in any version |
//!
//! The command line program is the package `runlineage-cli`. This package depends on no argument parser, web server or
//! terminal library. [`bson`] and [`mongodb`] are the versions that the public interface uses.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod codec;
mod error;
pub mod graph;
mod hash;
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

pub use codec::flat::{Data, FlatValue};
pub use codec::nest::{Texts, text_of};
pub use error::{Error, MlflowCode, Result, TextPosition};
pub use mlflow::MlflowClient;
pub use mongo::MongoRunStore;
pub use node::{Direction, Inputs, Kind, Lineage, Node, Origin, Outputs, Reference};
pub use query::{Query, Search};
pub use registry::{Alias, Evaluation, LoggedModel, ModelVersion, RegisteredModel};
pub use run::{Experiment, ExperimentSelector, Problem, Run, RunId};
pub use store::{RunStore, RunStoreExt, RunStream};

/// The types of lineage, and [`of`](lineage::of), which registers lineage on a run in MLflow.
pub mod lineage {
    pub use crate::node::{
        Detail, Details, Direction, Inputs, Kind, KindSpec, Lineage, LineageInfo, ModelPointer,
        Node, NodeArg, Origin, Outputs, PointsTo, Reference,
    };
    pub use crate::register::{Registration, RunAnswer, of, of_id};
}
