//! Limits that no request exceeds, and what happens when a client leaves or the server stops.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};

use crate::support::http::{Answer, open, send};
use crate::support::mongodb::TestDatabase;
use crate::support::poll;
use crate::support::served::{Served, encoded};
use crate::support::stored::mirror_of;

/// More than the buffers of a connection hold.
const MANY: i64 = 30_000;
/// A debug build writes as many within the time that a stop gives.
const FEWER: i64 = 12_000;

/// A stream of all runs, of which nothing was read yet.
fn stream(served: &Served) -> TcpStream {
    let (host, bearer) = (
        served.address.to_string(),
        format!("Bearer {}", served.token),
    );
    let headers = [("Host", host.as_str()), ("Authorization", bearer.as_str())];
    let path = "/api/v1/search?limit=0&format=ndjson";
    open(served.address, "GET", path, &headers, "").expect("a connection")
}

/// The status of an answer that has begun.
fn status(stream: &mut TcpStream) -> String {
    let mut head = [0; 12];
    stream.read_exact(&mut head).expect("a status");
    String::from_utf8_lossy(&head[9..]).into_owned()
}

async fn open_cursors(test: &TestDatabase) -> usize {
    let admin = test.database.client().database("admin");
    let namespace = format!("{}.runs", test.database.name());
    let pipeline = [
        doc! { "$currentOp": { "idleCursors": true, "allUsers": true } },
        doc! { "$match": { "type": "idleCursor", "ns": namespace } },
    ];
    let found = admin.aggregate(pipeline).await.expect("an answer");
    let found: Vec<Document> = futures::TryStreamExt::try_collect(found)
        .await
        .expect("documents");
    found.len()
}

