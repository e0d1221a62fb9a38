//! Compares the search that each index serves, with the index and without.

use mongodb::Database;
use mongodb::bson::{Bson, DateTime, Document, doc};
use runlineage::Query;

use super::Outcome;
use super::generator::{FORMER_USER, RETIRED_MODEL, id, start_of};

/// Explains the search of each index with the index, and again with the index hidden from the query planner.
pub(crate) async fn of_each(database: &Database, runs: u64) -> Outcome {
    println!(
        "\n| index | the search | keys and runs examined | ms | without it: examined | ms |\n|---|---|---|---|---|---|"
    );
    for (index, what, find) in searches(runs)? {
        let with = explained(database, &find).await?;
        hide(database, index, true).await?;
        let without = explained(database, &find).await;
        hide(database, index, false).await?;
        let (without, with) = (without?, with);
        println!(
            "| {index} | {what} | {} | {} | {} | {} |",
            with.0, with.1, without.0, without.1
        );
    }
    Ok(())
}

fn searches(runs: u64) -> Outcome<Vec<(&'static str, &'static str, Document)>> {
    let some = id(runs / 2);
    let from = start_of(runs / 2);
    let to = DateTime::from_millis(from.timestamp_millis() + 36_000_000);
    let query = Query::new;
    let newest = |query: Query| -> Outcome<Document> {
        let order = doc! { "start_time": -1, "_id": -1 };
        Ok(doc! { "find": "runs", "filter": query.render()?, "sort": order, "limit": 20 })
    };
    let all = |query: Query| -> Outcome<Document> {
        Ok(doc! { "find": "runs", "filter": query.render()? })
    };
    Ok(vec![
        (
            "input_models",
            "readers of a version",
            all(query().with_input_model("model-7", "3"))?,
        ),
        (
            "output_models",
            "makers of a version",
            all(query().with_output_model("model-7", "3"))?,
        ),
        (
            "input_datasets",
            "readers of a dataset's content",
            all(query().with_input_dataset("clicks-3", "00000001"))?,
        ),
        (
            "input_logged_models",
            "evaluations of a logged model",
            all(query().with_input_logged_model(&format!("m-{some}")))?,
        ),
        (
            "output_logged_models",
            "the run that made a logged model",
            all(query().with_output_logged_model(&format!("m-{some}")))?,
        ),
        (
            "input_prompts",
            "users of a prompt's version",
            all(query().with_input_prompt("prompt-3", "2"))?,
        ),
        (
            "input_runs",
            "readers of a run",
            all(query().with_input_artifact(&some, None))?,
        ),
        (
            "output_runs",
            "a run's own artifacts",
            all(query().with_output_artifact(&some, None))?,
        ),
        (
            "input_paths",
            "readers of a path",
            all(query().with_input_path("data/part-007.parquet"))?,
        ),
        (
            "output_paths",
            "a path that nobody wrote",
            all(query().with_output_path_under("plots/3.png"))?,
        ),
        (
            "newest_users_of_model",
            "newest 20 users of a model that was retired",
            newest(query().with_input_model(RETIRED_MODEL, None))?,
        ),
        (
            "newest_of_exp",
            "newest 20 of an experiment",
            newest(query().with_exp_id("8"))?,
        ),
        (
            "newest_of_exp_name",
            "newest 20 of an experiment, by name",
            newest(query().with_exp_name("experiment-8"))?,
        ),
        (
            "newest_of_status",
            "newest 20 under way",
            newest(query().with_status("RUNNING"))?,
        ),
        (
            "newest_of_user",
            "newest 20 of a user who left",
            newest(query().with_user(FORMER_USER))?,
        ),
        (
            "newest",
            "started in 10 hours",
            all(query().with_start_time(from..to))?,
        ),
        (
            "end_time",
            "ended in 10 hours",
            all(query().with_end_time(from..to))?,
        ),
        (
            "name",
            "a prefix of the name",
            all(query().with_name_prefix("train-999"))?,
        ),
        (
            "parent",
            "children of a run",
            all(query().with_parent(&some))?,
        ),
        (
            "problems",
            "runs with problems",
            all(query().with_problems())?,
        ),
    ])
}

async fn hide(database: &Database, index: &str, hidden: bool) -> Outcome {
    let change = doc! { "collMod": "runs", "index": { "name": index, "hidden": hidden } };
    database.run_command(change).await?;
    Ok(())
}

/// The number of keys and runs examined, and the milliseconds.
async fn explained(database: &Database, find: &Document) -> Outcome<(i64, i64)> {
    let explain = doc! { "explain": find.clone(), "verbosity": "executionStats" };
    let explained = database.run_command(explain).await?;
    let stats = explained.get_document("executionStats")?;
    let count = |name: &str| match stats.get(name) {
        Some(Bson::Int32(count)) => i64::from(*count),
        Some(Bson::Int64(count)) => *count,
        _ => 0,
    };
    let examined = count("totalKeysExamined") + count("totalDocsExamined");
    Ok((examined, count("executionTimeMillis")))
}
