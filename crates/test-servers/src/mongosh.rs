//! The real MongoDB Shell.

use std::process::Command;

use serde_json::Value;

use crate::keeper::KeptFolder;
use crate::program::run;
use crate::tool;

/// Evaluates a script, and returns its value as relaxed Extended JSON. Cursors are drained.
#[track_caller]
pub fn mongosh(uri: &str, script: &str) -> Value {
    evaluate(uri, &format!("eval({})", Value::from(script)))
}

/// Evaluates one expression as it is typed, chained calls and comments too.
#[track_caller]
pub fn mongosh_expression(uri: &str, expression: &str) -> Value {
    evaluate(uri, &format!("(\n{expression}\n)"))
}

#[track_caller]
fn evaluate(uri: &str, expression: &str) -> Value {
    // The shell keeps its settings and history in the home folder.
    let home = KeptFolder::new();
    let wrapped = format!(
        "const answer = {expression};\n\
         const whole = answer && typeof answer.toArray === 'function' ? answer.toArray() : answer;\n\
         print(EJSON.stringify(whole === undefined ? null : whole, {{ relaxed: true }}));"
    );
    let finished = run(Command::new(tool("bin/mongosh"))
        .args([uri, "--quiet", "--norc", "--eval", &wrapped])
        .env("HOME", home.path())
        .current_dir(home.path()));
    let stdout = finished.success();
    let answer = stdout.lines().last().unwrap_or_default();
    serde_json::from_str(answer)
        .unwrap_or_else(|e| panic!("mongosh's last line is not JSON: {e}\n{stdout}"))
}