async fn cursors_become(test: &TestDatabase, count: usize) {
    let mut cursors = usize::MAX;
    // A cursor is not idle while MongoDB reads its next batch.
    for _ in 0..400 {
        cursors = open_cursors(test).await;
        if cursors == count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(cursors, count);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_has_so_many_streams_and_their_cursors_end_when_the_client_leaves() {
    let test = mirror_of(MANY).await;
    // MongoDB sends batches of 16 MiB. After the last one, there is no cursor left to end.
    let padding = doc! { "$set": { "tags.padding": "x".repeat(1_000) } };
    let runs = test.database.collection::<Document>("runs");
    let padded = runs.update_many(doc! {}, padding).await;
    padded.expect("MongoDB updates the runs");
    let served = Served::start(&test.uri, &[]);
    let mut streams: Vec<TcpStream> = (0..4).map(|_| stream(&served)).collect();
    for stream in &mut streams {
        assert_eq!(status(stream), "200");
    }
    assert_eq!(status(&mut stream(&served)), "429");
    cursors_become(&test, 4).await;
    drop(streams);
    cursors_become(&test, 0).await;
    assert_eq!(status(&mut stream(&served)), "200", "there is room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_of_an_answer_is_cut_off_and_a_slow_one_is_not() {
    let test = mirror_of(MANY).await;
    let padding = doc! { "$set": { "tags.padding": "x".repeat(1_000) } };
    let runs = test.database.collection::<Document>("runs");
    let padded = runs.update_many(doc! {}, padding).await;
    padded.expect("MongoDB updates the runs");
    let served = Served::start(&test.uri, &["--idle-timeout", "2"]);
    let mut stalled = stream(&served);
    assert_eq!(status(&mut stalled), "200");
    cursors_become(&test, 1).await;
    let mut without = 0;
    for _ in 0..400 {
        without = match open_cursors(&test).await {
            0 => without + 1,
            _ => 0,
        };
        // MongoDB reads no batch for as long as that.
        if without == 30 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(without, 30, "the question stops, too");
    // The buffers of the connection still hold what was sent before.
    let mut rest = Vec::new();
    let _ = stalled.read_to_end(&mut rest);
    assert!(!rest.is_empty(), "something was sent");
    assert!(
        !rest.ends_with(b"\r\n0\r\n\r\n"),
        "{} bytes are all",
        rest.len()
    );

    let mut slow = stream(&served);
    let begun = Instant::now();
    let mut part = vec![0; 4 << 20];
    while begun.elapsed() < Duration::from_secs(5) {
        slow.read_exact(&mut part).expect("more of the answer");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_the_answers_that_have_begun() {
    let test = mirror_of(FEWER).await;
    let served = Served::start(&test.uri, &[]);
    let mut begun = stream(&served);
    assert_eq!(status(&mut begun), "200");
    served.running.signal("-TERM");
    let refused = poll(Duration::from_secs(10), || {
        TcpStream::connect(served.address).is_err().then_some(())
    });
    assert!(
        refused.is_some(),
        "a stopping server takes no new connection"
    );
    let mut rest = Vec::new();
    begun
        .read_to_end(&mut rest)
        .expect("the rest of the answer");
    assert!(rest.ends_with(b"\r\n0\r\n\r\n"), "the last chunk is there");
    let lines = rest
        .windows(7)
        .filter(|window| window == b"{\"_id\":")
        .count();
    assert_eq!(lines, FEWER as usize);
    let (code, _, stderr) = served.running.end_within(Duration::from_secs(15));
    assert_eq!(code, Some(0), "{stderr:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn few_searches_without_an_index_run_at_once_and_searches_with_one_are_free() {
    let test = mirror_of(MANY).await;
    let served = Served::start(&test.uri, &["--rate", "0"]);
    let at_once = |path: &str| -> Vec<Answer> {
        thread::scope(|scope| {
            let asked: Vec<_> = (0..24).map(|_| scope.spawn(|| served.get(path))).collect();
            asked
                .into_iter()
                .map(|asked| asked.join().expect("an answer"))
                .collect()
        })
    };
    let scan = format!("/api/v1/search?limit=1&where={}", encoded("params.lr > 5"));
    let answers = at_once(&scan);
    let count = |status: u16| {
        answers
            .iter()
            .filter(|answer| answer.status == status)
            .count()
    };
    assert_eq!(count(200) + count(429), answers.len());
    assert!(
        count(200) >= 2 && count(429) >= 1,
        "{} and {}",
        count(200),
        count(429)
    );
    let refused = answers
        .iter()
        .find(|answer| answer.status == 429)
        .expect("one");
    assert_eq!(refused.header("retry-after"), Some("5"));
    assert!(
        refused.text().contains("no index serves this search"),
        "{}",
        refused.text()
    );
    for condition in ["input.model = 'churn:3'", "exp = 'churn' and params.lr > 5"] {
        let path = format!("/api/v1/search?limit=1&where={}", encoded(condition));
        assert!(
            at_once(&path).iter().all(|answer| answer.status == 200),
            "{condition}"
        );
    }
    assert_eq!(served.get(&scan).status, 200, "the permits are back");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_parameter_exceeds_the_limit_of_nodes() {
    let test = mirror_of(300).await;
    let served = Served::start(&test.uri, &["--max-nodes", "20"]);
    for path in [
        "graph?select=model:churn:1&downstream=all&max_nodes=100000",
        "graph?select=model:churn:1&upstream=all&downstream=all&max_nodes=4294967295",
        "graph?select=model:churn&downstream=1",
    ] {
        let answer = served.get(&format!("/api/v1/{path}")).ok();
        let graph = answer.json();
        let nodes = graph["nodes"].as_array().map(Vec::len).expect("nodes");
        assert!((1..=20).contains(&nodes), "{path}: {nodes}");
        let cut = answer.header("runlineage-truncated").unwrap_or_default();
        assert!(cut.starts_with("20 nodes, at "), "{path}: {cut}");
        assert_eq!(graph["truncated"]["limit"], "nodes", "{path}");
    }
    for path in ["impact?node=model:churn:1", "provenance?node=model:churn:1"] {
        let answer = served.get(&format!("/api/v1/{path}&max_nodes=100000")).ok();
        let cut = answer.header("runlineage-truncated").unwrap_or_default();
        assert_eq!(
            cut.starts_with("20 nodes, at "),
            path.starts_with("impact"),
            "{path}: {cut}"
        );
    }
    let small = served
        .get("/api/v1/graph?select=model:churn:1&downstream=all&max_nodes=5")
        .ok();
    assert_eq!(small.json()["nodes"].as_array().map(Vec::len), Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_too_large_is_refused() {
    let test = mirror_of(1_200).await;
    let served = Served::start(&test.uri, &[]);
    let path = "/api/v1/graph?select=model:churn&downstream=1&max_nodes=2000&fold=0";
    let svg = served.get(&format!("{path}&format=svg")).ok();
    let text = svg.text();
    let size = |name: &str| -> f64 {
        let (_, rest) = text.split_once(&format!(" {name}=\"")).expect("a size");
        rest.split('"')
            .next()
            .and_then(|size| size.parse().ok())
            .expect("a number")
    };
    assert!(
        size("width") * size("height") > 40e6,
        "the picture is too small for this test"
    );
    let png = served.get(&format!("{path}&format=png"));
    assert_eq!(png.status, 422);
    assert!(png.text().contains("40 megapixels"), "{}", png.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_and_an_address_have_so_many_requests() {
    let test = mirror_of(5).await;
    let served = Served::start(&test.uri, &["--rate", "3", "--trusted-proxy", "127.0.0.1"]);
    let host = served.address.to_string();
    let ask = |client: &str| {
        let headers = [("Host", host.as_str()), ("X-Forwarded-For", client)];
        let answer = send(served.address, "GET", "/api/v1/status", &headers, "");
        answer.expect("an answer")
    };
    let refused: Vec<Answer> = (0..30)
        .map(|_| ask("192.0.2.1"))
        .filter(|answer| answer.status == 429)
        .collect();
    assert!(refused.len() > 10, "{}", refused.len());
    assert_eq!(refused[0].header("retry-after"), Some("1"));
    assert_eq!(
        ask("192.0.2.2").status,
        401,
        "another address has its own limit"
    );
    // A token has one limit for all its addresses.
    let bearer = format!("Bearer {}", served.token);
    let with_token = |n: usize| {
        let client = format!("198.51.100.{n}");
        let headers = [
            ("Host", host.as_str()),
            ("X-Forwarded-For", client.as_str()),
            ("Authorization", bearer.as_str()),
        ];
        let answer = send(served.address, "GET", "/api/v1/status", &headers, "");
        answer.expect("an answer").status
    };
    let refused = (0..30).filter(|n| with_token(*n) == 429).count();
    assert!(refused > 10, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_never_comes_holds_a_connection_for_a_while_only() {
    let test = mirror_of(1).await;
    let served = Served::start(&test.uri, &["--max-time", "1"]);
    let mut stream = TcpStream::connect(served.address).expect("a connection");
    let head = format!(
        "POST /api/v1/session HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n",
        served.address
    );
    stream.write_all(head.as_bytes()).expect("it is sent");
    let patience = Some(Duration::from_secs(60));
    stream.set_read_timeout(patience).expect("a timeout");
    let mut answer = String::new();
    // The connection ends after the answer.
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
}
