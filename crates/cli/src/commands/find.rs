//! `find`: builds one search from the flags, and prints its runs, a summary of them, or the query plan.

mod named;
mod print;
mod search;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use bson::Bson;
use runlineage::{MongoRunStore, Run, Search};
use runlineage_server::answer::{RunWriter, projection};

use super::{Result, resolve, say_freshness};
use crate::args::{ConnectionArgs, FindArgs, Format};
use crate::connect::{self, usage};
use crate::output::mongosh;
use crate::pages::{self, Pages};
use crate::say::{counted, say};
use crate::stdout::stdout;

use search::FlagSearch;

pub(crate) async fn run(connection: &ConnectionArgs, mut args: FindArgs) -> Result {
    // Before anything is asked: a bad argument needs no server to be refused.
    let mut flags = FlagSearch::of(&args)?;
    let has_pointers = args.lineage.has_pointers();
    // To render a filter needs no database, unless the mirror has to resolve an alias.
    let has_database = connection.local || connection.mongodb_uri.is_some();
    let mirror = match args.render && (!has_pointers || !has_database) {
        true => None,
        false => Some(connect::mirror(connection).await?),
    };
    if has_pointers {
        match &mirror {
            Some(mirror) => {
                resolve::in_mirror(connection, &mirror.store, &mut args.lineage).await?;
            }
            None => resolve::in_mlflow(connection, &mut args.lineage).await?,
        }
        flags = FlagSearch::of(&args)?;
    }
    let Some(mirror) = mirror.filter(|_| !args.render) else {
        writeln!(stdout(), "{}", mongosh(&Bson::Document(flags.filter)))?;
        return Ok(ExitCode::SUCCESS);
    };
    let find = Find {
        after: last_of_previous_page(&mirror.store, &args).await?,
        store: &mirror.store,
        args: &args,
        flags,
    };
    if args.explain || args.count || args.facet.is_some() || args.distinct.is_some() {
        if !find.introduce().await? {
            return Ok(ExitCode::FAILURE);
        }
        return find.summarise().await;
    }
    find.list(connection).await
}

/// A `find` against one mirror.
struct Find<'a> {
    store: &'a MongoRunStore,
    args: &'a FindArgs,
    flags: FlagSearch,
    after: Option<Run>,
}

