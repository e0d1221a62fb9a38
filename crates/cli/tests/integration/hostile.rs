//! Hostile conditions on the command line.

use crate::support::program::{run, runlineage};

#[test]
fn hostile_conditions_are_refused_before_the_program_connects() {
    for condition in [
        r#"{"$where": "sleep(1000)"}"#,
        r#"{"tags.a": {"$code": "sleep(1000)"}}"#,
        r#"{"tags.a": {"$regularExpression": {"pattern": "(a+)+", "options": ""}}}"#,
        r#"{"tags.a": {"$regex": "(a+)+"}}"#,
        r#"{"inputs.models": {"$elemMatch": {"$where": "1"}}}"#,
        r#"{"$\u0077here": "1"}"#,
        r#"{"metrics.auc": {"$gt": 1}, "metrics.auc": {"$lt": 2}}"#,
        r#"{"tags.a": 18446744073709551615}"#,
        r#"{"$oid": "507f191e810c19729de860ea"}"#,
        r#"[{"status": "FAILED"}]"#,
        r#"{"status": "FAILED""#,
        r#""status""#,
        "null",
        "3",
        "",
        "status",
        "name = nobody",
        "status = 'FAILED' and",
        "sttatus = 'FAILED'",
        "metrics.auc > '0.9'",
        "(status = 'FAILED'",
        "name like '%x%'",
        "db.runs.find()",
        "status = 'FAILED'; drop",
    ] {
        let ended = run(&mut runlineage(["find", "--where", condition]));
        assert_eq!(ended.code, Some(2), "{condition}: {}", ended.stderr);
        assert!(
            ended.stderr.starts_with("error: "),
            "{condition}: {}",
            ended.stderr
        );
        assert!(
            !ended.stderr.contains("database"),
            "{condition}: {}",
            ended.stderr
        );
    }
    let deep = format!("{}status = 'a'{}", "(".repeat(100_000), ")".repeat(100_000));
    assert_eq!(
        run(&mut runlineage(["find", "--where", &deep[..120_000]])).code,
        Some(2)
    );
}
