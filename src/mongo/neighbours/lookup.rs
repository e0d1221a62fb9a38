//! [`Lookup`]: a query for references, as filters on runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bson::{Bson, Document, doc};

use super::CHUNK;
use crate::hash::FastIndexMap;
use crate::mongo::indexes::INDEXES;
use crate::node::{Direction, Kind, Node};

/// Two queries share the references from twice this number on, so that MongoDB answers with two cores.
const SHARED: usize = 500;

/// The largest number of details of one key that are looked for one by one.
const FEW_DETAILS: usize = 10;

/// Details of references with the same key. `None` is a reference without a detail.
pub(crate) type Details = BTreeSet<Option<String>>;

/// A query for references of one kind on one side of runs.
#[derive(Debug, Clone)]
pub(crate) struct Lookup {
    pub(crate) direction: Direction,
    pub(crate) kind: Kind,
    /// The keys, each with its details.
    pub(crate) keys: FastIndexMap<Arc<str>, Sought>,
}

/// The details with which a lookup looks for a key.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sought {
    pub(crate) is_any: bool,
    /// The details that were named, even if any is looked for.
    pub(crate) named: Details,
}

impl Lookup {
    pub(crate) fn new(direction: Direction, kind: Kind) -> Self {
        Self {
            direction,
            kind,
            keys: FastIndexMap::default(),
        }
    }

    /// Adds the key with this detail and without one; without a detail, the key with any detail.
    pub(crate) fn add(&mut self, key: Arc<str>, detail: Option<&str>) {
        let sought = self.keys.entry(key).or_default();
        match detail {
            Some(detail) => sought.named.extend([Some(detail.to_owned()), None]),
            None => sought.is_any = true,
        }
    }

