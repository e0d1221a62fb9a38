//! Converts between the texts of MLflow and BSON. Every function is pure and needs no server.

pub(crate) mod flat;
pub(crate) mod nest;
pub(crate) mod tags;
pub(crate) mod value;
