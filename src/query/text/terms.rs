//! The terms of a query written as text: a field, what is asked of it, and with what.

use bson::{DateTime, Document, doc};

use super::token::Kind;
use super::{Fault, Parser};
use crate::error::{Error, Result};
use crate::query::check::MAX_LIST;
use crate::query::{Query, Test, Value};
use crate::run::field;

/// The dates of JavaScript, and so of mongosh, end there.
const MAX_MILLIS: u64 = 8_640_000_000_000_000;

/// What is asked of a field.
#[derive(Debug, Clone, PartialEq)]
enum Asked {
    Compare(&'static str, Given),
    In(Vec<Given>),
    NotIn(Vec<Given>),
    Like(Given),
    Under(Given),
    Exists,
    Missing,
}

/// A value, and where it stands.
#[derive(Debug, Clone, PartialEq)]
struct Given {
    offset: usize,
    value: Value,
}

#[derive(Clone, Copy)]
enum Side {
    Input,
    Output,
}

const FIELDS: &str = "input.model, input.artifact, input.path, inputs (and the same with output), exp, exp.id, exp.name, status, user, name, run_id, parent, start_time, end_time, params.KEY, tags.KEY or metrics.KEY";

/// The time that a text names: a date, a date and time (of this machine's zone unless it says which), or a span back from now.
///
/// ```
/// # use runlineage::filter::parse_time;
/// assert_eq!(parse_time("2026-03-01T12:00:00Z")?.timestamp_millis(), 1_772_366_400_000);
/// assert!(parse_time("7d").is_ok() && parse_time("yesterday").is_err());
/// # Ok::<(), runlineage::Error>(())
/// ```
///
/// # Errors
/// [`Error::InvalidArgument`] when it is none of these.
pub fn parse_time(text: &str) -> Result<DateTime> {
    let now = jiff::ZonedDateTime::now();
    let timestamp = if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
        Some(timestamp)
    } else if let Ok(date) = text.parse::<jiff::civil::DateTime>() {
        date.to_zoned_datetime(now.time_zone().clone())
            .ok()
            .map(|zoned| zoned.timestamp())
    } else {
        text.parse::<jiff::Span>()
            .ok()
            .and_then(|span| now.checked_sub(span.abs()).ok())
            .map(|zoned| zoned.timestamp())
    };
    let timestamp = timestamp.ok_or_else(|| {
        Error::invalid_argument("time", format!("{text:?} is neither a date nor a time span; write 2026-03-01, 2026-03-01T12:00:00Z, 7d or 12h"))
    })?;
    Ok(DateTime::from_millis(timestamp.as_millisecond()))
}