    /// The name of the index by the key.
    pub(super) fn index(&self) -> &'static str {
        let leading = self.kind.key_path(self.direction);
        let mut indexes = INDEXES.iter();
        let index = indexes.find(|index| index.leading_field() == leading && !index.is_by_time());
        index.map_or("", |index| index.name)
    }

    /// Whether the lookup finds this reference.
    pub(super) fn finds(&self, node: &Node) -> bool {
        let sought = self.keys.get(node.key());
        node.kind() == self.kind && sought.is_some_and(|sought| sought.contains(node.detail()))
    }

    /// The filter of the runs that have exactly this reference.
    pub(super) fn exact(direction: Direction, node: &Node) -> Document {
        let (kind, spec) = (node.kind(), node.kind().spec());
        let mut element = doc! { spec.key: node.key() };
        if let Some(detail) = spec.detail {
            // Null stands for a missing field, too.
            element.insert(detail.field, node.detail());
        }
        doc! { kind.path(direction): { "$elemMatch": element } }
    }

    /// The bounds of exactly this reference in the index by the key: the first one included, the second one not.
    pub(super) fn bounds(&self, node: &Node) -> (Document, Document) {
        let key = node.key();
        if self.kind.spec().detail.is_none() {
            let bound = |key: &str| self.index_key(key, Bson::Null);
            return (bound(key), bound(&after(key)));
        }
        let (min, max) = match node.detail() {
            Some(detail) => (detail.into(), after(detail).into()),
            // In the order of an index, not-a-number follows null.
            None => (Bson::Null, f64::NAN.into()),
        };
        (self.index_key(key, min), self.index_key(key, max))
    }

    /// A key of the index by the key and the detail.
    pub(super) fn index_key(&self, key: &str, detail: Bson) -> Document {
        let mut bound = doc! { self.kind.key_path(self.direction): key };
        if let Some(spec) = self.kind.spec().detail {
            let path = self.kind.path(self.direction);
            bound.insert(format!("{path}.{}", spec.field), detail);
        }
        bound
    }

    /// Whether to look for each detail of each key is cheaper than to list all that the keys have.
    pub(super) fn has_few_details(&self) -> bool {
        let is_few = |sought: &Sought| match sought.is_any {
            true => self.kind.spec().detail.is_none(),
            false => sought.named.len() <= FEW_DETAILS,
        };
        self.keys.values().all(is_few)
    }

    /// A lookup for each key.
    pub(super) fn by_key(&self) -> impl Iterator<Item = Self> {
        let keys = self.keys.iter();
        keys.map(|(key, sought)| self.of([(Arc::clone(key), sought.clone())]))
    }

    /// The lookups, each for one query, that find the same. Their keys are disjoint.
    pub(super) fn parts(&self) -> Vec<Self> {
        let size = |sought: &Sought| match sought.is_any {
            true => 1,
            false => sought.named.len(),
        };
        let half = self.keys.values().map(size).sum::<usize>().div_ceil(2);
        let most = match half < SHARED {
            true => CHUNK,
            false => half.min(CHUNK),
        };
        let (mut parts, mut room) = (Vec::new(), 0);
        for (key, sought) in &self.keys {
            if room == 0 {
                parts.push(self.of([]));
                room = most;
            }
            room = room.saturating_sub(size(sought));
            if let Some(part) = parts.last_mut() {
                part.keys.insert(Arc::clone(key), sought.clone());
            }
        }
        parts
    }

    /// The filter of the runs that have one of the references.
    pub(super) fn filter(&self) -> Document {
        let (kind, key) = (self.kind, self.kind.spec().key);
        let filter = |mut element: Document| match element.len() {
            1 => doc! { kind.key_path(self.direction): element.remove(key) },
            _ => doc! { kind.path(self.direction): { "$elemMatch": element } },
        };
        let mut filters: Vec<Document> = self.elements().into_iter().map(filter).collect();
        match filters.len() {
            1 => filters.swap_remove(0),
            _ => doc! { "$or": filters },
        }
    }

    /// What entries of the references match. MongoDB seeks each key with each detail of an element.
    fn elements(&self) -> Vec<Document> {
        let spec = self.kind.spec();
        let mut any = Vec::new();
        let mut by_details: BTreeMap<Details, Vec<Bson>> = BTreeMap::new();
        for (key, sought) in &self.keys {
            let keys = match sought.is_any {
                true => &mut any,
                false => by_details.entry(sought.named.clone()).or_default(),
            };
            keys.push(Bson::from(key.as_ref()));
        }
        let mut by_detail: BTreeMap<Details, Vec<Bson>> = BTreeMap::new();
        for (details, keys) in &by_details {
            for detail in details {
                let of_detail = by_detail.entry(Details::from([detail.clone()]));
                of_detail.or_default().extend_from_slice(keys);
            }
        }
        let groups = match by_detail.len() < by_details.len() {
            true => by_detail,
            false => by_details,
        };
        let any = (!any.is_empty()).then(|| doc! { spec.key: { "$in": any } });
        let groups = groups.into_iter().map(|(details, keys)| {
            let mut element = doc! { spec.key: { "$in": keys } };
            if let Some(detail) = spec.detail {
                let details: Vec<_> = details.into_iter().map(Bson::from).collect();
                element.insert(detail.field, doc! { "$in": details });
            }
            element
        });
        any.into_iter().chain(groups).collect()
    }

    fn of(&self, keys: impl IntoIterator<Item = (Arc<str>, Sought)>) -> Self {
        Self {
            keys: keys.into_iter().collect(),
            ..*self
        }
    }
}

impl Sought {
    fn contains(&self, detail: Option<&str>) -> bool {
        self.is_any || self.named.contains(&detail.map(str::to_owned))
    }
}

/// The next text in the order of an index.
pub(super) fn after(text: &str) -> String {
    format!("{text}\0")
}

#[cfg(test)]
mod tests {
    use bson::{Bson, doc};

    use super::Lookup;
    use crate::node::{Direction, Kind, Node};

    fn lookup(kind: Kind, wanted: &[(&str, Option<&str>)]) -> Lookup {
        let mut lookup = Lookup::new(Direction::Input, kind);
        for (key, detail) in wanted {
            lookup.add((*key).into(), *detail);
        }
        lookup
    }

