//! Real Python clients: mlopus and MLflow against a tracking server, pymongo against a database.

use std::process::Command;

use serde_json::Value;

use crate::keeper::KeptFolder;
use crate::mlflow::{MlflowServer, Version};
use crate::program::run;
use crate::tool;

/// Defines `api`, `mlopus` and `input` for a snippet. The snippet sets `output`, which is the answer.
const PRELUDE: &str = r"
import json, os, sys
import mlopus

api = mlopus.mlflow.get_api(conf={
    'tracking_uri': os.environ['MLFLOW_TRACKING_URI'],
    'cache_dir': os.environ['HOME'] + '/mlopus',
})
input = json.loads(sys.argv[1])
output = None
";

const EPILOGUE: &str = r"
print(json.dumps(output, default=lambda x: sorted(x) if isinstance(x, (set, frozenset)) else str(x)))
";

/// Runs a snippet of Python with mlopus connected to `server`; sets come back as sorted arrays.
///
/// ```ignore
/// let run_id = mlopus(server, json!({"exp": "e"}), "output = api.start_run(api.get_or_create_exp(input['exp'])).id");
/// ```
#[track_caller]
pub fn mlopus(server: &MlflowServer, input: Value, snippet: &str) -> Value {
    python(
        "mlopus/bin/python",
        &[("MLFLOW_TRACKING_URI", &server.uri())],
        input,
        PRELUDE,
        snippet,
    )
}

/// Runs a snippet of Python with MLflow's own client, of the server's version, connected to `server`: it finds `mlflow`, a
/// `client` and its `input`.
#[track_caller]
pub fn mlflow_python(server: &MlflowServer, input: Value, snippet: &str) -> Value {
    const PRELUDE: &str = r"
import json, os, sys, warnings
warnings.filterwarnings('ignore')
import mlflow

client = mlflow.MlflowClient()
input = json.loads(sys.argv[1])
output = None
";
    let interpreter = match server.version() {
        Version::V2 => "mlflow2/bin/python",
        Version::V3 => "mlflow3/bin/python",
    };
    let envs = [
        ("MLFLOW_TRACKING_URI", &*server.uri()),
        ("MLFLOW_DISABLE_TELEMETRY", "true"),
        ("GIT_PYTHON_REFRESH", "quiet"),
    ];
    python(interpreter, &envs, input, PRELUDE, snippet)
}

/// Runs a snippet of Python with a `pymongo.MongoClient` named `client` on `mongodb_uri`.
#[track_caller]
pub fn pymongo(mongodb_uri: &str, input: Value, snippet: &str) -> Value {
    const PRELUDE: &str = r"
import json, os, sys
import pymongo

client = pymongo.MongoClient(os.environ['MONGODB_URI'])
input = json.loads(sys.argv[1])
output = None
";
    python(
        "pymongo/bin/python",
        &[("MONGODB_URI", mongodb_uri)],
        input,
        PRELUDE,
        snippet,
    )
}

#[track_caller]
fn python(
    interpreter: &str,
    envs: &[(&str, &str)],
    input: Value,
    prelude: &str,
    snippet: &str,
) -> Value {
    let home = KeptFolder::new();
    let finished = run(Command::new(tool(interpreter))
        .args(["-c", &[prelude, snippet, EPILOGUE].join("\n")])
        .arg(input.to_string())
        .env("HOME", home.path())
        .envs(envs.iter().copied())
        .current_dir(home.path()));
    let stdout = finished.success();
    // mlopus and MLflow may print lines of their own before the answer.
    let answer = stdout.lines().last().unwrap_or_default();
    serde_json::from_str(answer)
        .unwrap_or_else(|e| panic!("the snippet's last line is not JSON: {e}\n{stdout}"))
}
