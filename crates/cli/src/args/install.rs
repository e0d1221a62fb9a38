//! The arguments of the commands for installations: shell completions and man pages.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use clap_complete::Shell;

/// Print a script that completes commands and flags in a shell.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  runlineage completions bash > ~/.local/share/bash-completion/completions/runlineage"
)]
pub(crate) struct CompletionsArgs {
    /// Shell that reads the script.
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// Write a man page for the program and for each command.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  runlineage man ~/.local/share/man/man1")]
pub(crate) struct ManArgs {
    /// Folder for the pages. It has to exist.
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
}
