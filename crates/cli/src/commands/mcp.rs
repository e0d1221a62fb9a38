//! `mcp`: answers the questions of an assistant until stdin ends or a signal stops it.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use runlineage_mcp::Server;

use super::Result;
use super::stop::cancelled_by_signals;
use crate::args::{ConnectionArgs, McpArgs};
use crate::connect;
use crate::say::say;

pub(crate) async fn run(connection: &ConnectionArgs, args: McpArgs) -> Result {
    let mirror = connect::mirror(connection).await?;
    let stop = cancelled_by_signals()?;
    if std::io::stdin().is_terminal() {
        say!(
            "This command waits for messages of the Model Context Protocol on stdin. An assistant's program starts it itself. Ctrl-C stops it."
        );
    }
    let server = Server::new(mirror.store.clone())
        .tracking_uri(connection.tracking_uri.as_deref())
        .max_characters(args.max_characters)
        .max_time(args.max_time());
    // Stdout carries the protocol alone, so nothing here uses the program's own writer.
    let (input, output) = (tokio::io::stdin(), tokio::io::stdout());
    server.serve(input, output, stop.cancelled()).await?;
    Ok(ExitCode::SUCCESS)
}
