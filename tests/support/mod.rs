//! Fixtures on real servers, shared by the tests of the library and of the program.

#![allow(dead_code, reason = "each test program uses only some of the fixtures")]

pub(crate) mod canary;
pub(crate) mod faulty;
pub(crate) mod held;
pub(crate) mod lab;
pub(crate) mod mirror;
pub(crate) mod odd_names;
pub(crate) mod outage;
pub(crate) mod registry;
pub(crate) mod synthetic;

#[allow(unused_imports, reason = "as above")]
pub(crate) use runlineage_test_servers::{
    fake_mlflow, free_port, keeper, mlflow, mlopus, mongodb, mongosh, poll, program, proxy,
    readers, replica_set, rest, scale, small_disk, sql, tcp_proxy, tls_proxy, tool, unique,
};
