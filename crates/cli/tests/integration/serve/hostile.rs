//! Names of other people in every format of every answer.

use mongodb::bson::{DateTime, Document, doc};
use runlineage::MongoRunStore;

use crate::support::mongodb::TestDatabase;
use crate::support::served::{Served, encoded};

/// What a careless page, header, picture or query would take for its own.
pub(crate) fn names() -> Vec<String> {
    let mut names: Vec<String> = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "</style><script>alert(1)</script>",
        "</title><svg/onload=alert(1)>",
        "<!--",
        "-->",
        "]]>",
        "<![CDATA[x]]>",
        "<?xml version=\"1.0\"?>",
        "&lt;b&gt;",
        "&amp;&#60;",
        "&unknown;",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "http://evil.example",
        "{{title}}",
        "${alert(1)}",
        "`${alert(1)}`",
        "\\u003cscript\\u003e",
        "\u{202e}gnp.exe",
        "\u{2066}isolate\u{2069}",
        "\u{200f}right",
        "zero\u{200b}width",
        "line\u{2028}separator",
        "new\nline",
        "carriage\r\nSet-Cookie: a=b",
        "tab\there",
        "\u{1b}[31mred",
        "bell\u{7}",
        "\u{fffe}",
        "größe 模型 😀👩‍👩‍👧‍👦",
        "it's; DROP",
        "$where",
        "a.b",
        "%00%0d%0a",
        "../../etc/passwd",
        " ",
    ]
    .map(str::to_owned)
    .into();
    names.push("long ".repeat(2_048));
    names
}

fn document(number: usize, name: &str) -> Document {
    doc! {
        "_id": format!("run{number:03}"),
        "name": name,
        "exp": { "id": "1", "name": name },
        "status": name,
        "user": name,
        "start_time": DateTime::from_millis(1_700_000_000_000 + number as i64),
        "inputs": { "models": [{ "name": name, "version": name, "from": "tag" }], "runs": [],
                    "datasets": [{ "name": name, "digest": name, "from": "inputs" }] },
        "outputs": { "models": [], "runs": [{ "id": format!("run{number:03}"), "path": name, "from": "tag" }] },
        "tags": { "note": name },
        "mirror": { "ticket": 1_i64, "changed_at": DateTime::from_millis(0), "fingerprint": "-",
                    "problems": [{ "key": name, "reason": name }] },
    }
}

