//! The names in the mirror that are most like a name that the mirror does not have.

use std::collections::BTreeSet;
use std::mem::discriminant;
use std::time::Duration;

use futures::future::try_join_all;

use super::MongoRunStore;
use super::failure::failed;
use super::suggest::{Source, Suggestion, sources};
use crate::error::Result;
use crate::node::Kind;

/// How many names are compared from each index, for each beginning of the name.
const COMPARED: u32 = 200;

/// The edit distance is quadratic in the length, and a name this long is no typing error.
const MAX_LENGTH: usize = 200;

impl MongoRunStore {
    /// The names of the same sort that are most like this one, the nearest first: other spellings, and names that contain it or that
    /// it contains. For a run these are ids and names of runs. Upper and lower case count as equal. In a mirror of many names, only
    /// those with the same beginning and the first ones of the alphabet are compared.
    ///
    /// # Errors
    /// [`Error::Mongo`](crate::Error::Mongo) if MongoDB does not answer.
    pub async fn nearest(
        &self,
        unknown: &Suggestion,
        limit: usize,
        max_time: Option<Duration>,
    ) -> Result<Vec<Suggestion>> {
        let name = unknown.name();
        if name.chars().count() > MAX_LENGTH {
            return Ok(Vec::new());
        }
        let sources = sources();
        let sources = sources
            .iter()
            .filter(|source| is_of_sort(source, unknown))
            .flat_map(|source| {
                let beginnings = beginnings(name).into_iter();
                beginnings.map(move |beginning| (source, beginning))
            });
        let asked = sources.map(async |(source, beginning)| {
            source.sample(self, &beginning, COMPARED, max_time).await
        });
        let found = try_join_all(asked).await;
        let found = found.map_err(|error| failed("cannot look for names", error))?;
        let unique: BTreeSet<Suggestion> = found.into_iter().flatten().collect();
        let ranked = unique
            .into_iter()
            .filter_map(|suggestion| Some((distance(name, suggestion.name())?, suggestion)));
        let mut ranked: Vec<(usize, Suggestion)> = ranked.collect();
        ranked.sort_by_key(|(distance, _)| *distance);
        ranked.truncate(limit);
        let nearest = ranked.into_iter().map(|(_, suggestion)| suggestion);
        Ok(nearest.collect())
    }
}

/// Whether the names of this source are of the same sort as the unknown name.
fn is_of_sort(source: &Source, unknown: &Suggestion) -> bool {
    let Some(example) = source.suggestion("a".to_owned()) else {
        return false;
    };
    let kind_of = |suggestion: &Suggestion| match suggestion {
        // The key of an artifact is the id of its run.
        Suggestion::Node(node) if node.kind() == Kind::ARTIFACT => Some(Kind::RUN),
        Suggestion::Node(node) => Some(node.kind()),
        _ => None,
    };
    match (kind_of(unknown), &example) {
        (Some(kind), Suggestion::RunName(_)) => kind == Kind::RUN,
        (Some(kind), example) => kind_of(example) == Some(kind),
        (None, example) => discriminant(unknown) == discriminant(example),
    }
}

/// The beginnings under which names are looked for: half of the name, its first letter in both cases, and any.
fn beginnings(name: &str) -> BTreeSet<String> {
    let half = name.chars().count().div_ceil(2);
    let half: String = name.chars().take(half).collect();
    let first = name.chars().take(1);
    BTreeSet::from([
        half,
        first.clone().flat_map(char::to_lowercase).collect(),
        first.flat_map(char::to_uppercase).collect(),
        String::new(),
    ])
}

/// How much two names differ; `None` if by more than a typing error.
fn distance(name: &str, other: &str) -> Option<usize> {
    if other.chars().count() > MAX_LENGTH {
        return None;
    }
    let (name, other) = (name.to_lowercase(), other.to_lowercase());
    let distance = strsim::damerau_levenshtein(&name, &other);
    let bound = 1 + name.chars().count() / 4;
    let shorter = name.chars().count().min(other.chars().count());
    let is_part = shorter > 2 && (name.contains(&other) || other.contains(&name));
    match is_part {
        true => Some(distance.min(bound)),
        false => (distance <= bound).then_some(distance),
    }
}

#[cfg(test)]
mod tests {
    use super::{beginnings, distance};

    #[test]
    fn a_typing_error_and_a_part_are_near_and_another_name_is_not() {
        for (name, other, expected) in [
            ("churn", "churn", Some(0)),
            ("Churn", "churn", Some(0)),
            ("chrun", "churn", Some(1)),
            ("churm-model", "churn-model", Some(1)),
            ("churn", "churn-classifier", Some(2)),
            ("churn-classifier-v2", "churn", Some(5)),
            ("churn", "fraud", None),
            ("ab", "xyz-ab", None),
        ] {
            assert_eq!(distance(name, other), expected, "{name} {other}");
        }
        assert_eq!(distance("churn", &"churn ".repeat(100)), None);
    }

    #[test]
    fn names_are_looked_for_under_half_of_the_name_its_first_letter_and_everywhere() {
        let beginnings: Vec<String> = beginnings("Éclair").into_iter().collect();
        assert_eq!(beginnings, ["", "É", "Écl", "é"]);
    }
}
