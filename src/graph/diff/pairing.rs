//! The walk: compares pairs of runs level by level, with a few queries for each level.

use std::collections::{BTreeSet, HashMap};

use super::inputs::{InputKey, ModelNames, inputs_of, logged_models, matched};
use super::producers::{RunIds, producers};
use super::states::{Compared, judged};
use super::texts;
use super::{
    DiffProgress, Difference, DifferentInput, Ending, Followed, Limits, Pair, State, Unknown,
};
use crate::codec::nest::Texts;
use crate::error::Result;
use crate::graph::arena::facts;
use crate::graph::{GraphNode, RunFacts};
use crate::mongo::neighbours::{LoggedModelsBy, Neighbours};
use crate::node::{Kind, Node};
use crate::run::Run;

/// Compares the pair of the starts and all pairs upstream of it.
pub(super) async fn pairs(
    neighbours: &Neighbours<'_>,
    starts: (String, String),
    limits: Limits,
    tell: &mut (dyn FnMut(DiffProgress) + Send),
) -> Result<Vec<Pair>> {
    let mut pairing = Pairing {
        neighbours,
        limits,
        pairs: Vec::new(),
        places: HashMap::new(),
        compared: 0,
    };
    let mut level = vec![pairing.start(starts)];
    let mut depth = 0;
    while !level.is_empty() {
        level = pairing.compare(&level, depth).await?;
        depth += 1;
        tell(DiffProgress {
            depth,
            pairs: pairing.pairs.len(),
        });
    }
    Ok(pairing.judged())
}

struct Pairing<'a> {
    neighbours: &'a Neighbours<'a>,
    limits: Limits,
    pairs: Vec<Pair>,
    /// The positions of the pairs, by the ids of their runs.
    places: HashMap<(String, String), usize>,
    /// How many pairs were or will be compared.
    compared: usize,
}

/// The runs of a level.
struct Level {
    runs: HashMap<String, ReadRun>,
    names: ModelNames,
}

/// A mirrored run.
struct ReadRun {
    whole: Run,
    facts: RunFacts,
    is_deleted: bool,
    texts: Texts,
    /// Whether MongoDB refused a part of the run.
    is_quarantined: bool,
}

/// Two references under one key, exactly one on each side.
struct Counterparts {
    /// The position of the pair that read them.
    pair: usize,
    key: InputKey,
    a: Node,
    b: Node,
}

