//! [`KeptCounts`]: counts of many runs, kept for a while.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::tally::FEW;
use super::{Lookup, Tally};
use crate::hash::{FastIndexSet, FastMap};
use crate::node::{Direction, Kind, Node};

/// The largest number of references whose counts are kept.
const MOST: usize = 100_000;

type Place = (Direction, Kind, Arc<str>);

/// Counts of many runs, kept for a while. Otherwise, a server would count the readers of a popular model for each graph anew.
#[derive(Debug)]
pub(crate) struct KeptCounts {
    time: Duration,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    of_key: FastMap<Place, Vec<Kept>>,
    /// The number of references in `of_key`.
    references: usize,
}

/// The counts of one reference; for a kind that is kept by key, of all references with the key.
#[derive(Debug)]
struct Kept {
    counted_at: Instant,
    /// The count stopped above this number of runs.
    most: u64,
    tallies: Vec<Tally>,
}

impl KeptCounts {
    /// Keeps counts for this time.
    pub(crate) fn new(time: Duration) -> Self {
        Self {
            time,
            counts: Mutex::default(),
        }
    }

    /// The kept counts that go up to this number of runs, and lookups for the rest.
    pub(super) fn split(
        &self,
        lookup: &Lookup,
        most: u64,
        is_wanted: &dyn Fn(&Node) -> bool,
    ) -> (Vec<Tally>, Vec<Lookup>) {
        let mut found = Vec::new();
        let mut narrowed: BTreeMap<Option<BTreeSet<String>>, FastIndexSet<Arc<str>>> =
            BTreeMap::new();
        let mut unknown = FastIndexSet::default();
        let counts = self.lock();
        for key in &lookup.keys {
            let kept = counts.of_key.get(&place(lookup, key)).into_iter().flatten();
            let mut kept = kept.filter(|kept| kept.serves(self.time, most)).peekable();
            if kept.peek().is_none() {
                unknown.insert(Arc::clone(key));
                continue;
            }
            let mut details = lookup.details_of(key, is_wanted);
            for tallies in kept.map(|kept| &kept.tallies) {
                let detail = tallies.first().and_then(|tally| tally.node.detail());
                let wanted = details.as_mut().zip(detail);
                let is_found = wanted.is_some_and(|(details, detail)| details.remove(detail));
                if is_found || is_by_key(lookup.kind) {
                    found.extend_from_slice(tallies);
                }
            }
            if !is_by_key(lookup.kind) {
                narrowed.entry(details).or_default().insert(Arc::clone(key));
            }
        }
        let rest = narrowed
            .into_iter()
            .chain([(lookup.details.clone(), unknown)]);
        let rest = rest.filter(|(_, keys)| !keys.is_empty());
        let rest = rest.map(|(details, keys)| Lookup {
            keys,
            details,
            ..*lookup
        });
        (found, rest.collect())
    }

