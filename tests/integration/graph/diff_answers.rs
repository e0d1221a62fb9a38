//! A diff as plain values, from the library or from the naive evaluation, to compare and to exchange its sides.

use std::collections::BTreeSet;

use runlineage::Node;
use runlineage::graph::{Diff, Difference, Ending, Pair, State, Unknown};

/// A pair of runs by their ids, and all that a diff says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) runs: (String, String),
    pub(crate) depth: u32,
    pub(crate) key: Option<String>,
    pub(crate) state: State,
    pub(crate) unknown: Option<Unknown>,
    pub(crate) unknown_upstream: bool,
    pub(crate) own: BTreeSet<Own>,
    /// A key, the two references, and the runs of the next pair.
    pub(crate) followed: BTreeSet<(String, Sides, Sides)>,
    pub(crate) equal: BTreeSet<(String, String)>,
}

/// A text of the first run and one of the second.
pub(crate) type Sides = (String, String);

/// A difference of a pair's own: what it is, its name, and the values of both sides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Own {
    pub(crate) what: &'static str,
    pub(crate) name: String,
    pub(crate) a: Vec<String>,
    pub(crate) b: Vec<String>,
}

pub(crate) fn ending(ending: Ending) -> &'static str {
    match ending {
        Ending::OnlyA => "only in a",
        Ending::OnlyB => "only in b",
        Ending::Several => "several",
        Ending::NoProducer => "no producer",
        Ending::SeveralProducers => "several producers",
        Ending::SameProducer => "same producer",
        other => panic!("{other:?}"),
    }
}

fn own(difference: &Difference) -> Own {
    let one = |value: &Option<String>| value.iter().cloned().collect();
    let texts = |nodes: &[Node]| nodes.iter().map(Node::to_string).collect();
    let (what, name, a, b) = match difference {
        Difference::GitCommit(values) => ("commit", String::new(), one(&values.a), one(&values.b)),
        Difference::EntryPoint(values) => {
            ("entry point", String::new(), one(&values.a), one(&values.b))
        }
        Difference::Param(named) => {
            let values = &named.values;
            ("param", named.name.clone(), one(&values.a), one(&values.b))
        }
        Difference::Tag(named) => {
            let values = &named.values;
            ("tag", named.name.clone(), one(&values.a), one(&values.b))
        }
        Difference::Input(input) => {
            let name = input.key.to_string();
            (ending(input.ending), name, texts(&input.a), texts(&input.b))
        }
        other => panic!("{other:?}"),
    };
    Own { what, name, a, b }
}

/// The pairs of a diff, in its order.
pub(crate) fn answers(diff: &Diff) -> Vec<Answer> {
    let runs = |pair: &Pair| (pair.a.node.key().to_owned(), pair.b.node.key().to_owned());
    let answer = |pair: &Pair| {
        let own: Vec<Own> = pair.differences.iter().map(own).collect();
        let followed = pair.followed.iter().map(|followed| {
            let references = (followed.a.to_string(), followed.b.to_string());
            let next = runs(&diff.pairs[followed.pair]);
            (followed.key.to_string(), references, next)
        });
        let equal = pair.equal.iter();
        let answer = Answer {
            runs: runs(pair),
            depth: pair.depth,
            key: pair.key.as_ref().map(ToString::to_string),
            state: pair.state,
            unknown: pair.unknown,
            unknown_upstream: pair.unknown_upstream,
            own: own.iter().cloned().collect(),
            followed: followed.collect(),
            equal: equal
                .map(|equal| (equal.key.to_string(), equal.node.to_string()))
                .collect(),
        };
        assert_eq!(answer.own.len(), own.len(), "a difference stands twice");
        answer
    };
    diff.pairs.iter().map(answer).collect()
}

fn swapped<T>((a, b): (T, T)) -> (T, T) {
    (b, a)
}

impl Answer {
    pub(crate) fn mirrored(self) -> Self {
        let own = self.own.into_iter().map(|own| Own {
            what: match own.what {
                "only in a" => "only in b",
                "only in b" => "only in a",
                other => other,
            },
            name: own.name,
            a: own.b,
            b: own.a,
        });
        let followed = self.followed.into_iter();
        let followed =
            followed.map(|(key, references, next)| (key, swapped(references), swapped(next)));
        Self {
            runs: swapped(self.runs),
            own: own.collect(),
            followed: followed.collect(),
            ..self
        }
    }
}
