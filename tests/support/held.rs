//! A lab whose proxy delays pages of runs until the test releases them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::lab::{Lab, plain_runs};
use super::proxy::Answer;
use super::sql::NewRun;

pub(crate) fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(now.expect("the clock is past 1970").as_millis()).expect("it fits 64 bits")
}

pub(crate) async fn lab_with_runs(count: usize) -> (Lab, String, Vec<NewRun>) {
    let lab = Lab::new().await;
    let exp = lab.experiment("watched");
    let runs = plain_runs(&exp, count);
    lab.sql().insert(&runs);
    (lab, exp, runs)
}

/// The proxy delays every answer to `runs/search` until the second flag is set. The first one is set as soon as a request waits.
pub(crate) fn hold(lab: &Lab) -> (Arc<AtomicBool>, Arc<AtomicBool>) {
    let flags: [Arc<AtomicBool>; 2] = std::array::from_fn(|_| Arc::default());
    let (waits, go) = (flags[0].clone(), flags[1].clone());
    lab.proxy.on(move |request| {
        if request.call != "runs/search" {
            return Answer::Pass;
        }
        let (waits, go) = (waits.clone(), go.clone());
        Answer::After(Box::new(move || {
            waits.store(true, Ordering::SeqCst);
            while !go.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }))
    });
    let [waits, go] = flags;
    (waits, go)
}