    /// Keeps those of these counts that are large. They stopped above this number of runs.
    pub(super) fn keep_large(&self, lookup: &Lookup, most: u64, counted: &[Tally]) {
        let mut groups: HashMap<(Arc<str>, Option<&str>), Vec<Tally>> = HashMap::new();
        for tally in counted {
            let detail = tally.node.detail().filter(|_| !is_by_key(lookup.kind));
            let group = groups.entry((tally.node.shared_key(), detail)).or_default();
            group.push(tally.clone());
        }
        for ((key, detail), tallies) in groups {
            let runs: u64 = tallies.iter().map(|tally| tally.runs).sum();
            if runs > FEW as u64 && tallies.len() < MOST {
                self.lock().keep(place(lookup, &key), detail, most, tallies);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn keep(&mut self, place: Place, detail: Option<&str>, most: u64, tallies: Vec<Tally>) {
        if self.references + tallies.len() > MOST {
            *self = Self::default();
        }
        let of_key = self.of_key.entry(place).or_default();
        let is_replaced = |kept: &Kept| {
            let first = kept.tallies.first();
            detail.is_none() || first.and_then(|tally| tally.node.detail()) == detail
        };
        for replaced in of_key.extract_if(.., |kept| is_replaced(kept)) {
            self.references -= replaced.tallies.len();
        }
        self.references += tallies.len();
        of_key.push(Kept {
            counted_at: Instant::now(),
            most,
            tallies,
        });
    }
}

impl Kept {
    /// Whether the count is no older than this time, and goes up to this number of runs.
    fn serves(&self, time: Duration, most: u64) -> bool {
        let runs: u64 = self.tallies.iter().map(|tally| tally.runs).sum();
        self.counted_at.elapsed() < time && (runs <= self.most || most <= self.most)
    }
}

fn place(lookup: &Lookup, key: &Arc<str>) -> Place {
    (lookup.direction, lookup.kind, Arc::clone(key))
}

/// Whether the counts of all references with one key are kept together.
fn is_by_key(kind: Kind) -> bool {
    kind.has_paths() || kind.spec().detail.is_none()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{KeptCounts, MOST};
    use crate::mongo::neighbours::{Lookup, Tally};
    use crate::node::{Direction, Kind, Node};

    const HOUR: Duration = Duration::from_secs(3600);

    fn lookup(kind: Kind, keys: &[&str], details: Option<&[&str]>) -> Lookup {
        Lookup {
            direction: Direction::Input,
            kind,
            keys: keys.iter().map(|key| (*key).into()).collect(),
            details: details.map(|details| details.iter().map(|text| (*text).to_owned()).collect()),
        }
    }

    fn keep(counts: &KeptCounts, most: u64, counted: &[(&str, u64)]) {
        let tallies = counted.iter().map(|(node, runs)| Tally {
            node: node.parse().unwrap(),
            runs: *runs,
            is_own: false,
        });
        let tallies: Vec<_> = tallies.collect();
        counts.keep_large(&lookup(tallies[0].node.kind(), &[], None), most, &tallies);
    }

    /// The kept counts, and the keys and details of what is left to count.
    fn split(counts: &KeptCounts, lookup: &Lookup, most: u64) -> (Vec<(String, u64)>, Vec<String>) {
        let (found, rest) = counts.split(lookup, most, &|_| true);
        let found = found.into_iter();
        let mut found: Vec<_> = found
            .map(|tally| (tally.node.to_string(), tally.runs))
            .collect();
        found.sort();
        let rest = rest.into_iter().map(|lookup| {
            let details = lookup
                .details
                .map(|details| details.into_iter().collect::<Vec<_>>());
            format!(
                "{:?} {:?}",
                lookup.keys.iter().collect::<Vec<_>>(),
                details.unwrap_or_default()
            )
        });
        (found, rest.collect())
    }

    #[test]
    fn a_large_count_is_kept_and_the_rest_is_left_to_count() {
        let counts = KeptCounts::new(HOUR);
        keep(
            &counts,
            10_000,
            &[
                ("model:base:1", 5_000),
                ("model:base:2", 3),
                ("model:other:1", 9),
            ],
        );
        let wanted = lookup(Kind::MODEL, &["base", "other"], Some(&["1", "2"]));
        let (found, rest) = split(&counts, &wanted, 10_000);
        assert_eq!(found, [("model:base:1".to_owned(), 5_000)]);
        // The references of the model without a version are counted, too.
        assert_eq!(rest, [r#"["base"] ["2"]"#, r#"["other"] ["1", "2"]"#]);
        // All versions of a model are more than those that are kept.
        let any = lookup(Kind::MODEL, &["base"], None);
        assert_eq!(split(&counts, &any, 10_000).1, [r#"["base"] []"#]);
        let (_, written) = counts.split(
            &Lookup {
                direction: Direction::Output,
                ..wanted
            },
            10_000,
            &|_| true,
        );
        assert_eq!(written.len(), 1);
    }

    #[test]
    fn the_paths_of_a_run_are_kept_together() {
        let counts = KeptCounts::new(HOUR);
        let run = "a".repeat(32);
        let paths = ["x", "y"].map(|path| format!("artifact:{run}/{path}"));
        keep(&counts, u64::MAX, &[(&paths[0], 600), (&paths[1], 600)]);
        let (found, rest) = split(
            &counts,
            &lookup(Kind::ARTIFACT, &[&run, "b"], None),
            u64::MAX,
        );
        assert_eq!(found, paths.map(|path| (path, 600)));
        assert_eq!(rest, [r#"["b"] []"#]);
    }

    #[test]
    fn a_count_is_kept_for_its_time() {
        let counts = KeptCounts::new(Duration::ZERO);
        keep(&counts, 10_000, &[("model:base:1", 5_000)]);
        let (found, rest) = split(
            &counts,
            &lookup(Kind::MODEL, &["base"], Some(&["1"])),
            10_000,
        );
        assert_eq!((found.len(), rest.len()), (0, 1));
    }

    #[test]
    fn a_count_that_stopped_serves_no_larger_limit_and_is_replaced() {
        let counts = KeptCounts::new(HOUR);
        let wanted = lookup(Kind::MODEL, &["base", "exact"], Some(&["1"]));
        let runs = |most| {
            split(&counts, &wanted, most)
                .0
                .into_iter()
                .map(|(_, runs)| runs)
                .collect::<Vec<_>>()
        };
        keep(
            &counts,
            2_000,
            &[("model:base:1", 2_001), ("model:exact:1", 2_000)],
        );
        assert_eq!(runs(2_000), [2_001, 2_000]);
        assert_eq!(runs(3_000), [2_000]);
        keep(&counts, 3_000, &[("model:base:1", 3_001)]);
        assert_eq!(runs(3_000), [3_001, 2_000]);
    }

    #[test]
    fn the_number_of_references_is_bounded() {
        let counts = KeptCounts::new(HOUR);
        let many = |run: &str, count: usize| {
            let node = |n| Node::stored(Kind::ARTIFACT, run, Some(&format!("{n}")));
            let tallies = (0..count).map(|n| Tally {
                node: node(n),
                runs: 1,
                is_own: false,
            });
            let tallies: Vec<_> = tallies.collect();
            counts.keep_large(&lookup(Kind::ARTIFACT, &[], None), u64::MAX, &tallies);
        };
        let is_kept = |run: &str| {
            !counts
                .split(&lookup(Kind::ARTIFACT, &[run], None), 1, &|_| true)
                .0
                .is_empty()
        };
        many("a", MOST / 2);
        many("a", MOST / 2);
        many("b", MOST / 2);
        assert!(is_kept("a") && is_kept("b"));
        many("c", MOST / 2);
        assert!(is_kept("c") && !is_kept("a"));
        many("d", MOST + 1);
        assert!(is_kept("c") && !is_kept("d"));
    }
}
