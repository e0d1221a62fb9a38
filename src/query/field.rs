//! [`Field`]: a field of a run, named as in MLflow or as in the stored document.

use std::fmt;
use std::str::FromStr;

use bson::{Bson, Document, doc};

use super::attribute::{Attribute, TimeField};
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
    /// The dotted path in the stored document. The value of a tag, param or metric may be in `mirror.unnested` instead.
    #[must_use]
    pub fn path(&self) -> String {
        match &self.0 {
            Place::Stored(path) => path.clone(),
            Place::Data(root, key) => format!("{}.{key}", root.name()),
        }
    }

    /// Every path that holds a part of the field, for a projection: its value, and its exact text in MLflow.
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

    /// `tags`, `params` or `metrics`, and the key in it; `None` for other fields.
    #[must_use]
    pub fn data(&self) -> Option<(&'static str, &str)> {
        match &self.0 {
            Place::Stored(_) => None,
            Place::Data(root, key) => Some((root.name(), key)),
        }
    }
}

impl Field {
    /// The aggregation expression for the field's value. A value in `mirror.unnested` wins: the path in the tree then
    /// holds longer keys.
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

    /// The aggregation expression for the exact text in MLflow, if the value does not encode back into it.
    pub(crate) fn text_expression(&self) -> Option<Document> {
        match &self.0 {
            Place::Stored(_) => None,
            Place::Data(root, key) => Some(entry_of(field::TEXT, *root, key)),
        }
    }
}

/// The aggregation expression for the value of a key in a `{key, value}` list under `mirror`.
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
        // `exp` alone is the whole subdocument, with id and name.
        if name != field::EXP {
            if let Some(attribute) = Attribute::parse(name) {
                return Ok(Self(Place::Stored(attribute.path().to_owned())));
            }
            if let Some(time_field) = TimeField::parse(name) {
                return Ok(Self(Place::Stored(time_field.path().to_owned())));
            }
        }
        if name == "artifact_uri" {
            return Ok(Self(Place::Stored(field::REPO.to_owned())));
        }
        let (root, key) = name.split_once('.').unwrap_or((name, ""));
        if let Some(root) = Root::parse(root).filter(|_| !key.is_empty()) {
            let key = unquoted(key).ok_or_else(|| {
                refused(format!(
                    "the quote in {text:?} is not closed; add it at the end"
                ))
            })?;
            return Ok(Self(Place::Data(root, key)));
        }
        let is_name = |part: &str| !part.is_empty() && !part.starts_with('$');
        if !FIELD_ROOTS.contains(&root) {
            return Err(refused(unknown(text, name)));
        }
        if !name.split('.').all(is_name) || name.contains('\0') {
            return Err(refused(format!(
                "{text:?} is not a field; write a field such as start_time, metrics.auc or inputs.models.name"
            )));
        }
        Ok(Self(Place::Stored(name.to_owned())))
    }
}

/// The key without its quotes, if it has any; a doubled quote inside stands for one. `None` if the quote is not closed.
fn unquoted(key: &str) -> Option<String> {
    let Some(quote) = key.chars().next().filter(|c| matches!(c, '`' | '"')) else {
        return Some(key.to_owned());
    };
    let inner = key.strip_prefix(quote)?.strip_suffix(quote)?;
    let doubled = [quote, quote].iter().collect::<String>();
    (!inner.replace(&doubled, "").contains(quote))
        .then(|| inner.replace(&doubled, &quote.to_string()))
}

/// The message for an unknown field, with the nearest known name.
fn unknown(text: &str, name: &str) -> String {
    let shown: String = text.chars().take(60).collect();
    let known = known_names();
    match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("a run has no field `{shown}`; did you mean `{near}`?"),
        None => format!(
            "a run has no field `{shown}`; it has {}, and MLflow's names such as run_id",
            known.join(", ")
        ),
    }
}

fn known_names() -> Vec<String> {
    let roots =
        [Root::Tags, Root::Params, Root::Metrics].map(|root| format!("{}.KEY", root.name()));
    let own = Attribute::names().chain([
        field::START_TIME,
        field::END_TIME,
        field::REPO,
        "inputs",
        "outputs",
    ]);
    own.map(str::to_owned).chain(roots).collect()
}

/// The known name with the smallest edit distance, if the distance is that of a typing error.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // The edit distance is quadratic in the length, and a name this long is no typing error.
    if name.len() > 200 {
        return None;
    }
    let (root, rest) = name
        .split_once('.')
        .map_or((name, None), |(root, rest)| (root, Some(rest)));
    let edit_distance = |known: &str| {
        let (other, has_key) = known
            .strip_suffix(".KEY")
            .map_or((known, false), |other| (other, true));
        match rest {
            Some(_) if has_key => strsim::damerau_levenshtein(root, other),
            _ => strsim::damerau_levenshtein(name, other),
        }
    };
    let (near, distance) = known
        .map(|known| (known, edit_distance(known)))
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
    fn the_names_of_mlflow_and_of_the_document_both_parse() {
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
    fn an_unknown_field_is_refused_with_the_nearest_name() {
        for (text, near) in [
            ("statsu", "`status`"),
            ("start_tme", "`start_time`"),
            ("metrcs.auc", "`metrics.KEY`"),
            ("runid", "`run_id`"),
            ("exprnce", "it has exp"),
            ("", "it has exp"),
            ("metrics.`auc", "not closed"),
            ("inputs..name", "is not a field"),
            ("inputs.$name", "is not a field"),
        ] {
            let error = text.parse::<Field>().unwrap_err().to_string();
            assert!(error.contains(near), "{text}: {error}");
        }
        let long = "x".repeat(100_000).parse::<Field>().unwrap_err();
        assert!(long.to_string().len() < 400, "{long}");
    }
}
