//! Every example of the README and of `docs/` runs unchanged, and its output is the one that the page shows.

mod page;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use mongodb::bson::Document;
use serde_json::{Value, json};

use self::page::{Example, Kind, examples, is_as_shown};
use crate::mcp::Client;
use crate::support::free_port;
use crate::support::mlflow::{MlflowServer, Setup};
use crate::support::mlopus::pymongo;
use crate::support::mongodb::TestDatabase;
use crate::support::mongosh::mongosh_expression;
use crate::support::program::{run, runlineage};
use crate::support::running::Running;
use crate::support::served::Served;
use crate::support::tool;
use crate::support::watching::{is_full, metrics};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A server with the runs of the example pipeline.
struct Scene {
    server: MlflowServer,
    /// The ids of the runs, by the step of the pipeline.
    runs: Value,
}

impl Scene {
    /// The scene that these tests share. It has a server of its own, so that no other test adds experiments to it.
    fn shared() -> &'static Self {
        static SHARED: OnceLock<Scene> = OnceLock::new();
        SHARED.get_or_init(|| {
            let server = MlflowServer::start(Setup::default());
            let mut python = Command::new(tool("mlopus/bin/python"));
            let pipeline = python
                .arg(Path::new(ROOT).join("examples/pipeline.py"))
                .env("MLFLOW_TRACKING_URI", server.uri())
                .env("GIT_PYTHON_REFRESH", "quiet");
            let printed = run(pipeline).success();
            let runs = printed.lines().last().map(serde_json::from_str);
            Self {
                server,
                runs: runs.expect("a line").expect("JSON"),
            }
        })
    }

    /// A script, with the program on the path and the variables that the pages name.
    fn bash(&self, script: &str, database: &TestDatabase) -> Command {
        // Never run: it provides the environment and the folder of the program.
        let mut bare = runlineage::<&str>([]);
        let folder = PathBuf::from(bare.get_program());
        let folder = folder.parent().expect("a folder").display();
        let path = std::env::var("PATH").unwrap_or_default();
        bare.env("PATH", format!("{folder}:{path}"));
        let mut shell = Command::new("bash");
        for (name, value) in bare.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let run = |what: &str| self.runs[what].as_str().expect("an id");
        shell
            .args(["-euo", "pipefail", "-c", script])
            .env("MLFLOW_TRACKING_URI", self.server.uri())
            .env("MONGODB_URI", &database.uri)
            .env("PREPARE", run("prepare"))
            .env("SCORE", run("score-2026-11"));
        shell
    }
}

