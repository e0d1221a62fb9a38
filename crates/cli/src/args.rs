//! The arguments of every command. They are parsed here, once.

mod diff;
mod example;
mod facet;
mod graph;
mod install;
mod lineage;
mod mcp;
mod selection;
mod serve;
mod settings;
mod values;

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use runlineage::query::{Field, Order};
use runlineage::{Error, ExperimentSelector, Node, Origin, RunId};
use runlineage_server::answer::NamedColumn;

pub(crate) use diff::DiffArgs;
pub(crate) use example::parse;
pub(crate) use facet::FacetArg;
pub(crate) use graph::{GraphArgs, ImpactArgs, OutputArgs, PathsArgs, ProvenanceArgs};
pub(crate) use install::{CompletionsArgs, ManArgs};
pub(crate) use lineage::{LineageArgs, PathArgs};
pub(crate) use mcp::McpArgs;
use selection::parse_node;
pub(crate) use serve::ServeArgs;
pub(crate) use values::PairArg;
use values::{parse_database, parse_duration, parse_interval};

/// In seconds: MongoDB takes `maxTimeMS` as a 32-bit integer.
const MAX_TIME: u64 = i32::MAX as u64 / 1000;

/// Mirrors MLflow runs into MongoDB and finds them by what they read and wrote.
#[derive(Debug, Parser)]
#[command(
    name = "runlineage",
    version,
    max_term_width = 110,
    after_help = "Example:\n  runlineage sync --tracking-uri http://localhost:5000 --mongodb-uri mongodb://localhost/runlineage"
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// Format of messages and log lines on stderr.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, help_heading = "Output")]
    pub(crate) log_format: LogFormat,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// MongoDB that holds the mirror, such as mongodb://user:password@host/database. MONGODB_URI_FILE may name a file that holds it.
    #[arg(
        long,
        global = true,
        env = "MONGODB_URI",
        hide_env_values = true,
        value_name = "URI"
    )]
    pub(crate) mongodb_uri: Option<String>,
    /// Use this user's private local database instead of --mongodb-uri. It starts and stops by itself.
    #[arg(long, global = true)]
    pub(crate) local: bool,
    /// Database to use if the URI names none. [default: runlineage]
    #[arg(long, global = true, value_name = "NAME", value_parser = parse_database)]
    pub(crate) database: Option<String>,
    /// MLflow tracking server, such as http://localhost:5000. MLflow's variables for credentials and TLS apply too.
    /// MLFLOW_TRACKING_URI_FILE may name a file that holds it.
    #[arg(
        long,
        global = true,
        env = "MLFLOW_TRACKING_URI",
        hide_env_values = true,
        value_name = "URI"
    )]
    pub(crate) tracking_uri: Option<String>,
    /// Name of the tracking server in the mirror, for a server whose address may change. [default: its address]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) source: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Sync(SyncArgs),
    Find(Box<FindArgs>),
    Show(ShowArgs),
    Versions(VersionsArgs),
    Graph(Box<GraphArgs>),
    Impact(Box<ImpactArgs>),
    Provenance(ProvenanceArgs),
    Paths(PathsArgs),
    Diff(DiffArgs),
    Serve(ServeArgs),
    Mcp(McpArgs),
    Register(RegisterArgs),
    Migrate(MigrateArgs),
    Verify(VerifyArgs),
    Purge(PurgeArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
    /// Run the local database in the foreground and print its URI, for mongosh and other programs.
    #[command(
        after_help = "Example:\n  runlineage db\n\nThen, in another shell, with the URI that it prints:\n  mongosh \"URI\" --eval 'db.runs.countDocuments()'"
    )]
    Db,
}

