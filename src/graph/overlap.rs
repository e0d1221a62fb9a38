//! Which references have something in common: equal ones, a folder and what is in it, a model and each version of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::node::{Kind, Node};

/// Models that had other names before.
#[derive(Debug, Default)]
pub(super) struct Renames {
    /// Each name with the other names of its models.
    others: HashMap<String, BTreeSet<String>>,
}

/// References by kind and key, to look up those that overlap with one.
#[derive(Debug, Default)]
pub(super) struct References<T> {
    by_key: HashMap<(Kind, String), BTreeMap<Option<String>, T>>,
}

impl Renames {
    /// Takes the names of each renamed model.
    pub(super) fn of(models: impl IntoIterator<Item = Vec<String>>) -> Self {
        let mut others: HashMap<String, BTreeSet<String>> = HashMap::new();
        for names in models {
            for name in &names {
                let same = names.iter().filter(|other| *other != name).cloned();
                others.entry(name.clone()).or_default().extend(same);
            }
        }
        Self { others }
    }

    /// The other names under which the node's model may have been used.
    pub(super) fn of_node<'a>(&'a self, node: &Node) -> impl Iterator<Item = &'a str> + use<'a> {
        let others = (node.kind() == Kind::MODEL).then(|| self.others.get(node.key()));
        let others = others.flatten().into_iter().flatten();
        others.map(String::as_str)
    }
}

impl<T: Copy> References<T> {
    pub(super) fn new() -> Self {
        Self {
            by_key: HashMap::new(),
        }
    }

    pub(super) fn insert(&mut self, node: &Node, value: T) {
        let details = self.by_key.entry((node.kind(), node.key().to_owned()));
        let detail = node.detail().map(str::to_owned);
        details.or_default().insert(detail, value);
    }

    pub(super) fn all(&self) -> impl Iterator<Item = T> {
        self.by_key
            .values()
            .flat_map(|details| details.values().copied())
    }

    pub(super) fn contains(&self, node: &Node) -> bool {
        let details = self.by_key.get(&(node.kind(), node.key().to_owned()));
        details.is_some_and(|details| details.contains_key(&node.detail().map(str::to_owned)))
    }

    /// The references of this kind and key.
    pub(super) fn of_key(&self, kind: Kind, key: &str) -> impl Iterator<Item = T> {
        // The map owns its keys; a look-up is rare beside what is found.
        let details = self.by_key.get(&(kind, key.to_owned()));
        details
            .into_iter()
            .flat_map(|details| details.values().copied())
    }

    /// The references that overlap with this one but are not it, and whether that is certain; in the order of their texts.
    pub(super) fn overlapping(&self, node: &Node, renames: &Renames) -> Vec<(T, bool)> {
        let mut found = Vec::new();
        if let Some(details) = self.by_key.get(&(node.kind(), node.key().to_owned())) {
            match node.kind().spec().detail {
                Some(detail) if detail.is_path => paths(details, node.detail(), &mut found),
                Some(_) => versions(details, node.detail(), &mut found),
                // Without details, only the reference itself has the same key.
                None => {}
            }
        }
        for name in renames.of_node(node) {
            if let Some(details) = self.by_key.get(&(node.kind(), name.to_owned())) {
                let same = details.get(&node.detail().map(str::to_owned));
                found.extend(same.map(|same| (*same, false)));
                versions(details, node.detail(), &mut found);
            }
        }
        found
    }
}

/// One of two paths contains the other where it is a front part of it that ends at a segment. No path is the whole run.
fn paths<T: Copy>(
    details: &BTreeMap<Option<String>, T>,
    path: Option<&str>,
    found: &mut Vec<(T, bool)>,
) {
    let Some(path) = path else {
        let inner = details.iter().filter(|(inner, _)| inner.is_some());
        found.extend(inner.map(|(_, value)| (*value, true)));
        return;
    };
    let outer = path
        .match_indices('/')
        .map(|(end, _)| Some(path[..end].to_owned()));
    for outer in [None].into_iter().chain(outer) {
        found.extend(details.get(&outer).map(|value| (*value, true)));
    }
    // `0` comes right after `/`.
    let inner = details.range(Some(format!("{path}/"))..Some(format!("{path}0")));
    found.extend(inner.map(|(_, value)| (*value, true)));
}

