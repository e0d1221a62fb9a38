//! Every format, over graphs that look like lineage and over random ones with hostile names.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "clippy knows a test function, but not what reads a picture back for one"
)]

mod crossings;
mod data;
mod drawn;
mod exports;
mod folds;
mod page;
mod pixels;
mod random_graphs;
mod scenes;