impl Pairing<'_> {
    fn start(&mut self, runs: (String, String)) -> usize {
        // Not even a limit of 0 leaves out the question itself.
        self.limits.pairs = self.limits.pairs.max(1);
        self.meet(runs, 0, None)
    }

    /// Compares the pairs of a level, and returns the next level.
    async fn compare(&mut self, level: &[usize], depth: u32) -> Result<Vec<usize>> {
        let read = self.read(level).await?;
        let mut counterparts = Vec::new();
        for place in level {
            counterparts.extend(self.compare_pair(*place, &read)?);
        }
        let references = counterparts
            .iter()
            .flat_map(|found| [found.a.clone(), found.b.clone()]);
        let producers = producers(self.neighbours, &references.collect()).await?;
        let none = RunIds::new();
        let of = |node: &Node| producers.get(node).unwrap_or(&none);
        let mut next = Vec::new();
        for found in counterparts {
            match next_runs(of(&found.a), of(&found.b)) {
                Ok(runs) => next.push((found, runs)),
                Err(ending) => {
                    let different = DifferentInput {
                        key: found.key,
                        a: vec![found.a],
                        b: vec![found.b],
                        ending,
                    };
                    self.pairs[found.pair]
                        .differences
                        .push(Difference::Input(different));
                }
            }
        }
        for place in level {
            // The inputs follow the differences of other sorts, by key.
            self.pairs[*place]
                .differences
                .sort_by_cached_key(|difference| match difference {
                    Difference::Input(input) => Some(input.key.clone()),
                    _ => None,
                });
        }
        // In the same order when the two sides are exchanged, since a key has no identity.
        next.sort_by(|(one, _), (other, _)| (&one.key, one.pair).cmp(&(&other.key, other.pair)));
        Ok(self.follow(next, depth))
    }

    /// Reads the runs of a level, and the names of the logged models that they read.
    async fn read(&self, level: &[usize]) -> Result<Level> {
        let pairs = level.iter().map(|place| &self.pairs[*place]);
        let ids = pairs.flat_map(|pair| [&pair.a, &pair.b]);
        let ids: BTreeSet<String> = ids.map(|run| run.node.key().to_owned()).collect();
        let (stored, whole) = futures::try_join!(
            self.neighbours.runs(&ids, false),
            self.neighbours.whole_runs(&ids),
        )?;
        // While a run is being deleted or restored, it may be in both collections. The one in `runs` comes first and counts.
        let mut found: HashMap<String, Run> = HashMap::new();
        for run in whole {
            found.entry(run.id().to_owned()).or_insert(run);
        }
        let (mut runs, mut models) = (HashMap::new(), BTreeSet::new());
        let (there, deleted): (Vec<_>, Vec<_>) =
            stored.into_iter().partition(|run| !run.is_deleted);
        for stored in there.into_iter().chain(deleted) {
            if let Some(whole) = found.remove(stored.node.key()) {
                models.extend(logged_models(&whole)?);
                let read = ReadRun {
                    texts: Texts::of(&whole)?,
                    is_quarantined: whole.is_quarantined(),
                    facts: facts(stored.facts),
                    is_deleted: stored.is_deleted,
                    whole,
                };
                runs.insert(stored.node.key().to_owned(), read);
            }
        }
        let models = self.neighbours.logged_models(LoggedModelsBy::Id, &models);
        let models = models.await?.into_iter();
        let names = models.filter_map(|model| {
            let name = model.name.filter(|name| !name.is_empty())?;
            Some((model.id, name))
        });
        Ok(Level {
            runs,
            names: names.collect(),
        })
    }

    /// Compares the runs of a pair, and returns the inputs whose producers have to be compared.
    fn compare_pair(&mut self, place: usize, level: &Level) -> Result<Vec<Counterparts>> {
        let pair = &mut self.pairs[place];
        for run in [&mut pair.a, &mut pair.b] {
            let known = level.runs.get(run.node.key());
            run.is_known = known.is_some();
            run.is_deleted = known.is_some_and(|run| run.is_deleted);
            run.run = known.map(|run| run.facts.clone());
        }
        if pair.a.node == pair.b.node {
            return Ok(Vec::new());
        }
        let is_purged = |run: &GraphNode| run.run.as_ref().is_some_and(|facts| facts.is_purged);
        let runs = &level.runs;
        let known = (runs.get(pair.a.node.key())).zip(runs.get(pair.b.node.key()));
        let Some((a, b)) = known else {
            pair.unknown = Some(Unknown::Unmirrored);
            return Ok(Vec::new());
        };
        if is_purged(&pair.a) || is_purged(&pair.b) {
            pair.unknown = Some(Unknown::Purged);
            return Ok(Vec::new());
        }
        if a.is_quarantined || b.is_quarantined {
            pair.unknown = Some(Unknown::Quarantined);
            return Ok(Vec::new());
        }
        let inputs = |read: &ReadRun| inputs_of(&read.whole, &level.names);
        let matched = matched(&inputs(a)?, &inputs(b)?);
        pair.equal = matched.equal;
        pair.differences = texts::differences(&a.texts, &b.texts);
        let unmatched = matched.unmatched.into_iter().map(Difference::Input);
        pair.differences.extend(unmatched);
        let compared = matched.compared.into_iter();
        let counterparts = compared.map(|(key, a, b)| Counterparts {
            pair: place,
            key,
            a,
            b,
        });
        Ok(counterparts.collect())
    }

    /// Joins the inputs to the pairs of their producers, and returns the pairs that are still to be compared.
    fn follow(&mut self, next: Vec<(Counterparts, (String, String))>, depth: u32) -> Vec<usize> {
        let mut level = Vec::new();
        for (found, runs) in next {
            let known = self.places.get(&runs).copied();
            let pair = known.unwrap_or_else(|| {
                let place = self.meet(runs, depth + 1, Some(found.key.clone()));
                level.extend(self.pairs[place].unknown.is_none().then_some(place));
                place
            });
            self.pairs[found.pair].followed.push(Followed {
                key: found.key,
                a: found.a,
                b: found.b,
                pair,
            });
        }
        level
    }

    /// Adds a pair that was not met before. Beyond a limit, it stays unknown.
    fn meet(&mut self, runs: (String, String), depth: u32, key: Option<InputKey>) -> usize {
        let unknown = if depth > self.limits.depth {
            Some(Unknown::Depth)
        } else if self.compared >= self.limits.pairs {
            Some(Unknown::Pairs)
        } else {
            self.compared += 1;
            None
        };
        let place = self.pairs.len();
        self.pairs.push(Pair {
            depth,
            key,
            a: run_node(&runs.0, depth),
            b: run_node(&runs.1, depth),
            state: State::Unknown,
            unknown,
            unknown_upstream: false,
            differences: Vec::new(),
            followed: Vec::new(),
            equal: Vec::new(),
        });
        self.places.insert(runs, place);
        place
    }

    /// The pairs with their states.
    fn judged(mut self) -> Vec<Pair> {
        let compared = self.pairs.iter().map(|pair| Compared {
            has_differences: !pair.differences.is_empty(),
            is_unknown: pair.unknown.is_some(),
            upstream: pair.followed.iter().map(|followed| followed.pair).collect(),
        });
        let judged = judged(&compared.collect::<Vec<_>>());
        for (pair, judged) in self.pairs.iter_mut().zip(judged) {
            pair.state = judged.state;
            pair.unknown_upstream = judged.unknown_upstream;
        }
        self.pairs
    }
}

/// The runs of the next pair, or why there is none.
fn next_runs(a: &RunIds, b: &RunIds) -> Result<(String, String), Ending> {
    if a.len() > 1 || b.len() > 1 {
        return Err(Ending::SeveralProducers);
    }
    match a.first().zip(b.first()) {
        None => Err(Ending::NoProducer),
        // Its own upstream is equal, and so cannot explain the difference.
        Some((a, b)) if a == b => Err(Ending::SameProducer),
        Some((a, b)) => Ok((a.clone(), b.clone())),
    }
}

fn run_node(id: &str, depth: u32) -> GraphNode {
    GraphNode {
        node: Node::stored(Kind::RUN, id, None),
        depth,
        is_start: depth == 0,
        is_known: true,
        is_deleted: false,
        run: None,
        version: None,
        logged_model: None,
        hidden: None,
    }
}
