//! The index that a search is hinted: the search finds the same runs as a collection scan, and examines hardly more keys than with
//! the best index.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::TryStreamExt as _;
use mongodb::Client;
use mongodb::bson::raw::RawDocumentBuf;
use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::event::EventHandler;
use mongodb::event::cmap::CmapEvent;
use mongodb::options::{ClientOptions, Hint, ServerAddress};
use runlineage::mongo::Facet;
use runlineage::query::{Condition, Order};
use runlineage::{Error, MongoRunStore, Query, Run, Search};

use crate::support::mirror::{ids, mirror, set};
use crate::support::mongodb::TestDatabase;
use crate::support::scale::scaled;
use crate::support::tcp_proxy::{Cable, TcpProxy};

const RUNS: i64 = 12_000;
/// How many of the oldest runs belong to one experiment and one user, and read one of two runs.
const OLDEST: i64 = 1_500;
const HOUR: i64 = 3_600_000;

/// The n-th run by start time. Every run reads the model `everywhere`; the [`OLDEST`] runs share more fields.
fn document(n: i64) -> Document {
    let oldest = n < OLDEST;
    let read = if oldest {
        ["r0", "r1"][n as usize % 2]
    } else {
        "r2"
    };
    let mut read = doc! { "id": read, "from": "tag" };
    if n % 6 != 0 {
        read.insert("path", "data/x");
    }
    let mut models =
        vec![doc! { "name": "everywhere", "version": (n % 3).to_string(), "from": "tag" }];
    if n % 100 == 0 {
        models.push(doc! { "name": "rare", "version": (n % 7).to_string(), "from": "tag" });
    }
    let mut run = doc! {
        "_id": format!("run{n:05}"),
        "exp": { "id": if oldest { "1" } else { "2" }, "name": if oldest { "old" } else { "new" } },
        "status": "FINISHED",
        "start_time": DateTime::from_millis(n * HOUR),
        "user": if oldest { "ana" } else { "bob" },
        "inputs": { "models": models, "runs": [read] },
        "outputs": { "models": [], "runs": [] },
        "tags": { "mlflow": {} },
        "metrics": { "auc": 0.1 },
        "mirror": { "ticket": 1_i64, "changed_at": DateTime::from_millis(0), "fingerprint": "-" },
    };
    if n % 4 != 0 {
        run.insert("name", format!("train-{n}"));
    }
    if n % 5 == 0 {
        run.insert("end_time", DateTime::from_millis(n * HOUR + 1));
        run.insert("tags", doc! { "mlflow": { "parentRunId": "run00000" } });
    }
    if n == 7 {
        let problems = doc! { "ticket": 1_i64, "changed_at": DateTime::from_millis(0), "fingerprint": "-", "problems": [{ "key": "x", "reason": "y" }] };
        run.insert("mirror", problems);
    }
    run
}

async fn filled_mirror() -> (TestDatabase, MongoRunStore) {
    let test = TestDatabase::new().await;
    let store = mirror(&test).await;
    let runs = test.database.collection("runs");
    let stored = runs.insert_many((0..RUNS).map(document)).await;
    stored.expect("they are stored");
    (test, store)
}

/// Adds runs that lack most of the indexed fields.
async fn add_bare_runs(test: &TestDatabase) {
    let bare = (0..20).map(|n| {
        let mut run = document(2 * n);
        run.insert("_id", format!("bare{n:02}"));
        run.insert(
            "inputs",
            doc! { "models": [], "runs": [{ "id": "r0", "from": "tag" }] },
        );
        if n % 2 == 0 {
            run.remove("user");
            run.remove("name");
        }
        run
    });
    let runs = test.database.collection::<Document>("runs");
    runs.insert_many(bare).await.expect("they are stored");
}

/// The ids that a collection scan finds.
async fn found_by_scan(test: &TestDatabase, filter: Document) -> BTreeSet<String> {
    let runs = test.database.collection::<Document>("runs");
    let find = runs.find(filter).projection(doc! { "_id": 1 });
    let found = find.hint(Hint::Keys(doc! { "$natural": 1 })).await;
    let found: Vec<Document> = found.expect("sent").try_collect().await.expect("read");
    set(found.iter().map(|run| run.get_str("_id").expect("an id")))
}

