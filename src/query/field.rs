//! [`Field`]: a field of a run as people name it, in MLflow's words or in those of the stored document.

use std::fmt;
use std::str::FromStr;

use bson::{Bson, Document, doc};

use super::attribute::{Attribute, Clock};
use super::check::FIELD_ROOTS;
use super::data_key::Root;
use crate::codec::nest::can_nest;
use crate::error::{Error, Result};
use crate::run::field;

/// A field of a run, by its name in MLflow (`run_id`, `` metrics.`val loss` ``) or in the stored document (`exp.name`, `inputs.models.name`).
///
/// ```
/// use runlineage::query::Field;
///
/// assert_eq!("run_id".parse::<Field>()?.path(), "_id");
/// assert_eq!("metrics.`val loss`".parse::<Field>()?.path(), "metrics.val loss");
/// assert!("statsu".parse::<Field>().unwrap_err().to_string().contains("did you mean `status`?"));
/// # Ok::<(), runlineage::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field(Place);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    Stored(String),
    Data(Root, String),
}

impl Field {
    /// Where the stored document has it, as MongoDB writes paths. A tag, param or metric may stand in `mirror.unnested` instead.
    #[must_use]
    pub fn path(&self) -> String {
        match &self.0 {
            Place::Stored(path) => path.clone(),
            Place::Data(root, key) => format!("{}.{key}", root.name()),
        }
    }

    /// The fields of the stored document that hold it, whole, with MLflow's exact text of it; for a projection.
    #[must_use]
    pub fn stored_in(&self) -> Vec<String> {
        match &self.0 {
            Place::Stored(path) => vec![path.clone()],
            Place::Data(root, key) => {
                let name = root.name();
                let apart = [field::TEXT, field::UNNESTED]
                    .map(|list| format!("{}.{list}.{name}", field::MIRROR));
                let tree = can_nest(key).then(|| self.path());
                tree.into_iter().chain(apart).collect()
            }
        }
    }

    /// `tags`, `params` or `metrics`, and the key there; `None` for other fields.
    #[must_use]
    pub fn data(&self) -> Option<(&'static str, &str)> {
        match &self.0 {
            Place::Stored(_) => None,
            Place::Data(root, key) => Some((root.name(), key)),
        }
    }
}

impl Field {
    /// The expression of an aggregation for its own value, which stands apart where longer keys are nested below it.
    pub(crate) fn value_expression(&self) -> Bson {
        let path = self.path();
        match &self.0 {
            Place::Stored(_) => format!("${path}").into(),
            Place::Data(root, key) => {
                let apart = entry_of(field::UNNESTED, *root, key);
                if can_nest(key) {
                    doc! { "$ifNull": [apart, format!("${path}")] }.into()
                } else {
                    apart.into()
                }
            }
        }
    }

    /// The expression for MLflow's exact text, where the value does not give it back.
    pub(crate) fn text_expression(&self) -> Option<Document> {
        match &self.0 {
            Place::Stored(_) => None,
            Place::Data(root, key) => Some(entry_of(field::TEXT, *root, key)),
        }
    }
}

/// The expression for the value of a key in a list of the mirror.
fn entry_of(list: &str, root: Root, key: &str) -> Document {
    let list = format!("${}.{list}.{}", field::MIRROR, root.name());
    let of_key = doc! { "$filter": {
        "input": { "$ifNull": [list, []] },
        "cond": { "$eq": ["$$this.key", { "$literal": key }] },
    } };
    doc! { "$let": { "vars": { "entry": { "$first": of_key } }, "in": "$$entry.value" } }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path())
    }
}

impl FromStr for Field {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refused = |reason: String| Error::invalid_argument("field", reason);
        let text = text.trim();
        let name = ["attributes.", "attribute.", "attr.", "run."]
            .iter()
            .find_map(|prefix| text.strip_prefix(prefix))
            .unwrap_or(text);
        // `exp` alone is the experiment as it is stored, with id and name.
        if name != field::EXP {
            if let Some(attribute) = Attribute::of_word(name) {
                return Ok(Self(Place::Stored(attribute.path().to_owned())));
            }
            if let Some(clock) = Clock::of_word(name) {
                return Ok(Self(Place::Stored(clock.path().to_owned())));
            }
        }
        if name == "artifact_uri" {
            return Ok(Self(Place::Stored(field::REPO.to_owned())));
        }
        let (root, key) = name.split_once('.').unwrap_or((name, ""));
        if let Some(root) = Root::of_word(root).filter(|_| !key.is_empty()) {
            let key = unquoted(key)
                .ok_or_else(|| refused(format!("the quote in {text:?} is not closed")))?;
            return Ok(Self(Place::Data(root, key)));
        }
        let is_name = |part: &str| !part.is_empty() && !part.starts_with('$');
        if !FIELD_ROOTS.contains(&root) {
            return Err(refused(unknown(text, name)));
        }
        if !name.split('.').all(is_name) || name.contains('\0') {
            return Err(refused(format!(
                "{text:?} is no field; write one such as start_time, metrics.auc or inputs.models.name"
            )));
        }
        Ok(Self(Place::Stored(name.to_owned())))
    }
}

