//! Evaluates a MongoDB filter in process, for the operators that a query renders and with the semantics of MongoDB.

use std::cmp::Ordering;

use bson::{Bson, Document};

use crate::error::{Error, Result};

/// A parsed filter, to evaluate on many documents.
#[derive(Debug)]
pub(crate) struct Matcher(Vec<Clause>);

#[derive(Debug)]
enum Clause {
    And(Vec<Matcher>),
    Or(Vec<Matcher>),
    Nor(Vec<Matcher>),
    Field { path: Vec<String>, tests: Vec<Test> },
}

#[derive(Debug)]
enum Test {
    Equal(Bson),
    NotEqual(Bson),
    In(Vec<Bson>),
    NotIn(Vec<Bson>),
    Exists(bool),
    Compare(Comparison, Bson),
    ElementMatches(Matcher),
    Size(usize),
    Type(Vec<Type>),
    Not(Vec<Self>),
}

#[derive(Debug, Clone, Copy)]
enum Type {
    String,
    Number,
    Double,
    Int,
    Long,
    Bool,
    Null,
    Array,
    Object,
    Date,
}

#[derive(Debug, Clone, Copy)]
enum Comparison {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Matcher {
    /// Parses a filter.
    ///
    /// # Errors
    /// [`Error::Unsupported`] names the first operator or value that this type cannot evaluate exactly as MongoDB does.
    pub(crate) fn parse(filter: &Document) -> Result<Self> {
        filter
            .iter()
            .map(|(key, value)| clause(key, value))
            .collect::<Result<_>>()
            .map(Self)
    }

