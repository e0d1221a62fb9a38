//! Generates runs like those of a large team, identical on every machine.

use mongodb::bson::raw::RawDocumentBuf;
use mongodb::bson::{DateTime, Document, doc};

/// How many runs read the model that the benchmark reads in full.
pub(crate) const READERS: u64 = 2_000;
pub(crate) const READ_MODEL: &str = "bench-two-thousand";
/// The model that three of five runs read.
pub(crate) const BASE_MODEL: &str = "base";
/// The model that one of five runs reads in the first tenth of the time.
pub(crate) const RETIRED_MODEL: &str = "retired";
/// A user who left after the first tenth of the time.
pub(crate) const FORMER_USER: &str = "user-3";
/// A new dataset is written after this many runs. The first three quarters of them read it.
const DATASET_RUNS: u64 = 4_000;

/// The generator SplitMix64: small, with evenly distributed numbers.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number that is often small and seldom large, as the popularity of models is.
    fn skewed(&mut self, bound: u64) -> u64 {
        ((bound as f64).powf(self.unit()) as u64 - 1).min(bound - 1)
    }
}

/// MLflow's ids are 32 hexadecimal digits, in no order.
pub(crate) fn id(n: u64) -> String {
    let mut random = Random(n);
    format!("{:016x}{:016x}", random.next(), random.next())
}

/// The run that wrote the n-th dataset.
pub(crate) fn dataset(n: u64) -> String {
    id(n * DATASET_RUNS)
}

/// When the n-th run started. Runs come in clusters: 200 within an hour, then a pause.
pub(crate) fn start_of(n: u64) -> DateTime {
    let cluster = 1_700_000_000_000 + (n / 200) as i64 * 7_200_000;
    DateTime::from_millis(cluster + (n % 200) as i64 * 18_000)
}

/// The n-th of `count` runs, by start time. It reads models and artifacts of the thousand runs before it.
pub(crate) fn run(n: u64, count: u64) -> RawDocumentBuf {
    let random = &mut Random(n ^ 0x5eed);
    let exp = n / 2_000 * 4 + random.below(4);
    let start = start_of(n).timestamp_millis();
    let recent = |random: &mut Random| id(n.saturating_sub(1 + random.below(1_000)));
    let mut read: Vec<Document> = (0..random.below(4))
        .map(|_| {
            let path = format!("data/part-{:03}.parquet", random.below(300));
            doc! { "id": recent(random), "path": path, "from": "tag" }
        })
        .collect();
    if random.below(10) == 0 {
        read.push(doc! { "id": recent(random), "from": "tag" });
    }
    if n % DATASET_RUNS < DATASET_RUNS / 4 * 3 {
        let made = dataset(n / DATASET_RUNS);
        read.push(doc! { "id": made, "path": "data/train.parquet", "from": "tag" });
    }
    let model = |random: &mut Random| {
        let model = random.skewed(5_000);
        let version = 1 + random.skewed(40);
        doc! { "name": format!("model-{model}"), "version": version.to_string(), "from": "tag" }
    };
    let mut models: Vec<Document> = (0..random.below(3)).map(|_| model(random)).collect();
    if n.is_multiple_of((count / READERS).max(1)) {
        models.push(doc! { "name": READ_MODEL, "version": "7", "from": "tag" });
    }
    if n % 5 < 3 {
        models.push(doc! { "name": BASE_MODEL, "version": "1", "from": "tag" });
    }
    let tenth = n * 10 / count;
    if n % 5 == 3 && tenth == 0 {
        models.push(doc! { "name": RETIRED_MODEL, "version": "1", "from": "tag" });
    }
    // Sixty users at any time. In each tenth of the time, six of them leave and six new ones come.
    let user = format!("user-{}", tenth * 6 + n % 60);
    let wrote: Vec<Document> = (0..random.below(4))
        .map(|k| doc! { "id": id(n), "path": format!("plots/{k}.png"), "from": "tag" })
        .collect();
    let made: Vec<Document> = match random.below(4) {
        0 => vec![model(random)],
        _ => vec![],
    };
    // MLflow's own records: a dataset with a new digest now and then, a logged model in two of five runs, evaluations of the
    // logged models of recent runs, and a prompt in one of ten runs.
    let mut inputs = doc! { "models": models, "runs": read };
    if random.below(2) == 0 {
        let used = doc! { "name": format!("clicks-{}", random.skewed(500)), "digest": format!("{:08x}", n / DATASET_RUNS), "context": "training", "source_type": "local", "from": "inputs" };
        inputs.insert("datasets", vec![used]);
    }
    if random.below(10) == 0 {
        let evaluated = format!("m-{}", recent(random));
        inputs.insert(
            "logged_models",
            vec![doc! { "id": evaluated, "from": "metrics" }],
        );
    }
    if random.below(10) == 0 {
        let prompt = doc! { "name": format!("prompt-{}", random.skewed(200)), "version": (1 + random.skewed(20)).to_string(), "from": "tag" };
        inputs.insert("prompts", vec![prompt]);
    }
    let mut outputs = doc! { "models": made, "runs": wrote };
    if random.below(5) < 2 {
        let logged = doc! { "id": format!("m-{}", id(n)), "step": 0_i64, "from": "outputs" };
        outputs.insert("logged_models", vec![logged]);
    }
    let status = [
        "FINISHED", "FINISHED", "FINISHED", "FINISHED", "FAILED", "KILLED", "FINISHED", "FINISHED",
    ][random.below(8) as usize];
    let mut tags = doc! { "mlflow": { "user": &user, "source": { "name": "train.py", "type": "LOCAL" }, "runName": format!("train-{n}") } };
    if random.below(5) == 0
        && let Ok(mlflow) = tags.get_document_mut("mlflow")
    {
        mlflow.insert("parentRunId", recent(random));
    }
    for k in 0..6 {
        tags.insert(format!("tag{k}"), format!("value-{}", random.below(50)));
    }
    let mut params = Document::new();
    for k in 0..10 {
        params.insert(format!("param{k}"), random.below(1_000) as f64 / 1_000.0);
    }
    params.insert(
        "optimizer",
        ["adam", "sgd", "lamb"][random.below(3) as usize],
    );
    let metrics: Document = (0..10)
        .map(|k| (format!("metric{k}"), random.unit().into()))
        .collect();
    let document = doc! {
        "_id": id(n),
        "name": format!("train-{n}"),
        "exp": { "id": exp.to_string(), "name": format!("experiment-{exp}") },
        "status": status,
        "start_time": DateTime::from_millis(start),
        "end_time": DateTime::from_millis(start + 600_000),
        "repo": format!("s3://bucket/{exp}/{}/artifacts", id(n)),
        "user": user,
        "inputs": inputs,
        "outputs": outputs,
        "tags": tags,
        "params": params,
        "metrics": metrics,
        "mirror": { "ticket": 1_i64, "changed_at": DateTime::from_millis(start), "fingerprint": format!("{}{}", id(n), id(n + 1)) },
    };
    RawDocumentBuf::try_from(&document).unwrap_or_default()
}
