//! `serve`: answers questions by HTTP until a signal stops it, or makes a token.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use runlineage_server::{Access, NewToken, Server, TokenFile};

use super::stop::cancelled_by_signals;
use super::{Result, say_freshness};
use crate::args::{ConnectionArgs, ServeArgs};
use crate::connect;
use crate::say::say;
use crate::stdout::stdout;

pub(crate) async fn run(connection: &ConnectionArgs, args: ServeArgs) -> Result {
    if let (Some(name), Some(file)) = (&args.new_token, &args.token_file) {
        return new_token(name, file);
    }
    let (max_time, idle_timeout) = (args.max_time(), args.idle_timeout());
    let access = match &args.token_file {
        Some(file) => Access::Tokens(TokenFile::read(file)?),
        None if args.no_auth => Access::Everybody,
        None => Access::StartToken,
    };
    let mirror = connect::mirror(connection).await?;
    let server = Server::new(mirror.store.clone())
        .listen(args.listen)
        .access(access)
        .allowed_hosts(args.allowed_host)
        .trusted_proxies(args.trusted_proxy)
        .tracking_uri(connection.tracking_uri.clone())
        .max_time(max_time)
        .idle_timeout(idle_timeout)
        .max_nodes(args.max_nodes)
        .rate(args.rate)
        .bind()
        .await?;
    say_freshness(&mirror.store).await?;
    let stop = cancelled_by_signals()?;
    writeln!(stdout(), "{}", server.url())?;
    stdout().flush()?;
    say!("Open this address in a browser. Ctrl-C stops the server.");
    server.run(stop.cancelled()).await;
    say!("Stopped.");
    Ok(ExitCode::SUCCESS)
}

fn new_token(name: &str, file: &Path) -> Result {
    let token = NewToken::random()?;
    token.append_to(file, name)?;
    writeln!(stdout(), "{}", token.secret())?;
    say!(
        "{} has its hash. The token is not shown again.",
        file.display()
    );
    Ok(ExitCode::SUCCESS)
}
