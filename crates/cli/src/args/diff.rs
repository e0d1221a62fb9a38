//! The arguments of `diff`.

use std::time::Duration;

use clap::Args as ClapArgs;
use runlineage::Error;
use runlineage::graph::Diff;
use runlineage::lineage::NodeArg;
use runlineage_draw::Format;
use runlineage_server::answer::parse_levels;

use super::MAX_TIME;
use super::graph::{FormatArg, OutputArgs, parse_count};
use super::selection::parse_one;

/// Show why two runs or two versions differ: the first points where their upstreams diverge, and what follows from these.
#[derive(Debug, ClapArgs)]
#[command(
    mut_arg("format", |format| format
        .value_parser(FormatArg::among(&DiffArgs::FORMATS))
        .help("Format of the answer. [default: from the name of --out, else table]")),
    mut_arg("out", |out| out
        .help("Write the answer to this file; an existing file is replaced. The name's ending gives the format: json, csv, svg, png, html")),
    mut_arg("fold", |fold| fold
        .help("In pictures, fold more than this many equal inputs of one kind into one node; 0 folds none")),
    after_help = "\
Examples:
  runlineage diff --local model:churn:7 model:churn:8
  runlineage diff --local 8f2c61d04a7b4f0e9d3c5b6a7e8f9012 models:/churn@champion --out why.svg

A and B are written as NODE for `runlineage graph`. The exit code is 0 whether the two differ or not.")]
pub(crate) struct DiffArgs {
    /// A run, or a version of a model.
    #[arg(value_name = "A", value_parser = parse_run_or_version)]
    pub(crate) a: NodeArg,
    /// The run or version to compare it with.
    #[arg(value_name = "B", value_parser = parse_run_or_version)]
    pub(crate) b: NodeArg,
    /// Levels of runs upstream, or `all`.
    #[arg(long, value_name = "N", default_value = "all", allow_negative_numbers = true, value_parser = parse_levels)]
    pub(crate) upstream: u32,
    /// Compare at most this many pairs of runs.
    #[arg(long, value_name = "N", default_value_t = 1_000, allow_negative_numbers = true, value_parser = parse_count)]
    pub(crate) max_pairs: usize,
    /// Fail after MongoDB has worked on one query for this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=MAX_TIME))]
    max_time: u64,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

impl DiffArgs {
    /// The formats that can hold a diff.
    pub(crate) const FORMATS: [Format; 6] = [
        Format::Table,
        Format::Json,
        Format::Csv,
        Format::Svg,
        Format::Png,
        Format::Html,
    ];

    pub(crate) fn max_time(&self) -> Duration {
        Duration::from_secs(self.max_time)
    }
}

fn parse_run_or_version(text: &str) -> Result<NodeArg, String> {
    let start = parse_one(text)?;
    if let NodeArg::Node(node) = &start {
        Diff::check_start(node).map_err(|error| match error {
            Error::InvalidArgument { reason, .. } => reason,
            error => error.to_string(),
        })?;
    }
    Ok(start)
}
