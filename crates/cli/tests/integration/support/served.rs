//! A running `runlineage serve`.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use super::http::{Answer, send};
use super::poll;
use super::program::runlineage;
use super::running::Running;

/// A server on a free port.
pub(crate) struct Served {
    pub(crate) running: Running,
    pub(crate) address: SocketAddr,
    /// The start token; empty if the server has none.
    pub(crate) token: String,
}

impl Served {
    /// Serves the database at this URI, with these further arguments.
    pub(crate) fn start(mongodb: &str, args: &[&str]) -> Self {
        Self::of(&mut command(mongodb, args))
    }

    pub(crate) fn of(command: &mut Command) -> Self {
        let mut running = Running::start(command);
        let printed = poll(Duration::from_secs(60), || {
            let line = running.stdout().first().cloned();
            assert!(
                line.is_some() || !running.has_ended(),
                "{:#?}",
                running.stderr()
            );
            line
        });
        let url = printed.expect("the server prints its address");
        let rest = url.strip_prefix("http://").expect("an address");
        let (address, path) = rest.split_once('/').expect("a path");
        Self {
            address: address.parse().expect("an address"),
            token: path.trim_start_matches("#token=").to_owned(),
            running,
        }
    }

    /// Asks with the token.
    #[track_caller]
    pub(crate) fn get(&self, target: &str) -> Answer {
        self.get_with(target, &[])
    }

    /// Asks with the token and these headers.
    #[track_caller]
    pub(crate) fn get_with(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let authorization = [("Authorization", bearer.as_str())];
        self.bare("GET", target, &[&authorization, headers].concat(), "")
    }

    /// Asks with the right host and these headers alone.
    #[track_caller]
    pub(crate) fn bare(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let host = self.address.to_string();
        let host = [("Host", host.as_str())];
        let headers = [&host, headers].concat();
        send(self.address, method, target, &headers, body).expect("an answer")
    }
}

/// The command of a server on a free port of the loopback, unless the arguments say otherwise.
pub(crate) fn command(mongodb: &str, args: &[&str]) -> Command {
    let mut own = vec!["serve", "--mongodb-uri", mongodb];
    if !args.contains(&"--listen") {
        own.extend(["--listen", "127.0.0.1:0"]);
    }
    runlineage(own.iter().chain(args))
}

/// A text as the value of a parameter.
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte.is_ascii_alphanumeric() {
            true => encoded.push(byte.into()),
            false => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}
