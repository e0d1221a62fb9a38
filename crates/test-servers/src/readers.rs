//! The programs for which the exports of a graph are made. Each of them reads the texts of a whole test at once, since it takes
//! a second to start.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::tool;

/// Reads DOT with Graphviz: `canon` is what `dot -Tcanon` prints, and `graph` what `dot -Tjson0` prints; or `error`.
#[track_caller]
pub fn graphviz(texts: &[String]) -> Vec<Value> {
    node(include_str!("readers/graphviz.mjs"), texts)
}

/// Reads flowcharts with Mermaid's parser: `nodes` with their labels, `edges` with their ends, labels and strokes; or `error`.
#[track_caller]
pub fn mermaid(texts: &[String]) -> Vec<Value> {
    node(include_str!("readers/mermaid.mjs"), texts)
}

/// Reads GraphML with NetworkX: `nodes` and `edges` with their data, and `declared`, the nodes of the file itself.
#[track_caller]
pub fn networkx(texts: &[String]) -> Vec<Value> {
    let mut python = Command::new(tool("readers/bin/python"));
    python.args(["-c", include_str!("readers/networkx.py")]);
    list(&read(&mut python, json!(texts).to_string().as_bytes()))
}

/// Validates OpenLineage events against the published schemas in this folder: the `errors`, and how many `facets` have each schema.
#[track_caller]
pub fn openlineage(schemas: &Path, events: &str) -> Value {
    let mut python = Command::new(tool("readers/bin/python"));
    python.args(["-c", include_str!("readers/openlineage.py")]);
    read(python.arg(schemas), events.as_bytes())
}

#[track_caller]
fn node(script: &str, texts: &[String]) -> Vec<Value> {
    let mut node = Command::new(tool("bin/readers-node"));
    // Node.js looks for the packages of such a script in the current folder.
    node.args(["--input-type=module", "--eval", script])
        .current_dir(tool("readers"));
    list(&read(&mut node, json!(texts).to_string().as_bytes()))
}

#[track_caller]
fn read(program: &mut Command, input: &[u8]) -> Value {
    let program = program.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut reader = program.spawn().expect("the program starts");
    let mut stdin = reader.stdin.take().expect("a pipe");
    // Every reader reads all of its input before it writes.
    stdin.write_all(input).expect("the program reads");
    drop(stdin);
    let output = reader.wait_with_output().expect("the program ends");
    assert!(output.status.success(), "{program:?} failed; see above");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn list(answers: &Value) -> Vec<Value> {
    answers.as_array().expect("a list").clone()
}
