//! Fixtures that the tests of the program share: real servers, mirrors, and the program itself.

#[path = "../../../../../tests/support/mod.rs"]
mod mirrored;

pub(crate) mod experiment;
pub(crate) mod failing;
pub(crate) mod http;
pub(crate) mod program;
pub(crate) mod running;
pub(crate) mod served;
pub(crate) mod stored;
pub(crate) mod terminal;
pub(crate) mod watching;

pub(crate) use mirrored::*;
