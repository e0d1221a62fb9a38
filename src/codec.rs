//! Between MLflow's texts and BSON: pure, without MLflow and without MongoDB.

pub(crate) mod nest;
pub(crate) mod tags;
pub(crate) mod value;