/// The README and the pages of `docs/`, by their paths from the root; the README comes first.
fn pages() -> Vec<(String, String)> {
    let mut files = vec![PathBuf::from("README.md")];
    let mut folders = vec![PathBuf::from("docs")];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(Path::new(ROOT).join(&folder)).expect("a folder");
        for entry in entries {
            let entry = entry.expect("an entry");
            let path = folder.join(entry.file_name());
            if entry.path().is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                files.push(path);
            }
        }
    }
    files[1..].sort();
    let read = |file: PathBuf| {
        let text = std::fs::read_to_string(Path::new(ROOT).join(&file)).expect("a page");
        (file.display().to_string(), text)
    };
    files.into_iter().map(read).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_of_the_documentation_runs_and_answers_as_shown() {
    let scene = Scene::shared();
    let mut wrong = Vec::new();
    let mut ran = BTreeSet::new();
    for (page, text) in pages() {
        let examples = examples(&page, &text);
        if examples.is_empty() {
            continue;
        }
        let database = TestDatabase::new().await;
        // An example of the README mirrors the runs.
        if page != "README.md" {
            run(&mut scene.bash("runlineage sync", &database)).success();
        }
        for Example { line, kind } in examples {
            let differs = differs(scene, &database, &text, kind).await;
            wrong.extend(differs.map(|what| format!("{page}:{line}: {what}")));
        }
        ran.insert(page);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    // A page whose examples are no longer found would pass by accident.
    for page in [
        "README",
        "docs/querying",
        "docs/graph",
        "docs/serving",
        "docs/assistants",
        "docs/cookbook",
        "docs/document",
    ] {
        assert!(ran.contains(&format!("{page}.md")), "{page}: {ran:?}");
    }
}

/// The difference between an example and its page; `None` if there is none.
async fn differs(scene: &Scene, database: &TestDatabase, page: &str, kind: Kind) -> Option<String> {
    let folder = tempfile::tempdir().expect("a folder");
    match kind {
        Kind::Script(script) => {
            let finished = run(scene.bash(&script, database).current_dir(folder.path()));
            (finished.code != Some(0)).then(|| format!("{script}\n{finished:?}"))
        }
        Kind::Session(commands) => commands.into_iter().find_map(|(command, shown)| {
            let finished = run(scene.bash(&command, database).current_dir(folder.path()));
            let is_same = finished.code == Some(0) && is_as_shown(&shown, &finished.stdout);
            let (stdout, stderr) = (finished.stdout, finished.stderr);
            (!is_same).then(|| format!("$ {command}\n{stdout}{stderr}shown:\n{shown}"))
        }),
        Kind::InCi(commands) => {
            let ci = std::fs::read_to_string(Path::new(ROOT).join(".ci/run")).expect("a script");
            let runs = |command: &String| ci.lines().any(|line| line == command);
            let missing = commands.into_iter().find(|command| !runs(command));
            missing.map(|command| format!(".ci/run does not run `{command}`"))
        }
        Kind::UntilStopped(script) if script.starts_with("runlineage serve") => {
            serves_until_stopped(scene, database, &script)
        }
        Kind::UntilStopped(script) => until_stopped(scene, database, page, &script),
        Kind::WithServer(commands) => {
            let served = Served::start(&database.uri, &[]);
            let address = served.address.to_string();
            commands.into_iter().find_map(|(command, shown)| {
                let here = command.replace("127.0.0.1:8321", &address);
                let mut shell = scene.bash(&here, database);
                let finished = run(shell.env("TOKEN", &served.token).current_dir(folder.path()));
                let is_same = shown.is_none_or(|shown| is_as_shown(&shown, &finished.stdout));
                let is_right = finished.code == Some(0) && is_same;
                (!is_right).then(|| format!("$ {command}\n{finished:?}"))
            })
        }
        Kind::Client(configuration) => starts_by(scene, database, &configuration, page).await,
        Kind::Asked(question, shown) => {
            let client = Client::start(&database.uri, &[]).await;
            let tool = question["tool"].as_str().expect("a tool");
            let answer = client.ask(tool, question["arguments"].clone()).await;
            client.stop().await;
            let pretty = |json: &Value| format!("{json:#}");
            let shown = shown.expect("the page shows an answer");
            let is_same = is_as_shown(&pretty(&shown), &pretty(&answer));
            (!is_same).then(|| format!("{question}\nanswers {answer:#}"))
        }
        Kind::Query(script, shown) => {
            let answer = mongosh_expression(&database.uri, &script);
            let is_same = match &shown {
                Some(shown) => *shown == answer,
                None => answer.is_array(),
            };
            (!is_same).then(|| format!("{script}\nanswers {answer}"))
        }
        Kind::Document(script) => {
            let answer = mongosh_expression(&database.uri, &format!("db.runs.insertOne({script})"));
            let runs = database.database.collection::<Document>("runs");
            let inserted = mongodb::bson::doc! { "_id": { "$regex": "…" } };
            let deleted = runs.delete_many(inserted).await.expect("MongoDB answers");
            let is_accepted = answer["acknowledged"] == true && deleted.deleted_count == 1;
            (!is_accepted).then(|| format!("{script}\nis answered with {answer}"))
        }
        Kind::Python(script, shown) => {
            let script = format!("uri = input['uri']\n{script}");
            let answer = pymongo(&database.uri, json!({ "uri": database.uri }), &script);
            let is_same = shown.is_some_and(|shown| shown == answer);
            (!is_same).then(|| format!("{script}\nanswers {answer}"))
        }
    }
}

/// Starts a watch, stops it after a pass, and compares the metrics that it serves with those of the page.
fn until_stopped(
    scene: &Scene,
    database: &TestDatabase,
    page: &str,
    script: &str,
) -> Option<String> {
    let address = format!("127.0.0.1:{}", free_port());
    let script = format!("exec {}", script.replace("127.0.0.1:9187", &address));
    let mut running = Running::start(&mut scene.bash(&script, database));
    running.wait_for_pass(0, is_full);
    let name = |series: String| series.split('{').next().unwrap_or_default().to_owned();
    let served: BTreeSet<String> = metrics(&address).into_keys().map(name).collect();
    running.signal("-INT");
    let (code, _, stderr) = running.end_within(Duration::from_secs(10));
    if code != Some(0) {
        return Some(format!("{script}\nended with {code:?}: {stderr:#?}"));
    }
    let row = regex::Regex::new(r"(?m)^\| `(runlineage_\w+)` \|").expect("a pattern");
    let rows = row.captures_iter(page).map(|row| row[1].to_owned());
    let listed: BTreeSet<String> = rows.collect();
    (listed != served).then(|| format!("metrics listed {listed:?}, served {served:?}"))
}

/// Starts the server of a client's configuration, and compares its tools with those of the page.
async fn starts_by(
    scene: &Scene,
    database: &TestDatabase,
    configuration: &Value,
    page: &str,
) -> Option<String> {
    let server = &configuration["mcpServers"]["runlineage"];
    let args = server["args"].as_array().expect("arguments").iter();
    let words = [&server["command"]].into_iter().chain(args);
    let words: Vec<&str> = words.filter_map(Value::as_str).collect();
    // The variable of the configuration is set to this database.
    let is_set = server["env"]["MONGODB_URI"].is_string();
    let client = Client::of(scene.bash(&format!("exec {}", words.join(" ")), database)).await;
    let tools = client.tools().await.into_iter();
    let tools: BTreeSet<String> = tools.map(|tool| tool.name.into_owned()).collect();
    client.stop().await;
    let row = regex::Regex::new(r"(?m)^\| `(\w+)` \|").expect("a pattern");
    let listed: BTreeSet<String> = row
        .captures_iter(page)
        .map(|row| row[1].to_owned())
        .collect();
    (!is_set || listed != tools).then(|| format!("tools listed {listed:?}, offered {tools:?}"))
}

/// Starts a server, asks whether it runs, and stops it.
fn serves_until_stopped(scene: &Scene, database: &TestDatabase, script: &str) -> Option<String> {
    let script = format!("exec {}", script.replace("127.0.0.1:8321", "127.0.0.1:0"));
    let served = Served::of(&mut scene.bash(&script, database));
    let health = served.bare("GET", "/health", &[], "").status;
    served.running.signal("-INT");
    let (code, _, stderr) = served.running.end_within(Duration::from_secs(15));
    let is_right = health == 200 && code == Some(0);
    (!is_right).then(|| format!("{script}\nanswers {health} and ends with {code:?}: {stderr:#?}"))
}

#[test]
fn every_flag_that_the_documentation_names_exists() {
    const COMMANDS: [&str; 18] = [
        "sync",
        "find",
        "show",
        "versions",
        "serve",
        "mcp",
        "graph",
        "impact",
        "provenance",
        "paths",
        "diff",
        "register",
        "migrate",
        "verify",
        "purge",
        "db",
        "completions",
        "man",
    ];
    // Of cargo, maturin and mongod.
    const FOREIGN: [&str; 7] = [
        "--path",
        "--open",
        "--bench",
        "--release",
        "--workspace",
        "--bind_ip",
        "--",
    ];
    let pattern = regex::Regex::new("--[a-z][a-z0-9_-]*").expect("a pattern");
    let flags = |text: &str| -> BTreeSet<String> {
        pattern
            .find_iter(text)
            .map(|flag| flag.as_str().to_owned())
            .collect()
    };
    let help = COMMANDS.map(|command| run(&mut runlineage([command, "--help"])).success());
    let known = flags(&help.concat());
    assert!(known.len() > 40, "{known:?}");
    // `--input-…` stands for several flags.
    let exists = |flag: &String| {
        FOREIGN.contains(&flag.as_str())
            || known.contains(flag)
            || flag.ends_with('-') && known.iter().any(|known| known.starts_with(flag))
    };
    let unknown: Vec<(String, String)> = pages()
        .into_iter()
        .flat_map(|(page, text)| {
            flags(&text)
                .into_iter()
                .map(move |flag| (page.clone(), flag))
        })
        .filter(|(_, flag)| !exists(flag))
        .collect();
    assert_eq!(unknown, []);
}

#[tokio::test]
async fn the_quickstart_example_mirrors_and_finds() {
    let scene = Scene::shared();
    let database = TestDatabase::new().await;
    let example = Path::new(env!("CARGO_BIN_EXE_runlineage"))
        .with_file_name("examples")
        .join("quickstart");
    assert!(
        example.exists(),
        "run `cargo build --examples` first; `cargo test` does"
    );
    let mut quickstart = Command::new(example);
    let quickstart = quickstart.args([scene.server.uri().as_str(), &database.uri, "churn", "2"]);
    let printed = run(quickstart).success();
    let found: Vec<&str> = printed
        .lines()
        .filter(|line| line.contains("score-"))
        .collect();
    assert_eq!(found.len(), 2, "{printed}");
    let score = scene.runs["score-2026-11"].as_str().expect("an id");
    assert!(printed.contains(score), "{printed}");
}