impl Parser<'_> {
    pub(super) fn term(&mut self) -> Result<Query, Fault> {
        let offset = self.offset();
        let name = match self.peek().map(|token| &token.kind) {
            Some(Kind::Word(name) | Kind::Quoted(name)) => name.clone(),
            _ => return Err(self.expected("a field, `not` or `(`")),
        };
        self.next += 1;
        let plain = ["attributes.", "attribute.", "attr.", "run."]
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix))
            .unwrap_or(&name);
        if let Some((root, key)) = plain.split_once('.') {
            let add: fn(Query, &str, Test) -> Query = match root {
                "params" | "param" | "parameters" | "parameter" => Query::with_param,
                "tags" | "tag" => Query::with_tag,
                "metrics" | "metric" => Query::with_metric,
                _ => return self.field(plain, offset),
            };
            let test = self.asked()?.into_test()?;
            return Ok(add(Query::new(), key, test));
        }
        self.field(plain, offset)
    }

    fn field(&mut self, name: &str, offset: usize) -> Result<Query, Fault> {
        let query = Query::new;
        let (simple, path): (fn(&str) -> Query, _) = match name {
            "exp" | "experiment" => (|text| Query::new().with_exp(text), "exp.id"),
            "exp.id" | "experiment_id" => (|text| Query::new().with_exp_id(text), "exp.id"),
            "exp.name" | "experiment_name" => (|text| Query::new().with_exp_name(text), "exp.name"),
            "status" => (|text| Query::new().with_status(text), field::STATUS),
            "user" | "user_id" => (|text| Query::new().with_user(text), field::USER),
            "run_id" | "_id" | "id" => (|text| Query::new().with_id(text), field::ID),
            "parent" => (
                |text| Query::new().with_parent(text),
                "tags.mlflow.parentRunId",
            ),
            "name" | "run_name" => (|text| Query::new().with_name(text), field::NAME),
            "start_time" | "created" => return self.time(|range| query().with_start_time(range)),
            "end_time" => return self.time(|range| query().with_end_time(range)),
            "inputs" => return self.presence(query().without_inputs()),
            "outputs" => return self.presence(query().without_outputs()),
            _ => {
                let side = [("input.", Side::Input), ("output.", Side::Output)]
                    .into_iter()
                    .find_map(|(prefix, side)| Some((name.strip_prefix(prefix)?, side)));
                return match side {
                    Some((kind @ ("model" | "unversioned_model" | "artifact" | "path"), side)) => {
                        self.lineage(kind, side)
                    }
                    _ => Err(Fault::new(
                        offset,
                        format!("there is no field `{name}`; expected {FIELDS}"),
                    )),
                };
            }
        };
        self.asked()?.into_attribute(simple, path)
    }

    fn presence(&mut self, nothing: Query) -> Result<Query, Fault> {
        let offset = self.offset();
        match self.asked()? {
            Asked::Missing => Ok(nothing),
            Asked::Exists => Ok(Query::new().with_none_of([nothing])),
            _ => Err(Fault::new(
                offset,
                "of inputs and outputs as a whole, only `exists` and `missing` can be asked",
            )),
        }
    }

    fn lineage(&mut self, kind: &str, side: Side) -> Result<Query, Fault> {
        let offset = self.offset();
        match self.asked()? {
            Asked::Compare("=", given) => lineage_term(kind, side, &given),
            Asked::In(given) => {
                let alternatives: Result<Vec<_>, _> = given
                    .iter()
                    .map(|given| lineage_term(kind, side, given))
                    .collect();
                Ok(Query::new().with_any_of(alternatives?))
            }
            Asked::Under(given) => {
                let text = given.text()?;
                let query = Query::new();
                match (kind, side) {
                    ("path", Side::Input) => Ok(query.with_input_path_under(text)),
                    ("path", Side::Output) => Ok(query.with_output_path_under(text)),
                    ("artifact", _) => {
                        let (run, path) = artifact(text);
                        let path = path.unwrap_or_default();
                        Ok(match side {
                            Side::Input => query.with_input_artifact_under(run, path),
                            Side::Output => query.with_output_artifact_under(run, path),
                        })
                    }
                    _ => Err(Fault::new(offset, "a model has no path to be under")),
                }
            }
            Asked::Compare("!=", _) | Asked::NotIn(_) => Err(Fault::new(
                offset,
                "a run may have many of these: write `not … = …` for runs that have none like it",
            )),
            _ => Err(Fault::new(
                offset,
                "lineage is asked for with `=`, `in` or `under`",
            )),
        }
    }

    fn time(
        &mut self,
        add: impl Fn((std::ops::Bound<DateTime>, std::ops::Bound<DateTime>)) -> Query,
    ) -> Result<Query, Fault> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let offset = self.offset();
        let Asked::Compare(operator, given) = self.asked()? else {
            return Err(Fault::new(
                offset,
                "a time is asked for with =, <, <=, > or >=",
            ));
        };
        let time = match &given.value {
            Value::Text(text) => parse_time(text).map_err(|error| match error {
                Error::InvalidArgument { reason, .. } => Fault::new(given.offset, reason),
                error => Fault::new(given.offset, error.to_string()),
            })?,
            Value::Integer(millis) => Some(*millis)
                .filter(|millis| millis.unsigned_abs() <= MAX_MILLIS)
                .map(DateTime::from_millis)
                .ok_or_else(|| {
                    Fault::new(
                        given.offset,
                        "a time lies within 8.64e15 milliseconds of 1970",
                    )
                })?,
            Value::Float(_) => return Err(Fault::new(given.offset, "milliseconds are whole")),
        };
        Ok(match operator {
            "=" => add((Included(time), Included(time))),
            "<" => add((Unbounded, Excluded(time))),
            "<=" => add((Unbounded, Included(time))),
            ">" => add((Excluded(time), Unbounded)),
            ">=" => add((Included(time), Unbounded)),
            _ => {
                return Err(Fault::new(
                    offset,
                    "a time is asked for with =, <, <=, > or >=",
                ));
            }
        })
    }

    fn asked(&mut self) -> Result<Asked, Fault> {
        if let Some(Kind::Operator(operator)) = self.peek().map(|token| &token.kind) {
            let operator = *operator;
            self.next += 1;
            return Ok(Asked::Compare(operator, self.value()?));
        }
        if self.takes_word("in") {
            return Ok(Asked::In(self.values()?));
        }
        if self.takes_word("like") {
            return Ok(Asked::Like(self.value()?));
        }
        if self.takes_word("under") {
            return Ok(Asked::Under(self.value()?));
        }
        if self.takes_word("exists") {
            return Ok(Asked::Exists);
        }
        if self.takes_word("missing") {
            return Ok(Asked::Missing);
        }
        if self.takes_word("not") {
            if self.takes_word("in") {
                return Ok(Asked::NotIn(self.values()?));
            }
            return Err(self.expected("`in`"));
        }
        if self.takes_word("is") {
            let not = self.takes_word("not");
            if self.takes_word("null") {
                return Ok(if not { Asked::Exists } else { Asked::Missing });
            }
            return Err(self.expected("`null` or `not null`"));
        }
        Err(self.expected("=, !=, <, <=, >, >=, in, not in, like, under, exists or missing"))
    }

    fn values(&mut self) -> Result<Vec<Given>, Fault> {
        self.expect(&Kind::Open, "`(`")?;
        let mut values = vec![self.value()?];
        while self.takes(&Kind::Comma) {
            if values.len() == MAX_LIST {
                let offset = self.offset();
                return Err(Fault::new(
                    offset,
                    format!("a list holds {MAX_LIST} values at most"),
                ));
            }
            values.push(self.value()?);
        }
        self.expect(&Kind::Close, "`,` or `)`")?;
        Ok(values)
    }

    fn value(&mut self) -> Result<Given, Fault> {
        let offset = self.offset();
        let value = match self.peek().map(|token| &token.kind) {
            Some(Kind::Text(text)) => Value::Text(text.clone()),
            Some(Kind::Number(number)) => {
                to_number(number).map_err(|reason| Fault::new(offset, reason))?
            }
            Some(Kind::Word(word)) if word.eq_ignore_ascii_case("nan") => Value::Float(f64::NAN),
            Some(Kind::Word(word)) => {
                return Err(Fault::new(
                    offset,
                    format!("expected a value, not `{word}`; a text stands in quotes"),
                ));
            }
            _ => return Err(self.expected("a text in quotes or a number")),
        };
        self.next += 1;
        Ok(Given { offset, value })
    }
}