/// Mirror an MLflow server into MongoDB: once, or continuously with --every.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  runlineage sync --tracking-uri http://localhost:5000 --mongodb-uri mongodb://localhost/runlineage"
)]
pub(crate) struct SyncArgs {
    /// Mirror only this experiment, by name or id, or as id:12 or name:churn. Repeatable.
    #[arg(long, value_name = "EXPERIMENT")]
    pub(crate) exp: Vec<ExperimentSelector>,
    /// Mirror all experiments except this one, named as for --exp. Repeatable.
    #[arg(long, value_name = "EXPERIMENT")]
    pub(crate) exclude_exp: Vec<ExperimentSelector>,
    /// Maximum number of concurrent requests to the tracking server.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) concurrency: u16,
    /// Maximum number of runs in one page from the tracking server.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub(crate) page_size: u32,
    /// Lift the safety limit on removals. Without this flag, a sync removes no run if MLflow no longer knows more than 100 runs
    /// and more than 10 % of the mirrored runs.
    #[arg(long)]
    pub(crate) allow_mass_delete: bool,
    /// Remove the mirrored runs of the experiment with this id, which MLflow no longer lists. Repeatable.
    #[arg(long, value_name = "ID")]
    pub(crate) forget_experiment: Vec<String>,
    /// Remove the mirrored versions of the registered model with this name, which MLflow no longer lists. Repeatable.
    #[arg(long, value_name = "NAME")]
    pub(crate) forget_model: Vec<String>,
    /// Leave out registered models, their versions and logged models, for a user who may not read them.
    #[arg(long)]
    pub(crate) no_registry: bool,
    /// How to read the logged models that are inputs of a run. `searched` misses those that a program recorded without an
    /// evaluation. `exact` finds them by one more request for each new or changed run.
    #[arg(long, value_enum, default_value_t = ModelInputs::Searched)]
    pub(crate) model_inputs: ModelInputs,
    /// Also exit with 1 if mirrored runs have recorded problems. Not with --every, whose passes have no exit code.
    #[arg(long, conflicts_with = "every")]
    pub(crate) strict: bool,
    /// Keep running, with a pause of this length after each pass, such as 60s, 5m or 1d. Waits while another process syncs.
    #[arg(long, value_name = "DURATION", value_parser = parse_interval)]
    pub(crate) every: Option<Duration>,
    /// With --every: pause between two full passes. Quick passes read only new, running and recently ended runs.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = parse_interval, requires = "every")]
    pub(crate) full_every: Duration,
    /// With --every: how long after the end of a run quick passes still read it.
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = parse_duration, requires = "every")]
    pub(crate) settle: Duration,
    /// With --every: serve Prometheus metrics at /metrics and a health check at /health on this address, such as 127.0.0.1:9187.
    #[arg(long, value_name = "ADDRESS", requires = "every")]
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// Format of the report on stdout.
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
}

/// Compare every mirrored run with MLflow. Lists the differences, and exits with 1 if there are any.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  runlineage verify --tracking-uri http://localhost:5000 --mongodb-uri mongodb://localhost/runlineage"
)]
pub(crate) struct VerifyArgs {
    /// Compare only this experiment, by name or id, or as id:12 or name:churn. Repeatable.
    #[arg(long, value_name = "EXPERIMENT")]
    pub(crate) exp: Vec<ExperimentSelector>,
    /// Compare all experiments except this one, named as for --exp. Repeatable.
    #[arg(long, value_name = "EXPERIMENT")]
    pub(crate) exclude_exp: Vec<ExperimentSelector>,
    /// Leave out registered models, their versions and logged models, for a user who may not read them.
    #[arg(long)]
    pub(crate) no_registry: bool,
    /// Format of the list of differences.
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
}

/// Remove for good the runs that were deleted in MLflow. The mirror keeps only their ids.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  runlineage purge --deleted-before 90d --mongodb-uri mongodb://localhost/runlineage"
)]
pub(crate) struct PurgeArgs {
    /// Remove runs deleted before this time, or longer ago than this: 2026-03-01, 90d. Times without a zone are UTC.
    #[arg(long, value_name = "WHEN")]
    pub(crate) deleted_before: String,
}

/// Find runs by what they read and wrote, and by their other fields. All conditions must hold.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  runlineage find --local --input-model churn:2
  runlineage find --local --output-artifact 8f2c61d04a7b4f0e9d3c5b6a7e8f9012/plots/roc.png --format ndjson
  runlineage find --local --input-model churn --where \"metrics.auc > 0.9 or not status = 'FAILED'\"
  runlineage find --local --exp churn --where '{\"params.lr\": {\"$lt\": 0.01}}'
  runlineage find --local --input-model churn --facet exp

