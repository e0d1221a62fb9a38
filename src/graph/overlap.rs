//! Overlap of references: a folder overlaps with its files, and a model without a version with every version.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use crate::hash::FastMap;
use crate::node::{Kind, Node};

/// The renames of registered models.
#[derive(Debug, Default)]
pub(super) struct Renames {
    /// For each name, the other names of the same models.
    others: FastMap<String, BTreeSet<String>>,
}

/// References by kind and key, for looking up those that overlap with a given one.
#[derive(Debug)]
pub(super) struct References<T> {
    by_kind: FastMap<Kind, FastMap<Arc<str>, Details<T>>>,
}

/// The references of one key.
#[derive(Debug)]
struct Details<T> {
    /// The reference without a version or path.
    whole: Option<T>,
    by_detail: BTreeMap<Arc<str>, T>,
}

impl Renames {
    /// Builds the table from the names of each renamed model.
    pub(super) fn of(models: impl IntoIterator<Item = Vec<String>>) -> Self {
        let mut others: FastMap<String, BTreeSet<String>> = FastMap::default();
        for names in models {
            for name in &names {
                let same = names.iter().filter(|other| *other != name).cloned();
                others.entry(name.clone()).or_default().extend(same);
            }
        }
        Self { others }
    }

    /// The other names under which runs may have used the node's model.
    pub(super) fn of_node<'a>(&'a self, node: &Node) -> impl Iterator<Item = &'a str> + use<'a> {
        let others = (node.kind() == Kind::MODEL).then(|| self.others.get(node.key()));
        let others = others.flatten().into_iter().flatten();
        others.map(String::as_str)
    }
}

impl<T: Copy> References<T> {
    pub(super) fn new() -> Self {
        Self {
            by_kind: FastMap::default(),
        }
    }

    pub(super) fn insert(&mut self, node: &Node, value: T) {
        let by_key = self.by_kind.entry(node.kind()).or_default();
        let details = by_key.entry(node.shared_key()).or_insert_with(|| Details {
            whole: None,
            by_detail: BTreeMap::new(),
        });
        match node.shared_detail() {
            None => details.whole = Some(value),
            Some(detail) => drop(details.by_detail.insert(detail, value)),
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = T> {
        let keys = self.by_kind.values().flat_map(FastMap::values);
        keys.flat_map(Details::all)
    }

    pub(super) fn contains(&self, node: &Node) -> bool {
        let details = self.details(node.kind(), node.key());
        details.is_some_and(|details| details.get(node.detail()).is_some())
    }

    /// The references of this kind and key.
    pub(super) fn of_key(&self, kind: Kind, key: &str) -> impl Iterator<Item = T> {
        self.details(kind, key).into_iter().flat_map(Details::all)
    }

    /// The other references that overlap with this one, and whether the overlap is certain.
    pub(super) fn overlapping(&self, node: &Node, renames: &Renames) -> Vec<(T, bool)> {
        let mut found = Vec::new();
        if let Some(details) = self.details(node.kind(), node.key()) {
            match node.kind().spec().detail {
                Some(detail) if detail.is_path => details.paths(node.detail(), &mut found),
                Some(_) => details.versions(node.detail(), &mut found),
                // A kind without details has one reference for each key.
                None => {}
            }
        }
        for name in renames.of_node(node) {
            if let Some(details) = self.details(node.kind(), name) {
                let same = details.get(node.detail());
                found.extend(same.map(|same| (same, false)));
                details.versions(node.detail(), &mut found);
            }
        }
        found
    }

    fn details(&self, kind: Kind, key: &str) -> Option<&Details<T>> {
        self.by_kind.get(&kind)?.get(key)
    }
}

impl<T: Copy> Details<T> {
    fn all(&self) -> impl Iterator<Item = T> {
        self.whole
            .into_iter()
            .chain(self.by_detail.values().copied())
    }

    fn get(&self, detail: Option<&str>) -> Option<T> {
        match detail {
            None => self.whole,
            Some(detail) => self.by_detail.get(detail).copied(),
        }
    }

    /// A path contains the paths below it, segment by segment. A reference without a path contains every path of the run.
    fn paths(&self, path: Option<&str>, found: &mut Vec<(T, bool)>) {
        let Some(path) = path else {
            found.extend(self.by_detail.values().map(|value| (*value, true)));
            return;
        };
        found.extend(self.whole.map(|value| (value, true)));
        for (end, _) in path.match_indices('/') {
            let outer = self.by_detail.get(&path[..end]);
            found.extend(outer.map(|value| (*value, true)));
        }
        if self.by_detail.len() > usize::from(self.by_detail.contains_key(path)) {
            // `0` is the byte after `/`, so this range holds exactly the paths below.
            let (first, end) = (format!("{path}/"), format!("{path}0"));
            let inner = self.by_detail.range::<str, _>((
                Bound::Included(first.as_str()),
                Bound::Excluded(end.as_str()),
            ));
            found.extend(inner.map(|(_, value)| (*value, true)));
        }
    }

    /// A reference without a version may mean any version.
    fn versions(&self, version: Option<&str>, found: &mut Vec<(T, bool)>) {
        match version {
            Some(_) => found.extend(self.whole.map(|value| (value, false))),
            None => found.extend(self.by_detail.values().map(|value| (*value, false))),
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
    fn paths_overlap_if_one_contains_the_other_at_a_segment() {
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
    fn a_reference_without_a_version_or_digest_may_mean_any() {
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
    fn a_renamed_model_may_be_used_under_its_old_name() {
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