    pub(crate) fn matches(&self, document: &Document) -> bool {
        self.0.iter().all(|clause| match clause {
            Clause::And(all) => all.iter().all(|matcher| matcher.matches(document)),
            Clause::Or(any) => any.iter().any(|matcher| matcher.matches(document)),
            Clause::Nor(none) => !none.iter().any(|matcher| matcher.matches(document)),
            Clause::Field { path, tests } => {
                let mut found = Vec::new();
                collect(document, path, &mut found);
                tests.iter().all(|test| test.holds(&found))
            }
        })
    }
}

fn clause(key: &str, value: &Bson) -> Result<Clause> {
    match (key, value) {
        ("$and", _) => Ok(Clause::And(alternatives(key, value)?)),
        ("$or", _) => Ok(Clause::Or(alternatives(key, value)?)),
        ("$nor", _) => Ok(Clause::Nor(alternatives(key, value)?)),
        _ if key.starts_with('$') => Err(unsupported(key)),
        _ => Ok(Clause::Field {
            path: key.split('.').map(str::to_owned).collect(),
            tests: tests(value)?,
        }),
    }
}

fn alternatives(operator: &str, value: &Bson) -> Result<Vec<Matcher>> {
    let list = value
        .as_array()
        .filter(|list| !list.is_empty())
        .ok_or_else(|| unsupported(operator))?;
    list.iter()
        .map(|filter| Matcher::parse(filter.as_document().ok_or_else(|| unsupported(operator))?))
        .collect()
}

fn tests(value: &Bson) -> Result<Vec<Test>> {
    match value {
        Bson::Document(operators)
            if operators
                .keys()
                .next()
                .is_some_and(|key| key.starts_with('$')) =>
        {
            operators
                .iter()
                .map(|(operator, operand)| test(operator, operand))
                .collect()
        }
        _ => Ok(vec![Test::Equal(operand("equality", value)?)]),
    }
}

fn test(operator: &str, value: &Bson) -> Result<Test> {
    let list = || -> Result<Vec<Bson>> {
        let list = value.as_array().ok_or_else(|| unsupported(operator))?;
        list.iter().map(|value| operand(operator, value)).collect()
    };
    let compare = |comparison| Ok(Test::Compare(comparison, operand(operator, value)?));
    match operator {
        "$eq" => Ok(Test::Equal(operand(operator, value)?)),
        "$ne" => Ok(Test::NotEqual(operand(operator, value)?)),
        "$in" => Ok(Test::In(list()?)),
        "$nin" => Ok(Test::NotIn(list()?)),
        "$exists" => value
            .as_bool()
            .map(Test::Exists)
            .ok_or_else(|| unsupported(operator)),
        "$gt" => compare(Comparison::Greater),
        "$gte" => compare(Comparison::GreaterOrEqual),
        "$lt" => compare(Comparison::Less),
        "$lte" => compare(Comparison::LessOrEqual),
        "$not" => {
            let inner = value.as_document().ok_or_else(|| unsupported(operator))?;
            inner
                .iter()
                .map(|(operator, value)| test(operator, value))
                .collect::<Result<_>>()
                .map(Test::Not)
        }
        "$elemMatch" => {
            let inner = value.as_document().ok_or_else(|| unsupported(operator))?;
            Matcher::parse(inner).map(Test::ElementMatches)
        }
        "$size" => match value {
            Bson::Int32(size) => usize::try_from(*size).map_err(|_| unsupported(operator)),
            _ => Err(unsupported(operator)),
        }
        .map(Test::Size),
        "$type" => match value {
            Bson::Array(names) => names.iter().map(type_of).collect(),
            name => type_of(name).map(|name| vec![name]),
        }
        .map(Test::Type),
        _ => Err(unsupported(operator)),
    }
}

fn type_of(name: &Bson) -> Result<Type> {
    Ok(match name.as_str() {
        Some("string") => Type::String,
        Some("number") => Type::Number,
        Some("double") => Type::Double,
        Some("int") => Type::Int,
        Some("long") => Type::Long,
        Some("bool") => Type::Bool,
        Some("null") => Type::Null,
        Some("array") => Type::Array,
        Some("object") => Type::Object,
        Some("date") => Type::Date,
        _ => return Err(unsupported(&format!("$type with {name}"))),
    })
}

/// Accepts an operand whose order and equality are the same here as in MongoDB.
fn operand(operator: &str, value: &Bson) -> Result<Bson> {
    match value {
        // MongoDB orders NaN among the numbers; that is not implemented here.
        Bson::Double(number)
            if number.is_nan() && operator.starts_with("$g") | operator.starts_with("$l") =>
        {
            Err(Error::unsupported(
                format!("{operator} with NaN"),
                "compare with another number",
            ))
        }
        Bson::String(_)
        | Bson::Int32(_)
        | Bson::Int64(_)
        | Bson::Double(_)
        | Bson::Boolean(_)
        | Bson::DateTime(_) => Ok(value.clone()),
        // Arrays and documents support equality only: their order in MongoDB is not implemented here.
        Bson::Array(_) | Bson::Document(_) if matches!(operator, "$eq" | "$ne") => {
            check_nested(value)?;
            Ok(value.clone())
        }
        _ => Err(Error::unsupported(
            format!("{operator} with {value}"),
            "in-process search compares texts, numbers, booleans and dates; search the mirror for other types",
        )),
    }
}

/// Accepts an array or a document whose equality is the same here as in MongoDB. Null is allowed inside it.
fn check_nested(value: &Bson) -> Result<()> {
    match value {
        Bson::Null => Ok(()),
        Bson::Array(values) => values.iter().try_for_each(check_nested),
        Bson::Document(fields) => fields.iter().try_for_each(|(_, value)| check_nested(value)),
        _ => operand("$eq", value).map(drop),
    }
}

fn unsupported(operator: &str) -> Error {
    Error::unsupported(
        format!("operator {operator}"),
        "in-process search supports only the operators that `Query` renders; search the mirror for other operators",
    )
}

/// Collects the values at a path. Like MongoDB, it descends into every document of an array on the way.
fn collect<'a>(document: &'a Document, path: &[String], found: &mut Vec<&'a Bson>) {
    if let Some((first, rest)) = path.split_first()
        && let Some(value) = document.get(first)
    {
        follow(value, rest, found);
    }
}

fn follow<'a>(value: &'a Bson, rest: &[String], found: &mut Vec<&'a Bson>) {
    match value {
        _ if rest.is_empty() => found.push(value),
        Bson::Document(inner) => collect(inner, rest, found),
        Bson::Array(elements) => {
            for element in elements.iter().filter_map(Bson::as_document) {
                collect(element, rest, found);
            }
            let index = rest[0].parse::<usize>().ok();
            if let Some(element) = index.and_then(|index| elements.get(index)) {
                follow(element, &rest[1..], found);
            }
        }
        _ => {}
    }
}

