//! Keeps the private `mongod` running in the foreground: prints its URI, and stops on SIGTERM or Ctrl-C.

use std::io::Write as _;
use std::process::ExitCode;

use runlineage_local_mongod::{LocalDatabase, run_stage};
use tokio::signal::unix::{SignalKind, signal};

type Result = std::result::Result<(), Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    // The stages need a process with a single thread, so this comes before any thread is started.
    let ended = match run_stage(std::env::args_os().skip(1)) {
        Some(ended) => ended.map_err(Into::into),
        None => keep(),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            let mut cause = error.source();
            while let Some(source) = cause {
                eprintln!("caused by: {source}");
                cause = source.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn keep() -> Result {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut terminated = signal(SignalKind::terminate())?;
        let database = LocalDatabase::open().await?;
        writeln!(std::io::stdout(), "{}", database.uri())?;
        tokio::select! {
            () = database.closed() => Err("the local database stopped; start it again".into()),
            _ = terminated.recv() => Ok(()),
            ctrl_c = tokio::signal::ctrl_c() => Ok(ctrl_c?),
        }
    })
}
