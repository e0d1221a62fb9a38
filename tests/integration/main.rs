//! Everything that is tested against real servers: one binary, so that the servers are started once.

mod fixtures;
mod support;
