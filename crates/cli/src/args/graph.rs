//! The arguments of `graph`, `impact`, `provenance` and `paths`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;
use runlineage::Query;
use runlineage::lineage::NodeArg;
use runlineage_draw::Format;
use runlineage_server::answer::{parse_levels, parse_start};

use super::{MAX_TIME, parse_as};

/// Unless a flag says otherwise, `graph` walks this many levels of runs in each direction.
const LEVELS: u32 = 2;

/// Show what a node came from and what used it, as a tree, as a picture or as data.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  runlineage graph --local model:churn:2
  runlineage graph --local 8f2c61d04a7b4f0e9d3c5b6a7e8f9012 --upstream 4 --out train.svg
  runlineage graph --local models:/churn@champion --downstream 3 --format json

NODE is the id of a run, or:
  run:ID, model:NAME, model:NAME:VERSION, artifact:RUN_ID[/PATH], dataset:NAME[@DIGEST], logged-model:ID, prompt:NAME[:VERSION],
  or a URI of MLflow, such as models:/NAME/VERSION, models:/NAME@ALIAS and runs:/RUN_ID/PATH")]
pub(crate) struct GraphArgs {
    /// Where to start: the id of a run, or a node; see below.
    #[arg(value_parser = parse_start)]
    pub(crate) node: NodeArg,
    /// Levels of runs upstream, or `all`. [default: 2, or 0 if only --downstream is given]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = parse_levels)]
    pub(crate) upstream: Option<u32>,
    /// Levels of runs downstream, or `all`. [default: 2, or 0 if only --upstream is given]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = parse_levels)]
    pub(crate) downstream: Option<u32>,
    /// Show the parents and children of the runs, too. The walk does not go on from them: no data flows there.
    #[arg(long)]
    pub(crate) parents: bool,
    /// Walk only through runs that match this condition, in the language of `find --where`.
    #[arg(long = "where", value_name = "CONDITION", value_parser = parse_condition)]
    pub(crate) condition: Option<Query>,
    /// Stop the walk at this many nodes.
    #[arg(long, value_name = "N", default_value_t = 1_000, allow_negative_numbers = true, value_parser = parse_nodes)]
    pub(crate) max_nodes: usize,
    #[command(flatten)]
    pub(crate) walk: WalkArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// List all that a node reached: runs, versions and the aliases that point to them now, per experiment and user.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  runlineage impact --local dataset:clicks@4f2a91c3
  runlineage impact --local artifact:8f2c61d04a7b4f0e9d3c5b6a7e8f9012/data/train.csv --out recall.csv

NODE is written as for `runlineage graph`. The formats tree, svg, png and html show the graph downstream.")]
pub(crate) struct ImpactArgs {
    /// The node whose use is in question, such as a dataset, a file or a version.
    #[arg(value_parser = parse_start)]
    pub(crate) node: NodeArg,
    /// Levels of runs downstream, or `all`.
    #[arg(long, value_name = "N", default_value = "all", allow_negative_numbers = true, value_parser = parse_levels)]
    pub(crate) downstream: u32,
    /// Walk only through runs that match this condition, in the language of `find --where`.
    #[arg(long = "where", value_name = "CONDITION", value_parser = parse_condition)]
    pub(crate) condition: Option<Query>,
    /// Stop the walk at this many nodes.
    #[arg(long, value_name = "N", default_value_t = 100_000, allow_negative_numbers = true, value_parser = parse_nodes)]
    pub(crate) max_nodes: usize,
    #[command(flatten)]
    pub(crate) walk: WalkArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Write where a run or version came from into one file: data, code, params, people, times, and what is unresolved.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  runlineage provenance --local model:churn:2
  runlineage provenance --local model:churn:2 --out churn-2.provenance.json

NODE is written as for `runlineage graph`. A terminal gets a readable text, a pipe gets JSON. The formats csv, svg, png and html show
the graph upstream.")]
pub(crate) struct ProvenanceArgs {
    /// The node whose origin is in question, such as a version or a run.
    #[arg(value_parser = parse_start)]
    pub(crate) node: NodeArg,
    /// Levels of runs upstream, or `all`.
    #[arg(long, value_name = "N", default_value = "all", allow_negative_numbers = true, value_parser = parse_levels)]
    pub(crate) upstream: u32,
    /// Stop the walk at this many nodes.
    #[arg(long, value_name = "N", default_value_t = 10_000, allow_negative_numbers = true, value_parser = parse_nodes)]
    pub(crate) max_nodes: usize,
    #[command(flatten)]
    pub(crate) walk: WalkArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Show the shortest lineage path between two nodes, in whichever direction the data went.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  runlineage paths --local dataset:clicks@4f2a91c3 model:churn:2
  runlineage paths --local 8f2c61d04a7b4f0e9d3c5b6a7e8f9012 models:/churn@champion --format json

A and B are written as NODE for `runlineage graph`. The exit code is 0 without a path, too.")]
pub(crate) struct PathsArgs {
    /// One end of the path.
    #[arg(value_name = "A", value_parser = parse_start)]
    pub(crate) from: NodeArg,
    /// The other end of the path.
    #[arg(value_name = "B", value_parser = parse_start)]
    pub(crate) to: NodeArg,
    /// Stop each walk at this many nodes.
    #[arg(long, value_name = "N", default_value_t = 100_000, allow_negative_numbers = true, value_parser = parse_nodes)]
    pub(crate) max_nodes: usize,
    #[command(flatten)]
    pub(crate) walk: WalkArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// How to walk.
#[derive(Debug, ClapArgs)]
pub(crate) struct WalkArgs {
    /// Walk through uncertain edges, too: a reference without a version or digest may mean any.
    #[arg(long)]
    pub(crate) uncertain: bool,
    /// Fail after MongoDB has worked on one query for this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=MAX_TIME))]
    max_time: u64,
}

/// Where the answer goes, and in which form.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// Format of the answer. [default: from the name of --out, else tree for graph, table for impact and paths; for provenance
    /// table on a terminal and json elsewhere]
    #[arg(long, value_name = "FORMAT", value_parser = FormatArg::parser())]
    format: Option<FormatArg>,
    /// Write the answer to this file; an existing file is replaced. The name's ending gives the format: txt, json, csv, svg, png, html.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// In trees and pictures, fold more than this many siblings of one kind into one node; 0 folds none.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) fold: usize,
}

#[derive(Debug, Clone, Copy)]
struct FormatArg(Format);

impl FormatArg {
    fn parser() -> impl clap::builder::TypedValueParser<Value = Self> {
        use clap::builder::TypedValueParser as _;
        let names = Format::ALL.map(Format::name);
        clap::builder::PossibleValuesParser::new(names)
            .try_map(|name| name.parse().map(Self).map_err(|error| format!("{error}")))
    }
}

impl GraphArgs {
    /// Levels upstream and downstream. To ask for one direction alone leaves the other out.
    pub(crate) fn levels(&self) -> (u32, u32) {
        match (self.upstream, self.downstream) {
            (None, None) => (LEVELS, LEVELS),
            (up, down) => (up.unwrap_or_default(), down.unwrap_or_default()),
        }
    }
}

impl WalkArgs {
    pub(crate) fn max_time(&self) -> Duration {
        Duration::from_secs(self.max_time)
    }
}

impl OutputArgs {
    /// The format that was asked for, by name or by the name of the file; `None` if by neither.
    pub(crate) fn format(&self) -> Result<Option<Format>, runlineage::Error> {
        if let Some(format) = self.format {
            return Ok(Some(format.0));
        }
        let Some(file) = &self.out else {
            return Ok(None);
        };
        match Format::of_file(file) {
            Some(format) => Ok(Some(format)),
            None => Err(crate::connect::usage(
                "--out",
                format!(
                    "the name {:?} does not tell the format; end it with .txt, .json, .csv, .svg, .png or .html, or add --format",
                    file.display().to_string()
                ),
            )),
        }
    }
}

pub(super) fn parse_nodes(text: &str) -> Result<usize, String> {
    let nodes = text.parse().ok().filter(|nodes| *nodes > 0);
    nodes.ok_or_else(|| "write a number of at least 1, such as 1000".to_owned())
}

fn parse_condition(text: &str) -> Result<Query, String> {
    if text.trim_start().starts_with(['{', '[']) {
        return Err("a walk takes no MongoDB filter; write the condition as a text, such as \"exp = 'churn'\"".to_owned());
    }
    if text.trim().is_empty() {
        return Err("the condition is empty; write one such as \"exp = 'churn'\"".to_owned());
    }
    parse_as(text)
}
