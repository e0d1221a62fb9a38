//! The program `graph` beside the smallest driver program that makes the same queries, and the cost of a picture.

use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use futures::future::try_join_all;
use mongodb::bson::{Bson, Document, doc};
use mongodb::{Client, Database};
use runlineage::{MongoRunStore, Node};
use runlineage_draw::{Picture, SvgOptions};

use super::{Outcome, lineage, row};
use crate::server::Server;

/// The argument that makes this benchmark the smallest program.
pub(crate) const SMALLEST: &str = "--smallest";

const ROUNDS: usize = 100;
const NODES: usize = 40;
const PICTURE_NODES: usize = 200;

/// One `runlineage graph` of 40 nodes, from its start to its end.
pub(crate) async fn whole(server: &Server, database: &Database) -> Outcome {
    let uri = format!("{}/{}", server.uri, database.name());
    let node = format!("run:{}", lineage::tree_id(40));
    let nodes = NODES.to_string();
    let graph = || {
        let mut program = Command::new(env!("CARGO_BIN_EXE_runlineage"));
        program.args(["graph", &node, "--mongodb-uri", &uri, "--format", "json"]);
        program.args(["--max-nodes", &nodes]);
        program
    };
    database.run_command(doc! { "profile": 2 }).await?;
    time_of(&mut graph())?;
    database.run_command(doc! { "profile": 0 }).await?;
    let rounds = rounds(database).await?;
    let file = std::env::temp_dir().join(format!("bench-graph-{}.json", std::process::id()));
    std::fs::write(&file, serde_json::to_vec(&rounds)?)?;
    let (mut ours, mut smallest) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        ours.push(time_of(&mut graph())?);
        let mut other = Command::new(std::env::current_exe()?);
        smallest.push(time_of(other.args([SMALLEST, &uri]).arg(&file))?);
    }
    std::fs::remove_file(&file)?;
    let queries: usize = rounds.iter().map(Vec::len).sum();
    row(
        &format!("`graph` process, {NODES} nodes ÷ smallest program with its {queries} queries"),
        &ours,
        &smallest,
    );
    Ok(())
}

/// What a picture of 200 nodes costs beyond the walk. The time beside it is the walk's.
pub(crate) async fn picture(database: &Database) -> Outcome {
    let store = MongoRunStore::from_database(database.clone());
    let node = Node::run(&lineage::tree_id(0))?;
    let (mut drawn, mut walked) = (vec![], vec![]);
    for _ in 0..super::ROUNDS {
        let start = Instant::now();
        let request = store.graph(node.clone()).upstream(0).downstream(9);
        let graph = request.max_nodes(PICTURE_NODES).await?;
        walked.push(start.elapsed());
        assert_eq!(graph.nodes.len(), PICTURE_NODES);
        let start = Instant::now();
        let picture = Picture::from_graph(&graph, |_| None)?;
        let svg = runlineage_draw::svg(&picture, &SvgOptions::default());
        drawn.push(start.elapsed());
        assert_eq!(svg.matches("data-node=").count(), PICTURE_NODES);
    }
    row(
        "svg of 200 nodes, beyond the walk ÷ the walk",
        &drawn,
        &walked,
    );
    Ok(())
}

fn time_of(command: &mut Command) -> Outcome<Duration> {
    let start = Instant::now();
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()?;
    let time = start.elapsed();
    assert!(output.status.success() && !output.stdout.is_empty());
    Ok(time)
}

/// The queries that the program made, in rounds. Queries that ran at the same time were sent together, and so were those that
/// ended in the same millisecond, as far as the profile tells. So the smallest program never waits where the program did not.
async fn rounds(database: &Database) -> Outcome<Vec<Vec<String>>> {
    // What the driver adds to a command, and adds again.
    const ADDED: [&str; 5] = [
        "lsid",
        "$db",
        "$clusterTime",
        "$readPreference",
        "readConcern",
    ];
    let profile = database.collection::<Document>("system.profile");
    let filter = doc! { "ns": { "$ne": format!("{}.system.profile", database.name()) }, "op": { "$in": ["query", "command"] } };
    let found = profile.find(filter).sort(doc! { "ts": 1 }).await?;
    let mut rounds: Vec<(i64, Vec<String>)> = Vec::new();
    for operation in found.try_collect::<Vec<Document>>().await? {
        let mut command = operation.get_document("command")?.clone();
        let name = command.keys().next().cloned().unwrap_or_default();
        if !["find", "aggregate"].contains(&name.as_str()) {
            continue;
        }
        for added in ADDED {
            command.remove(added);
        }
        let ended = operation.get_datetime("ts")?.timestamp_millis();
        let started = ended - i64::from(operation.get_i32("millis")?);
        let command = Bson::Document(command).into_canonical_extjson().to_string();
        match rounds.last_mut() {
            Some((first, commands)) if started < *first || *first == ended => {
                commands.push(command);
            }
            _ => rounds.push((ended, vec![command])),
        }
    }
    profile.drop().await?;
    Ok(rounds.into_iter().map(|(_, commands)| commands).collect())
}

/// Sends the queries of the file, and prints what they find as Extended JSON.
pub(crate) fn smallest(uri: &str, file: &Path) -> Outcome {
    use std::io::Write;
    let rounds: Vec<Vec<String>> = serde_json::from_slice(&std::fs::read(file)?)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let client = Client::with_uri_str(uri).await?;
        let database = client.default_database().ok_or("no database")?;
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        for round in rounds {
            let found = round.iter().map(async |command| -> Outcome<Vec<Document>> {
                let command: serde_json::Value = serde_json::from_str(command)?;
                let command = Bson::try_from(command)?;
                let command = command.as_document().ok_or("no command")?.clone();
                let found = database.run_cursor_command(command).await?;
                Ok(found.try_collect().await?)
            });
            for documents in try_join_all(found).await? {
                for document in documents {
                    let json = Bson::Document(document).into_relaxed_extjson();
                    serde_json::to_writer(&mut out, &json)?;
                    out.write_all(b"\n")?;
                }
            }
        }
        Ok::<(), Box<dyn Error>>(out.flush()?)
    })
}