#[tokio::test]
async fn runs_without_a_field_are_found_beside_an_indexed_term() {
    let (test, store) = filled_mirror().await;
    let null = Bson::Null;
    for absent in [
        doc! { "name": { "$eq": &null } },
        doc! { "name": { "$in": [&null, "train-5"] } },
        doc! { "tags.mlflow.parentRunId": { "$in": [&null] } },
        doc! { "tags.mlflow.parentRunId": &null },
        doc! { "end_time": { "$eq": &null } },
        doc! { "inputs.runs.path": { "$in": [&null] } },
        doc! { "inputs.runs": { "$elemMatch": { "path": &null } } },
    ] {
        for beside in [
            doc! { "exp.id": "1" },
            doc! { "inputs.runs.id": "r0" },
            doc! {},
        ] {
            let filter = doc! { "$and": [absent.clone(), beside] };
            let expected = found_by_scan(&test, filter.clone()).await;
            assert!(!expected.is_empty(), "{filter}");
            assert_eq!(ids(&store, filter.clone()).await, expected, "{filter}");
            let counted = store.count_runs(filter.clone()).await.expect("counted");
            assert_eq!(counted, expected.len() as u64, "{filter}");
        }
    }
}

#[tokio::test]
async fn an_and_is_served_by_the_index_of_its_smallest_term() {
    let (test, store) = filled_mirror().await;
    let everywhere = || Query::new().with_input_model("everywhere", None);
    let artifacts = ["r0", "r1"].map(|run| Query::new().with_input_artifact(run, None));
    let before = DateTime::from_millis(OLDEST * HOUR);
    let time = || Query::new().with_start_time(..before);
    for (query, matches) in [
        (everywhere().with_exp_id("1"), OLDEST),
        (everywhere().with_exp_name("old"), OLDEST),
        // By id or by name: an OR over two indexes, one of which has no match.
        (everywhere().with_exp("old"), OLDEST),
        (everywhere().with_exp("1"), OLDEST),
        (everywhere().with_exp("neither"), 0),
        (everywhere().with_user("ana"), OLDEST),
        (everywhere().with_any_of(artifacts), OLDEST),
        (
            everywhere()
                .with_status("FINISHED")
                .with_input_artifact("r1", None),
            OLDEST / 2,
        ),
        (
            everywhere()
                .with_input_model("rare", None)
                .with_status("FINISHED"),
            RUNS / 100,
        ),
        // An OR over two indexes, both of which have matches.
        (
            Query::new()
                .with_any_of([
                    Query::new().with_input_model("rare", None),
                    Query::new().with_name("train-1"),
                ])
                .with_status("FINISHED"),
            RUNS / 100 + 1,
        ),
        (time().with_all_of([everywhere()]), OLDEST),
        // An OR of times, which every run fulfils, does not hide how few runs the experiment has.
        (
            everywhere()
                .with_exp_id("1")
                .with_any_of([time(), Query::new().with_start_time(before..)]),
            OLDEST,
        ),
        (time().with_status("FINISHED"), OLDEST),
        (time().with_input_model("rare", "3"), RUNS / 700),
    ] {
        let filter = query.render().expect("the query is valid");
        assert_eq!(
            ids(&store, &query).await,
            found_by_scan(&test, filter).await
        );
        let plan = store.explain(&query).await.expect("it is explained");
        let matches = u64::try_from(matches).expect("a count");
        assert!(
            plan.keys_examined <= matches + matches / 2 + 10 && !plan.examines_all,
            "{query:?}: {} keys of {:?} for {} found, {matches} of the smallest term",
            plan.keys_examined,
            plan.indexes,
            plan.runs_found
        );
    }
}

