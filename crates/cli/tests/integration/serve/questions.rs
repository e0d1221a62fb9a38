//! Pages, suggestions, errors, entity tags and compression.

use std::collections::BTreeSet;
use std::time::Duration;

use mongodb::bson::{DateTime, Document, doc};

use super::DATA;
use crate::support::served::{Served, encoded};
use crate::support::stored::mirror_of;

/// The path of the next page.
fn next(link: &str) -> String {
    let (path, rest) = link
        .trim_start_matches('<')
        .split_once('>')
        .expect("a link");
    assert_eq!(rest, "; rel=\"next\"");
    path.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_every_run_once_even_if_the_last_run_of_a_page_is_deleted() {
    let test = mirror_of(250).await;
    let served = Served::start(&test.uri, &[]);
    let condition = encoded("input.model = 'churn'");
    for (sort, first) in [("-start_time", "run249"), ("start_time", "run000")] {
        let mut path = format!("/api/v1/search?where={condition}&columns=_id&limit=37&sort={sort}");
        let mut ids: Vec<String> = Vec::new();
        loop {
            let page = served.get(&path).ok();
            let runs = page.json();
            let runs = runs.as_array().expect("an array");
            ids.extend(
                runs.iter()
                    .map(|run| run["_id"].as_str().expect("an id").to_owned()),
            );
            assert_eq!(page.header("runlineage-truncated"), None);
            let Some(link) = page.header("link") else {
                break;
            };
            assert_eq!(runs.len(), 37);
            path = next(link);
        }
        assert_eq!((ids.len(), ids[0].as_str()), (250, first));
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 250);
        let is_sorted = match sort {
            "start_time" => ids.is_sorted(),
            _ => ids.iter().rev().is_sorted(),
        };
        assert!(is_sorted, "{ids:?}");
    }
    let page = served.get("/api/v1/search?limit=10&columns=_id").ok();
    let link = next(page.header("link").expect("more runs"));
    let runs = test.database.collection::<Document>("runs");
    let last = runs.find_one_and_delete(doc! { "_id": "run240" }).await;
    let last = last.expect("a find").expect("a run");
    let deleted = test.database.collection::<Document>("deleted_runs");
    deleted.insert_one(last).await.expect("a tombstone");
    let after = served.get(&link).ok().json();
    assert_eq!(after[0]["_id"], "run239");

    // Another order has no pages, and says that there is more.
    let best = served
        .get("/api/v1/search?sort=-metrics.auc&limit=3&columns=_id")
        .ok();
    assert_eq!(best.header("link"), None);
    assert_eq!(best.header("runlineage-truncated"), Some("3 runs"));
    assert_eq!(best.json()[0]["_id"], "run249");
    let all = served
        .get("/api/v1/search?limit=0&format=ndjson&columns=_id")
        .ok();
    assert_eq!(all.text().lines().count(), 249);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_names_the_parameter_and_the_column() {
    let test = mirror_of(5).await;
    let served = Served::start(&test.uri, &[]);
    let ask = |path: &str| {
        let answer = served.get(path);
        let media_type = answer.header("content-type").unwrap_or_default();
        assert_eq!(media_type, "application/problem+json", "{path}: {answer:?}");
        let problem = answer.json();
        assert_eq!(problem["status"], answer.status, "{path}");
        let detail = problem["detail"].as_str().expect("a text");
        assert!(
            !detail.is_empty() && !detail.contains("--where"),
            "{path}: {detail}"
        );
        (answer.status, problem)
    };
    for endpoint in [
        "search?",
        "facets?facet=exp&",
        "graph?select=run:run000&",
        "impact?node=run:run000&",
        "provenance?node=run:run000&",
        "paths?from=run:run000&to=model:churn:1&",
    ] {
        let path = |text: &str| format!("/api/v1/{endpoint}where={}", encoded(text));
        let (status, problem) = ask(&path("status = 'FAILED'\nand metrics.auc >> 1"));
        assert_eq!(
            (status, &problem["parameter"]),
            (400, &"where".into()),
            "{problem}"
        );
        assert_eq!(
            (&problem["line"], &problem["column"]),
            (&2.into(), &18.into()),
            "{problem}"
        );
        let (status, problem) = ask(&path(" "));
        assert_eq!(
            (status, &problem["parameter"]),
            (400, &"where".into()),
            "{problem}"
        );
    }
    for (path, status, parameter) in [
        ("search?where=%7B%22%24where%22%3A%221%22%7D", 400, None),
        ("search?columns=nonsense", 400, Some("columns")),
        ("search?sort=name,-name", 400, Some("sort")),
        ("search?limit=1001", 400, Some("limit")),
        ("search?limit=0&sort=name", 400, Some("limit")),
        ("search?after=unknown", 400, Some("after")),
        ("search?after=run001&sort=name", 400, Some("after")),
        ("search?format=svg", 400, Some("format")),
        ("search?where=exp%20%3D%20%27unknown%27", 400, Some("where")),
        ("search?limit=-1", 400, None),
        ("search?made=up", 400, None),
        ("search?limit=1&limit=2", 400, None),
        ("facets", 400, None),
        ("facets?facet=nonsense", 400, Some("facet")),
        ("suggest?prefix=", 400, Some("prefix")),
        ("graph?select=nonsense:x", 400, Some("select")),
        ("graph?select=run:run000&upstream=x", 400, Some("upstream")),
        ("graph?select=models:/unknown@champion", 404, None),
        ("graph?select=model:unknown", 404, None),
        ("node?id=model:unknown:1", 404, None),
        ("node?id=artifact:unknown/x", 404, None),
        ("impact?node=model:unknown", 404, None),
        ("provenance?node=model:unknown", 404, None),
        ("paths?from=run:run000&to=model:unknown", 404, None),
        ("diff?a=run:run000", 400, None),
        ("diff?a=run:run000&b=dataset:x@1", 400, Some("b")),
        ("diff?a=model:churn&b=run:run000", 400, Some("a")),
        (
            "diff?a=run:run000&b=run:run001&upstream=x",
            400,
            Some("upstream"),
        ),
        ("diff?a=run:run000&b=model:churn:1", 400, Some("b")),
        ("diff?a=model:churn:1&b=run:run000", 400, Some("a")),
        ("diff?a=run:unknown&b=run:run000", 404, None),
        ("diff?a=run:run000&b=model:unknown:1", 404, None),
        ("diff/picture?a=run:run000&b=run:unknown", 404, None),
        (
            "diff?a=run:run000&b=run:run001&format=dot",
            400,
            Some("format"),
        ),
        ("search?format=graphml", 400, Some("format")),
        ("run?id=unknown", 404, None),
        ("nowhere", 404, None),
    ] {
        let (found, problem) = ask(&format!("/api/v1/{path}"));
        assert_eq!(found, status, "{path}: {problem}");
        assert_eq!(
            problem["parameter"].as_str(),
            parameter,
            "{path}: {problem}"
        );
    }
    let bearer = format!("Bearer {}", served.token);
    let posted = served.bare("POST", DATA[1], &[("Authorization", &bearer)], "");
    assert_eq!(posted.status, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_mirror_is_no_answer() {
    let test = crate::support::mongodb::TestDatabase::new().await;
    let served = Served::start(&test.uri, &[]);
    for path in &DATA[1..] {
        let answer = served.get(path);
        assert!(
            [404, 503].contains(&answer.status),
            "{path}: {}",
            answer.text()
        );
    }
    let found = served.get("/api/v1/search");
    assert_eq!(found.status, 503);
    assert!(found.text().contains("runlineage sync"), "{}", found.text());
    assert_eq!(
        served.get("/api/v1/status").ok().json()["source"],
        serde_json::Value::Null
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn suggestions_begin_with_the_text_and_say_what_they_name() {
    let test = mirror_of(60).await;
    let models = test.database.collection::<Document>("models");
    let only_registered = doc! { "_id": "churn-2", "mirror": { "ticket": 1_i64 } };
    models.insert_one(only_registered).await.expect("a model");
    let served = Served::start(&test.uri, &[]);
    let names = |prefix: &str| -> Vec<String> {
        let found = served
            .get(&format!("/api/v1/suggest?prefix={}", encoded(prefix)))
            .ok()
            .json();
        let found = found.as_array().expect("an array").clone();
        let name =
            |one: &serde_json::Value| format!("{} {}", one["kind"], one["name"]).replace('"', "");
        found.iter().map(name).collect()
    };
    assert_eq!(
        names("chu"),
        ["model churn", "experiment churn", "model churn-2"]
    );
    assert_eq!(names("run00").len(), 10);
    assert_eq!(names("train-5").len(), 11);
    assert_eq!(names("train-").len(), 20, "and no more");
    assert_eq!(names("CHURN"), Vec::<String>::new());
    let found = served.get("/api/v1/suggest?prefix=churn").ok().json();
    let condition = encoded(found[0]["where"].as_str().expect("a condition"));
    let runs = served
        .get(&format!("/api/v1/search?where={condition}"))
        .ok()
        .json();
    assert_eq!(runs.as_array().map(Vec::len), Some(60));
    assert_eq!(found[0]["node"], "model:churn");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_keeps_the_files_of_the_page_until_the_program_changes() {
    let test = mirror_of(1).await;
    let served = Served::start(&test.uri, &[]);
    for path in ["/", "/api"] {
        let page = served.get(path).ok();
        assert_eq!(page.header("cache-control"), Some("private, no-cache"));
        let text = page.text();
        let names = text.split('"').filter(|part| part.starts_with("assets/"));
        let file = |name: &str| served.get(&format!("/{name}")).ok();
        assert!(names.clone().count() >= 2, "{text}");
        for name in names {
            let answer = file(name);
            let kept = answer.header("cache-control").unwrap_or_default();
            assert!(kept.ends_with("immutable"), "{name}: {kept}");
            let varies = answer.headers.iter().filter(|(name, _)| name == "vary");
            let varies: Vec<&str> = varies.map(|(_, value)| value.as_str()).collect();
            assert!(
                varies.iter().all(|by| *by == "accept-encoding"),
                "{name}: {varies:?}"
            );
        }
    }
    // A page of another version is still open in a browser.
    let other = served.get("/assets/0/app.js").ok();
    assert_eq!(other.header("cache-control"), Some("private, no-cache"));
    assert_eq!(served.get("/assets/0/index.html").status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_counts_has_the_same_details() {
    let test = mirror_of(100).await;
    let runs = test.database.collection::<Document>("runs");
    let wrote = doc! { "id": "elsewhere", "path": "model", "from": "tag" };
    let update = doc! { "$push": { "outputs.runs": wrote } };
    let updated = runs.update_one(doc! { "_id": "run001" }, update).await;
    assert_eq!(updated.expect("an update").modified_count, 1);
    let served = Served::start(&test.uri, &[]);
    for node in ["run:run001", "model:churn", "model:churn:1"] {
        let counted = served.get(&format!("/api/v1/node?id={node}")).ok().json();
        let bare = format!("/api/v1/node?id={node}&counts=false");
        let bare = served.get(&bare).ok().json();
        assert_eq!(bare["node"], counted["node"]);
        assert_eq!(bare["details"], counted["details"]);
        assert_eq!(bare["nodes"], serde_json::json!([]));
        assert!(counted["nodes"][0]["hidden"].is_object(), "{counted}");
    }
    // Neither an artifact nor a run that is not mirrored has details, whether a run names it or not.
    let status = |node: &str| {
        let path = format!("/api/v1/node?id={node}&counts=false");
        served.get(&path).status
    };
    assert_eq!(status("artifact:r/data/x"), 200);
    assert_eq!(status("run:r"), 200);
    assert_eq!(status("artifact:other/data/x"), 404);
    assert_eq!(status("artifact:elsewhere/model"), 200);
    assert_eq!(status("run:other"), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_becomes_the_last_one_is_another_answer() {
    let test = mirror_of(2).await;
    let served = Served::start(&test.uri, &[]);
    let path = "/api/v1/search?limit=1&columns=_id";
    let first = served.get(path).ok();
    assert!(first.header("link").is_some());
    let tag = first.header("etag").expect("a tag");
    let runs = test.database.collection::<Document>("runs");
    let deleted = runs.delete_one(doc! { "_id": "run000" }).await;
    assert_eq!(deleted.expect("a deletion").deleted_count, 1);
    let last = served.get_with(path, &[("If-None-Match", tag)]);
    assert_eq!((last.status, last.text()), (200, first.text()));
    assert_eq!(last.header("link"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_headers_tell_of_a_new_pass_soon() {
    let test = mirror_of(1).await;
    let served = Served::start(&test.uri, &[]);
    let told = || {
        let answer = served.get("/api/v1/search").ok();
        answer.header("runlineage-full-pass").map(str::to_owned)
    };
    let before = told();
    assert!(before.is_some());
    let state = test.database.collection::<Document>("sync_state");
    let pass = DateTime::parse_rfc3339_str("2031-01-02T03:04:05Z").expect("a date");
    let update = doc! { "$set": { "full_pass": pass } };
    let updated = state.update_one(doc! { "_id": "source" }, update).await;
    assert_eq!(updated.expect("an update").modified_count, 1);
    let new = (0..100).find_map(|_| {
        std::thread::sleep(Duration::from_millis(100));
        told().filter(|told| Some(told) != before.as_ref())
    });
    assert_eq!(new.as_deref(), Some("2031-01-02T03:04:05Z"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_answer_is_not_sent_again_and_a_large_one_is_compressed() {
    let test = mirror_of(100).await;
    let served = Served::start(&test.uri, &[]);
    for path in DATA.iter().chain(&["/", "/assets/0/app.js"]) {
        // It tells when it was written.
        if path.contains("provenance") {
            continue;
        }
        let first = served.get(path).ok();
        let tag = first
            .header("etag")
            .unwrap_or_else(|| panic!("{path}: {first:?}"))
            .to_owned();
        let again = served.get_with(path, &[("If-None-Match", &tag)]);
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        assert_eq!(again.header("etag"), Some(tag.as_str()), "{path}");
        assert_eq!(
            again.header("runlineage-full-pass"),
            first.header("runlineage-full-pass")
        );
        let other = served.get_with(path, &[("If-None-Match", "W/\"0\"")]);
        assert_eq!(other.status, 200, "{path}");
    }
    let path = "/api/v1/search?limit=100";
    let plain = served.get(path).ok();
    let zipped = served.get_with(path, &[("Accept-Encoding", "gzip")]).ok();
    assert_eq!(zipped.header("content-encoding"), Some("gzip"));
    assert_eq!(zipped.header("etag"), plain.header("etag"));
    assert!(
        zipped.body.len() * 4 < plain.body.len(),
        "{}",
        zipped.body.len()
    );
    assert_eq!(zipped.body[..2], [0x1f, 0x8b]);
    let vary = |answer: &crate::support::http::Answer| {
        let vary = answer.headers.iter().filter(|(name, _)| name == "vary");
        vary.map(|(_, value)| value.to_ascii_lowercase())
            .collect::<Vec<_>>()
            .join(", ")
    };
    assert!(
        vary(&zipped).contains("accept-encoding"),
        "{}",
        vary(&zipped)
    );
    let stream = served.get_with(
        "/api/v1/search?limit=0&format=ndjson",
        &[("Accept-Encoding", "gzip")],
    );
    assert_eq!(
        stream.ok().header("etag"),
        None,
        "the body of a stream is not known before its end"
    );
}
