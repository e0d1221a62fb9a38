//! The program `runlineage`: parses arguments, calls the library, prints results.

// `println!` and `eprintln!` panic if the stream cannot be written. `stdout()` returns the error, `say!` ignores it.
#![deny(clippy::print_stderr, clippy::print_stdout)]

mod args;
mod commands;
mod connect;
mod date;
mod file;
mod monitor;
mod output;
mod pages;
mod pass_log;
mod progress;
mod say;
mod secret;
mod stdout;
mod terminal;

use std::io;
use std::mem::ManuallyDrop;
use std::process::ExitCode;

use anyhow::Context;
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use args::{Args, Command, LogFormat};

fn main() -> ExitCode {
    // Before any thread starts: the stages of the local database need a single-threaded process.
    if let Some(ended) = runlineage_local_mongod::run_stage(std::env::args_os().skip(1)) {
        return ended.map_or_else(|error| report(&error.into()), |()| ExitCode::SUCCESS);
    }
    let args = match args::parse() {
        Ok(args) => args,
        Err(ended) => return ended.unwrap_or_else(|error| report(&error)),
    };
    start_log(&args);
    let ended = runtime(&args.command)
        .context("cannot start the async runtime")
        .and_then(|runtime| {
            // Never dropped: tasks of the MongoDB driver panic during a shutdown of the runtime. They end with the process.
            ManuallyDrop::new(runtime).block_on(run(args))
        });
    match ended {
        Ok(code) => code,
        Err(error) => report(&error),
    }
}

/// A single thread for commands that ask one question: starting more threads takes longer than they save.
fn runtime(command: &Command) -> io::Result<Runtime> {
    let mut threads = match command {
        Command::Find(_)
        | Command::Show(_)
        | Command::Versions(_)
        | Command::Graph(_)
        | Command::Impact(_)
        | Command::Provenance(_)
        | Command::Paths(_)
        | Command::Diff(_) => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    threads.enable_all().build()
}

async fn run(args: Args) -> commands::Result {
    match args.command {
        Command::Sync(command) => commands::sync::run(&args.connection, command).await,
        Command::Find(command) => commands::find::run(&args.connection, *command).await,
        Command::Show(command) => commands::show::run(&args.connection, command).await,
        Command::Versions(command) => commands::versions::run(&args.connection, command).await,
        Command::Graph(command) => commands::graph::run(&args.connection, *command).await,
        Command::Impact(command) => commands::impact::run(&args.connection, *command).await,
        Command::Provenance(command) => commands::provenance::run(&args.connection, command).await,
        Command::Paths(command) => commands::paths::run(&args.connection, command).await,
        Command::Diff(command) => commands::diff::run(&args.connection, command).await,
        Command::Serve(command) => commands::serve::run(&args.connection, command).await,
        Command::Mcp(command) => commands::mcp::run(&args.connection, command).await,
        Command::Register(command) => commands::register::run(&args.connection, command).await,
        Command::Verify(command) => commands::verify::run(&args.connection, command).await,
        Command::Purge(command) => commands::purge::run(&args.connection, &command).await,
        Command::Completions(command) => commands::completions::run(&command),
        Command::Man(command) => commands::man::run(&command),
        Command::Db => commands::db::run(&args.connection).await,
        Command::Migrate(command) => commands::migrate::run(&args.connection, command).await,
    }
}

fn start_log(args: &Args) {
    let levels = std::env::var("RUNLINEAGE_LOG").ok();
    let levels = levels.and_then(|levels| levels.parse::<Targets>().ok());
    let levels = levels.unwrap_or_else(|| {
        let others = Targets::new().with_default(LevelFilter::ERROR);
        others.with_target("runlineage", LevelFilter::INFO)
    });
    let levels = levels.with_target(say::TARGET, LevelFilter::INFO);
    let lines = tracing_subscriber::fmt::layer()
        // The writer would escape the colour sequences.
        .with_ansi(false)
        .with_writer(terminal::stderr)
        // The layer reports a failed write to stderr on stderr, and panics there.
        .log_internal_errors(false);
    let log = tracing_subscriber::registry().with(levels);
    match args.log_format {
        LogFormat::Text => {
            log.with(lines.with_target(false)).init();
        }
        LogFormat::Json => {
            log.with(lines.json()).init();
            say::in_json();
        }
    }
}

/// Prints the error and each of its causes to stderr.
fn report(error: &anyhow::Error) -> ExitCode {
    if stdout::reader_left(error) {
        return ExitCode::SUCCESS;
    }
    say::error(error);
    let usage = matches!(
        error.downcast_ref::<runlineage::Error>(),
        Some(runlineage::Error::InvalidArgument { .. } | runlineage::Error::Unsupported { .. })
    );
    ExitCode::from(if usage { 2 } else { 1 })
}