/// No version may be each.
fn versions<T: Copy>(
    details: &BTreeMap<Option<String>, T>,
    version: Option<&str>,
    found: &mut Vec<(T, bool)>,
) {
    match version {
        Some(_) => found.extend(details.get(&None).map(|value| (*value, false))),
        None => {
            let known = details.iter().filter(|(version, _)| version.is_some());
            found.extend(known.map(|(_, value)| (*value, false)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{References, Renames};
    use crate::node::Node;

    fn overlapping(of: &str, among: &[&str], renames: &Renames) -> BTreeSet<(String, bool)> {
        let nodes: Vec<Node> = among.iter().map(|text| text.parse().unwrap()).collect();
        let mut references = References::new();
        for (index, node) in nodes.iter().enumerate() {
            references.insert(node, index);
        }
        let found = references.overlapping(&of.parse().unwrap(), renames);
        let distinct: BTreeSet<_> = found
            .iter()
            .map(|(index, is_certain)| (nodes[*index].to_string(), *is_certain))
            .collect();
        assert_eq!(distinct.len(), found.len(), "a reference came twice");
        distinct
    }

    #[track_caller]
    fn assert_overlaps(of: &str, among: &[&str], expected: &[(&str, bool)]) {
        let renames = Renames::of([vec!["old".to_owned(), "new".to_owned()]]);
        let expected: BTreeSet<_> = expected
            .iter()
            .map(|(node, is_certain)| ((*node).to_owned(), *is_certain))
            .collect();
        assert_eq!(overlapping(of, among, &renames), expected, "{of}");
    }

    #[test]
    fn paths_overlap_where_one_contains_the_other_at_a_segment() {
        let among = [
            "artifact:b",
            "artifact:b/a",
            "artifact:b/a/x",
            "artifact:b/a/x/y",
            "artifact:b/a-x",
            "artifact:b/a0",
            "artifact:b/ab",
            "artifact:c/a",
        ];
        assert_overlaps(
            "artifact:b/a",
            &among,
            &[
                ("artifact:b", true),
                ("artifact:b/a/x", true),
                ("artifact:b/a/x/y", true),
            ],
        );
        assert_overlaps(
            "artifact:b/a/x",
            &among,
            &[
                ("artifact:b", true),
                ("artifact:b/a", true),
                ("artifact:b/a/x/y", true),
            ],
        );
        let all: Vec<(&str, bool)> = among[1..7].iter().map(|node| (*node, true)).collect();
        assert_overlaps("artifact:b", &among, &all);
        assert_overlaps("artifact:d/a", &among, &[]);
    }

    #[test]
    fn no_version_may_be_each_and_no_digest_too() {
        let among = [
            "model:m",
            "model:m:1",
            "model:m:2",
            "model:n:1",
            "prompt:m:1",
        ];
        assert_overlaps("model:m:1", &among, &[("model:m", false)]);
        assert_overlaps(
            "model:m",
            &among,
            &[("model:m:1", false), ("model:m:2", false)],
        );
        let among = ["dataset:d", "dataset:d@1", "logged-model:m-1"];
        assert_overlaps("dataset:d@2", &among, &[("dataset:d", false)]);
        assert_overlaps("dataset:d", &among, &[("dataset:d@1", false)]);
        assert_overlaps("logged-model:m-1", &among, &[]);
    }

    #[test]
    fn a_renamed_model_may_be_the_one_of_its_old_name() {
        let among = ["model:old", "model:old:1", "model:old:2", "model:new:1"];
        assert_overlaps(
            "model:new:1",
            &among,
            &[("model:old:1", false), ("model:old", false)],
        );
        assert_overlaps(
            "model:old:1",
            &among,
            &[("model:old", false), ("model:new:1", false)],
        );
        assert_overlaps(
            "model:new",
            &among,
            &[
                ("model:old", false),
                ("model:old:1", false),
                ("model:old:2", false),
                ("model:new:1", false),
            ],
        );
    }
}