impl Asked {
    fn into_test(self) -> Result<Test, Fault> {
        let values = |given: Vec<Given>| given.into_iter().map(|given| given.value);
        Ok(match self {
            Self::Compare("=", given) => Test::eq(given.value),
            Self::Compare("!=", given) => Test::ne(given.value),
            Self::Compare(operator, given) => {
                given.number()?;
                match operator {
                    "<" => Test::lt(given.value),
                    "<=" => Test::le(given.value),
                    ">" => Test::gt(given.value),
                    _ => Test::ge(given.value),
                }
            }
            Self::In(given) => Test::is_in(values(given)),
            Self::NotIn(given) => Test::is_none_of(values(given)),
            Self::Like(given) => Test::prefix(given.prefix()?),
            Self::Under(given) => {
                return Err(Fault::new(
                    given.offset,
                    "`under` is asked of artifacts and paths",
                ));
            }
            Self::Exists => Test::exists(),
            Self::Missing => Test::missing(),
        })
    }

    /// A field of the run itself, at this path where a run has it.
    fn into_attribute(self, equal: impl Fn(&str) -> Query, path: &str) -> Result<Query, Fault> {
        let present = || {
            let mut filter = Document::new();
            filter.insert(path, doc! { "$exists": true });
            Query::new().with_filter(Ok(filter))
        };
        let any = |given: Vec<Given>| {
            let alternatives: Result<Vec<_>, _> =
                given.iter().map(|given| given.text().map(&equal)).collect();
            alternatives
        };
        match self {
            Self::Compare("=", given) => Ok(equal(given.text()?)),
            Self::Compare("!=", given) => Ok(present().with_none_of([equal(given.text()?)])),
            Self::In(given) => Ok(Query::new().with_any_of(any(given)?)),
            Self::NotIn(given) => Ok(present().with_none_of(any(given)?)),
            Self::Like(given) if path == field::NAME => {
                Ok(Query::new().with_name_prefix(given.prefix()?))
            }
            Self::Compare(_, given) | Self::Like(given) | Self::Under(given) => Err(Fault::new(
                given.offset,
                "this field is asked for with =, !=, in, not in, exists or missing (and a name with like)",
            )),
            Self::Exists => Ok(present()),
            Self::Missing => Ok(Query::new().with_none_of([present()])),
        }
    }
}

