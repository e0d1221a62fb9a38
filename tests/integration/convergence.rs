//! After a full pass without concurrent edits, the mirror equals MLflow, whatever was edited before and during earlier passes.

use std::time::Duration;

use serde_json::json;

use crate::support::lab::{Lab, plain_runs, run_id};
use crate::support::rest;
use crate::support::scale::scaled;
use crate::support::sql::{NewRun, Sql};

const ROUNDS: usize = 5;
const EXPERIMENTS: usize = 8;

/// Edits MLflow at random.
struct Editor {
    uri: String,
    prefix: String,
    sql: Sql,
    rng: fastrand::Rng,
    exps: Vec<(String, bool)>,
    /// The run, the index of its experiment.
    runs: Vec<(String, usize)>,
    renames: usize,
}

impl Editor {
    /// Makes one sequence of edits, mostly of one run.
    fn edit(&mut self) {
        if self.rng.u8(..50) == 0 {
            return self.edit_experiment();
        }
        let (id, exp) = self.runs[self.rng.usize(..self.runs.len())].clone();
        for _ in 0..self.rng.usize(1..6) {
            let key = format!("k{}", self.rng.u8(..4));
            match self.rng.u8(..10) {
                0..3 => {
                    let value =
                        ["1.10", "\"x\"", "it''s", "{\"a\": 1}", "plain"][self.rng.usize(..5)];
                    let value = format!("{value}{}", ["", "\n"][self.rng.usize(..2)]);
                    self.sql.set_tag(&id, &key, &value);
                }
                3 => drop(self.sql.remove_tag(&id, &key)),
                4 => {
                    let version = self.rng.u8(..20);
                    self.sql
                        .set_tag(&id, "lineage.outputs.models.m", &format!("[\"{version}\"]"));
                }
                5 => {
                    let status = ["FINISHED", "FAILED", "KILLED"][self.rng.usize(..3)];
                    let end = self.rng.i64(1_700_000_000_000..1_800_000_000_000);
                    self.sql.add(
                        "UPDATE runs SET status = ?, end_time = ? WHERE run_uuid = ?",
                        json!([status, end, id]),
                    );
                }
                6 => drop(self.sql.add(
                    "UPDATE runs SET status = 'RUNNING' WHERE run_uuid = ?",
                    json!([id]),
                )),
                7 => drop(self.sql.set_stage(&id, "deleted")),
                // Runs of a deleted experiment are deleted with it.
                8 if !self.exps[exp].1 => drop(self.sql.set_stage(&id, "active")),
                _ => self.create(),
            }
        }
        self.sql.write();
    }

    fn create(&mut self) {
        let exp = self.rng.usize(..self.exps.len());
        let (exp_id, deleted) = self.exps[exp].clone();
        if deleted {
            return;
        }
        // By a clock that is right, a day ahead, or far wrong.
        let at =
            [1_700_000_000_000, 1_700_086_400_000, 0, -1][self.rng.usize(..4)] + self.rng.i64(..3);
        let mut run = NewRun::new(run_id(), &exp_id, at);
        run.status = "RUNNING";
        self.runs.push((run.id.clone(), exp));
        self.sql.insert(&[run]);
    }

    fn edit_experiment(&mut self) {
        let exp = self.rng.usize(..self.exps.len());
        let (id, deleted) = self.exps[exp].clone();
        let id = json!({ "experiment_id": id });
        if deleted {
            rest::post(&self.uri, "experiments/restore", &id);
            self.exps[exp].1 = false;
        } else if self.rng.bool() {
            rest::post(&self.uri, "experiments/delete", &id);
            self.exps[exp].1 = true;
        } else {
            self.renames += 1;
            let name = format!("{} renamed {}", self.prefix, self.renames);
            rest::post(
                &self.uri,
                "experiments/update",
                &json!({ "experiment_id": id["experiment_id"], "new_name": name }),
            );
        }
    }
}

#[tokio::test]
async fn after_a_quiet_full_pass_the_mirror_equals_mlflow() {
    let (runs_at_start, sequences_a_round) = (scaled(1_000, 10_000), scaled(40, 200));
    let lab = Lab::new().await;
    let mut sql = lab.sql();
    let mut known = Vec::new();
    let exps: Vec<_> = (0..EXPERIMENTS)
        .map(|exp| (lab.experiment(&format!("exp {exp}")), false))
        .collect();
    for (index, (exp, _)) in exps.iter().enumerate() {
        let runs = plain_runs(exp, runs_at_start / EXPERIMENTS);
        known.extend(runs.iter().map(|run| (run.id.clone(), index)));
        sql.insert(&runs);
    }
    let seed = std::env::var("RUNLINEAGE_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let mut editor = Editor {
        uri: lab.server.uri(),
        prefix: lab.name("exp"),
        sql,
        rng: fastrand::Rng::with_seed(seed.unwrap_or(1)),
        exps,
        runs: known,
        renames: 0,
    };
    let sync = lab.sync().page_size(500);
    Lab::complete(sync.run(|_| {}).await);
    for round in 0..ROUNDS {
        // Half of the sequences run during syncs, the other half between them.
        let editing = std::thread::spawn(move || {
            for _ in 0..sequences_a_round / 2 {
                editor.edit();
            }
            editor
        });
        let mut passes = 0;
        while !editing.is_finished() || passes == 0 {
            let report = sync
                .run(|_| {})
                .await
                .expect("MLflow and MongoDB are there");
            assert_eq!(
                report.seen,
                report.written + report.unchanged + report.quarantined,
                "{report:?}"
            );
            passes += 1;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        editor = editing.join().expect("the editor does not panic");
        for _ in 0..sequences_a_round / 2 {
            editor.edit();
        }
        let report = Lab::complete(sync.run(|_| {}).await);
        assert_eq!(
            lab.differences().await,
            Vec::<String>::new(),
            "round {round}"
        );
        assert_eq!(
            report.seen,
            lab.mirrored().await.len() as u64,
            "round {round}"
        );
        let verified = sync.verify(|_| {}).await.expect("it compares");
        assert_eq!(
            (verified.seen, verified.differences),
            (report.seen, vec![]),
            "round {round}"
        );
        let again = Lab::complete(sync.run(|_| {}).await);
        assert_eq!(
            (again.written, again.deleted),
            (0, 0),
            "round {round}: nothing had changed"
        );
    }
    assert!(lab.truth().runs.len() > runs_at_start);
}