#[tokio::test]
async fn an_or_over_several_indexes_loses_no_run_beside_a_range_of_times() {
    let (test, store) = filled_mirror().await;
    add_bare_runs(&test).await;
    let query = Query::new;
    let oldest = || ..DateTime::from_millis(OLDEST * HOUR);
    let either = |one: Query, other: Query| [[one.clone(), other.clone()], [other, one]];
    for (any, most) in [
        (
            either(
                query().with_input_model("rare", None),
                query().with_input_artifact("r0", None),
            ),
            OLDEST,
        ),
        (
            either(
                query().with_input_model("rare", None),
                query().with_user("ana"),
            ),
            2 * OLDEST,
        ),
        (
            either(
                query().with_status("FAILED"),
                query().with_name_prefix("train-1"),
            ),
            3 * OLDEST,
        ),
        (
            either(query().with_exp_id("1"), query().with_exp_name("old")),
            2 * OLDEST,
        ),
        (
            either(query().with_exp("1"), query().with_exp("2")),
            2 * OLDEST,
        ),
    ] {
        for any in any {
            let query = query().with_any_of(any).with_start_time(oldest());
            let filter = query.render().expect("the query is valid");
            let expected = found_by_scan(&test, filter).await;
            assert!(expected.len() > 10, "{query:?}");
            assert_eq!(ids(&store, &query).await, expected, "{query:?}");
            let counted = store.count_runs(&query).await.expect("counted");
            assert_eq!(counted, expected.len() as u64, "{query:?}");
            let facet = store.facet(Facet::Status, &query).await.expect("counted");
            let counted: u64 = facet.iter().map(|count| count.runs).sum();
            assert_eq!(counted, expected.len() as u64, "{query:?}");
            let plan = store.explain(&query).await.expect("it is explained");
            assert!(
                plan.keys_examined <= most as u64 + 50,
                "{query:?}: {} keys of {:?}",
                plan.keys_examined,
                plan.indexes
            );
        }
    }
}

fn any_query(random: &mut fastrand::Rng, depth: u32) -> Query {
    let query = Query::new();
    if random.u32(..3) < depth {
        let inner: Vec<Query> = (0..random.u32(1..4))
            .map(|_| any_query(random, depth - 1))
            .collect();
        return match random.u32(..5) {
            0 | 1 => query.with_all_of(inner),
            2 | 3 => query.with_any_of(inner),
            _ => query.with_none_of(inner),
        };
    }
    let of = |random: &mut fastrand::Rng, values: &'static [&'static str]| {
        *random.choice(values).expect("some")
    };
    let time = DateTime::from_millis(random.i64(0..RUNS) * HOUR);
    match random.u32(..16) {
        0 | 1 => query.with_input_model(of(random, &["rare", "everywhere", "none"]), None),
        2 => query.with_input_model("rare", of(random, &["0", "3"])),
        3 => query.with_input_model_versions("rare", ["1", "2"]),
        4 => query.with_input_artifact(of(random, &["r0", "r1", "r2"]), None),
        5 => query.with_input_artifact("r1", "data/x"),
        6 => query.with_input_path_under("data"),
        7 => query.with_exp(of(random, &["1", "2", "old"])),
        8 => query.with_exp_name(of(random, &["old", "new"])),
        9 => query.with_user(of(random, &["ana", "bob"])),
        10 => query.with_status(of(random, &["FINISHED", "FAILED"])),
        11 => query.with_name_prefix(of(random, &["train-1", "train-7"])),
        12 => query.with_parent("run00000"),
        13 => query.with_start_time(time..),
        14 => query.with_start_time(..time),
        _ => query.with_end_time(..time),
    }
}

