//! `show`: prints one run, model, version, logged model, dataset or prompt.

mod node;
mod run;

use std::io::Write as _;
use std::process::ExitCode;

use runlineage::RunId;
use runlineage::lineage::Kind;
use runlineage_server::answer::ShownNode;

use super::{Result, say_freshness};
use crate::args::{ConnectionArgs, ReportFormat, ShowArgs};
use crate::connect::{self, usage};
use crate::pages;
use crate::stdout::stdout;

pub(crate) async fn run(connection: &ConnectionArgs, args: ShowArgs) -> Result {
    let node = &args.node;
    if node.kind() == Kind::ARTIFACT {
        let reason = "an artifact has no fields of its own; `find --input-artifact` lists the runs that read it";
        return Err(usage("node", reason).into());
    }
    let mirror = connect::mirror(connection).await?;
    if !say_freshness(&mirror.store).await? {
        return Ok(ExitCode::FAILURE);
    }
    let pages = pages::of(connection, &mirror.store, None).await?;
    if node.kind() == Kind::RUN {
        let id: RunId = node.key().parse()?;
        return run::show(&mirror.store, &id, pages.as_ref(), args.format).await;
    }
    let Some(shown) = ShownNode::of(&mirror.store, node, None).await? else {
        let what = node.kind().spec().key_means;
        anyhow::bail!("the mirror has never seen the {what} {:?}", node.key());
    };
    match args.format {
        ReportFormat::Json => {
            serde_json::to_writer(stdout(), &shown)?;
            stdout().write_all(b"\n")?;
        }
        ReportFormat::Table => {
            let text = node::text(&shown, pages.as_ref())?;
            stdout().write_all(text.as_bytes())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