impl Given {
    fn text(&self) -> Result<&str, Fault> {
        match &self.value {
            Value::Text(text) => Ok(text),
            _ => Err(Fault::new(self.offset, "expected a text in quotes")),
        }
    }

    fn number(&self) -> Result<(), Fault> {
        match &self.value {
            Value::Text(_) => Err(Fault::new(
                self.offset,
                "expected a number without quotes: <, <=, > and >= compare numbers",
            )),
            _ => Ok(()),
        }
    }

    fn prefix(&self) -> Result<&str, Fault> {
        let refused = || {
            Fault::new(
                self.offset,
                "`like` takes a text that ends in %, and holds no other %: 'train-%'; _ stands for itself",
            )
        };
        let text = self.text()?.strip_suffix('%').ok_or_else(refused)?;
        if text.contains('%') {
            return Err(refused());
        }
        Ok(text)
    }
}

fn lineage_term(kind: &str, side: Side, given: &Given) -> Result<Query, Fault> {
    let query = Query::new();
    let text = given.text()?;
    Ok(match (kind, side) {
        ("model", side) => {
            let (name, version) = model(text).map_err(|reason| Fault::new(given.offset, reason))?;
            match side {
                Side::Input => query.with_input_model(name, version),
                Side::Output => query.with_output_model(name, version),
            }
        }
        ("unversioned_model", Side::Input) => query.with_input_model_without_version(text),
        ("unversioned_model", Side::Output) => query.with_output_model_without_version(text),
        ("artifact", side) => {
            let (run, path) = artifact(text);
            match side {
                Side::Input => query.with_input_artifact(run, path),
                Side::Output => query.with_output_artifact(run, path),
            }
        }
        (_, Side::Input) => query.with_input_path(text),
        (_, Side::Output) => query.with_output_path(text),
    })
}

/// The name and the version of NAME, NAME:VERSION, models:/NAME or models:/NAME/VERSION.
fn model(text: &str) -> Result<(&str, Option<&str>), &'static str> {
    let split = match text.strip_prefix("models:/") {
        Some(uri) if uri.contains('@') => {
            return Err(
                "an alias is resolved by --input-model and --output-model only: write NAME:VERSION here",
            );
        }
        Some(uri) => (uri, uri.rsplit_once('/')),
        None => (text, text.rsplit_once(':')),
    };
    Ok(match split {
        (name, None) => (name, None),
        (_, Some((name, version))) => (name, Some(version).filter(|version| !version.is_empty())),
    })
}

fn artifact(text: &str) -> (&str, Option<&str>) {
    let text = text.strip_prefix("runs:/").unwrap_or(text);
    text.split_once('/')
        .map_or((text, None), |(run, path)| (run, Some(path)))
}

fn to_number(text: &str) -> Result<Value, String> {
    if let Ok(number) = text.parse::<i64>() {
        return Ok(Value::Integer(number));
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.is_empty() {
        return Err(format!(
            "{text} is beyond 64 bits, and such numbers are compared as texts only: write it in quotes"
        ));
    }
    let shaped = text
        .chars()
        .all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E'));
    let number = text.parse::<f64>().ok();
    number
        .filter(|number| shaped && number.is_finite())
        .map(Value::Float)
        .ok_or_else(|| format!("{text} is no number; a text stands in quotes"))
}