/// A key as it stands, or without its quotes, of which one within is doubled.
fn unquoted(key: &str) -> Option<String> {
    let Some(quote) = key.chars().next().filter(|c| matches!(c, '`' | '"')) else {
        return Some(key.to_owned());
    };
    let inner = key.strip_prefix(quote)?.strip_suffix(quote)?;
    let doubled = [quote, quote].iter().collect::<String>();
    (!inner.replace(&doubled, "").contains(quote))
        .then(|| inner.replace(&doubled, &quote.to_string()))
}

/// That there is no such field, and the one that may have been meant.
fn unknown(text: &str, name: &str) -> String {
    let shown: String = text.chars().take(60).collect();
    let known = known_names();
    match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("a run has no field `{shown}`; did you mean `{near}`?"),
        None => format!(
            "a run has no field `{shown}`; it has {}, and those of MLflow such as run_id",
            known.join(", ")
        ),
    }
}

fn known_names() -> Vec<String> {
    let roots =
        [Root::Tags, Root::Params, Root::Metrics].map(|root| format!("{}.KEY", root.name()));
    let own = Attribute::words().chain([
        field::START_TIME,
        field::END_TIME,
        field::REPO,
        "inputs",
        "outputs",
    ]);
    own.map(str::to_owned).chain(roots).collect()
}

/// The known name that is written most like this one, if any is like it at all.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // What is longer than every name was no slip.
    if name.len() > 200 {
        return None;
    }
    let (root, rest) = name
        .split_once('.')
        .map_or((name, None), |(root, rest)| (root, Some(rest)));
    let likeness = |known: &str| {
        let (other, has_key) = known
            .strip_suffix(".KEY")
            .map_or((known, false), |other| (other, true));
        match rest {
            Some(_) if has_key => strsim::damerau_levenshtein(root, other),
            _ => strsim::damerau_levenshtein(name, other),
        }
    };
    let (near, distance) = known
        .map(|known| (known, likeness(known)))
        .min_by_key(|(_, distance)| *distance)?;
    (distance <= 1 + root.chars().count() / 4).then_some(near)
}

#[cfg(test)]
mod tests {
    use super::Field;

    fn path(text: &str) -> String {
        let field = text.parse::<Field>();
        field
            .unwrap_or_else(|error| panic!("{text}: {error}"))
            .path()
    }

    #[test]
    fn the_words_of_mlflow_name_fields_too() {
        for (text, expected) in [
            (" run_id ", "_id"),
            ("attributes.start_time", "start_time"),
            ("created", "start_time"),
            ("experiment_id", "exp.id"),
            ("exp", "exp"),
            ("exp.name", "exp.name"),
            ("artifact_uri", "repo"),
            ("metric.auc", "metrics.auc"),
            ("metrics.\"avg model score\"", "metrics.avg model score"),
            ("params.`a``b`", "params.a`b"),
            ("tags.mlflow.user", "tags.mlflow.user"),
            ("tags", "tags"),
            ("mirror.problems", "mirror.problems"),
            ("inputs.models.name", "inputs.models.name"),
        ] {
            assert_eq!(path(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_field_is_refused_with_the_nearest_name() {
        for (text, near) in [
            ("statsu", "`status`"),
            ("start_tme", "`start_time`"),
            ("metrcs.auc", "`metrics.KEY`"),
            ("runid", "`run_id`"),
            ("exprnce", "it has exp"),
            ("", "it has exp"),
            ("metrics.`auc", "not closed"),
            ("inputs..name", "is no field"),
            ("inputs.$name", "is no field"),
        ] {
            let error = text.parse::<Field>().unwrap_err().to_string();
            assert!(error.contains(near), "{text}: {error}");
        }
        let long = "x".repeat(100_000).parse::<Field>().unwrap_err();
        assert!(long.to_string().len() < 400, "{long}");
    }
}