    #[test]
    fn a_filter_names_no_version_with_a_model_that_is_not_wanted_with_it() {
        let element = |keys: &[&str], versions: Vec<Option<&str>>| {
            let element = doc! { "name": { "$in": keys }, "version": { "$in": versions } };
            doc! { "inputs.models": { "$elemMatch": element } }
        };
        let same = lookup(Kind::MODEL, &[("a", Some("1")), ("b", Some("1"))]);
        assert_eq!(same.filter(), element(&["a", "b"], vec![None, Some("1")]));
        let different = lookup(Kind::MODEL, &[("a", Some("1")), ("b", Some("2"))]);
        let expected = [("a", "1"), ("b", "2")];
        let expected = expected.map(|(key, version)| element(&[key], vec![None, Some(version)]));
        assert_eq!(different.filter(), doc! { "$or": expected.to_vec() });
        // Three models with sets of their own have only two versions.
        let versions = [("a", "1"), ("b", "2"), ("c", "1"), ("c", "2")];
        let few = versions.map(|(key, version)| (key, Some(version)));
        let mut few = lookup(Kind::MODEL, &few);
        for sought in few.keys.values_mut() {
            sought.named.remove(&None);
        }
        let expected = [(["a", "c"], "1"), (["c", "b"], "2")];
        let expected = expected.map(|(keys, version)| element(&keys, vec![Some(version)]));
        assert_eq!(few.filter(), doc! { "$or": expected.to_vec() });
    }

    #[test]
    fn a_model_with_any_version_is_found_by_its_name() {
        let any = lookup(
            Kind::MODEL,
            &[("a", Some("1")), ("a", None), ("a", Some("2"))],
        );
        let by_name = doc! { "inputs.models.name": { "$in": ["a"] } };
        assert_eq!(any.filter(), by_name);
        let both = lookup(Kind::MODEL, &[("a", None), ("b", Some("1"))]);
        assert_eq!(both.filter().get_array("$or").unwrap().len(), 2);
        let finds = |node: &str| both.finds(&node.parse().unwrap());
        assert!(finds("model:a:7") && finds("model:b:1") && !finds("model:b:2"));
    }

    #[test]
    fn the_bounds_of_a_reference_enclose_no_other_one() {
        let bounds = |node: &str| {
            let node: Node = node.parse().unwrap();
            Lookup::new(Direction::Input, node.kind()).bounds(&node)
        };
        let (name, version) = ("inputs.models.name", "inputs.models.version");
        let model = |bound: Bson| doc! { name: "m", version: bound };
        let of_version = (model("1".into()), model("1\0".into()));
        assert_eq!(bounds("model:m:1"), of_version);
        // `assert_eq` finds not-a-number unequal to itself.
        let (min, max) = bounds("model:m");
        assert_eq!(
            (min, max.get_f64(version).unwrap().is_nan()),
            (model(Bson::Null), true)
        );
        let id = "inputs.logged_models.id";
        let of_id = (doc! { id: "m-1" }, doc! { id: "m-1\0" });
        assert_eq!(bounds("logged-model:m-1"), of_id);
    }

    #[test]
    fn the_parts_of_a_large_lookup_have_each_key_once() {
        let keys: Vec<String> = (0..25_000).map(|n| format!("{n:05}")).collect();
        let wanted: Vec<_> = keys.iter().map(|key| (key.as_str(), None)).collect();
        let sizes = |count: usize| -> Vec<usize> {
            let parts = lookup(Kind::RUN, &wanted[..count]).parts();
            let found = parts.iter().flat_map(|part| part.keys.keys());
            assert!(found.map(|key| &**key).eq(keys[..count].iter()));
            parts.iter().map(|part| part.keys.len()).collect()
        };
        assert_eq!(sizes(25_000), [10_000, 10_000, 5_000]);
        assert_eq!(sizes(1_001), [501, 500]);
        assert_eq!(sizes(998), [998]);
    }
}