impl Test {
    fn holds(&self, found: &[&Bson]) -> bool {
        match self {
            Self::Equal(operand) => any_value(found, |value| equal(value, operand)),
            Self::NotEqual(operand) => !Self::Equal(operand.clone()).holds(found),
            Self::In(operands) => operands
                .iter()
                .any(|operand| any_value(found, |value| equal(value, operand))),
            Self::NotIn(operands) => !operands
                .iter()
                .any(|operand| any_value(found, |value| equal(value, operand))),
            Self::Exists(operand) => found.is_empty() != *operand,
            Self::Compare(comparison, operand) => {
                any_value(found, |value| comparison.holds(value, operand))
            }
            Self::ElementMatches(matcher) => found.iter().any(|value| {
                value.as_array().is_some_and(|elements| {
                    elements
                        .iter()
                        .filter_map(Bson::as_document)
                        .any(|element| matcher.matches(element))
                })
            }),
            Self::Size(size) => found
                .iter()
                .any(|value| value.as_array().is_some_and(|array| array.len() == *size)),
            Self::Type(types) => any_value(found, |value| types.iter().any(|name| name.is(value))),
            Self::Not(tests) => !tests.iter().all(|test| test.holds(found)),
        }
    }
}

impl Type {
    fn is(self, value: &Bson) -> bool {
        match self {
            Self::String => matches!(value, Bson::String(_)),
            Self::Number => matches!(
                value,
                Bson::Double(_) | Bson::Int32(_) | Bson::Int64(_) | Bson::Decimal128(_)
            ),
            Self::Double => matches!(value, Bson::Double(_)),
            Self::Int => matches!(value, Bson::Int32(_)),
            Self::Long => matches!(value, Bson::Int64(_)),
            Self::Bool => matches!(value, Bson::Boolean(_)),
            Self::Null => matches!(value, Bson::Null),
            Self::Array => matches!(value, Bson::Array(_)),
            Self::Object => matches!(value, Bson::Document(_)),
            Self::Date => matches!(value, Bson::DateTime(_)),
        }
    }
}

impl Comparison {
    fn holds(self, value: &Bson, operand: &Bson) -> bool {
        let Some(order) = compare(value, operand) else {
            return false;
        };
        match self {
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
        }
    }
}

/// Whether a value satisfies the test, by itself or, if it is an array, by any of its elements.
fn any_value(found: &[&Bson], holds: impl Fn(&Bson) -> bool) -> bool {
    found.iter().any(|value| {
        holds(value)
            || value
                .as_array()
                .is_some_and(|elements| elements.iter().any(&holds))
    })
}

fn equal(value: &Bson, other: &Bson) -> bool {
    let both_nan = |a: f64, b: f64| a.is_nan() && b.is_nan();
    match (value, other) {
        (Bson::Double(a), Bson::Double(b)) if both_nan(*a, *b) => true,
        (Bson::Null, Bson::Null) => true,
        (Bson::Array(a), Bson::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        // The order of the fields is significant, as in MongoDB.
        (Bson::Document(a), Bson::Document(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|((name, a), (other_name, b))| name == other_name && equal(a, b))
        }
        _ => compare(value, other) == Some(Ordering::Equal),
    }
}

/// Compares like MongoDB, within one type only. All numbers are one type. NaN compares with no number here.
fn compare(value: &Bson, other: &Bson) -> Option<Ordering> {
    match (value, other) {
        (Bson::String(a), Bson::String(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        (Bson::Boolean(a), Bson::Boolean(b)) => Some(a.cmp(b)),
        (Bson::DateTime(a), Bson::DateTime(b)) => Some(a.cmp(b)),
        _ => match (integer(value), integer(other)) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            (Some(a), None) => compare_mixed(a, other.as_f64()?),
            (None, Some(b)) => compare_mixed(b, value.as_f64()?).map(Ordering::reverse),
            (None, None) => value.as_f64()?.partial_cmp(&other.as_f64()?),
        },
    }
}

fn integer(value: &Bson) -> Option<i64> {
    match value {
        Bson::Int32(number) => Some(i64::from(*number)),
        Bson::Int64(number) => Some(*number),
        _ => None,
    }
}

/// Compares without converting the integer to a double, which rounds integers beyond 2^53.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
fn compare_mixed(integer: i64, double: f64) -> Option<Ordering> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if double.is_nan() {
        None
    } else if double >= LIMIT {
        Some(Ordering::Less)
    } else if double < -LIMIT {
        Some(Ordering::Greater)
    } else {
        let whole = double.trunc();
        Some(integer.cmp(&(whole as i64)).then(whole.total_cmp(&double)))
    }
}
