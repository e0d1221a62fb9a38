//! Draws a lineage graph: as a picture, as a page, as lines for a terminal, as data.
//!
//! The input is a [`Picture`] of nodes and edges. The crate reads no database and asks no server, and the same input gives the
//! same bytes.
//!
//! ```
//! use runlineage_draw::{NodeKind, Picture, PictureEdge, PictureNode, SvgOptions};
//!
//! let mut model = PictureNode::new("model:churn:7", NodeKind::Model);
//! model.start = true;
//! let run = PictureNode::new("run:8f2c", NodeKind::Run);
//! let edge = PictureEdge::new("run:8f2c", "model:churn:7");
//! let picture = Picture::new(vec![model, run], vec![edge])?;
//!
//! let svg = runlineage_draw::svg(&picture.fold(5), &SvgOptions::default());
//! assert!(svg.contains("model:churn:7"));
//! # Ok::<(), runlineage_draw::Error>(())
//! ```
//!
//! | to | see |
//! |---|---|
//! | draw a walked graph | [`Picture::from_graph`] |
//! | draw two upstreams laid over each other | [`Picture::from_diff`] |
//! | give nodes and edges | [`Picture`], [`PictureNode`], [`PictureEdge`] |
//! | fold many siblings into one node | [`Picture::fold`] |
//! | draw | [`svg()`], [`png()`], [`html()`] |
//! | print | [`tree()`], [`table_rows`] |
//! | give data | [`json()`], [`csv()`] |
//! | write for other programs | [`dot()`], [`mermaid()`], [`graphml()`], [`openlineage()`] |
//! | choose a format by name | [`Format`] |
//!
//! Names come from other people. Markup is escaped, control and bidirectional characters are replaced, links are `http` or `https`,
//! and nothing that is drawn asks another server for anything.

mod attributes;
mod change;
mod csv;
mod diff;
mod dot;
mod error;
mod fold;
mod font;
mod format;
mod graph;
mod graphml;
mod html;
mod ids;
mod json;
mod layout;
mod mermaid;
mod openlineage;
mod picture;
mod png;
mod svg;
mod table;
mod text;
mod tree;

pub use change::Change;
pub use csv::csv;
pub use dot::dot;
pub use error::{Error, Result};
pub use format::Format;
pub use graphml::graphml;
pub use html::{HtmlOptions, html};
pub use json::json;
pub use mermaid::{MermaidOptions, mermaid};
pub use openlineage::openlineage;
pub use picture::{Hidden, NodeKind, Picture, PictureEdge, PictureNode};
pub use png::{MAX_PIXELS, Png, PngOptions, png};
pub use svg::{SvgOptions, Theme, svg};
pub use table::{TABLE_HEADER, table_rows};
pub use tree::tree;
