//! Output on a terminal: its width, unbroken ids, escaped control characters, masked credentials, and the progress bar.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use wiremock::MockServer;

use crate::support::fake_mlflow::{answer, experiment, refusal, run as fake_run, with_runs};
use crate::support::held::lab_with_runs;
use crate::support::mongodb::TestDatabase;
use crate::support::outage::signal;
use crate::support::poll;
use crate::support::program::{run, runlineage};
use crate::support::terminal::{OnTerminal, on_terminal};

const ID: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210";
const MODEL: &str = "m-00112233445566778899aabbccddeeff";

/// One of each kind of character that controls a terminal or the direction of its text.
const STEERING: &str = "\u{1b}[31mred\u{7}\u{8}\r\u{7f}\u{9b}2J\u{85}\u{ad}\u{61c}\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\
     \u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2060}\u{2066}\u{2067}\u{2068}\u{2069}\u{feff}\u{e0001}\u{e0041}end";

const STORAGE: &str =
    "s3://AKIAKEY:canary/secret@bucket/a?X-Amz-Signature=canarysig&AWSAccessKeyId=canarykey&x=1";

fn is_unprintable(c: char) -> bool {
    c.is_control() && c != '\n' || STEERING.contains(c) && !c.is_ascii_graphic()
}

async fn mirror(runs: Vec<Value>) -> (MockServer, TestDatabase) {
    let server = with_runs(experiment("1"), runs).await;
    let test = TestDatabase::new().await;
    let tracking = server.uri();
    let sync = [
        "sync",
        "--mongodb-uri",
        &test.uri,
        "--tracking-uri",
        &tracking,
    ];
    run(&mut runlineage(sync)).success();
    (server, test)
}

fn named(id: &str, name: &str) -> Value {
    let tag = |key: &str, value: &str| json!({ "key": key, "value": value });
    let tags = [
        tag("mlflow.user", name),
        tag("mlflow.parentRunId", OTHER),
        tag(
            &format!("lineage.inputs.runs.{OTHER}"),
            r#"["a long path/of many words", ""]"#,
        ),
        tag("logged", MODEL),
    ];
    let mut named = fake_run(id, "1", json!({ "tags": tags }));
    named["info"]["run_name"] = name.into();
    named["info"]["artifact_uri"] = STORAGE.into();
    named
}

fn asking(test: &TestDatabase, args: &[&str]) -> Command {
    runlineage([args, &["--mongodb-uri", &test.uri]].concat())
}

