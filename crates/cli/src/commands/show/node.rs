//! A node that is no run, as a text.

use std::fmt::Write as _;

use runlineage_server::answer::{Facts, Runs, ShownNode};

use super::super::Result;
use super::super::versions::versions_table;
use crate::output::{ago, printable, table};
use crate::pages::Pages;
use crate::say::counted;
use crate::secret::masked;

/// The node as a text for people.
pub(super) fn text(shown: &ShownNode, pages: Option<&Pages>) -> Result<String> {
    let mut text = String::new();
    let mut line = |name: &str, value: Option<String>| -> Result<()> {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            writeln!(text, "{name:<12} {}", printable(&masked(&value)))?;
        }
        Ok(())
    };
    line("node", Some(shown.node.clone()))?;
    match &shown.facts {
        Facts::Model(versions) => {
            let model = &versions.model;
            let alias = |alias: &runlineage::Alias| format!("{} → {}", alias.alias, alias.version);
            let aliases: Vec<String> = model.aliases.iter().map(alias).collect();
            line("created", model.created.map(ago))?;
            line("updated", model.updated.map(ago))?;
            line("aliases", Some(aliases.join(", ")))?;
            line("former names", Some(model.former_names.join(", ")))?;
            line("deleted", model.deleted_at.map(ago))?;
            line("in MLflow", pages.map(|pages| pages.model(&model.name)))?;
            writeln!(text, "\n{}", versions_table(versions))?;
        }
        Facts::Version {
            version,
            aliases,
            copies,
        } => {
            line("created", version.created.map(ago))?;
            line("run", version.run.clone())?;
            line("aliases", Some(aliases.join(", ")))?;
            line("stage", version.stage.clone())?;
            line("source", version.source.clone())?;
            line("copy of", version.copied_from.clone())?;
            line("copies", Some(copies.join(", ")))?;
            line("former names", Some(version.former_names.join(", ")))?;
            line("deleted", version.deleted_at.map(ago))?;
            let page = |pages: &Pages| pages.version(&version.name, &version.version);
            line("in MLflow", pages.map(page))?;
        }
        Facts::LoggedModel {
            logged_model,
            versions,
        } => {
            line("name", logged_model.name.clone())?;
            line("created", logged_model.created.map(ago))?;
            line("status", logged_model.status.clone())?;
            line("model type", logged_model.model_type.clone())?;
            line("run", logged_model.source_run.clone())?;
            line("versions", Some(versions.join(", ")))?;
            line("deleted", logged_model.deleted_at.map(ago))?;
            let experiment = logged_model.experiment.as_deref();
            let page = pages.zip(experiment);
            line(
                "in MLflow",
                page.map(|(pages, exp)| pages.logged_model(exp, &logged_model.id)),
            )?;
        }
        Facts::None {} => {}
    }
    for (verb, runs) in [("wrote", &shown.written_by), ("read", &shown.read_by)] {
        if let Some(runs) = runs {
            write_runs(runs, &mut text, verb)?;
        }
    }
    Ok(text)
}

fn write_runs(runs: &Runs, text: &mut String, verb: &str) -> Result<()> {
    if runs.count == 0 {
        writeln!(text, "\nNo run {verb} it, as far as the mirror knows.")?;
        return Ok(());
    }
    let newest = runs.newest.len() as u64;
    let which = if newest < runs.count {
        format!("; the newest {newest}:")
    } else {
        ":".to_owned()
    };
    writeln!(text, "\n{} {verb} it{which}", counted(runs.count, "run"))?;
    let header = ["run", "name", "experiment", "status", "started"].map(str::to_owned);
    let rows = runs.newest.iter().map(|run| {
        let cell = |cell: &Option<String>| cell.clone().unwrap_or_default();
        let cells = [&run.name, &run.experiment, &run.status, &run.started];
        let cells = cells.map(cell).into_iter();
        [run.run.clone()].into_iter().chain(cells).collect()
    });
    writeln!(text, "{}", table(&header, rows))?;
    Ok(())
}
