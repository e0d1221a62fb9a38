//! Every format, over graphs that look like lineage and over random ones with hostile names.

mod crossings;
mod data;
mod drawn;
mod folds;
mod page;
mod pixels;
mod random_graphs;
mod scenes;