--where takes a text in the style of MLflow's filter_string, with AND, OR, NOT and parentheses:
  input.model = 'churn:3', input.artifact under 'RUN_ID/data', input.path = 'data/train.csv', inputs missing
      lineage; the same terms with output match what the run wrote
  exp, exp.id, exp.name, status, user, name, run_id, parent
      with =, !=, in, not in, exists, missing; also name like 'train-%'
  start_time, end_time
      with <, <=, >, >= and '2026-03-01' (UTC) or '7d' (7 days ago)
  params.KEY, tags.KEY, metrics.KEY
      with =, !=, <, <=, >, >=, in, exists, missing, like; 'text' compares MLflow's text, a number compares numbers
A condition that begins with { is a MongoDB filter as JSON, with a checked list of operators.")]
pub(crate) struct FindArgs {
    #[command(flatten)]
    pub(crate) lineage: LineageArgs,
    #[command(flatten)]
    pub(crate) paths: PathArgs,
    /// Count only lineage from here, in all lineage conditions: tag (declared by people and programs), registry, inputs, outputs,
    /// metrics or evaluate (recorded by MLflow).
    #[arg(long, value_name = "ORIGIN", help_heading = "Lineage", value_parser = parse_origin)]
    pub(crate) origin: Option<Origin>,
    /// Count only lineage that people and programs declared; the same as --origin tag.
    #[arg(long, help_heading = "Lineage", conflicts_with = "origin")]
    pub(crate) declared_only: bool,
    /// Runs of this experiment, by name or id, or as id:12 or name:churn. Repeatable: any of them.
    #[arg(long, value_name = "EXPERIMENT")]
    pub(crate) exp: Vec<ExperimentSelector>,
    /// Runs with this status. Repeatable: any of them.
    #[arg(long, value_name = "STATUS", ignore_case = true, value_parser = ["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"])]
    pub(crate) status: Vec<String>,
    /// Runs started since this time, or within this span: 2026-03-01, 2026-03-01T12:00Z, 7d, 12h. Times without a zone are UTC.
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<String>,
    /// Runs with this tag; VALUE is the text that MLflow stores. Repeatable: all of them.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) tag: Vec<PairArg>,
    /// Runs with this param; VALUE is the text that MLflow stores. Repeatable: all of them.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) param: Vec<PairArg>,
    /// Child runs of this run.
    #[arg(long, value_name = "RUN_ID")]
    pub(crate) parent: Option<RunId>,
    /// Runs with a recorded problem, such as a lineage tag that cannot be read.
    #[arg(long)]
    pub(crate) problems: bool,
    /// Further condition: a text, or a MongoDB filter as JSON; see below.
    #[arg(long = "where", value_name = "CONDITION")]
    pub(crate) condition: Option<String>,
    /// Sort by this field; -FIELD or 'FIELD DESC' sorts descending. Repeatable. Numbers come first, then NaN, texts, and runs
    /// without a value. A table is sorted newest first by default.
    #[arg(long, value_name = "FIELD", allow_hyphen_values = true, value_parser = parse_as::<Order>)]
    pub(crate) sort: Vec<Order>,
    /// Maximum number of runs; 0 means all. By default, a table shows 100, and other formats fail after 1,000,000.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u32>,
    /// Skip this many runs at the start.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub(crate) skip: Option<u64>,
    /// Continue after this run, newest first. The next page costs the same however far it lies from the first.
    #[arg(long, value_name = "RUN_ID", conflicts_with_all = ["sort", "skip"])]
    pub(crate) after: Option<RunId>,
    /// Columns of a table or CSV, comma-separated, such as _id,name,params.lr. JSON contains these fields, and always _id and start_time.
    #[arg(long, value_name = "FIELDS", value_delimiter = ',', value_parser = parse_as::<NamedColumn>)]
    pub(crate) columns: Vec<NamedColumn>,
    /// Format of the results.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// Add to each run the link to its page in MLflow, at this address or, without one, at the mirrored server.
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "")]
    pub(crate) ui_url: Option<String>,
    /// Print only the number of matching runs.
    #[arg(long, group = "instead", conflicts_with_all = ["sort", "limit", "skip", "after", "columns"])]
    pub(crate) count: bool,
    /// Print only the number of matching runs for each experiment, model version and so on. --limit limits these rows.
    #[arg(long, value_name = "FACET", value_parser = FacetArg::parser(), group = "instead", conflicts_with_all = ["sort", "skip", "after", "columns"])]
    pub(crate) facet: Option<FacetArg>,
    /// Print only the distinct values of this field, one JSON value a line.
    #[arg(long, value_name = "FIELD", group = "instead", value_parser = parse_as::<Field>, conflicts_with_all = ["sort", "limit", "skip", "after", "columns"])]
    pub(crate) distinct: Option<Field>,
    /// Print only the MongoDB filter, to paste into mongosh: db.runs.find(…).
    #[arg(long, group = "instead")]
    pub(crate) render: bool,
    /// Print only which index serves the search, and how many keys and runs MongoDB examines.
    #[arg(long, group = "instead")]
    pub(crate) explain: bool,
    /// Fail after MongoDB has worked on the search for this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=MAX_TIME))]
    pub(crate) max_time: u64,
}

