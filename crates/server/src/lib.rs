//! The HTTP API of a mirror, and its web page. Every answer is read-only.
//!
//! ```no_run
//! # async fn example(store: runlineage::MongoRunStore) -> Result<(), runlineage_server::Error> {
//! use runlineage_server::{Access, Server};
//!
//! let server = Server::new(store).access(Access::StartToken).bind().await?;
//! println!("{}", server.url());
//! server.run(std::future::pending()).await;
//! # Ok(()) }
//! ```
//!
//! | module | contents |
//! |---|---|
//! | `server`, `connection` | [`Server`]: settings, the listener, its connections and their end |
//! | `guard`, `origin`, `client` | which requests are refused for their host, the page they come from, or their number |
//! | `access`, `token`, `session` | [`Access`], [`TokenFile`]: who may read |
//! | `app`, `router` | what all requests share, and the routes |
//! | `params`, `format`, `body`, `mirror`, `problem` | what all questions and answers share |
//! | `etag`, `headers`, `monitor` | what is added to every answer, and counted |
//! | `api`, `schema` | the endpoints, one file each, and the form of their answers |
//! | `walk`, `selection`, `unfold`, `streams` | what endpoints about lineage share, and what is limited |
//! | [`answer`] | answers in the forms that the program and the API share: the crate `runlineage-answer` |
//! | `assets` | the files of the page |

mod access;
mod api;
mod app;
mod assets;
mod body;
mod client;
mod connection;
mod error;
mod etag;
mod format;
mod guard;
mod headers;
mod mirror;
mod monitor;
mod origin;
mod params;
mod problem;
mod rate;
mod router;
mod schema;
mod selection;
mod server;
mod session;
mod streams;
mod token;
mod unfold;
mod walk;

pub use access::Access;
pub use error::Error;
pub use runlineage_answer as answer;
pub use server::{Bound, Server};
pub use token::{NewToken, TokenFile};