#[tokio::test]
async fn random_searches_find_the_same_runs_as_a_scan() {
    let (test, store) = filled_mirror().await;
    add_bare_runs(&test).await;
    let seed = fastrand::u64(..);
    let random = &mut fastrand::Rng::with_seed(seed);
    for round in 0..scaled(60, 300) {
        let mut query = any_query(random, 2);
        if random.bool() {
            let time = DateTime::from_millis(random.i64(0..RUNS) * HOUR);
            query = query.with_start_time(..time);
        }
        let filter = query.render().expect("the query is valid");
        let expected = found_by_scan(&test, filter).await;
        let about = format!("seed {seed}, round {round}: {query:?}");
        let found = ids(&store, &query).await;
        assert_eq!(found.len(), expected.len(), "{about}");
        assert!(found == expected, "{about}");
        let counted = store.count_runs(&query).await.expect("counted");
        assert_eq!(counted, expected.len() as u64, "{about}");
        let facet = store.facet(Facet::Status, &query).await.expect("counted");
        let counted: u64 = facet.iter().map(|count| count.runs).sum();
        assert_eq!(counted, expected.len() as u64, "{about}");
    }
}

#[tokio::test]
async fn a_search_of_several_batches_hints_the_index_with_the_fewest_matches() {
    let (test, store) = filled_mirror().await;
    let profile = doc! { "profile": 2 };
    let profiling = test.database.run_command(profile).await;
    profiling.expect("the profiler is on");
    let query = Query::new().with_input_model("everywhere", None);
    let query = query.with_exp_id("1");
    assert_eq!(ids(&store, &query).await.len() as i64, OLDEST);
    let finds = doc! { "op": "query", "command.find": "runs" };
    let profiled = test.database.collection::<Document>("system.profile");
    let hints = profiled.distinct("command.hint", finds.clone()).await;
    assert_eq!(hints.expect("a list"), [Bson::from("newest_of_exp")]);
    // The filter holds each condition once.
    let filters = profiled.distinct("command.filter", finds).await;
    let filter = query.render().expect("the query is valid");
    assert_eq!(filters.expect("a list"), [Bson::from(filter)]);
}

/// The last profiled command of this kind that does not merely count keys.
async fn last_command(test: &TestDatabase, kind: &str) -> Document {
    let profiled = test.database.collection::<Document>("system.profile");
    let sent = profiled.find_one(
        doc! { format!("command.{kind}"): "runs", "command.returnKey": { "$exists": false } },
    );
    let last = sent.sort(doc! { "$natural": -1 }).await;
    let last = last.expect("profiled").expect("it was sent");
    last.get_document("command").expect("a command").clone()
}

#[tokio::test]
async fn explain_has_the_hint_and_the_filter_of_the_search() {
    let (test, store) = filled_mirror().await;
    add_bare_runs(&test).await;
    let profiling = test.database.run_command(doc! { "profile": 2 }).await;
    profiling.expect("the profiler is on");
    let seed = fastrand::u64(..);
    let random = &mut fastrand::Rng::with_seed(seed);
    let mut hinted = BTreeSet::new();
    for round in 0..scaled(40, 100) {
        let query = any_query(random, 1).with_all_of([any_query(random, 1)]);
        let search = Search::from(&query);
        let search = match random.u32(..3) {
            0 => search,
            1 => search.newest_first().limit(150),
            _ => search.sort(doc! { "name": 1 }),
        };
        let found = store.find_raw(search.clone()).await.expect("sent");
        found.try_collect::<Vec<_>>().await.expect("read");
        store.explain(search.clone()).await.expect("explained");
        let find = last_command(&test, "find").await;
        let explained = last_command(&test, "explain.find").await;
        let explained = explained.get_document("explain").expect("a command");
        for part in ["filter", "hint"] {
            let about = format!("seed {seed}, round {round}: {part} of {query:?}");
            assert_eq!(find.get(part), explained.get(part), "{about}");
        }
        hinted.extend(find.get_str("hint").map(str::to_owned));
    }
    assert!(hinted.len() > 3, "seed {seed}: {hinted:?}");
}

