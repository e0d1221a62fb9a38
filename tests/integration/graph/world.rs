//! What a mirror holds of lineage, as a list in memory and as stored documents.

use std::collections::BTreeMap;

use mongodb::Database;
use mongodb::bson::{Bson, DateTime, Document, doc};
use runlineage::{Direction, Kind, Node, Origin};

/// Runs, deleted ones too, and what the registry knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    pub(crate) runs: Vec<WorldRun>,
    pub(crate) versions: Vec<WorldVersion>,
    pub(crate) logged: Vec<WorldLogged>,
    /// The name of a model, and the names that it had before.
    pub(crate) renamed: Vec<(String, Vec<String>)>,
}

#[derive(Debug, Clone)]
pub(crate) struct WorldRun {
    pub(crate) id: String,
    pub(crate) status: &'static str,
    pub(crate) is_deleted: bool,
    /// Whether only its id is left, in `deleted_runs`.
    pub(crate) is_purged: bool,
    /// Hours at which it started and ended.
    pub(crate) start: i64,
    pub(crate) end: Option<i64>,
    pub(crate) parent: Option<String>,
    pub(crate) inputs: Vec<(Node, Origin)>,
    pub(crate) outputs: Vec<(Node, Origin)>,
    /// The contexts of datasets that it read.
    pub(crate) contexts: BTreeMap<Node, &'static str>,
    pub(crate) params: BTreeMap<&'static str, String>,
    /// Tags without dots.
    pub(crate) tags: BTreeMap<&'static str, String>,
    pub(crate) commit: Option<String>,
    pub(crate) entry_point: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct WorldVersion {
    pub(crate) node: Node,
    pub(crate) created: i64,
    pub(crate) run: Option<String>,
    pub(crate) logged_model: Option<String>,
    pub(crate) copied_from: Option<Node>,
    pub(crate) is_deleted: bool,
    pub(crate) alias: Option<&'static str>,
}

#[derive(Debug, Clone)]
pub(crate) struct WorldLogged {
    pub(crate) id: String,
    pub(crate) source_run: Option<String>,
    pub(crate) name: Option<String>,
}

pub(crate) fn hour(hour: i64) -> DateTime {
    DateTime::from_millis(1_700_000_000_000 + hour * 3_600_000)
}

impl WorldRun {
    pub(crate) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            status: "FINISHED",
            is_deleted: false,
            is_purged: false,
            start: 0,
            end: Some(1),
            parent: None,
            inputs: Vec::new(),
            outputs: Vec::new(),
            contexts: BTreeMap::new(),
            params: BTreeMap::new(),
            tags: BTreeMap::new(),
            commit: None,
            entry_point: None,
        }
    }

    pub(crate) fn reads(mut self, node: &str) -> Self {
        self.inputs.push((parsed(node), Origin::Tag));
        self
    }

    pub(crate) fn writes(mut self, node: &str) -> Self {
        self.outputs.push((parsed(node), Origin::Tag));
        self
    }

    pub(crate) fn reads_for(self, node: &str, context: &'static str) -> Self {
        let mut run = self.reads(node);
        run.contexts.insert(parsed(node), context);
        run
    }

    pub(crate) fn param(mut self, name: &'static str, value: &str) -> Self {
        self.params.insert(name, value.to_owned());
        self
    }

    pub(crate) fn tag(mut self, name: &'static str, value: &str) -> Self {
        self.tags.insert(name, value.to_owned());
        self
    }

    fn document(&self) -> Document {
        if self.is_purged {
            return doc! { "_id": &self.id, "mirror": { "ticket": 1_i64, "purged": true } };
        }
        let side = |direction: Direction, uses: &[(Node, Origin)]| {
            let mut arrays = doc! { "models": [], "runs": [] };
            for kind in Kind::of_direction(direction) {
                let spec = kind.spec();
                let entries: Vec<Bson> = uses
                    .iter()
                    .filter(|(node, _)| node.kind() == kind)
                    .map(|(node, origin)| {
                        let mut entry = doc! { spec.key: node.key() };
                        if let (Some(detail), Some(value)) = (spec.detail, node.detail()) {
                            entry.insert(detail.field, value);
                        }
                        if let Some(context) = self.contexts.get(node) {
                            entry.insert("context", *context);
                        }
                        entry.insert("from", origin.as_str());
                        entry.into()
                    })
                    .collect();
                if spec.is_mlopus || !entries.is_empty() {
                    arrays.insert(spec.field, entries);
                }
            }
            arrays
        };
        let mut run = doc! {
            "_id": &self.id,
            "name": format!("name of {}", self.id),
            "exp": { "id": "1", "name": "experiment" },
            "status": self.status,
            "start_time": hour(self.start),
            "user": "ana",
            "inputs": side(Direction::Input, &self.inputs),
            "outputs": side(Direction::Output, &self.outputs),
            "mirror": { "ticket": 1_i64, "changed_at": hour(0), "fingerprint": "-" },
        };
        if let Some(end) = self.end {
            run.insert("end_time", hour(end));
        }
        let document = |texts: &BTreeMap<&'static str, String>| -> Document {
            let texts = texts.iter();
            texts
                .map(|(name, text)| ((*name).to_owned(), text.into()))
                .collect()
        };
        let mut tags = document(&self.tags);
        let mut mlflow = doc! { "user": &self.id };
        if let Some(parent) = &self.parent {
            mlflow.insert("parentRunId", parent);
        }
        if let Some(commit) = &self.commit {
            mlflow.insert("source", doc! { "git": { "commit": commit } });
        }
        if let Some(entry_point) = &self.entry_point {
            mlflow.insert("project", doc! { "entryPoint": entry_point });
        }
        tags.insert("mlflow", mlflow);
        run.insert("params", document(&self.params));
        run.insert("tags", tags);
        run
    }
}

