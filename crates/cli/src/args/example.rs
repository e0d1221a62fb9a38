//! A wrong argument is answered with an example of the command it was meant for.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{Error as Refusal, ErrorKind};
use clap::{Command, CommandFactory, Parser};

use super::Args;
use crate::say::say;
use crate::stdout::unwritten;

/// The arguments of this process, or with what it ends: after `--help` too.
pub(crate) fn parse() -> Result<Args, anyhow::Result<ExitCode>> {
    Args::try_parse()
        .map(Args::trimmed)
        .map_err(|refusal| answer(&refusal))
}

fn answer(refusal: &Refusal) -> anyhow::Result<ExitCode> {
    if !refusal.use_stderr() {
        // Help, or the version: what was asked for.
        refusal.print().map_err(unwritten)?;
        return Ok(ExitCode::SUCCESS);
    }
    // Without colours: it repeats the arguments, and nothing of them may steer the terminal.
    say!("{}", refusal.render().to_string().trim_end());
    // The help that answers no command at all ends with an example.
    if refusal.kind() != ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        && let Some(example) = example(&Args::command(), std::env::args_os().skip(1))
    {
        say!("\nFor example: {example}");
    }
    Ok(ExitCode::from(2))
}

/// The first example of the command that these arguments name, else of the program.
fn example(program: &Command, mut args: impl Iterator<Item = OsString>) -> Option<String> {
    let command = args.find_map(|arg| program.find_subcommand(arg));
    let help = command.unwrap_or(program).get_after_help()?.to_string();
    let line = help.lines().find(|line| line.starts_with("  runlineage"));
    line.map(|line| line.trim().to_owned())
}
