//! The dashboard and the alerts of `deploy/` ask only for metrics and labels that the program serves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use regex::Regex;
use serde_json::Value;

use crate::support::free_port;
use crate::support::held::lab_with_runs;
use crate::support::served::Served;
use crate::support::watching::{is_full, metrics, watch};

/// Metrics by name, and the names of their labels.
type Metrics = BTreeMap<String, BTreeSet<String>>;

/// The metrics in texts of queries, or of `/metrics`.
fn named_in(text: &str) -> Metrics {
    let metric = Regex::new(r"\b(runlineage_\w+)(?:\{([^}]*)\})?").expect("a pattern");
    let label = Regex::new(r#"(\w+)\s*(?:=~|!~|!=|=)\s*""#).expect("a pattern");
    let mut found = Metrics::new();
    for series in metric.captures_iter(text) {
        let labels = found.entry(series[1].to_owned()).or_default();
        let written = series.get(2).map_or("", |labels| labels.as_str());
        labels.extend(
            label
                .captures_iter(written)
                .map(|label| label[1].to_owned()),
        );
    }
    found
}

/// The labels by which the queries group.
fn grouped_by(text: &str) -> BTreeSet<String> {
    let by = Regex::new(r"\bby \(([^)]*)\)").expect("a pattern");
    let groups = by.captures_iter(text);
    groups
        .flat_map(|group| {
            group[1]
                .split(',')
                .map(|label| label.trim().to_owned())
                .collect::<Vec<_>>()
        })
        .collect()
}

fn read(file: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy");
    std::fs::read_to_string(Path::new(folder).join(file)).expect(file)
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboards_and_alerts_ask_only_for_metrics_that_are_served() {
    let (lab, _, _) = lab_with_runs(3).await;
    let address = format!("127.0.0.1:{}", free_port());
    let mut watched = watch(&lab, &["--every", "1h", "--metrics-listen", &address]);
    watched.wait_for_pass(0, is_full);
    let of_sync: Vec<String> = metrics(&address).into_keys().collect();
    let served = Served::start(&lab.test.uri, &[]);
    assert_eq!(served.get("/ready").status, 200);
    let of_serve = served.get("/metrics").text();
    let served = named_in(&(of_sync.join("\n") + "\n" + &of_serve));
    assert!(served.len() > 12, "{served:?}");

    let dashboard: Value = serde_json::from_str(&read("grafana/runlineage.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().expect("queries"));
    let asked: Vec<&str> = targets
        .map(|target| target["expr"].as_str().expect("a query"))
        .collect();
    let labels: BTreeSet<&String> = served.values().flatten().collect();
    for (file, queries) in [
        ("grafana/runlineage.json", asked.join("\n")),
        ("prometheus/alerts.yaml", read("prometheus/alerts.yaml")),
        (
            "prometheus/alerts_test.yaml",
            read("prometheus/alerts_test.yaml"),
        ),
    ] {
        let asked = named_in(&queries);
        assert!(asked.len() > 6, "{file}: {asked:?}");
        for (metric, labels) in &asked {
            let known = served.get(metric);
            assert!(
                known.is_some(),
                "{file}: nothing serves {metric}: {served:?}"
            );
            let unknown: Vec<_> = labels.difference(known.expect("it is served")).collect();
            assert!(
                unknown.is_empty(),
                "{file}: {metric} has no label {unknown:?}"
            );
        }
        for label in grouped_by(&queries) {
            assert!(
                labels.contains(&label),
                "{file}: nothing has the label {label}"
            );
        }
    }
}
