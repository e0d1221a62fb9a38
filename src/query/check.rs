//! Checks untrusted filters against a list of what is allowed, before a store sends them to the server.

use bson::{Bson, Document};

use crate::error::{Error, Result};
use crate::run::field;

/// The operators that a checked filter may use.
pub const OPERATORS: [&str; 16] = [
    "$and",
    "$or",
    "$nor",
    "$not",
    "$eq",
    "$ne",
    "$gt",
    "$gte",
    "$lt",
    "$lte",
    "$in",
    "$nin",
    "$exists",
    "$type",
    "$size",
    "$elemMatch",
];

/// The top-level fields of a run: the first names of the paths that a checked filter may use.
pub const FIELD_ROOTS: [&str; 14] = [
    field::ID,
    field::NAME,
    field::EXP,
    field::STATUS,
    field::START_TIME,
    field::END_TIME,
    field::REPO,
    field::USER,
    "inputs",
    "outputs",
    field::TAGS,
    field::PARAMS,
    field::METRICS,
    field::MIRROR,
];

/// The maximum nesting of a checked filter.
pub const MAX_DEPTH: usize = 20;
/// The maximum number of values in one array of a checked filter, including that of `$in`.
pub const MAX_LIST: usize = 1_000;
/// The maximum number of keys and values in a checked filter.
pub const MAX_NODES: usize = 10_000;
/// The maximum length in bytes of a key or a text in a checked filter. MLflow's longest value has 8,000 characters.
pub const MAX_TEXT: usize = 32_000;

/// The maximum total length in bytes of the keys and texts in a checked filter.
pub const MAX_BYTES: usize = 1 << 20;

/// The maximum number of names in a dotted path of a checked filter. MongoDB's limit is 200 for the path and the levels
/// around it.
pub const MAX_PATH: usize = 100;

const MAX_SIZE: i64 = i32::MAX as i64;

/// The type names that `$type` accepts.
const TYPES: [&str; 10] = [
    "string", "number", "double", "int", "long", "bool", "null", "array", "object", "date",
];

/// Refuses a filter with any part that is not allowed.
pub(super) fn check(filter: &Document) -> Result<()> {
    Check { nodes: 0, bytes: 0 }.filter(filter, Place::Run, 1)
}

/// What the field names of a filter are relative to: the run, or an element of an array.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Run,
    Element,
}

struct Check {
    nodes: usize,
    bytes: usize,
}

impl Check {
    fn filter(&mut self, filter: &Document, place: Place, depth: usize) -> Result<()> {
        for (key, value) in filter {
            self.count(key, depth)?;
            match key.as_str() {
                "$and" | "$or" | "$nor" => self.filters(key, value, place, depth + 1)?,
                operator if operator.starts_with('$') => return Err(not_allowed(operator)),
                path => {
                    check_path(path, place)?;
                    self.condition(value, depth + 1)?;
                }
            }
        }
        Ok(())
    }

    fn filters(&mut self, operator: &str, value: &Bson, place: Place, depth: usize) -> Result<()> {
        let filters = list(operator, value)?;
        if filters.is_empty() {
            return Err(refused(operator.to_owned(), "give it at least one filter"));
        }
        for filter in filters {
            let filter = filter.as_document().ok_or_else(|| {
                refused(
                    format!("{operator} with a value that is not a filter"),
                    "give it an array of objects",
                )
            })?;
            self.filter(filter, place, depth + 1)?;
        }
        Ok(())
    }

    /// Checks the condition on a field: operators, or a value that it has to equal.
    fn condition(&mut self, value: &Bson, depth: usize) -> Result<()> {
        match value {
            Bson::Document(tests) if tests.keys().any(|key| key.starts_with('$')) => {
                for (operator, operand) in tests {
                    self.count(operator, depth)?;
                    self.test(operator, operand, depth + 1)?;
                }
                Ok(())
            }
            value => self.literal(value, depth),
        }
    }

    fn test(&mut self, operator: &str, operand: &Bson, depth: usize) -> Result<()> {
        let wrong = |hint: &str| Err(refused(format!("{operator} with {}", kind(operand)), hint));
        match operator {
            "$eq" | "$ne" | "$gt" | "$gte" | "$lt" | "$lte" => self.literal(operand, depth),
            "$in" | "$nin" => list(operator, operand)?
                .iter()
                .try_for_each(|value| self.literal(value, depth + 1)),
            "$exists" => match operand {
                Bson::Boolean(_) => Ok(()),
                _ => wrong("give it true or false"),
            },
            "$size" => match operand {
                Bson::Int32(0..) | Bson::Int64(0..=MAX_SIZE) => Ok(()),
                _ => wrong("give it a whole number of 32 bits"),
            },
            "$type" => {
                let known = |name: &Bson| name.as_str().is_some_and(|name| TYPES.contains(&name));
                let known = match operand {
                    Bson::Array(names) => {
                        !names.is_empty() && list(operator, operand)?.iter().all(known)
                    }
                    name => known(name),
                };
                if known {
                    Ok(())
                } else {
                    wrong(&format!("give it one of {}", TYPES.join(", ")))
                }
            }
            "$not" => match operand {
                Bson::Document(tests)
                    if !tests.is_empty() && tests.keys().all(|key| key.starts_with('$')) =>
                {
                    self.condition(operand, depth)
                }
                _ => wrong("give it an object of operators"),
            },
            "$elemMatch" => match operand {
                Bson::Document(tests)
                    if tests.keys().next().is_some_and(|key| {
                        key.starts_with('$') && !matches!(key.as_str(), "$and" | "$or" | "$nor")
                    }) =>
                {
                    self.condition(operand, depth)
                }
                Bson::Document(filter) => self.filter(filter, Place::Element, depth),
                _ => wrong("give it an object"),
            },
            _ => Err(not_allowed(operator)),
        }
    }