#[tokio::test]
async fn an_ordered_search_uses_an_index_with_that_order_or_with_few_matches() {
    let (test, store) = filled_mirror().await;
    let query = || Query::new().with_status("FINISHED");
    let everywhere = || query().with_input_model("everywhere", None);
    for (query, limit, most) in [
        // An index ordered by start time returns the newest of many matches first.
        (query().with_input_model("everywhere", "1"), 20, 200),
        (query().with_user("bob"), 20, 50),
        (query().with_user("ana"), 150, 200),
        (query().with_exp("old"), 20, 50),
        (query().with_user("bob").with_parent("run00000"), 20, 200),
        (query().with_user("bob").with_parent("run00000"), 150, 1_000),
        (everywhere().with_user("ana"), 150, 200),
        (everywhere().with_user("ana"), 0, 1_600),
        // A few matches are all read and sorted.
        (query().with_input_model("rare", "3"), 20, 20),
        (everywhere().with_input_model("rare", None), 20, 130),
        (everywhere().with_input_model("rare", None), 150, 130),
    ] {
        let newest = || Search::from(&query).newest_first().limit(limit);
        let filter = query.render().expect("the query is valid");
        let runs = test.database.collection::<Document>("runs");
        let by_time = doc! { "start_time": -1, "_id": -1 };
        let sorted = runs.find(filter).sort(by_time).limit(limit.into());
        let all = sorted.hint(Hint::Keys(doc! { "$natural": 1 })).await;
        let all: Vec<Document> = all.expect("sent").try_collect().await.expect("read");
        let ids = all.iter().map(|run| run.get_str("_id").expect("an id"));
        let expected: Vec<&str> = ids.collect();
        assert!(expected.len() > 15, "{query:?}");
        let found = store.find_runs(newest()).await.expect("sent");
        let found: Vec<Run> = found.try_collect().await.expect("read");
        let found: Vec<&str> = found.iter().map(Run::id).collect();
        assert_eq!(found, expected, "{query:?}");
        let plan = store.explain(newest()).await.expect("explained");
        assert!(
            plan.keys_examined <= most,
            "{limit} of {query:?}: {} keys of {:?}",
            plan.keys_examined,
            plan.indexes
        );
    }
}

#[tokio::test]
async fn elem_match_terms_are_counted_without_reading_documents() {
    let (test, store) = filled_mirror().await;
    // Every run reads one of three versions of the model. Five of six runs name a path.
    let query = Query::new()
        .with_input_model("everywhere", "1")
        .with_input_artifact("r1", "data/x")
        .with_name_prefix("train-");
    let filter = query.render().expect("the query is valid");
    let expected = found_by_scan(&test, filter).await;
    assert!(expected.len() > 100, "{}", expected.len());
    let profiling = test.database.run_command(doc! { "profile": 2 }).await;
    profiling.expect("the profiler is on");
    assert_eq!(ids(&store, &query).await, expected);
    let profiled = test.database.collection::<Document>("system.profile");
    let sent =
        profiled.find(doc! { "$or": [{ "command.count": "runs" }, { "command.returnKey": true }] });
    let sent: Vec<Document> = sent.await.expect("sent").try_collect().await.expect("read");
    assert!(sent.len() > 5, "{sent:?}");
    for count in sent {
        assert_eq!(count.get_i32("docsExamined").ok(), Some(0), "{count}");
    }
    let find = last_command(&test, "find").await;
    assert_eq!(find.get_str("hint").ok(), Some("input_paths"), "{find}");
}

#[tokio::test]
async fn a_computed_order_uses_the_index_with_the_fewest_matches() {
    let (_test, store) = filled_mirror().await;
    let query = Query::new().with_input_model("everywhere", None);
    let by_name: Order = "name ASC".parse().expect("an order");
    let search = Search::from(query.with_exp_id("1")).order_by([by_name]);
    let search = search.skip(5).limit(20).projection(doc! { "name": 1 });
    let found = store.find_raw(search.clone()).await.expect("sent");
    let found: Vec<RawDocumentBuf> = found.try_collect().await.expect("read");
    let found: Vec<&str> = found
        .iter()
        .map(|run| run.get_str("name").expect("a name"))
        .collect();
    let names = (0..OLDEST).filter(|n| n % 4 != 0);
    let mut names: Vec<String> = names.map(|n| format!("train-{n}")).collect();
    names.sort();
    assert_eq!(found, names[5..25]);
    let plan = store.explain(search).await.expect("explained");
    assert_eq!(plan.indexes, ["newest_of_exp"]);
    assert_eq!((plan.runs_found, plan.keys_examined), (20, OLDEST as u64));
}

