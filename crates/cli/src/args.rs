//! The arguments of every command, and their errors.

mod column;
mod example;
mod facet;
mod lineage;
mod values;

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use runlineage::query::{Field, Order};
use runlineage::{Error, ExperimentSelector, RunId};

pub(crate) use column::{Column, ColumnArg};
pub(crate) use example::parse;
pub(crate) use facet::FacetArg;
pub(crate) use lineage::{LineageArgs, PathArgs};
pub(crate) use values::PairArg;
use values::{parse_database, parse_duration, parse_interval};

/// The milliseconds that MongoDB takes, in seconds.
const MAX_TIME: u64 = i32::MAX as u64 / 1000;

/// A lineage index for machine-learning runs: mirrors MLflow into MongoDB and answers from there.
#[derive(Debug, Parser)]
#[command(
    name = "runlineage",
    version,
    about,
    max_term_width = 110,
    after_help = "Example:\n  runlineage sync --tracking-uri http://localhost:5000 --mongodb-uri mongodb://localhost/runlineage"
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// How log lines on stderr look.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, help_heading = "Output")]
    pub(crate) log_format: LogFormat,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// The MongoDB that holds the mirror, such as mongodb://user:password@host/database.
    #[arg(
        long,
        global = true,
        env = "MONGODB_URI",
        hide_env_values = true,
        value_name = "URI"
    )]
    pub(crate) mongodb_uri: Option<String>,
    /// Use the private local database instead: it starts and stops by itself.
    #[arg(long, global = true)]
    pub(crate) local: bool,
    /// The database, where the URI's path names none.
    #[arg(long, global = true, value_name = "NAME", value_parser = parse_database)]
    pub(crate) database: Option<String>,
    /// The MLflow tracking server, such as http://localhost:5000; MLflow's other variables count too.
    #[arg(
        long,
        global = true,
        env = "MLFLOW_TRACKING_URI",
        hide_env_values = true,
        value_name = "URI"
    )]
    pub(crate) tracking_uri: Option<String>,
    /// The name by which the mirror knows this server, where its address may change.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) source: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Sync(SyncArgs),
    Find(Box<FindArgs>),
    Show(ShowArgs),
    Register(RegisterArgs),
    Migrate(MigrateArgs),
    Verify(VerifyArgs),
    Purge(PurgeArgs),
    /// Keep the local database up, and print its URI for mongosh and other programs.
    #[command(
        after_help = "Example:\n  runlineage db\n  mongosh \"$(the URI it prints)\" --eval 'db.runs.countDocuments()'"
    )]
    Db,
}

/// Mirror an MLflow server: afterwards the database holds what MLflow holds.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  runlineage sync --tracking-uri http://localhost:5000 --mongodb-uri mongodb://localhost/runlineage"
)]
pub(crate) struct SyncArgs {
    /// Only this experiment, by name or id, or `id:12`, `name:churn`; repeatable.
    #[arg(long, value_name = "EXPERIMENT")]
    pub(crate) exp: Vec<ExperimentSelector>,
    /// All experiments but this one, by name or id, or `id:12`, `name:churn`; repeatable.
    #[arg(long, value_name = "EXPERIMENT")]
    pub(crate) exclude_exp: Vec<ExperimentSelector>,
    /// How many requests the tracking server is asked at once.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) concurrency: u16,
    /// How many runs are asked for at once.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub(crate) page_size: u32,
    /// Also remove more than max(100, 10 %) of the mirrored runs when MLflow no longer knows them at all.
    #[arg(long)]
    pub(crate) allow_mass_delete: bool,
    /// Remove what is mirrored of this experiment, which MLflow no longer lists, by id; repeatable.
    #[arg(long, value_name = "ID")]
    pub(crate) forget_experiment: Vec<String>,
    /// Remove what is mirrored of this registered model, which MLflow no longer lists, by name; repeatable.
    #[arg(long, value_name = "NAME")]
    pub(crate) forget_model: Vec<String>,
    /// Leave out registered models, their versions and logged models, as for a user who may not read them.
    #[arg(long)]
    pub(crate) no_registry: bool,
    /// Also exit 1 when mirrored runs have recorded problems. Not with --every, whose passes have no exit code.
    #[arg(long, conflicts_with = "every")]
    pub(crate) strict: bool,
    /// Keep running, with a pause of this length after each pass: 60s, 5m, 1d. While another process syncs, wait for it.
    #[arg(long, value_name = "DURATION", value_parser = parse_interval)]
    pub(crate) every: Option<Duration>,
    /// With --every: how long after the end of a full pass the next one begins; in between and beside it, passes look at new,
    /// running and lately ended runs.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = parse_interval, requires = "every")]
    pub(crate) full_every: Duration,
    /// With --every: how long after its end a run is looked at by every pass.
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = parse_duration, requires = "every")]
    pub(crate) settle: Duration,
    /// With --every: serve Prometheus metrics at /metrics and the state at /health here, such as 127.0.0.1:9187.
    #[arg(long, value_name = "ADDRESS", requires = "every")]
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// The report on stdout.
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
}

