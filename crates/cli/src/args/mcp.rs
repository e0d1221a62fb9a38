//! The arguments of `mcp`.

use std::time::Duration;

use clap::Args as ClapArgs;
use runlineage_mcp::Server;

use super::MAX_TIME;

/// Answer the questions of an assistant by the Model Context Protocol, on stdin and stdout. Every tool only reads.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Example:
  runlineage mcp --mongodb-uri mongodb://localhost/runlineage

An assistant's program starts this command itself. Tell it by its configuration, with the secrets in the environment:
  { \"mcpServers\": { \"runlineage\": { \"command\": \"runlineage\", \"args\": [\"mcp\"], \"env\": { \"MONGODB_URI\": \"mongodb://…\" } } } }")]
pub(crate) struct McpArgs {
    /// Limit each answer to this many characters of JSON. What is left out is counted.
    #[arg(long, value_name = "N", default_value_t = Server::MAX_CHARACTERS, value_parser = parse_characters)]
    pub(crate) max_characters: usize,
    /// Fail an answer after MongoDB has worked on one query for this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = Server::MAX_TIME.as_secs(), value_parser = clap::value_parser!(u64).range(1..=MAX_TIME))]
    max_time: u64,
}

impl McpArgs {
    pub(crate) fn max_time(&self) -> Duration {
        Duration::from_secs(self.max_time)
    }
}

fn parse_characters(text: &str) -> Result<usize, String> {
    let least = Server::LEAST_CHARACTERS;
    let characters = text.parse().ok().filter(|number| *number >= least);
    characters.ok_or_else(|| format!("write a number of at least {least}, such as 40000"))
}
