//! The memory of a sync: large pages are held one at a time.

use std::process::Stdio;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use serde_json::json;

use crate::support::lab::{Lab, plain_runs};
use crate::support::program::runlineage;
use crate::support::proxy::Answer;

const PAGE: usize = 60 << 20;

#[tokio::test]
async fn concurrent_scans_hold_one_large_page_at_a_time() {
    let lab = Lab::new().await;
    let mut sql = lab.sql();
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        sql.insert(&plain_runs(&lab.experiment(name), 3));
    }
    // All pages arrive at the same moment.
    let together = Arc::new(Barrier::new(8));
    lab.proxy.on(move |request| {
        if request.call != "runs/search" {
            return Answer::Pass;
        }
        let together = together.clone();
        Answer::Change(Box::new(move |mut page| {
            together.wait();
            let dataset = json!({ "name": "clicks", "profile": "x".repeat(PAGE) });
            page["runs"][0]["inputs"] = json!({ "dataset_inputs": [{ "dataset": dataset }] });
            page
        }))
    });
    let mut sync = runlineage(["sync", "--source", "lab", "--concurrency", "8"]);
    sync.args(["--tracking-uri", &lab.proxy.uri()])
        .args(["--mongodb-uri", &lab.test.uri])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut process = sync.spawn().expect("the program starts");
    let status = format!("/proc/{}/status", process.id());
    let mut peak = 0;
    let ended = loop {
        if let Some(ended) = process.try_wait().expect("the process can be waited for") {
            break ended;
        }
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok());
        peak = peak.max(kib.unwrap_or_default() << 10);
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert!(ended.success());
    assert_eq!(lab.mirrored().await.len(), 24);
    assert!(peak > PAGE, "nothing was measured");
    assert!(peak < (64 << 20) + PAGE, "{} MiB", peak >> 20);
}
