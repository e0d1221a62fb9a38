//! Real servers and clients for the tests, which `tools/install` installs, and proxies in front of them.
#![allow(
    clippy::expect_used,
    clippy::new_without_default,
    clippy::unwrap_used,
    reason = "a test whose fixture fails has failed"
)]
#![allow(
    missing_docs,
    reason = "only the tests of this workspace use this crate"
)]

pub mod browser;
pub mod company_proxy;
pub mod fake_mlflow;
pub mod keeper;
pub mod mlflow;
pub mod mlopus;
pub mod mongodb;
pub mod mongosh;
pub mod program;
pub mod proxy;
pub mod readers;
pub mod replica_set;
pub mod rest;
pub mod scale;
pub mod scene;
pub mod small_disk;
pub mod sql;
pub mod tcp_proxy;
pub mod tls_proxy;

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The program that `tools/install` installed at `path`. Fails the test if it is missing, and says what to do.
pub fn tool(path: &str) -> PathBuf {
    let folder = std::env::var_os("TOOLS_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.tools")),
        PathBuf::from,
    );
    let program = folder.join(path);
    assert!(
        program.exists(),
        "{} is missing: run `make test`, or `tools/install` and then `cargo test`",
        program.display()
    );
    program
}

/// A name that no other test uses, in this run or another one on the same servers.
pub fn unique(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let since_epoch = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    format!(
        "{prefix}-{:x}-{}-{count}",
        since_epoch.as_secs(),
        std::process::id()
    )
}

/// A free port. Another process may take it before the caller binds it; the caller then has to try another port.
///
/// The port is below the range from which Linux takes ports for outgoing connections, so no connection of another test takes it.
pub fn free_port() -> u16 {
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let mut ports = std::iter::repeat_with(|| 15_000 + (random() % 17_000) as u16).take(1_000);
    ports.find(is_free).expect("a loopback port is free")
}

fn random() -> u64 {
    // Each `RandomState` has random keys.
    RandomState::new().build_hasher().finish()
}

/// Calls `ask` until it returns a value; `None` if it has returned none within `bound`.
pub fn poll<T>(bound: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if start.elapsed() > bound {
            return None;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
