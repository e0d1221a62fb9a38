//! Refused conditions and flags of `find`: the error shows the position and what to write instead.

use crate::support::program::{run, runlineage};

#[test]
fn an_error_in_a_condition_points_at_the_column() {
    let ended = run(&mut runlineage([
        "find",
        "--where",
        "input.model = 'churn:3' and metrics.auc > > 0.9",
    ]));
    assert_eq!(ended.code, Some(2));
    assert_eq!(
        ended.stderr,
        "error: --where: column 43: expected a text in quotes or a number, not `>`\n  input.model = 'churn:3' and metrics.auc > > 0.9\n                                            ^\n"
    );
    let ended = run(&mut runlineage([
        "find",
        "--where",
        "exp = 'a' and statu = 'b'",
    ]));
    assert!(
        ended
            .stderr
            .contains("column 15: there is no field `statu`"),
        "{}",
        ended.stderr
    );
    let ended = run(&mut runlineage([
        "find",
        "--where",
        "name = 'it''s' or name = 'open",
    ]));
    assert!(
        ended.stderr.contains("column 26: this quote is not closed"),
        "{}",
        ended.stderr
    );
}

#[test]
fn every_kind_of_error_in_a_condition_names_its_column() {
    for (condition, place) in [
        ("exp = 'a' and start_time exists", "column 26: a time takes"),
        (
            "exp = 'a' and inputs in ('x')",
            "column 22: `inputs`, `outputs` and `problems` take only",
        ),
        ("   statu = 'b'", "column 4: there is no field"),
        (
            "input.model = 'models:/churn@champion'",
            "column 15: models:/churn@champion is resolved by --input-model",
        ),
        (
            "exp = 'a' and params.x = 12345678901234567890",
            "column 26: 12345678901234567890 is beyond 64 bits",
        ),
        (
            "name like 'a%b%'",
            "column 11: `like` searches for a prefix",
        ),
    ] {
        let ended = run(&mut runlineage(["find", "--where", condition]));
        assert_eq!(ended.code, Some(2), "{condition}");
        assert!(
            ended.stderr.contains(place),
            "{condition}: {}",
            ended.stderr
        );
    }
}

#[test]
fn an_error_in_a_condition_shows_what_to_write_instead() {
    for (condition, way) in [
        ("metrics.avg model score > 0.5", "metrics.`avg model score`"),
        ("exp = my experiment", "'my experiment'"),
        ("name ilike 'Train%'", "write `like"),
        ("name like '%x%'", "--format csv"),
        ("start_time > '10000-01-01'", "past the year 9999"),
    ] {
        let ended = run(&mut runlineage(["find", "--where", condition, "--render"]));
        assert_eq!(ended.code, Some(2), "{condition}");
        assert!(ended.stderr.contains(way), "{condition}: {}", ended.stderr);
    }
    let long = format!("{} = 'x'", "y".repeat(100));
    let ended = run(&mut runlineage(["find", "--where", &long, "--render"]));
    assert_eq!(ended.code, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_field_is_refused_with_the_nearest_name() {
    for (args, near) in [
        (["--sort", "statsu"], "`status`"),
        (["--sort", "metrcs.auc DESC"], "`metrics.KEY`"),
        (["--columns", "run_id,start_tme"], "`start_time`"),
        (["--distinct", "exprnce"], "a run has no field"),
    ] {
        let ended = run(&mut runlineage(["find", args[0], args[1]]));
        assert_eq!(ended.code, Some(2), "{args:?}");
        assert!(ended.stderr.contains(near), "{args:?}: {}", ended.stderr);
    }
}

#[test]
fn flags_that_would_be_ignored_and_unknown_fields_are_refused() {
    let list = format!("name in ({})", vec!["'x'"; 1_001].join(","));
    for (args, expected) in [
        (vec!["--count", "--limit", "5"], "cannot be used with"),
        (vec!["--count", "--skip", "5"], "cannot be used with"),
        (
            vec!["--facet", "exp", "--after", "run000"],
            "cannot be used with",
        ),
        (
            vec!["--distinct", "user", "--limit", "5"],
            "cannot be used with",
        ),
        (vec!["--distinct", "$where"], "has no field `$where`"),
        (vec!["--columns", "name,"], "has no field ``"),
        (
            vec!["--skip", "18446744073709551615"],
            "18446744073709551615 is not in",
        ),
        (vec!["--where", &list], "a list holds 1000 values at most"),
        (
            vec!["--where", "start_time > 9223372036854775807"],
            "column 14: the time is out of range",
        ),
    ] {
        let ended = run(&mut runlineage(["find"].iter().chain(&args)));
        assert_eq!(ended.code, Some(2), "{args:?}: {ended:?}");
        assert!(
            ended.stderr.contains(expected),
            "{args:?}: {}",
            ended.stderr
        );
    }
}