    /// Checks a literal value.
    fn literal(&mut self, value: &Bson, depth: usize) -> Result<()> {
        match value {
            Bson::String(text) => self.count(text, depth),
            Bson::Int32(_)
            | Bson::Int64(_)
            | Bson::Double(_)
            | Bson::Boolean(_)
            | Bson::Null
            | Bson::DateTime(_) => self.count("", depth),
            Bson::Array(values) => {
                self.count("", depth)?;
                list("an array", value)?;
                values
                    .iter()
                    .try_for_each(|value| self.literal(value, depth + 1))
            }
            Bson::Document(fields) => {
                self.count("", depth)?;
                for (key, value) in fields {
                    self.count(key, depth)?;
                    check_name(key)?;
                    self.literal(value, depth + 1)?;
                }
                Ok(())
            }
            other => Err(refused(
                kind(other).to_owned(),
                "use texts, numbers, true, false, null, dates, and arrays and objects of these",
            )),
        }
    }

    fn count(&mut self, text: &str, depth: usize) -> Result<()> {
        self.nodes += 1;
        self.bytes += text.len();
        let over = |limit: String| Err(refused(limit, "split it into several searches"));
        if depth > MAX_DEPTH {
            return over(format!("nesting deeper than {MAX_DEPTH} levels"));
        }
        if self.nodes > MAX_NODES {
            return over(format!("more than {MAX_NODES} keys and values"));
        }
        if text.len() > MAX_TEXT {
            return over(format!("a text of more than {MAX_TEXT} bytes"));
        }
        if self.bytes > MAX_BYTES {
            return over(format!("more than {MAX_BYTES} bytes"));
        }
        Ok(())
    }
}

fn list<'a>(operator: &str, value: &'a Bson) -> Result<&'a Vec<Bson>> {
    let list = value.as_array().ok_or_else(|| {
        refused(
            format!("{operator} with {}", kind(value)),
            "give it an array",
        )
    })?;
    if list.len() > MAX_LIST {
        return Err(refused(
            format!("{operator} with more than {MAX_LIST} values"),
            "split it into several searches",
        ));
    }
    Ok(list)
}

fn check_path(path: &str, place: Place) -> Result<()> {
    for name in path.split('.') {
        check_name(name)?;
    }
    if path.split('.').count() > MAX_PATH {
        return Err(refused(
            format!("a path of more than {MAX_PATH} names"),
            "no run nests as deep",
        ));
    }
    let root = path.split('.').next().unwrap_or_default();
    if place == Place::Run && !FIELD_ROOTS.contains(&root) {
        return Err(refused(
            format!("field {path:?}"),
            &format!("the fields of a run are {}", FIELD_ROOTS.join(", ")),
        ));
    }
    Ok(())
}

/// Accepts the names that occur in MLflow's keys and in JSON tags. Refuses names that are an operator or look like one.
fn check_name(name: &str) -> Result<()> {
    let like_a_dollar = ['$', '\u{ff04}', '\u{fe69}', '\u{1f4b2}'];
    // Control characters and invisible marks: joiners, directions, byte order, tags.
    let invisible = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{ffa0}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
    };
    if name.is_empty() || name.starts_with(like_a_dollar) || name.chars().any(invisible) {
        return Err(refused(
            format!("field name {name:?}"),
            "a field name must not be empty, begin with $, or hold an invisible character",
        ));
    }
    Ok(())
}

fn not_allowed(operator: &str) -> Error {
    let hint = match operator {
        "$regex" | "$options" => {
            "for the prefix abc, write {\"$gte\": \"abc\", \"$lt\": \"abd\"}; no other pattern is possible"
                .to_owned()
        }
        _ => format!("use one of {}", OPERATORS.join(" ")),
    };
    refused(format!("operator {operator:?}"), &hint)
}

fn refused(what: String, hint: &str) -> Error {
    Error::unsupported(format!("{what} in a filter"), hint)
}

fn kind(value: &Bson) -> &'static str {
    match value {
        Bson::String(_) => "a text",
        Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) => "a number",
        Bson::Boolean(_) => "true or false",
        Bson::Null => "null",
        Bson::Array(_) => "an array",
        Bson::Document(_) => "an object",
        Bson::JavaScriptCode(_) | Bson::JavaScriptCodeWithScope(_) => "JavaScript code",
        Bson::RegularExpression(_) => "a regular expression",
        _ => "a value of a type that no run has",
    }
}