/// The width of the widest line of a table.
fn widest(shown: &str) -> usize {
    let tables = shown
        .lines()
        .filter(|line| line.starts_with(' ') || line.starts_with('─'));
    tables
        .map(|line| line.trim_end().chars().count())
        .max()
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_fits_the_terminal_and_breaks_no_id() {
    let long = "a name of many words that needs more than one line of a terminal of eighty columns";
    let (_server, test) = mirror(vec![named(ID, long)]).await;
    let columns = "name,_id,exp.id,start_time,tags.mlflow.parentRunId,inputs.runs.id,tags.logged";
    let find = ["find", "--columns", columns];
    let ask = |args: &[&str], width: u16, columns: &str| {
        let mut command = asking(&test, args);
        if !columns.is_empty() {
            command.env("COLUMNS", columns);
        }
        let (code, shown) = on_terminal(&mut command, width);
        assert_eq!(code, Some(0), "{shown}");
        shown
    };
    for width in [0, 1, 20, 40, 80, 200] {
        for columns in ["", "0", "60", "nonsense"] {
            let shown = ask(&find, width, columns);
            for id in [ID, OTHER, MODEL] {
                assert!(shown.contains(id), "{width}, {columns:?}: {shown}");
            }
            let shown = ask(&["show", ID], width, columns);
            assert!(shown.contains(OTHER), "{width}, {columns:?}: {shown}");
        }
    }
    let piped = run(&mut asking(&test, &["find"])).success();
    assert!(piped.contains(long), "{piped}");
    let unknown = ask(&["find"], 0, "");
    assert!(unknown.contains(&piped), "{unknown}");
    assert!(!ask(&["find"], 80, "").contains(long));
    assert!(ask(&["find"], 80, "400").contains(long));
    assert!(ask(&["find"], 400, "").contains(long));
    let narrow = ["find", "--columns", "_id,name"];
    for (width, columns, at_most) in [(80, "", 80), (0, "70", 70), (300, "60", 60)] {
        let shown = ask(&narrow, width, columns);
        assert!(widest(&shown) <= at_most, "{width}, {columns:?}: {shown}");
        assert!(shown.contains(ID), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn control_characters_are_escaped_on_terminals_and_exact_in_pipes() {
    let (server, test) = mirror(vec![named(ID, STEERING)]).await;
    let message = format!("MLflow says {STEERING}");
    let body = json!({ "error_code": "INVALID_PARAMETER_VALUE", "message": message });
    answer(
        &server,
        "runs/get",
        refusal(400, "INVALID_PARAMETER_VALUE").set_body_json(body),
    )
    .await;
    let tracking = server.uri();
    let hostile = format!("name = 'x{STEERING}' and");
    let flag = format!("--no{STEERING}");
    let exact: [(&[&str], bool); 12] = [
        (&["find", "--columns", "_id,name,user"], false),
        (&["find", "--format", "csv", "--columns", "name"], false),
        (&["find", "--format", "json"], true),
        (&["find", "--format", "ndjson"], true),
        (&["find", "--distinct", "name"], true),
        (
            &["find", "--where", &hostile[..hostile.len() - 4], "--render"],
            true,
        ),
        (&["show", ID], false),
        (&["show", ID, "--format", "json"], true),
        (&["find", "--where", &hostile], false),
        (&["find", &flag], false),
        (
            &[
                "register",
                ID,
                "--input-model",
                "churn:3",
                "--tracking-uri",
                &tracking,
            ],
            false,
        ),
        (
            &[
                "register",
                ID,
                "--input-model",
                "churn:3",
                "--tracking-uri",
                &tracking,
                "--log-format",
                "json",
            ],
            false,
        ),
    ];
    for (args, is_json) in exact {
        let (_, shown) = on_terminal(&mut asking(&test, args), 0);
        let found = shown.chars().find(|c| is_unprintable(*c));
        assert_eq!(found, None, "{args:?}: {shown:?}");
        assert!(
            shown.contains("end"),
            "the name is missing: {args:?}: {shown}"
        );
        if is_json {
            let piped = run(&mut asking(&test, args)).success();
            for c in ['\u{9b}', '\u{202e}', '\u{200b}', '\u{feff}', '\u{e0041}'] {
                assert!(piped.contains(c), "{args:?}: {piped:?}");
            }
            assert!(
                shown.contains(r"\u202e") && shown.contains(r"\udb40\udc41"),
                "{shown}"
            );
        }
    }
    let csv = run(&mut asking(
        &test,
        &["find", "--format", "csv", "--columns", "name"],
    ))
    .success();
    assert!(csv.contains(STEERING), "{csv:?}");
    let read = |shown: &str| -> Value {
        let line = shown.lines().find(|line| line.starts_with('{'));
        serde_json::from_str(line.unwrap_or_default()).expect("JSON")
    };
    let (_, shown) = on_terminal(&mut asking(&test, &["show", ID, "--format", "json"]), 80);
    let piped = run(&mut asking(&test, &["show", ID, "--format", "json"])).success();
    assert_eq!(read(&shown), read(&piped));
    assert_eq!(read(&shown)["name"], STEERING);
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_credentials_are_masked_in_tables_and_exact_in_json() {
    let (_server, test) = mirror(vec![named(ID, "x")]).await;
    for args in [&["show", ID][..], &["find", "--columns", "_id,repo"]] {
        let piped = run(&mut asking(&test, args)).success();
        let (_, shown) = on_terminal(&mut asking(&test, args), 0);
        for text in [piped, shown] {
            assert!(
                !text.contains("canary") && !text.contains("AKIAKEY"),
                "{text}"
            );
            assert!(
                text.contains("s3://***@bucket/a?X-Amz-Signature=***"),
                "{text}"
            );
        }
    }
    for args in [
        &["show", ID, "--format", "json"][..],
        &["find", "--format", "csv", "--columns", "repo"],
    ] {
        let text = run(&mut asking(&test, args)).success();
        assert!(text.contains(STORAGE), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bar_of_a_watch_shows_that_it_waits_and_rounds_its_rates() {
    let (lab, ..) = lab_with_runs(300).await;
    let (mongodb, mlflow) = (&lab.test.uri, lab.proxy.uri());
    let rate = regex::Regex::new(r"[0-9.]+/s").expect("a pattern");
    for _ in 0..2 {
        let mut command = runlineage([
            "sync",
            "--source",
            "lab",
            "--every",
            "1h",
            "--page-size",
            "20",
            "--mongodb-uri",
            mongodb,
            "--tracking-uri",
            &mlflow,
        ]);
        let watch = OnTerminal::start(&mut command, 120);
        let waits = poll(Duration::from_secs(60), || {
            watch
                .shown()
                .contains("waiting for the next pass")
                .then_some(())
        });
        assert!(waits.is_some(), "{}", watch.shown());
        signal("-TERM", watch.pid());
        let (code, shown) = watch.end();
        assert_eq!(code, Some(0), "{shown}");
        let since = shown
            .split("waiting for the next pass")
            .skip(1)
            .collect::<String>();
        assert!(
            !since.contains("0/~") && !since.contains(" runs, "),
            "{since}"
        );
        let rates: Vec<&str> = rate.find_iter(&shown).map(|rate| rate.as_str()).collect();
        assert!(!rates.is_empty(), "{shown}");
        for rate in rates {
            let decimals = rate
                .split('.')
                .nth(1)
                .map_or(0, |decimals| decimals.len() - 2);
            assert!(decimals <= 1, "{rate}: {shown}");
        }
    }
}
