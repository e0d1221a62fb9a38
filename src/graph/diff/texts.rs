//! The differences of two runs in their code, params and tags.

use std::collections::{BTreeMap, BTreeSet};

use super::{Difference, NamedValues, Values};
use crate::codec::nest::{Texts, is_mlflow};
use crate::codec::tags::is_lineage;
use crate::graph::provenance::Code;

/// The differences in code, params and tags, in this order, and by name.
pub(super) fn differences(a: &Texts, b: &Texts) -> Vec<Difference> {
    let mut differences = Vec::new();
    let (code_a, code_b) = (Code::of(a), Code::of(b));
    let commit = Values::differing(code_a.git_commit, code_b.git_commit);
    differences.extend(commit.map(Difference::GitCommit));
    let entry = Values::differing(code_a.entry_point, code_b.entry_point);
    differences.extend(entry.map(Difference::EntryPoint));
    let params = named(&a.params, &b.params, |_| true);
    differences.extend(params.into_iter().map(Difference::Param));
    // Lineage tags hold the inputs, which are compared by their keys, and the outputs, which differ between any two runs.
    let is_compared = |tag: &str| !is_mlflow(tag) && !is_lineage(tag);
    let tags = named(&a.tags, &b.tags, is_compared);
    differences.extend(tags.into_iter().map(Difference::Tag));
    differences
}

fn named(
    a: &BTreeMap<String, String>,
    b: &BTreeMap<String, String>,
    is_compared: impl Fn(&str) -> bool,
) -> Vec<NamedValues> {
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let names = names.into_iter().filter(|name| is_compared(name));
    let differing = names.filter_map(|name| {
        let values = Values::differing(a.get(name).cloned(), b.get(name).cloned())?;
        let name = name.clone();
        Some(NamedValues { name, values })
    });
    differing.collect()
}

impl Values {
    fn differing(a: Option<String>, b: Option<String>) -> Option<Self> {
        (a != b).then_some(Self { a, b })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::differences;
    use crate::codec::nest::Texts;
    use crate::graph::diff::Difference;

    fn map(texts: &[(&str, &str)]) -> BTreeMap<String, String> {
        let texts = texts.iter();
        texts
            .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
            .collect()
    }

    fn lines(a: &Texts, b: &Texts) -> Vec<String> {
        let line = |difference| {
            let (what, name, values) = match difference {
                Difference::GitCommit(values) => ("commit", String::new(), values),
                Difference::EntryPoint(values) => ("entry", String::new(), values),
                Difference::Param(named) => ("param", named.name, named.values),
                Difference::Tag(named) => ("tag", named.name, named.values),
                Difference::Input(_) => unreachable!(),
            };
            let side = |side: Option<String>| side.unwrap_or_else(|| "-".into());
            format!("{what} {name} {} {}", side(values.a), side(values.b))
        };
        differences(a, b).into_iter().map(line).collect()
    }

    #[test]
    fn code_params_and_tags_are_compared_and_not_what_mlflow_or_lineage_keep_in_tags() {
        let a = Texts {
            params: map(&[("rate", "0.1"), ("same", "1"), ("only", "x")]),
            tags: map(&[
                ("mlflow.source.git.commit", "c1"),
                ("mlflow.project.entryPoint", "main"),
                ("mlflow.user", "ana"),
                ("lineage.outputs.models.m", "[\"1\"]"),
                ("lineage_overflow.00", "[]"),
                ("lineages", "1"),
                ("mlflowish", "1"),
                ("team", "a"),
            ]),
        };
        let b = Texts {
            params: map(&[("rate", "0.10"), ("same", "1")]),
            tags: map(&[
                ("mlflow.source.git.commit", "c2"),
                ("mlflow.user", "ben"),
                ("lineage.outputs.models.m", "[\"2\"]"),
                ("lineages", "2"),
                ("team", "b"),
            ]),
        };
        let expected = [
            "commit  c1 c2",
            "entry  main -",
            "param only x -",
            "param rate 0.1 0.10",
            "tag lineages 1 2",
            "tag mlflowish 1 -",
            "tag team a b",
        ];
        assert_eq!(lines(&a, &b), expected);
        assert_eq!(lines(&a, &a), Vec::<String>::new());
        assert_eq!(lines(&b, &a).len(), expected.len());
    }
}
