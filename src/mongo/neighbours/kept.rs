//! [`KeptCounts`]: counts of many runs, kept for a while.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Details, Extent, Lookup, Sought, Tally};
use crate::hash::{FastMap, FastSet};
use crate::node::{Direction, Kind, Node};

/// Counts above this number of runs are kept.
const LARGE: u64 = 20;

/// The largest number of references whose counts are kept.
const MOST: usize = 100_000;

/// Counts of many runs, kept for a while. Otherwise, a server would count the readers of a popular model for each graph anew.
#[derive(Debug)]
pub(crate) struct KeptCounts {
    time: Duration,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    kept: FastMap<Place, Kept>,
    /// The room that `kept` takes.
    references: usize,
}

/// A reference on one side of runs; for a kind that is kept by key, all references with the key.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Place {
    direction: Direction,
    kind: Kind,
    key: Arc<str>,
    detail: Option<String>,
}

/// The counts of one place.
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

    /// The kept counts that go as far as these, and a lookup for the rest. If no run had a reference, a graph that shows it counts anew;
    /// one of a kind that is kept by key only if it is a start of the graph.
    pub(super) fn split(&self, lookup: &Lookup, extent: Extent<'_>) -> (Vec<Tally>, Lookup) {
        let mut found = Vec::new();
        let mut rest = Lookup::new(lookup.direction, lookup.kind);
        let counts = self.lock();
        let mut is_kept = |key: &Arc<str>, detail: &Option<String>| {
            let place = Place::of(lookup, key, detail.as_deref());
            let kept = counts.kept.get(&place);
            let kept = kept.filter(|kept| kept.serves(self.time, extent.most));
            let kept = kept.filter(|kept| match is_by_key(lookup.kind) {
                true => {
                    let mut starts = extent.starts_of(lookup.kind, key);
                    starts.all(|start| kept.tallies.iter().any(|tally| tally.node == *start))
                }
                false => {
                    let node = Node::stored(lookup.kind, key, detail.as_deref());
                    !kept.tallies.is_empty() || !extent.shown.contains(&node)
                }
            });
            found.extend(kept.into_iter().flat_map(|kept| kept.tallies.clone()));
            kept.is_some()
        };
        for (key, sought) in &lookup.keys {
            let missing = match sought.is_any {
                // All details of a key are more than those that are kept.
                true => (!is_by_key(lookup.kind) || !is_kept(key, &None)).then(|| sought.clone()),
                false => {
                    let missing = sought.named.iter().filter(|detail| !is_kept(key, detail));
                    let named: Details = missing.cloned().collect();
                    (!named.is_empty()).then(|| Sought {
                        named,
                        ..Sought::default()
                    })
                }
            };
            if let Some(missing) = missing {
                rest.keys.insert(Arc::clone(key), missing);
            }
        }
        (found, rest)
    }

    /// Keeps those of these counts that are large. With them, it keeps which other references with the same keys no run has, as long as
    /// the graph does not show them.
    pub(super) fn keep(&self, lookup: &Lookup, extent: Extent<'_>, counted: &[Tally]) {
        let mut groups: FastMap<Place, Vec<Tally>> = FastMap::default();
        for tally in counted {
            let place = Place::of(lookup, &tally.node.shared_key(), tally.node.detail());
            groups.entry(place).or_default().push(tally.clone());
        }
        let is_large = |tallies: &[Tally]| runs(tallies) > LARGE && tallies.len() < MOST;
        let large = groups.iter().filter(|(_, tallies)| is_large(tallies));
        let large: FastSet<Arc<str>> = large.map(|(place, _)| Arc::clone(&place.key)).collect();
        let named = lookup.keys.iter().filter(|(_, sought)| !sought.is_any);
        for (key, sought) in named.filter(|(key, _)| large.contains(*key)) {
            for detail in &sought.named {
                let node = Node::stored(lookup.kind, key, detail.as_deref());
                if !extent.shown.contains(&node) {
                    let place = Place::of(lookup, key, detail.as_deref());
                    groups.entry(place).or_default();
                }
            }
        }
        for (place, tallies) in groups {
            if tallies.is_empty() || is_large(&tallies) {
                self.lock().keep(place, extent.most, tallies);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn keep(&mut self, place: Place, most: u64, tallies: Vec<Tally>) {
        if self.references + size(&tallies) > MOST {
            *self = Self::default();
        }
        self.references += size(&tallies);
        let kept = Kept {
            counted_at: Instant::now(),
            most,
            tallies,
        };
        if let Some(replaced) = self.kept.insert(place, kept) {
            self.references -= size(&replaced.tallies);
        }
    }
}

impl Place {
    fn of(lookup: &Lookup, key: &Arc<str>, detail: Option<&str>) -> Self {
        let detail = detail.filter(|_| !is_by_key(lookup.kind));
        Self {
            direction: lookup.direction,
            kind: lookup.kind,
            key: Arc::clone(key),
            detail: detail.map(str::to_owned),
        }
    }
}

impl Kept {
    /// Whether the count is no older than this time, and goes up to this number of runs.
    fn serves(&self, time: Duration, most: u64) -> bool {
        self.counted_at.elapsed() < time && (runs(&self.tallies) <= self.most || most <= self.most)
    }
}

fn runs(tallies: &[Tally]) -> u64 {
    tallies.iter().map(|tally| tally.runs).sum()
}

/// The room that these counts take. A reference that no run has takes as much as one that a run has.
fn size(tallies: &[Tally]) -> usize {
    tallies.len().max(1)
}

/// Whether the counts of all references with one key are kept together.
fn is_by_key(kind: Kind) -> bool {
    kind.has_paths() || kind.spec().detail.is_none()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::{KeptCounts, MOST};
    use crate::mongo::neighbours::{Details, Extent, Lookup, Tally};
    use crate::node::{Direction, Kind, Node};

    const HOUR: Duration = Duration::from_secs(3600);

    fn lookup(kind: Kind, keys: &[&str], details: Option<&[&str]>) -> Lookup {
        let mut lookup = Lookup::new(Direction::Input, kind);
        for key in keys {
            match details {
                Some(details) => {
                    for detail in details {
                        lookup.add((*key).into(), Some(detail));
                    }
                }
                None => lookup.add((*key).into(), None),
            }
        }
        lookup
    }

    fn up_to(most: u64) -> Extent<'static> {
        static NONE: BTreeSet<Node> = BTreeSet::new();
        let (shown, starts) = (&NONE, &NONE);
        Extent {
            most,
            shown,
            starts,
        }
    }

    fn keep(counts: &KeptCounts, most: u64, counted: &[(&str, u64)]) {
        let tallies = counted.iter().map(|(node, runs)| Tally {
            node: node.parse().unwrap(),
            runs: *runs,
            is_own: false,
        });
        let tallies: Vec<_> = tallies.collect();
        counts.keep(
            &lookup(tallies[0].node.kind(), &[], None),
            up_to(most),
            &tallies,
        );
    }

    /// The kept counts, and the keys and details of what is left to count.
    fn split(counts: &KeptCounts, lookup: &Lookup, most: u64) -> (Vec<(String, u64)>, Vec<String>) {
        let (found, rest) = counts.split(lookup, up_to(most));
        let found = found.into_iter();
        let mut found: Vec<_> = found
            .map(|tally| (tally.node.to_string(), tally.runs))
            .collect();
        found.sort();
        let rest = rest.keys.iter().map(|(key, sought)| {
            let details = sought.named.iter();
            let details = details.map(|detail| detail.as_deref().unwrap_or("-"));
            [&**key]
                .into_iter()
                .chain(details)
                .collect::<Vec<_>>()
                .join(" ")
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
                ("model:other", 5_000),
                ("model:other:1", 9),
            ],
        );
        let wanted = lookup(Kind::MODEL, &["base", "other"], Some(&["1", "2"]));
        let (found, rest) = split(&counts, &wanted, 10_000);
        let large = ["model:base:1", "model:other"].map(|node| (node.to_owned(), 5_000));
        assert_eq!(found, large);
        // The references of `base` without a version are counted, too.
        assert_eq!(rest, ["base - 2", "other 1 2"]);
        // All versions of a model are more than those that are kept.
        let any = lookup(Kind::MODEL, &["base"], None);
        assert_eq!(split(&counts, &any, 10_000).1, ["base"]);
        let written = Lookup {
            direction: Direction::Output,
            ..wanted
        };
        assert!(split(&counts, &written, 10_000).0.is_empty());
    }

    #[test]
    fn a_reference_that_no_run_has_is_kept_if_its_model_is_popular_and_it_is_not_shown() {
        let counts = KeptCounts::new(HOUR);
        let wanted = lookup(Kind::MODEL, &["base", "rare"], Some(&["1", "2", "3"]));
        let counted = [
            ("model:base:1", 500),
            ("model:base:2", 1),
            ("model:rare:1", 1),
        ];
        let counted = counted.map(|(node, runs)| Tally {
            node: node.parse().unwrap(),
            runs,
            is_own: false,
        });
        let shown = |nodes: &[&str]| -> BTreeSet<Node> {
            nodes.iter().map(|node| node.parse().unwrap()).collect()
        };
        let (shown, all) = (
            shown(&["model:base:3"]),
            shown(&["model:base", "model:base:1", "model:base:2", "model:base:3"]),
        );
        let showing = |shown| Extent {
            shown,
            ..up_to(10_000)
        };
        counts.keep(&wanted, showing(&shown), &counted);
        let rest = |extent| {
            let (found, rest) = counts.split(&wanted, extent);
            let found: Vec<_> = found.iter().map(|tally| tally.node.to_string()).collect();
            assert_eq!(found, ["model:base:1"]);
            rest.keys["base"].named.clone()
        };
        let details = |details: &[Option<&str>]| -> Details {
            let details = details.iter();
            details.map(|detail| detail.map(str::to_owned)).collect()
        };
        // Of a small count, one run may be all that was looked for.
        assert_eq!(rest(showing(&shown)), details(&[Some("2"), Some("3")]));
        let missing = details(&[None, Some("2"), Some("3")]);
        assert_eq!(rest(showing(&all)), missing);
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
        assert_eq!(rest, ["b"]);
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
            counts.keep(
                &lookup(Kind::ARTIFACT, &[], None),
                up_to(u64::MAX),
                &tallies,
            );
        };
        let is_kept = |run: &str| {
            !counts
                .split(&lookup(Kind::ARTIFACT, &[run], None), up_to(1))
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