impl WorldVersion {
    pub(crate) fn new(node: &str) -> Self {
        Self {
            node: parsed(node),
            created: 0,
            run: None,
            logged_model: None,
            copied_from: None,
            is_deleted: false,
            alias: None,
        }
    }

    fn document(&self) -> Document {
        let (name, version) = (self.node.key(), self.node.detail().expect("a version"));
        let mut document = doc! {
            "_id": format!("{name}:{version}"),
            "name": name,
            "version": version,
            "created": hour(self.created),
            "mirror": { "ticket": 1_i64, "changed_at": hour(0), "fingerprint": "-" },
        };
        let original = self.copied_from.as_ref();
        let original =
            original.map(|node| format!("{}:{}", node.key(), node.detail().unwrap_or_default()));
        let texts = [
            ("run", self.run.clone()),
            ("logged_model", self.logged_model.clone()),
            ("copied_from", original),
        ];
        for (field, text) in texts {
            if let Some(text) = text {
                document.insert(field, text);
            }
        }
        if self.is_deleted {
            document.insert("deleted_at", hour(5));
        }
        document
    }
}

pub(crate) fn parsed(node: &str) -> Node {
    node.parse()
        .unwrap_or_else(|error| panic!("{node}: {error}"))
}

impl World {
    /// Stores it in place of what the database holds.
    pub(crate) async fn store(&self, database: &Database) {
        let (deleted, runs): (Vec<&WorldRun>, Vec<&WorldRun>) = self
            .runs
            .iter()
            .partition(|run| run.is_deleted || run.is_purged);
        let models: Vec<Document> = self.models();
        let logged = self.logged.iter().map(|model| {
            let mut document = doc! { "_id": &model.id, "exp": { "id": "1" }, "created": hour(0) };
            if let Some(run) = &model.source_run {
                document.insert("source_run", run);
            }
            if let Some(name) = &model.name {
                document.insert("name", name);
            }
            document
        });
        let all: [(&str, Vec<Document>); 5] = [
            ("runs", runs.iter().map(|run| run.document()).collect()),
            (
                "deleted_runs",
                deleted.iter().map(|run| run.document()).collect(),
            ),
            (
                "model_versions",
                self.versions.iter().map(WorldVersion::document).collect(),
            ),
            ("logged_models", logged.collect()),
            ("models", models),
        ];
        for (name, documents) in all {
            let collection = database.collection::<Document>(name);
            collection
                .delete_many(doc! {})
                .await
                .expect("they are removed");
            if !documents.is_empty() {
                let stored = collection.insert_many(documents).await;
                stored.expect("they are stored");
            }
        }
    }

    fn models(&self) -> Vec<Document> {
        let mut names: Vec<&str> = self
            .versions
            .iter()
            .map(|version| version.node.key())
            .collect();
        names.extend(self.renamed.iter().map(|(name, _)| name.as_str()));
        names.sort_unstable();
        names.dedup();
        let document = |name: &str| {
            let of_model = self
                .versions
                .iter()
                .filter(|version| version.node.key() == name);
            let aliases: Vec<Document> = of_model
                .filter_map(|version| {
                    Some(doc! { "alias": version.alias?, "version": version.node.detail()? })
                })
                .collect();
            let mut document = doc! { "_id": name, "created": hour(0), "aliases": aliases };
            if let Some((_, former)) = self.renamed.iter().find(|(renamed, _)| renamed == name) {
                document.insert("former_names", former);
            }
            document
        };
        names.into_iter().map(document).collect()
    }
}