/// Compare the mirror with MLflow, document by document; exit 1 and a list on any difference.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  runlineage verify --tracking-uri http://localhost:5000 --mongodb-uri mongodb://localhost/runlineage"
)]
pub(crate) struct VerifyArgs {
    /// Only this experiment, by name or id, or `id:12`, `name:churn`; repeatable.
    #[arg(long, value_name = "EXPERIMENT")]
    pub(crate) exp: Vec<ExperimentSelector>,
    /// All experiments but this one, by name or id, or `id:12`, `name:churn`; repeatable.
    #[arg(long, value_name = "EXPERIMENT")]
    pub(crate) exclude_exp: Vec<ExperimentSelector>,
    /// Leave out registered models, their versions and logged models, as for a user who may not read them.
    #[arg(long)]
    pub(crate) no_registry: bool,
    /// How the differences look.
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
}

/// Remove for good runs that were deleted in MLflow.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  runlineage purge --deleted-before 90d --mongodb-uri mongodb://localhost/runlineage"
)]
pub(crate) struct PurgeArgs {
    /// Deleted before this time, or this long ago: 2026-03-01, 90d. Times without a zone are in UTC.
    #[arg(long, value_name = "WHEN")]
    pub(crate) deleted_before: String,
}

/// Find runs by what they read and wrote. Every condition given must hold.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  runlineage find --local --input-model churn:2\n  runlineage find --local --output-artifact 8f2c61d04a7b4f0e9d3c5b6a7e8f9012/plots/roc.png --format ndjson\n  runlineage find --local --input-model churn --where \"metrics.auc > 0.9 or not status = 'FAILED'\"\n  runlineage find --local --exp churn --where '{\"params.lr\": {\"$lt\": 0.01}}'\n  runlineage find --local --input-model churn --facet exp\n\n--where takes a text in the manner of MLflow's filter_string, with AND, OR, NOT and parentheses:\n  input.model = 'churn:3'  input.artifact under 'RUN_ID/data'  input.path = 'data/train.csv'  inputs missing  (the same with output)\n  exp, exp.id, exp.name, status, user, name, run_id, parent: = != in not-in exists missing; name like 'train-%'; start_time, end_time: >= '2026-03-01' (UTC) or '7d'\n  params.KEY, tags.KEY, metrics.KEY: = != < <= > >= in exists missing like; a text compares MLflow's text, a number the number\nor, when it begins with {, a MongoDB filter as JSON, of a checked list of operators."
)]
pub(crate) struct FindArgs {
    #[command(flatten)]
    pub(crate) lineage: LineageArgs,
    #[command(flatten)]
    pub(crate) paths: PathArgs,
    /// In this experiment, by name or id, or `id:12`, `name:churn`; repeatable: in any of them.
    #[arg(long, value_name = "EXPERIMENT")]
    pub(crate) exp: Vec<ExperimentSelector>,
    /// With this status; repeatable: any of them.
    #[arg(long, value_name = "STATUS", ignore_case = true, value_parser = ["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"])]
    pub(crate) status: Vec<String>,
    /// Started since this time, or this long ago: 2026-03-01, 2026-03-01T12:00Z, 7d, 12h. Times without a zone are in UTC.
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<String>,
    /// With this tag, in MLflow's own text; repeatable.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) tag: Vec<PairArg>,
    /// With this param, in MLflow's own text; repeatable.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) param: Vec<PairArg>,
    /// Children of this run.
    #[arg(long, value_name = "RUN_ID")]
    pub(crate) parent: Option<RunId>,
    /// With a recorded problem.
    #[arg(long)]
    pub(crate) problems: bool,
    /// Any further condition: a text, or a MongoDB filter as JSON; see below.
    #[arg(long = "where", value_name = "CONDITION")]
    pub(crate) condition: Option<String>,
    /// Order by this field, `-FIELD` or `FIELD DESC` for descending; repeatable. Numbers come first, then NaN, then texts, then
    /// runs without a value. A table is newest first unless said.
    #[arg(long, value_name = "FIELD", allow_hyphen_values = true, value_parser = parse_as::<Order>)]
    pub(crate) sort: Vec<Order>,
    /// At most this many runs, 0 for all. Unless said, a table shows 100, and other formats end with an error after 1,000,000.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u32>,
    /// Leave out this many runs at the start.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub(crate) skip: Option<u64>,
    /// Only what comes after this run, newest first: the next page, however far it lies.
    #[arg(long, value_name = "RUN_ID", conflicts_with_all = ["sort", "skip"])]
    pub(crate) after: Option<RunId>,
    /// The columns of a table or CSV, comma-separated: any fields, such as _id,name,params.lr. Of JSON, these with _id and start_time.
    #[arg(long, value_name = "FIELDS", value_delimiter = ',', value_parser = parse_as::<ColumnArg>)]
    pub(crate) columns: Vec<ColumnArg>,
    /// How results look.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// Add the link to each run: in the MLflow at this address or, without one, at the tracking server.
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "")]
    pub(crate) ui_url: Option<String>,
    /// Only print how many runs match.
    #[arg(long, group = "instead", conflicts_with_all = ["sort", "limit", "skip", "after", "columns"])]
    pub(crate) count: bool,
    /// Only print how many of the runs share each experiment, model version and so on; --limit is of those.
    #[arg(long, value_name = "FACET", value_parser = FacetArg::parser(), group = "instead", conflicts_with_all = ["sort", "skip", "after", "columns"])]
    pub(crate) facet: Option<FacetArg>,
    /// Only print the distinct values of this field, one a line as JSON.
    #[arg(long, value_name = "FIELD", group = "instead", value_parser = parse_as::<Field>, conflicts_with_all = ["sort", "limit", "skip", "after", "columns"])]
    pub(crate) distinct: Option<Field>,
    /// Only print the filter, to paste into mongosh: db.runs.find(…).
    #[arg(long, group = "instead")]
    pub(crate) render: bool,
    /// Only tell which index serves the search, and what it examines.
    #[arg(long, group = "instead")]
    pub(crate) explain: bool,
    /// End with an error after this many seconds of work of the database.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=MAX_TIME))]
    pub(crate) max_time: u64,
}

