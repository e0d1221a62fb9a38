//! The arguments of `serve`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;
use ipnet::IpNet;
use runlineage_server::Server;

use super::MAX_TIME;

/// Serve a web page and an HTTP API over the mirror. Both only read.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  runlineage serve --local
  runlineage serve --new-token ana --token-file tokens
  runlineage serve --mongodb-uri mongodb://localhost/runlineage --listen 0.0.0.0:8321 --allowed-host lineage.example --token-file tokens

Without --token-file, the printed address holds a token that is valid until the server stops. A token reads everything that is mirrored.")]
pub(crate) struct ServeArgs {
    /// Address to listen on; port 0 takes a free port. Other addresses than the loopback need --token-file or --no-auth.
    #[arg(long, value_name = "ADDRESS", default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, Server::PORT)))]
    pub(crate) listen: SocketAddr,
    /// Host by which browsers reach the server, without a port. Repeatable. localhost, 127.0.0.1, [::1] and the address of --listen
    /// need not be named.
    #[arg(long, value_name = "HOST", value_parser = parse_host)]
    pub(crate) allowed_host: Vec<String>,
    /// Accept the tokens of this file. It holds their hashes only.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Only make a token of this name: append its hash to --token-file, and print it. A running server reads the file when it starts.
    #[arg(long, value_name = "NAME", requires = "token_file")]
    pub(crate) new_token: Option<String>,
    /// Need no token. Everybody who reaches the server reads everything, so this is for a server behind a proxy that checks who asks.
    #[arg(long, conflicts_with = "token_file")]
    pub(crate) no_auth: bool,
    /// Address or network of a proxy whose X-Forwarded-For names the client. Repeatable.
    #[arg(long, value_name = "ADDRESS", value_parser = parse_network)]
    pub(crate) trusted_proxy: Vec<IpNet>,
    /// Maximum number of requests in a second, for each token and each address; 0 means no limit.
    #[arg(long, value_name = "N", default_value_t = Server::RATE)]
    pub(crate) rate: u32,
    /// Maximum number of nodes of one graph, whatever a request asks for.
    #[arg(long, value_name = "N", default_value_t = Server::MAX_NODES, value_parser = super::graph::parse_count)]
    pub(crate) max_nodes: usize,
    /// Fail an answer after MongoDB has worked on one query for this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = Server::MAX_TIME.as_secs(), value_parser = clap::value_parser!(u64).range(1..=MAX_TIME))]
    max_time: u64,
    /// Cut off a client that takes nothing of an answer for this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = Server::IDLE_TIMEOUT.as_secs(), value_parser = clap::value_parser!(u64).range(1..=MAX_TIME))]
    idle_timeout: u64,
}

impl ServeArgs {
    pub(crate) fn max_time(&self) -> Duration {
        Duration::from_secs(self.max_time)
    }

    pub(crate) fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_timeout)
    }
}

/// Parses a host as it stands in the header `Host`, without a port.
fn parse_host(text: &str) -> Result<String, String> {
    let is_address = text.starts_with('[') && text.ends_with(']');
    let is_name = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    match !text.is_empty() && (is_name || is_address) {
        true => Ok(text.to_owned()),
        false => Err(
            "write a host without a scheme and without a port, such as lineage.example".to_owned(),
        ),
    }
}

fn parse_network(text: &str) -> Result<IpNet, String> {
    let address = text.parse::<IpAddr>().map(IpNet::from);
    let network = address.or_else(|_| text.parse());
    network.map_err(|_| "write an address or a network, such as 10.0.0.7 or 10.0.0.0/8".to_owned())
}
