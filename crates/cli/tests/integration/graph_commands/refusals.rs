//! Wrong arguments, unknown nodes and hostile names.

use super::Pipeline;
use crate::support::failing::{UNKNOWN, check, fails};
use crate::support::mongodb::TestDatabase;
use crate::support::program::runlineage;
use crate::support::terminal::on_terminal;

#[test]
fn a_wrong_argument_is_refused_before_anything_is_asked() {
    for (args, words) in [
        (
            &["graph"][..],
            &["NODE", "For example: runlineage graph"][..],
        ),
        (
            &["graph", "nonsense:x"],
            &["nonsense:x", "is not a node; write run:"],
        ),
        (&["graph", "model:"], &["empty"]),
        (&["graph", "a b"], &["column 3", "into double quotes"]),
        (&["graph", "r1", "--upstream", "-1"], &["--upstream"]),
        (
            &["graph", "r1", "--upstream", "two"],
            &["write a number, such as 3, or all"],
        ),
        (&["graph", "r1", "--max-nodes", "0"], &["at least 1"]),
        (
            &["graph", "r1", "--format", "pdf"],
            &["pdf", "svg, png, html"],
        ),
        (&["graph", "r1", "--where", ""], &["the condition is empty"]),
        (
            &["graph", "r1", "--where", "{\"status\": 1}"],
            &["takes no MongoDB filter"],
        ),
        (&["graph", "r1", "--where", "nme = 'x'"], &["nme"]),
        (&["graph", "r1", "--max-time", "0"], &["--max-time"]),
        (&["impact", "r1", "--parents"], &["--parents"]),
        (
            &["provenance", "r1", "--out", "x.pdf"],
            &[".graphml or .ndjson"],
        ),
        (&["paths", "r1"], &["B", "For example: runlineage paths"]),
    ] {
        // No MongoDB is asked: nobody listens there.
        let connection = ["--mongodb-uri", "mongodb://127.0.0.1:9/x"];
        fails(args.iter().chain(&connection), 2, words);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_node_is_an_error_and_an_unmirrored_run_is_not() {
    let pipeline = Pipeline::new().await;
    let version = pipeline.version();
    let no_version = format!("model:{}:99", pipeline.model);
    let no_alias = format!("models:/{}@nobody", pipeline.model);
    let unknown = [
        "model:no-such",
        UNKNOWN,
        "dataset:x@y",
        "artifact:r1/x",
        "logged-model:m-1",
        "prompt:p:1",
        &no_version,
    ];
    for node in unknown {
        let words = [
            "the mirror has never seen",
            "check the spelling",
            "runlineage sync",
        ];
        for command in ["graph", "impact", "provenance"] {
            check(&pipeline.program(&[command, node]), 1, &words);
        }
        check(&pipeline.program(&["paths", node, &version]), 1, &words);
        check(&pipeline.program(&["paths", &version, node]), 1, &words);
    }
    check(
        &pipeline.program(&["graph", &no_alias]),
        2,
        &["the mirror knows no version for", "nobody"],
    );

    let empty = TestDatabase::new().await;
    let graph = ["graph", &version, "--mongodb-uri", &empty.uri];
    let finished = crate::support::program::run(&mut runlineage(graph));
    assert_eq!(finished.code, Some(1));
    assert!(
        finished.stderr.contains("mirrors nothing yet"),
        "{}",
        finished.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_stay_names() {
    let hostile = "\u{1b}[31mred\u{202e}</title><script>alert(1)</script>&\"'\u{7}";
    let pipeline = Pipeline::with_name(hostile).await;
    let nodes = pipeline.nodes();
    let uri = ["--mongodb-uri", &pipeline.scene.test.uri];
    for command in [
        &["graph", nodes[4].as_str()][..],
        &["graph", &nodes[4], "--format", "table"],
        &["graph", &nodes[4], "--format", "json"],
        &["graph", &nodes[4], "--format", "csv"],
        &["graph", &nodes[4], "--format", "svg"],
        &["impact", &nodes[0]],
        &["provenance", &nodes[4]],
        &["paths", &nodes[0], &nodes[4]],
        &["diff", &nodes[1], &nodes[4]],
        &["diff", &nodes[1], &nodes[4], "--format", "svg"],
    ] {
        let (code, shown) = on_terminal(&mut runlineage(command.iter().chain(&uri)), 200);
        assert_eq!(code, Some(0), "{command:?}: {shown}");
        let steers = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert_eq!(
            shown.chars().find(|c| steers(*c)),
            None,
            "{command:?}: {shown:?}"
        );
    }
    let (code, shown) = on_terminal(
        &mut runlineage(["graph", &nodes[4], "--format", "png"].iter().chain(&uri)),
        80,
    );
    assert_eq!(code, Some(2));
    assert!(
        shown.contains("a terminal cannot show a PNG") && shown.contains("--out"),
        "{shown}"
    );

    let exact = pipeline.json(&["graph", &nodes[4]]);
    let train = exact["nodes"].as_array().expect("an array").iter();
    let train = train.clone().find(|node| node["id"] == nodes[3].as_str());
    assert_eq!(train.expect("it is shown")["run"]["name"], hostile);
    for format in ["svg", "html"] {
        let text = pipeline
            .program(&["graph", &nodes[4], "--format", format])
            .success();
        assert!(!text.contains("<script>alert"), "{format}");
        assert!(!text.contains('\u{1b}'), "{format}");
        if format == "svg" {
            // The data of a page is exact; its script cleans what it shows.
            assert!(!text.contains('\u{202e}'));
            roxmltree::Document::parse(&text).expect("XML");
        }
    }
}
