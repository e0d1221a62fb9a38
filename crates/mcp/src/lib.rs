//! An MCP server over a mirror: assistants ask questions of lineage by the Model Context Protocol. Every tool only reads.
//!
//! ```no_run
//! # async fn example(store: runlineage::MongoRunStore) -> Result<(), runlineage_mcp::Error> {
//! use runlineage_mcp::Server;
//!
//! let (input, output) = (tokio::io::stdin(), tokio::io::stdout());
//! Server::new(store).serve(input, output, std::future::pending()).await?;
//! # Ok(()) }
//! ```
//!
//! | module | contents |
//! |---|---|
//! | `server` | [`Server`]: settings, the protocol, the instructions for assistants |
//! | `tool` | the table of tools, and what all questions share |
//! | `find`, `node`, `graph`, `impact`, `provenance`, `diff` | the questions, one file each |
//! | `walk`, `names` | what questions about lineage share: nodes, levels, conditions, names that do not exist |
//! | `mirror`, `answer`, `refusal` | the database, and the form of answers and errors |
//! | `mask`, `fit` | what is hidden in an answer, and what is left out of it |

mod answer;
mod diff;
mod find;
mod fit;
mod graph;
mod impact;
mod mask;
mod mirror;
mod names;
mod node;
mod provenance;
mod refusal;
mod server;
mod tool;
mod walk;

pub use server::{Error, Server};