/// Show one run, its lineage, and the link to it in MLflow.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  runlineage show --local 8f2c61d04a7b4f0e9d3c5b6a7e8f9012")]
pub(crate) struct ShowArgs {
    /// The run's id.
    pub(crate) run_id: RunId,
    /// How it looks.
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
}

/// Register what a run read and wrote: tags in MLflow first, then the mirror.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  runlineage register --local 8f2c61d04a7b4f0e9d3c5b6a7e8f9012 --input-model churn:3 --output-artifact 8f2c61d04a7b4f0e9d3c5b6a7e8f9012/plots/roc.png\n  runlineage register --local --from lineage.ndjson\n\nA line of the file is {\"_id\": RUN_ID, \"inputs\": {\"models\": [{\"name\": …, \"version\": …}], \"runs\": [{\"id\": …, \"path\": …}]}, \"outputs\": …},\nthe form that `find --format ndjson` prints; version and path may be left out."
)]
pub(crate) struct RegisterArgs {
    /// The run's id.
    #[arg(required_unless_present = "from", conflicts_with = "from")]
    pub(crate) run_id: Option<RunId>,
    #[command(flatten)]
    pub(crate) lineage: LineageArgs,
    /// Register every line of this file; `-` is stdin.
    #[arg(long, value_name = "FILE", conflicts_with = lineage::GROUP)]
    pub(crate) from: Option<String>,
    /// With --from: begin at this line, such as one that an interrupted `register` named.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "from", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) from_line: u64,
}

/// Apply pending migrations of the database.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  runlineage migrate --status --mongodb-uri mongodb://localhost/runlineage"
)]
pub(crate) struct MigrateArgs {
    /// Only list them, applied and pending.
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
pub(crate) enum ReportFormat {
    Table,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// Parses what the library names; the flag is named beside the error already.
fn parse_as<T: FromStr<Err = Error>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| match error {
        Error::InvalidArgument { reason, .. } => reason,
        error => error.to_string(),
    })
}

impl Args {
    /// Settings come out of files of secrets with a line end; one that is set to nothing is not set.
    fn trimmed(mut self) -> Self {
        let ConnectionArgs {
            mongodb_uri,
            tracking_uri,
            database,
            source,
            ..
        } = &mut self.connection;
        for setting in [mongodb_uri, tracking_uri, database, source] {
            let text = setting.take().unwrap_or_default();
            let text = text.trim();
            *setting = (!text.is_empty()).then(|| text.to_owned());
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Args;

    #[test]
    fn the_arguments_are_consistent() {
        Args::command().debug_assert();
    }
}