impl Find<'_> {
    /// The search without order and limit.
    fn all(&self) -> Search {
        let max_time = Duration::from_secs(self.args.max_time);
        self.flags.search.clone().limit(0).max_time(max_time)
    }

    fn ordered(&self, limit: u32) -> Search {
        let mut search = self.all().limit(limit);
        if !self.flags.orders.is_empty() {
            search = search.order_by(self.flags.orders.clone());
        } else if self.args.format == Format::Table {
            search = search.newest_first();
        }
        if let Some(skip) = self.args.skip {
            search = search.skip(skip);
        }
        if let Some(last) = &self.after {
            search = search.newest_first().after(last);
        }
        if self.prints_documents() {
            return search;
        }
        search.projection(projection(&self.flags.columns))
    }

    fn is_json(&self) -> bool {
        matches!(self.args.format, Format::Json | Format::Ndjson)
    }

    /// Whether whole documents are printed, not only columns of them.
    fn prints_documents(&self) -> bool {
        self.is_json() && self.args.columns.is_empty()
    }

    /// Reports on stderr how fresh the mirror is and whether an index serves the search. Returns `false` if no run was ever
    /// mirrored, and an error if an experiment is unknown or ambiguous.
    async fn introduce(&self) -> Result<bool> {
        if !say_freshness(self.store).await? {
            return Ok(false);
        }
        self.flags.named.check_experiments(self.store).await?;
        if let Some(since) = self.flags.since {
            say!(
                "Started since {}.",
                since.try_to_rfc3339_string().unwrap_or_default()
            );
        }
        if !self.args.explain {
            self.say_scans().await;
        }
        Ok(true)
    }

    async fn say_scans(&self) {
        let bound = self.args.max_time;
        let advice = "Add an experiment, a model, an artifact or --since";
        // A failure to explain the search is no reason to fail the search.
        if self.flags.filter.is_empty() {
            let limit = self.flags.limit;
            if !self.flags.orders.is_empty()
                && !self
                    .store
                    .is_order_indexed(self.ordered(limit))
                    .await
                    .unwrap_or(true)
            {
                say!(
                    "No index serves this order, so MongoDB reads and sorts every run, for at most {bound} s (--max-time). {advice}."
                );
            }
        } else if !self.store.is_indexed(self.all()).await.unwrap_or(true) {
            say!(
                "No index serves this search, so MongoDB reads every run, for at most {bound} s (--max-time). {advice}."
            );
        }
    }

    /// Prints a count, a facet, distinct values or the query plan in place of the runs.
    async fn summarise(&self) -> Result {
        let (store, args) = (self.store, self.args);
        if args.explain {
            return print::explain(&store.explain(self.ordered(self.flags.limit)).await?);
        }
        let is_empty = if let Some(facet) = args.facet {
            let limit = args.limit.unwrap_or_default();
            let counts = store.facet(facet.0, self.all().limit(limit)).await?;
            let is_empty = counts.is_empty();
            print::facets(counts, args.format)?;
            is_empty
        } else if let Some(field) = &args.distinct {
            let values = store.distinct_values(field, self.all()).await?;
            let is_empty = values.is_empty();
            print::distinct(values)?;
            is_empty
        } else {
            let count = store.count_runs(self.all()).await?;
            writeln!(stdout(), "{count}")?;
            count == 0
        };
        if is_empty {
            self.flags.named.say_unknown(store).await?;
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn list(&self, connection: &ConnectionArgs) -> Result {
        let limit = self.flags.limit;
        // One run more than the limit tells whether there are more, without a second search.
        let runs = self
            .store
            .find_runs(self.ordered(limit.saturating_add(u32::from(limit > 0))));
        // Concurrent: the search for one run takes as long as the question how fresh the mirror is.
        let (holds_runs, runs) = tokio::join!(self.introduce(), runs);
        if !holds_runs? {
            return Ok(ExitCode::FAILURE);
        }
        let runs = runs?;
        let mut printer = print::Printer {
            writer: RunWriter {
                links: self.links(connection).await?,
                trims: self.is_json() && !self.prints_documents(),
                columns: self.flags.columns.clone(),
            },
            limit,
            shown: 0,
            more: false,
        };
        match self.args.format {
            Format::Table => printer.table(runs).await?,
            Format::Csv => printer.csv(runs).await?,
            Format::Ndjson => printer.ndjson(runs).await?,
            Format::Json => printer.json(runs).await?,
        }
        if printer.shown == 0 {
            self.flags.named.say_unknown(self.store).await?;
        }
        if printer.more {
            return self.say_more(printer.shown).await;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The addresses of runs in MLflow, if `--ui-url` asks for them.
    async fn links(&self, connection: &ConnectionArgs) -> Result<Option<Pages>> {
        let Some(url) = &self.args.ui_url else {
            return Ok(None);
        };
        let given = Some(url.as_str()).filter(|url| !url.is_empty());
        let pages = pages::of(connection, self.store, given).await?;
        let pages = pages.ok_or_else(|| {
            usage(
                "--ui-url",
                "the mirror has not recorded the address of MLflow; name it: --ui-url http://host:5000",
            )
        })?;
        Ok(Some(pages))
    }

    /// Reports that the limit cut the runs. An export that was cut by the default limit fails, so that no script takes it for
    /// complete.
    async fn say_more(&self, shown: u64) -> Result {
        if self.args.format != Format::Table {
            if self.args.limit.is_none() {
                say!(
                    "Only the first {shown} runs were printed, and more match. Use `--limit 0` for all of them, or `--limit {shown}` to accept these."
                );
                return Ok(ExitCode::FAILURE);
            }
            say!("{shown} runs were printed, and more match; `--limit 0` prints all.");
            return Ok(ExitCode::SUCCESS);
        }
        match self.store.count_runs(self.all()).await {
            Ok(count) => say!(
                "{shown} of {} shown; `--limit 0` shows all.",
                counted(count, "run")
            ),
            Err(_) => {
                say!("The first {shown} runs are shown, and more match; `--limit 0` shows all.")
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn last_of_previous_page(store: &MongoRunStore, args: &FindArgs) -> Result<Option<Run>> {
    let Some(id) = &args.after else {
        return Ok(None);
    };
    let run = store.get_run(id.as_str()).await?;
    let run = run.ok_or_else(|| usage("--after", format!("run {id} is not mirrored")))?;
    Ok(Some(run))
}
