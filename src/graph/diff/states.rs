//! The state of each pair, from the differences and the unknown pairs upstream of it.

use super::State;

/// A pair of runs, as far as its state depends on it.
#[derive(Debug, Clone, Default)]
pub(super) struct Compared {
    pub(super) has_differences: bool,
    pub(super) is_unknown: bool,
    /// The positions of the next pairs upstream.
    pub(super) upstream: Vec<usize>,
}

/// The result for a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) state: State,
    pub(super) unknown_upstream: bool,
}

/// What is known of a set of pairs.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    differs: bool,
    unknown: bool,
}

/// Judges all pairs.
///
/// Pairs on a common cycle are upstream of one another. Among themselves they count as equal upstream, so that a difference on a
/// cycle still has a first point.
pub(super) fn judged(pairs: &[Compared]) -> Vec<Judged> {
    let (cycle_of, count) = cycles(pairs);
    let mut own = vec![Found::default(); count];
    let mut above = vec![Found::default(); count];
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (pair, cycle) in cycle_of.iter().enumerate() {
        members[*cycle].push(pair);
        own[*cycle].differs |= pairs[pair].has_differences;
        own[*cycle].unknown |= pairs[pair].is_unknown;
    }
    // The cycles upstream come first.
    for cycle in 0..count {
        for pair in &members[cycle] {
            for next in &pairs[*pair].upstream {
                let next = cycle_of[*next];
                if next != cycle {
                    above[cycle].differs |= own[next].differs || above[next].differs;
                    above[cycle].unknown |= own[next].unknown || above[next].unknown;
                }
            }
        }
    }
    let judge = |(pair, cycle): (&Compared, &usize)| {
        let (own, above) = (own[*cycle], above[*cycle]);
        let state = match pair.has_differences {
            true if above.differs => State::Follows,
            true => State::First,
            false if own.differs || above.differs => State::Follows,
            false if own.unknown || above.unknown => State::Unknown,
            false => State::Equal,
        };
        Judged {
            state,
            unknown_upstream: above.unknown,
        }
    };
    pairs.iter().zip(&cycle_of).map(judge).collect()
}

/// Numbers the cycles, a pair outside of cycles being one by itself, so that all cycles upstream of a cycle have smaller
/// numbers. Returns the number of each pair's cycle, and how many there are. This is Kosaraju's algorithm.
fn cycles(pairs: &[Compared]) -> (Vec<usize>, usize) {
    let mut downstream: Vec<Vec<usize>> = vec![Vec::new(); pairs.len()];
    for (pair, compared) in pairs.iter().enumerate() {
        for next in &compared.upstream {
            downstream[*next].push(pair);
        }
    }
    let mut order = Vec::with_capacity(pairs.len());
    let mut seen = vec![false; pairs.len()];
    for pair in 0..pairs.len() {
        finish(pair, &downstream, &mut seen, &mut |done| order.push(done));
    }
    let upstream: Vec<Vec<usize>> = pairs.iter().map(|pair| pair.upstream.clone()).collect();
    let mut cycle_of = vec![0; pairs.len()];
    let mut count = 0;
    seen.fill(false);
    for pair in order.into_iter().rev() {
        if !seen[pair] {
            finish(pair, &upstream, &mut seen, &mut |done| {
                cycle_of[done] = count
            });
            count += 1;
        }
    }
    (cycle_of, count)
}

/// Visits all that follows from this pair and was not seen, and tells each after all that follows from it.
fn finish(from: usize, next: &[Vec<usize>], seen: &mut [bool], tell: &mut impl FnMut(usize)) {
    if std::mem::replace(&mut seen[from], true) {
        return;
    }
    let mut open = vec![(from, 0)];
    while let Some((pair, tried)) = open.last_mut() {
        let pair = *pair;
        let Some(other) = next[pair].get(*tried) else {
            tell(pair);
            open.pop();
            continue;
        };
        *tried += 1;
        if !std::mem::replace(&mut seen[*other], true) {
            open.push((*other, 0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Compared, judged};
    use crate::graph::diff::State::{self, Equal, First, Follows, Unknown};

    /// Pairs by a letter each: `d` differs, `u` is unknown, `.` is neither.
    fn pairs(kinds: &str, edges: &[(usize, usize)]) -> Vec<Compared> {
        let of = |(place, kind)| Compared {
            has_differences: kind == 'd',
            is_unknown: kind == 'u',
            upstream: edges
                .iter()
                .filter(|(from, _)| *from == place)
                .map(|(_, to)| *to)
                .collect(),
        };
        kinds.chars().enumerate().map(of).collect()
    }

    fn states(kinds: &str, edges: &[(usize, usize)]) -> Vec<State> {
        let judged = judged(&pairs(kinds, edges));
        judged.into_iter().map(|judged| judged.state).collect()
    }

    #[test]
    fn the_difference_furthest_upstream_is_first_and_all_below_follows() {
        let chain = [(0, 1), (1, 2), (2, 3)];
        assert_eq!(states("....", &chain), [Equal; 4]);
        assert_eq!(states(".d..", &chain), [Follows, First, Equal, Equal]);
        assert_eq!(states("d.d.", &chain), [Follows, Follows, First, Equal]);
        let diamond = [(0, 1), (0, 2), (1, 3), (2, 3)];
        assert_eq!(states(".dd.", &diamond), [Follows, First, First, Equal]);
        assert_eq!(states("dd.d", &diamond), [Follows, Follows, Follows, First]);
    }

    #[test]
    fn unknown_is_never_equal_and_never_hides_a_difference() {
        let chain = [(0, 1), (1, 2)];
        assert_eq!(states("..u", &chain), [Unknown; 3]);
        assert_eq!(states(".du", &chain), [Follows, First, Unknown]);
        let upstream: Vec<bool> = judged(&pairs(".du", &chain))
            .iter()
            .map(|judged| judged.unknown_upstream)
            .collect();
        assert_eq!(upstream, [true, true, false]);
        let fork = [(0, 1), (0, 2)];
        assert_eq!(states(".du", &fork), [Follows, First, Unknown]);
    }

    #[test]
    fn pairs_on_a_cycle_count_as_equal_upstream_of_each_other() {
        let circle = [(0, 1), (1, 2), (2, 0)];
        assert_eq!(states("...", &circle), [Equal; 3]);
        assert_eq!(states(".d.", &circle), [Follows, First, Follows]);
        assert_eq!(states("dd.", &circle), [First, First, Follows]);
        assert_eq!(states("..u", &circle), [Unknown; 3]);
        let itself = [(0, 0), (0, 1)];
        assert_eq!(states("d.", &itself), [First, Equal]);
        assert_eq!(states("dd", &itself), [Follows, First]);
        // A cycle, and a difference upstream of it.
        let lasso = [(0, 1), (1, 0), (1, 2)];
        assert_eq!(states("d.d", &lasso), [Follows, Follows, First]);
    }

    #[test]
    fn a_long_chain_needs_no_deep_stack() {
        let mut chain: Vec<Compared> = (1..=100_000)
            .map(|next| Compared {
                upstream: vec![next],
                ..Compared::default()
            })
            .collect();
        chain.push(Compared {
            has_differences: true,
            ..Compared::default()
        });
        let judged = judged(&chain);
        assert_eq!(judged[0].state, Follows);
        assert_eq!(judged[100_000].state, First);
    }
}
