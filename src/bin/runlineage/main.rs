//! The command line.
use std::process::ExitCode;

use runlineage::{Result, local};

fn main() -> ExitCode {
    // Before any thread is started: the stages of the local database need a process of one thread.
    let done = local::run_stage(std::env::args_os().skip(1)).unwrap_or_else(run);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            let mut cause = std::error::Error::source(&error);
            while let Some(error) = cause {
                eprintln!("caused by: {error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run() -> Result<()> {
    let database = local::LocalDatabase::open().await?;
    println!("{}", database.uri());
    // `once` ends at once, anything else stays until it is told to end.
    if std::env::args().nth(1).as_deref() != Some("once") {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = database.closed() => {}
        }
    }
    Ok(())
}