/// Show one run, model, version, logged model, dataset or prompt: its fields, its lineage, and the link to it in MLflow.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  runlineage show --local 8f2c61d04a7b4f0e9d3c5b6a7e8f9012
  runlineage show --local model:churn:7
  runlineage show --local dataset:clicks@4f2a91c3")]
pub(crate) struct ShowArgs {
    /// Id of a run, or a node: model:NAME, model:NAME:VERSION, logged-model:ID, dataset:NAME[@DIGEST], prompt:NAME[:VERSION]. Put a
    /// node that holds white space or one of + ( ) " into double quotes.
    #[arg(value_name = "RUN_ID|NODE", value_parser = parse_node)]
    pub(crate) node: Node,
    /// Format of the answer.
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
}

/// List the versions of a registered model: the runs that made them, their aliases and copies, and how many runs used them.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  runlineage versions --local churn")]
pub(crate) struct VersionsArgs {
    /// Name of the registered model.
    pub(crate) name: String,
    /// List deleted versions too.
    #[arg(long)]
    pub(crate) deleted: bool,
    /// Format of the list. JSON has the ids of the runs that used each version.
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
}

/// Record what a run read and wrote: as tags of the run in MLflow, then in the mirror.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  runlineage register --local 8f2c61d04a7b4f0e9d3c5b6a7e8f9012 --input-model raw:3 --output-model churn:4
  runlineage register --local --from lineage.ndjson

Each line of the file is an object in the form that `find --format ndjson` prints. Version and path are optional:
  {\"_id\": RUN_ID, \"inputs\": {\"models\": [{\"name\": …, \"version\": …}], \"runs\": [{\"id\": …, \"path\": …}]}, \"outputs\": …}")]
pub(crate) struct RegisterArgs {
    /// Id of the run.
    #[arg(required_unless_present = "from", conflicts_with = "from")]
    pub(crate) run_id: Option<RunId>,
    #[command(flatten)]
    pub(crate) lineage: LineageArgs,
    /// Register every line of this file; - reads stdin.
    #[arg(long, value_name = "FILE", conflicts_with = lineage::GROUP)]
    pub(crate) from: Option<String>,
    /// With --from: begin at this line, such as the one that an interrupted `register` named.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "from", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) from_line: u64,
}

/// Create or update the collections and indexes of the database, by applying pending migrations.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  runlineage migrate --mongodb-uri mongodb://localhost/runlineage"
)]
pub(crate) struct MigrateArgs {
    /// List applied and pending migrations, and apply none.
    #[arg(long)]
    pub(crate) status: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Json,
    Ndjson,
    Csv,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModelInputs {
    Searched,
    Exact,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    Table,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

fn parse_origin(text: &str) -> Result<Origin, String> {
    Origin::parse(text).ok_or_else(|| {
        let origins: Vec<&str> = Origin::ALL.iter().map(|origin| origin.as_str()).collect();
        format!(
            "there is no origin {text:?}; the origins are {}",
            origins.join(", ")
        )
    })
}

/// Parses a type of the library. Drops the argument's name from the error, since clap names the flag.
fn parse_as<T: FromStr<Err = Error>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| match error {
        Error::InvalidArgument { reason, .. } => reason,
        error => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Args;

    #[test]
    fn clap_accepts_the_definition_of_the_arguments() {
        Args::command().debug_assert();
    }
}
