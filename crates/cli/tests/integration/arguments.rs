//! Invalid arguments are refused before the program connects, each with an example.

use crate::support::program::{Finished, run, runlineage};

const COMMANDS: [&str; 8] = [
    "sync", "find", "show", "register", "migrate", "verify", "purge", "db",
];
const RUN: &str = "8f2c61d04a7b4f0e9d3c5b6a7e8f9012";
/// Nobody listens there: a command that connects exits with 1, not with 2.
const NOWHERE: &str = "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=300";

#[track_caller]
fn is_usage(finished: &Finished, words: &[&str]) {
    let Finished { stderr, .. } = finished;
    assert_eq!(finished.code, Some(2), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "no {word:?} in: {stderr}");
    }
}

#[test]
fn the_error_about_a_wrong_argument_ends_with_an_example() {
    for command in COMMANDS {
        let example = format!("For example: runlineage {command}");
        let finished = run(&mut runlineage([command, "--nonsense"]));
        is_usage(&finished, &["--nonsense", &example]);
        // A global flag may come before the command.
        let finished = run(&mut runlineage(["--local", command, "--nonsense"]));
        is_usage(&finished, &["--nonsense", &example]);
    }
    for without in [&[][..], &["nonsense"], &["--nonsense"]] {
        let finished = run(&mut runlineage(without));
        assert_eq!(finished.code, Some(2), "{finished:?}");
        let example = "runlineage sync --tracking-uri http://";
        assert!(finished.stderr.contains(example), "{finished:?}");
    }
}

#[test]
fn invalid_run_ids_and_models_are_refused() {
    for command in [&["register", RUN][..], &["find"]] {
        let of = |flag: &str, value: &str| {
            let args = [command, &[flag, value, "--mongodb-uri", NOWHERE]].concat();
            run(&mut runlineage(args))
        };
        for flag in ["--input-artifact", "--output-artifact"] {
            for value in [
                "s3://bucket/x",
                "a b/x",
                "../x",
                "models:/churn/3",
                "/x",
                "",
            ] {
                is_usage(&of(flag, value), &["RUN_ID", "/data/train.parquet"]);
            }
        }
        for flag in ["--input-model", "--output-model"] {
            for value in ["runs:/abc/model", "s3://bucket/x", "churn:a/b", ":3", ""] {
                is_usage(&of(flag, value), &["churn:3"]);
            }
        }
    }
}

#[test]
fn invalid_database_names_are_refused() {
    let long = "x".repeat(64);
    for name in ["", "a.b", "a b", "a/b", "a\\b", "$a", "a\"b", &long] {
        for command in [&["find"][..], &["db"], &["migrate"]] {
            let args = [command, &["--database", name, "--mongodb-uri", NOWHERE]].concat();
            is_usage(&run(&mut runlineage(args)), &["--database", "such as"]);
        }
    }
}

#[test]
fn orders_and_time_limits_that_mongodb_would_refuse_are_refused() {
    for wrong in [
        &["--sort", ""][..],
        &["--sort", "-"],
        &["--sort", "$x"],
        &["--sort", ".x"],
        &["--sort", "name", "--sort", "-name"],
    ] {
        let args = [&["find", "--mongodb-uri", NOWHERE], wrong].concat();
        is_usage(&run(&mut runlineage(args)), &["--sort", "start_time"]);
    }
    for seconds in ["2147484", "0", "-1"] {
        let time = format!("--max-time={seconds}");
        let args = ["find", "--mongodb-uri", NOWHERE, &time];
        is_usage(&run(&mut runlineage(args)), &["--max-time"]);
    }
}

#[test]
fn strict_excludes_every() {
    let sync = [
        "sync",
        "--mongodb-uri",
        NOWHERE,
        "--tracking-uri",
        "http://127.0.0.1:9",
    ];
    let finished = run(runlineage(sync).args(["--every", "60s", "--strict"]));
    is_usage(
        &finished,
        &["--strict", "--every", "For example: runlineage sync"],
    );
}

#[test]
fn an_interval_has_a_unit_and_is_at_least_a_second() {
    let sync = |args: &[&str]| {
        let to = [
            "sync",
            "--mongodb-uri",
            NOWHERE,
            "--tracking-uri",
            "http://127.0.0.1:9",
        ];
        run(runlineage(to).args(args))
    };
    for taken in ["1s", "60s", "5m", "1h30m", "1d", "7d", "2w"] {
        for flags in [
            &["--every", taken][..],
            &["--every", "60s", "--full-every", taken],
            &["--every", "60s", "--settle", taken],
        ] {
            let finished = sync(flags);
            assert_eq!(finished.code, Some(1), "{flags:?}: {}", finished.stderr);
        }
    }
    for short in ["1ms", "999ms", "0.5s"] {
        for flags in [
            &["--every", short][..],
            &["--every", "60s", "--full-every", short],
        ] {
            is_usage(&sync(flags), &[short, "the least is 1s"]);
        }
    }
    for wrong in ["", "60", "0s", "-5m", "1 fortnight", "1y", "1mo"] {
        let every = format!("--every={wrong}");
        is_usage(&sync(&[&every]), &["--every", "60s, 5m, 1h or 1d"]);
    }
}

#[test]
fn an_empty_variable_counts_as_unset() {
    for command in [&["find"][..], &["show", RUN], &["migrate"]] {
        let finished = run(runlineage(command).env("MONGODB_URI", ""));
        is_usage(&finished, &["--mongodb-uri", "MONGODB_URI", "--local"]);
    }
    let sync = ["sync", "--mongodb-uri", NOWHERE];
    let finished = run(runlineage(sync).env("MLFLOW_TRACKING_URI", ""));
    is_usage(&finished, &["none is given", "MLFLOW_TRACKING_URI"]);
}

#[test]
fn the_program_prints_its_version() {
    let version = run(&mut runlineage(["--version"])).success();
    assert_eq!(
        version.trim(),
        concat!("runlineage ", env!("CARGO_PKG_VERSION"))
    );
}