/// Strings, numbers, null, arrays, nested arrays and documents, one and two levels deep.
fn odd_values() -> Vec<Bson> {
    let simple = [
        Bson::from("a"),
        Bson::from(1),
        Bson::from(1.0),
        Bson::Null,
        bson::bson!([]),
        bson::bson!([1, "b", null]),
        bson::bson!([[1, 2], [1]]),
        bson::bson!({ "x": 3 }),
        bson::bson!({ "x": null }),
        bson::bson!([{ "x": 4 }, { "x": [5, [6]] }, 7, [{ "x": 8 }], null, {}]),
        bson::bson!({ "x": { "y": 9 } }),
        bson::bson!({ "x": [{ "y": 10 }, { "y": [11] }] }),
        bson::bson!({ "0": { "x": 12 } }),
    ];
    simple.into()
}

#[tokio::test]
async fn hinted_distinct_values_equal_those_of_mongodbs_distinct() {
    let (test, store) = filled_mirror().await;
    let runs = test.database.collection::<Document>("runs");
    for (n, value) in odd_values().into_iter().enumerate() {
        let odd = doc! { "$set": { "tags.odd": value } };
        let set = runs.update_one(doc! { "_id": format!("run{n:05}") }, odd);
        set.await.expect("it is stored");
    }
    let profiling = test.database.run_command(doc! { "profile": 2 }).await;
    profiling.expect("the profiler is on");
    let query = Query::new().with_input_model("everywhere", None);
    let query = query.with_exp_id("1");
    let filter = query.render().expect("the query is valid");
    for (field, by_stages) in [
        ("tags.odd", true),
        ("tags.odd.x", true),
        ("tags.odd.x.y", true),
        ("tags.odd.0", false),
        ("tags.odd.0.x", false),
        ("inputs.models.version", true),
        ("inputs.runs.path", true),
        ("user", true),
        ("exp", true),
        ("end_time", true),
        ("nowhere.at.all", true),
    ] {
        let values = |values: Vec<Bson>| {
            let mut values: Vec<String> = values
                .into_iter()
                .map(|value| value.into_relaxed_extjson().to_string())
                .collect();
            values.sort();
            values
        };
        let expected = runs.distinct(field, filter.clone()).await.expect("listed");
        let found = store.distinct(field, &query).await.expect("listed");
        assert_eq!(values(found), values(expected), "{field}");
        if by_stages {
            let sent = last_command(&test, "aggregate").await;
            assert_eq!(sent.get_str("hint").ok(), Some("newest_of_exp"), "{field}");
            let text = sent.to_string();
            assert!(
                text.contains(field.split('.').next_back().expect("a name")),
                "{field}: {text}"
            );
        }
    }
}

#[tokio::test]
async fn a_term_whose_index_is_missing_is_not_hinted() {
    let (test, store) = filled_mirror().await;
    let drop = doc! { "dropIndexes": "runs", "index": "newest_of_user" };
    let dropped = test.database.run_command(drop).await;
    dropped.expect("the index existed");
    let query = Query::new().with_input_model("everywhere", None);
    let query = query.with_user("ana").with_exp_id("1");
    let plan = store.explain(&query).await.expect("explained");
    assert_eq!(plan.indexes, ["newest_of_exp"]);
    assert_eq!(ids(&store, &query).await.len() as i64, OLDEST);
}

