//! The arguments of `graph`, `impact`, `provenance` and `paths`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;
use runlineage::graph::Selection;
use runlineage::lineage::NodeArg;
use runlineage::{Error, Query};
use runlineage_draw::Format;
use runlineage_server::answer::parse_levels;

use super::selection::{Start, parse_downstream, parse_one, parse_upstream};
use super::{MAX_TIME, parse_as};
use crate::connect::usage;

/// Unless a flag says otherwise, `graph` walks this many levels of runs in each direction.
const LEVELS: u32 = 2;

/// Show what a node came from and what used it, as a tree, as a picture or as data.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  runlineage graph --local model:churn:2
  runlineage graph --local 8f2c61d04a7b4f0e9d3c5b6a7e8f9012 --upstream 4 --out train.svg
  runlineage graph --local models:/churn@champion --downstream 3 --format json
  runlineage graph --local '2+model:churn:7+1 and where(status = FINISHED)'

NODE is the id of a run, or:
  run:ID, model:NAME, model:NAME:VERSION, artifact:RUN_ID[/PATH], dataset:NAME[@DIGEST], logged-model:ID, prompt:NAME[:VERSION],
  or a URI of MLflow, such as models:/NAME/VERSION, models:/NAME@ALIAS and runs:/RUN_ID/PATH.
  Put a node that holds white space or one of + ( ) \" into double quotes: '\"model:c++:3\"'

Or NODE is a selection of nodes:
  2+NODE+1, +NODE, NODE+        a node with levels of runs upstream and downstream, or with all of them
  A+ and +B                     all that lies between A and B
  A or B, A and not B           the nodes of either, or those of A that are not in B
  A and where(CONDITION)        A without the runs that do not match, in the language of `find --where`
  roots(A), sinks(A)            where A begins, and where it ends")]
pub(crate) struct GraphArgs {
    /// What to show: the id of a run, a node, or a selection of nodes; see below.
    #[arg(value_name = "NODE", value_parser = parse_as::<Selection>)]
    selection: Selection,
    /// Levels of runs upstream, or `all`. [default: 2, or 0 if only --downstream is given]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = parse_levels)]
    upstream: Option<u32>,
    /// Levels of runs downstream, or `all`. [default: 2, or 0 if only --upstream is given]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = parse_levels)]
    downstream: Option<u32>,
    /// Show the parents and children of the runs, too. The walk does not go on from them: no data flows there.
    #[arg(long)]
    pub(crate) parents: bool,
    /// Walk only through runs that match this condition, in the language of `find --where`.
    #[arg(long = "where", value_name = "CONDITION", value_parser = parse_condition)]
    pub(crate) condition: Option<Query>,
    /// Stop the walk at this many nodes.
    #[arg(long, value_name = "N", default_value_t = 1_000, allow_negative_numbers = true, value_parser = parse_count)]
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

NODE is written as for `runlineage graph`; NODE+2 is the same as --downstream 2. All formats but table, json and csv show the graph
downstream.")]
pub(crate) struct ImpactArgs {
    /// The node whose use is in question, such as a dataset, a file or a version.
    #[arg(value_name = "NODE", value_parser = parse_downstream)]
    pub(crate) start: Start,
    /// Levels of runs downstream, or `all`. [default: all]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = parse_levels)]
    pub(crate) downstream: Option<u32>,
    /// Walk only through runs that match this condition, in the language of `find --where`.
    #[arg(long = "where", value_name = "CONDITION", value_parser = parse_condition)]
    pub(crate) condition: Option<Query>,
    /// Stop the walk at this many nodes.
    #[arg(long, value_name = "N", default_value_t = 100_000, allow_negative_numbers = true, value_parser = parse_count)]
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

NODE is written as for `runlineage graph`; 2+NODE is the same as --upstream 2. A terminal gets a readable text, a pipe gets JSON. All
formats but table and json show the graph upstream.")]
pub(crate) struct ProvenanceArgs {
    /// The node whose origin is in question, such as a version or a run.
    #[arg(value_name = "NODE", value_parser = parse_upstream)]
    pub(crate) start: Start,
    /// Levels of runs upstream, or `all`. [default: all]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = parse_levels)]
    pub(crate) upstream: Option<u32>,
    /// Walk only through runs that match this condition, in the language of `find --where`.
    #[arg(long = "where", value_name = "CONDITION", value_parser = parse_condition)]
    pub(crate) condition: Option<Query>,
    /// Stop the walk at this many nodes.
    #[arg(long, value_name = "N", default_value_t = 10_000, allow_negative_numbers = true, value_parser = parse_count)]
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
    #[arg(value_name = "A", value_parser = parse_one)]
    pub(crate) from: NodeArg,
    /// The other end of the path.
    #[arg(value_name = "B", value_parser = parse_one)]
    pub(crate) to: NodeArg,
    /// Follow only paths whose inner runs match this condition, in the language of `find --where`.
    #[arg(long = "where", value_name = "CONDITION", value_parser = parse_condition)]
    pub(crate) condition: Option<Query>,
    /// Stop each walk at this many nodes.
    #[arg(long, value_name = "N", default_value_t = 100_000, allow_negative_numbers = true, value_parser = parse_count)]
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
    /// Write the answer to this file; an existing file is replaced. The name's ending gives the format: txt, json, csv, svg, png, html,
    /// dot or gv, mmd (Mermaid), graphml, ndjson (OpenLineage).
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// In trees, pictures and Mermaid charts, fold more than this many siblings of one kind into one node; 0 folds none.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) fold: usize,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct FormatArg(Format);

impl FormatArg {
    fn parser() -> impl clap::builder::TypedValueParser<Value = Self> {
        Self::among(&Format::ALL)
    }

    /// A parser that takes only these formats.
    pub(super) fn among(formats: &[Format]) -> impl clap::builder::TypedValueParser<Value = Self> {
        use clap::builder::TypedValueParser as _;
        let names: Vec<&'static str> = formats.iter().map(|format| format.name()).collect();
        clap::builder::PossibleValuesParser::new(names)
            .try_map(|name| name.parse().map(Self).map_err(|error| format!("{error}")))
    }
}

impl GraphArgs {
    /// The selection, with the levels of the flags if it is a node without levels. To ask for one direction alone leaves the other out.
    pub(crate) fn selection(&self) -> Result<Selection, Error> {
        let mut selection = self.selection.clone();
        if let [span] = &mut selection.spans_mut()[..]
            && self.selection.as_span().is_some()
            && (span.upstream, span.downstream) == (None, None)
        {
            let (up, down) = match (self.upstream, self.downstream) {
                (None, None) => (LEVELS, LEVELS),
                (up, down) => (up.unwrap_or_default(), down.unwrap_or_default()),
            };
            (span.upstream, span.downstream) = (Some(up), Some(down));
            return Ok(selection);
        }
        let flags = [
            ("--upstream", self.upstream),
            ("--downstream", self.downstream),
        ];
        match flags.iter().find(|(_, levels)| levels.is_some()) {
            Some((flag, _)) => Err(usage(
                flag,
                "the selection says the levels of each node; write 2+NODE+1 for two levels upstream and one downstream",
            )),
            None => Ok(selection),
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
                    "the name {:?} does not tell the format; end it with .txt, .json, .csv, .svg, .png, .html, .dot, .mmd, .graphml or .ndjson, or add --format",
                    file.display().to_string()
                ),
            )),
        }
    }
}

pub(super) fn parse_count(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| "write a number of at least 1, such as 1000".to_owned())
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