pub(crate) async fn mirror(names: &[String], source: &str) -> TestDatabase {
    let test = TestDatabase::new().await;
    let store = MongoRunStore::from_database(test.database.clone());
    store.migrate().await.expect("a new database is migrated");
    let state = test.database.collection::<Document>("sync_state");
    let source = doc! { "_id": "source", "name": source, "full_pass": DateTime::now() };
    state.insert_one(source).await.expect("a source");
    let runs = names
        .iter()
        .enumerate()
        .map(|(number, name)| document(number, name));
    let collection = test.database.collection("runs");
    collection.insert_many(runs).await.expect("runs");
    test
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_come_back_exactly_in_data_and_harmless_in_pictures_and_pages() {
    let names = names();
    assert_eq!(names.len(), 40);
    let test = mirror(&names, "http://mlflow.example:5000").await;
    let served = Served::start(&test.uri, &["--rate", "0"]);
    let mut found = 0;
    for (number, name) in names.iter().enumerate() {
        let run = served
            .get(&format!("/api/v1/run?id=run{number:03}"))
            .ok()
            .json();
        for value in [
            &run["name"],
            &run["user"],
            &run["tags"]["note"],
            &run["inputs"]["models"][0]["name"],
        ] {
            assert_eq!(value, name);
        }
        let node = format!("run:run{number:03}");
        let path = |format: &str| format!("/api/v1/graph?select={node}&fold=0&format={format}");
        let json = served.get(&path("json")).ok().json();
        let nodes = json["nodes"].as_array().expect("nodes");
        assert_eq!(nodes.len(), 4, "{name:?}");
        // Each node can be asked for by its own text.
        for node in nodes {
            let id = encoded(node["id"].as_str().expect("a text"));
            let again = served.get(&format!("/api/v1/node?id={id}")).ok().json();
            assert_eq!(again["node"], node["id"], "{name:?}");
            let url = node["url"]
                .as_str()
                .unwrap_or("http://mlflow.example:5000/");
            assert!(url.starts_with("http://mlflow.example:5000/"), "{url}");
        }
        let svg = served.get(&path("svg")).ok().text();
        is_harmless(&svg, name);
        let html = served.get(&path("html")).ok().text();
        assert_eq!(html.matches("<script").count(), 2, "{name:?}");
        assert_eq!(html.matches("</script").count(), 2, "{name:?}");
        assert!(
            !html.contains("<img") && !html.contains("<svg/onload"),
            "{name:?}"
        );
        let (start, end) = (
            html.find("<svg").expect("a picture"),
            html.find("</svg>").expect("its end"),
        );
        is_harmless(&html[start..end + 6], name);
        // Each run is compared with the next one, whose names differ.
        let next = format!("run:run{:03}", (number + 1) % names.len());
        let diff = |format: &str| format!("/api/v1/diff?a={node}&b={next}&format={format}");
        is_harmless(&served.get(&diff("svg")).ok().text(), name);
        let html = served.get(&diff("html")).ok().text();
        assert_eq!(html.matches("<script").count(), 2, "{name:?}");
        let json = served.get(&diff("json")).ok().json();
        let tag = json["pairs"][0]["differences"]
            .as_array()
            .expect("differences");
        let tag = tag.iter().find(|difference| difference["what"] == "tag");
        assert_eq!(tag.expect("a tag")["a"], name.as_str());
        for format in ["dot", "mermaid", "graphml", "openlineage"] {
            assert!(!served.get(&path(format)).ok().body.is_empty(), "{name:?}");
        }
        let prefix: String = name.chars().take(100).collect();
        let suggested = served
            .get(&format!("/api/v1/suggest?prefix={}", encoded(&prefix)))
            .ok()
            .json();
        let suggested = suggested.as_array().expect("an array");
        assert!(
            suggested.iter().any(|one| one["name"] == name.as_str()),
            "{name:?}"
        );
        for one in suggested.iter().filter(|one| one["name"] == name.as_str()) {
            // A condition of more than 10,000 characters is refused anywhere.
            if name.len() > 4_000 {
                continue;
            }
            let condition = encoded(one["where"].as_str().expect("a condition"));
            let runs = served
                .get(&format!("/api/v1/search?columns=_id&where={condition}"))
                .ok()
                .json();
            assert_eq!(runs[0]["_id"], format!("run{number:03}"), "{one}");
            found += 1;
        }
        let refused = served.get(&format!("/api/v1/graph?select={}", encoded(name)));
        assert!(
            (400..500).contains(&refused.status),
            "{name:?}: {}",
            refused.status
        );
        assert_eq!(
            refused.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(refused.header("set-cookie"), None, "{name:?}");
    }
    assert!(found > 100, "{found}");
    for path in [
        "/api/v1/search?limit=1000",
        "/api/v1/search?limit=0&format=csv&columns=name,user",
        "/api/v1/facets?facet=exp&format=csv",
    ] {
        let answer = served.get(path).ok();
        assert_eq!(answer.header("set-cookie"), None);
        assert!(!answer.body.is_empty());
    }
}

/// Whether a picture is well-formed XML without scripts, handlers and links to elsewhere.
fn is_harmless(svg: &str, name: &str) {
    let parsed = roxmltree::Document::parse(svg);
    let parsed = parsed.unwrap_or_else(|error| panic!("{name:?}: {error}"));
    for element in parsed.descendants().filter(roxmltree::Node::is_element) {
        let tag = element.tag_name().name();
        let known = [
            "svg", "g", "rect", "path", "text", "tspan", "title", "a", "style", "polygon",
            "circle", "ellipse", "line", "defs", "marker",
        ];
        assert!(known.contains(&tag), "{name:?}: {tag}");
        for attribute in element.attributes() {
            assert!(
                !attribute.name().starts_with("on"),
                "{name:?}: {attribute:?}"
            );
            if attribute.name() == "href" {
                assert!(
                    attribute.value().starts_with("http://mlflow.example:5000/"),
                    "{name:?}: {attribute:?}"
                );
            }
        }
        assert!(tag != "style" || !element.text().unwrap_or_default().contains("alert"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_source_reaches_no_header_and_no_link() {
    for source in [
        "x\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
        "größe \u{202e}",
    ] {
        let test = mirror(&["train".to_owned()], source).await;
        let served = Served::start(&test.uri, &[]);
        for path in [
            "/api/v1/status",
            "/api/v1/graph?select=run:run000",
            "/api/v1/graph?select=run:run000&format=svg",
        ] {
            let answer = served.get(path).ok();
            assert_eq!(answer.header("set-cookie"), None, "{answer:?}");
            assert!(!answer.text().contains("href=\"javascript"), "{answer:?}");
            assert!(
                !answer.text().contains("\"url\":\"javascript"),
                "{answer:?}"
            );
        }
    }
}