#[tokio::test]
async fn a_small_search_over_a_slow_network_keeps_its_connections() {
    let (test, _) = filled_mirror().await;
    let options = ClientOptions::parse(&test.uri).await;
    let mut options = options.expect("the URI is valid");
    let [
        ServerAddress::Tcp {
            port: Some(port), ..
        },
    ] = options.hosts[..]
    else {
        panic!("{:?}", options.hosts)
    };
    let proxy = TcpProxy::before(port);
    let near = ServerAddress::Tcp {
        host: "127.0.0.1".into(),
        port: Some(proxy.port()),
    };
    (options.hosts, options.direct_connection) = (vec![near], Some(true));
    let closed = Arc::new(AtomicUsize::new(0));
    let count = closed.clone();
    options.cmap_event_handler = Some(EventHandler::callback(move |event| {
        if matches!(event, CmapEvent::ConnectionClosed(_)) {
            count.fetch_add(1, Ordering::SeqCst);
        }
    }));
    let client = Client::with_options(options).expect("the options are valid");
    let store = MongoRunStore::from_database(client.database(test.database.name()));
    proxy.set(Cable::Slow);
    for _ in 0..5 {
        let query = Query::new().with_input_model("rare", "3");
        assert_eq!(ids(&store, query.with_exp_id("1")).await.len(), 2);
    }
    // The driver closes connections in the background.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(closed.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_search_whose_hinted_index_is_missing_is_repeated_without_a_hint() {
    let (test, store) = filled_mirror().await;
    for index in ["newest_of_exp", "newest_users_of_model"] {
        let drop = doc! { "dropIndexes": "runs", "index": index };
        let dropped = test.database.run_command(drop).await;
        dropped.expect("the index existed");
    }
    let oldest = ..DateTime::from_millis(OLDEST * HOUR);
    let everywhere = Query::new().with_input_model("everywhere", None);
    for query in [
        everywhere.clone().with_exp_id("1"),
        everywhere.with_start_time(oldest),
        Query::new().with_exp_id("1").with_start_time(oldest),
    ] {
        assert_eq!(ids(&store, &query).await.len() as i64, OLDEST, "{query:?}");
        let counted = store.count_runs(&query).await.expect("counted");
        assert_eq!(counted as i64, OLDEST, "{query:?}");
        let facet = store.facet(Facet::Status, &query).await;
        assert_eq!(facet.expect("counted").len(), 1, "{query:?}");
    }
}

#[tokio::test]
async fn an_index_serves_builders_that_no_text_term_has() {
    let (_test, store) = filled_mirror().await;
    for (query, found) in [
        (
            Query::new().with_input_model_versions("rare", ["0", "1"]),
            35,
        ),
        (Query::new().with_problems(), 1),
    ] {
        let plan = store.explain(&query).await.expect("it is explained");
        assert_eq!(plan.runs_found, found, "{query:?}");
        assert!(
            plan.keys_examined <= 2 * found + 4,
            "{query:?}: {} keys",
            plan.keys_examined
        );
    }
}

#[tokio::test]
async fn a_search_fails_when_it_exceeds_its_time_limit() {
    let (_test, store) = filled_mirror().await;
    let unserved = Query::new().with_metric("auc", Condition::gt(0.9));
    let search = || Search::from(&unserved).max_time(Duration::from_millis(1));
    let error = store
        .count_runs(search())
        .await
        .expect_err("it exceeds the limit");
    assert!(
        matches!(&error, Error::Mongo { doing, .. } if doing.contains("longer than allowed")),
        "{error}"
    );
    let patient = search().max_time(Duration::from_secs(60));
    assert_eq!(
        store.count_runs(patient).await.expect("the limit suffices"),
        0
    );
}

#[tokio::test]
async fn counting_the_terms_of_a_huge_filter_does_not_exceed_the_time_limit() {
    let (_test, store) = filled_mirror().await;
    let terms: Vec<Document> = (0..2_000)
        .map(|n| doc! { "inputs.models.name": "everywhere", "exp.id": "1", "user": { "$in": ["ana", format!("u{n}")] } })
        .collect();
    let started = std::time::Instant::now();
    let search = Search::from(doc! { "$and": terms }).max_time(Duration::from_secs(10));
    let found = store.count_runs(search).await.expect("counted");
    assert_eq!(found, OLDEST as u64);
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
}
