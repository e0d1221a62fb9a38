//! The terms of a query written as text: a field, what is asked of it, and with what.

use std::ops::Bound;

use bson::DateTime;

use super::token::Kind as Token;
use super::{ParseError, Parser};
use crate::error::Error;
use crate::node::{Direction, Kind, Node, NodeArg};
use crate::query::attribute::{Attribute, Clock};
use crate::query::check::MAX_LIST;
use crate::query::condition::{Condition, Operand, Root};
use crate::query::{Query, Term, parse_time};

/// The dates of JavaScript, and so of mongosh, end there.
const MAX_MILLIS: u64 = 8_640_000_000_000_000;

/// What is asked of a field.
#[derive(Debug, Clone, PartialEq)]
enum Asked {
    Compare(&'static str, Given),
    In(Vec<Given>),
    NotIn(Vec<Given>),
    Like(Given),
    Prefix(Given),
    Under(Given),
    Exists,
    Missing,
}

/// A value, and where it stands.
#[derive(Debug, Clone, PartialEq)]
struct Given {
    offset: usize,
    value: Operand,
}

/// What of the lineage on one side a term is about.
#[derive(Clone, Copy)]
enum Subject {
    /// Nodes of whatever kind, each in the form that it prints in.
    Node,
    /// Nodes of this kind.
    Kind(Kind),
    /// Nodes of this kind that have no detail.
    WithoutDetail(Kind),
    /// Details of this kind, of whatever key.
    Detail(Kind),
}

impl Subject {
    /// The subject of a term such as `input.model`, `input.unversioned_model`, `input.path` or `input`.
    fn of_term(direction: Direction, term: &str) -> Option<Self> {
        let word = term.strip_prefix(&direction.to_string())?;
        let Some(word) = word.strip_prefix('.') else {
            return word.is_empty().then_some(Self::Node);
        };
        Kind::of_direction(direction).find_map(|kind| {
            let detail = kind.spec().detail;
            let is = |other: Option<&str>| other == Some(word);
            if kind.term(direction) == term {
                Some(Self::Kind(kind))
            } else if is(detail.and_then(|detail| detail.absent)) {
                Some(Self::WithoutDetail(kind))
            } else if is(detail.and_then(|detail| detail.of_any_key)) {
                Some(Self::Detail(kind))
            } else {
                None
            }
        })
    }
}

/// The fields that can be asked for, for messages.
fn fields() -> String {
    let lineage = Kind::of_direction(Direction::Input).flat_map(|kind| {
        let detail = kind.spec().detail.and_then(|detail| detail.of_any_key);
        let detail = detail.map(|word| format!("{}.{word}", Direction::Input));
        [kind.term(Direction::Input)].into_iter().chain(detail)
    });
    let lineage = lineage.collect::<Vec<_>>().join(", ");
    let attributes = Attribute::words().collect::<Vec<_>>().join(", ");
    format!(
        "{lineage}, inputs (and the same with output), {attributes}, start_time, end_time, problems, params.KEY, tags.KEY or metrics.KEY"
    )
}

impl Parser<'_> {
    pub(super) fn term(&mut self) -> Result<Query, ParseError> {
        let offset = self.offset();
        let name = match self.peek().map(|token| &token.kind) {
            Some(Token::Word(name) | Token::Quoted(name)) => name.clone(),
            _ => return Err(self.expected("a field, `not` or `(`")),
        };
        self.next += 1;
        let plain = ["attributes.", "attribute.", "attr.", "run."]
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix))
            .unwrap_or(&name);
        let data = plain.split_once('.');
        let data = data.and_then(|(root, key)| Some((Root::of_word(root)?, key)));
        match data {
            Some((root, key)) => {
                if let Some(words) = self.words_before_operator() {
                    let quoted = format!("{}.`{key} {words}`", root.name());
                    return Err(ParseError::new(
                        offset,
                        format!("a key with spaces stands in backquotes: {quoted}"),
                    ));
                }
                let condition = self.asked()?.into_condition()?;
                Ok(Query::new().with_data(root, key, condition))
            }
            None => self.field(plain, offset),
        }
    }

    /// Words that stand where an operator should, as the rest of a key with spaces does.
    fn words_before_operator(&self) -> Option<String> {
        const ASKING: [&str; 9] = [
            "in", "like", "ilike", "prefix", "under", "exists", "missing", "not", "is",
        ];
        let words: Vec<&str> = self.words_ahead();
        let first = words.first()?;
        let is_asking = ASKING.iter().any(|word| word.eq_ignore_ascii_case(first));
        (!is_asking).then(|| {
            let is_asked = |word: &&&str| {
                ASKING
                    .iter()
                    .all(|asking| !asking.eq_ignore_ascii_case(word))
            };
            let key: Vec<&str> = words.iter().take_while(is_asked).copied().collect();
            key.join(" ")
        })
    }

    /// The words from here on, up to anything else and to `and` and `or`.
    fn words_ahead(&self) -> Vec<&str> {
        let rest = self.tokens.get(self.next..).unwrap_or_default();
        let words = rest.iter().map_while(|token| match &token.kind {
            Token::Word(word)
                if !["and", "or"]
                    .iter()
                    .any(|joins| joins.eq_ignore_ascii_case(word)) =>
            {
                Some(word.as_str())
            }
            Token::Number(number) => Some(number.as_str()),
            _ => None,
        });
        words.collect()
    }

    fn field(&mut self, name: &str, offset: usize) -> Result<Query, ParseError> {
        if let Some(attribute) = Attribute::of_word(name) {
            return self.asked()?.into_attribute(attribute);
        }
        if let Some(clock) = Clock::of_word(name) {
            return self.time(clock);
        }
        match name {
            // What every run matches; a query without terms prints so.
            "true" => return Ok(Query::new()),
            "inputs" => return self.presence(Query::new().without_inputs(), true),
            "outputs" => return self.presence(Query::new().without_outputs(), true),
            "problems" => return self.presence(Query::new().with_problems(), false),
            _ => {}
        }
        for direction in Direction::BOTH {
            if let Some(subject) = Subject::of_term(direction, name) {
                return self.lineage(subject, direction);
            }
        }
        Err(ParseError::new(
            offset,
            format!(
                "there is no field `{}`; expected {}",
                name.chars().take(60).collect::<String>(),
                fields()
            ),
        ))
    }

    /// Whether there is any of it at all; the query says that there is, or that there is none.
    fn presence(&mut self, query: Query, is_absence: bool) -> Result<Query, ParseError> {
        let offset = self.offset();
        match self.asked()? {
            Asked::Missing if is_absence => Ok(query),
            Asked::Exists if !is_absence => Ok(query),
            Asked::Missing | Asked::Exists => Ok(Query::new().with_none_of([query])),
            _ => Err(ParseError::new(
                offset,
                "of inputs, outputs and problems as a whole, only `exists` and `missing` can be asked",
            )),
        }
    }

    fn lineage(&mut self, subject: Subject, direction: Direction) -> Result<Query, ParseError> {
        let offset = self.offset();
        match self.asked()? {
            Asked::Compare("=", given) => Ok(lineage_term(subject, direction, &given)?.into()),
            Asked::In(given) => {
                let terms: Result<Vec<Term>, _> = given
                    .iter()
                    .map(|given| lineage_term(subject, direction, given))
                    .collect();
                let terms = terms?;
                Ok(one_of(&terms).map_or_else(
                    || Query::new().with_any_of(terms.into_iter().map(Query::from)),
                    Query::from,
                ))
            }
            Asked::Under(given) => under(subject, direction, &given, offset),
            Asked::Compare("!=", _) | Asked::NotIn(_) => Err(ParseError::new(
                offset,
                "a run may have many of these: write `not … = …` for runs that have none like it",
            )),
            _ => Err(ParseError::new(
                offset,
                "lineage is asked for with `=`, `in` or `under`",
            )),
        }
    }

    fn time(&mut self, clock: Clock) -> Result<Query, ParseError> {
        use Bound::{Excluded, Included, Unbounded};
        let offset = self.offset();
        let refused = || ParseError::new(offset, "a time is asked for with =, <, <=, > or >=");
        let Asked::Compare(operator, given) = self.asked()? else {
            return Err(refused());
        };
        let time = given.time()?;
        let (from, to) = match operator {
            "=" => (Included(time), Included(time)),
            "<" => (Unbounded, Excluded(time)),
            "<=" => (Unbounded, Included(time)),
            ">" => (Excluded(time), Unbounded),
            ">=" => (Included(time), Unbounded),
            _ => return Err(refused()),
        };
        Ok(Term::Time(clock, from, to).into())
    }

    fn asked(&mut self) -> Result<Asked, ParseError> {
        if let Some(Token::Operator(operator)) = self.peek().map(|token| &token.kind) {
            let operator = *operator;
            self.next += 1;
            return Ok(Asked::Compare(operator, self.value()?));
        }
        if self.takes_word("in") {
            return Ok(Asked::In(self.values()?));
        }
        if self.peek().is_some_and(
            |token| matches!(&token.kind, Token::Word(word) if word.eq_ignore_ascii_case("ilike")),
        ) {
            return Err(ParseError::new(
                self.offset(),
                "`ilike` is not supported, since no index is without case; write `like 'Train-%' or … like 'train-%'`",
            ));
        }
        if self.takes_word("like") {
            return Ok(Asked::Like(self.value()?));
        }
        if self.takes_word("prefix") {
            return Ok(Asked::Prefix(self.value()?));
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

    fn values(&mut self) -> Result<Vec<Given>, ParseError> {
        self.expect(&Token::Open, "`(`")?;
        let mut values = vec![self.value()?];
        while self.takes(&Token::Comma) {
            if values.len() == MAX_LIST {
                let offset = self.offset();
                return Err(ParseError::new(
                    offset,
                    format!("a list holds {MAX_LIST} values at most"),
                ));
            }
            values.push(self.value()?);
        }
        self.expect(&Token::Close, "`,` or `)`")?;
        Ok(values)
    }

    fn value(&mut self) -> Result<Given, ParseError> {
        let offset = self.offset();
        let value = match self.peek().map(|token| &token.kind) {
            Some(Token::Text(text)) => Operand::Text(text.clone()),
            Some(Token::Number(number)) => {
                to_number(number).map_err(|reason| ParseError::new(offset, reason))?
            }
            Some(Token::Word(word)) if no_finite_number(word).is_some() => {
                Operand::Float(no_finite_number(word).unwrap_or(f64::NAN))
            }
            Some(Token::Word(word)) => {
                return Err(ParseError::new(
                    offset,
                    format!(
                        "expected a value, not `{word}`; a text stands in quotes: '{}'",
                        self.words_ahead().join(" ")
                    ),
                ));
            }
            _ => return Err(self.expected("a text in quotes or a number")),
        };
        self.next += 1;
        Ok(Given { offset, value })
    }
}

impl Asked {
    fn into_condition(self) -> Result<Condition, ParseError> {
        let values = |given: Vec<Given>| given.into_iter().map(|given| given.value);
        Ok(match self {
            Self::Compare("=", given) => Condition::eq(given.value),
            Self::Compare("!=", given) => Condition::ne(given.value),
            Self::Compare(operator, given) => {
                given.number()?;
                match operator {
                    "<" => Condition::lt(given.value),
                    "<=" => Condition::le(given.value),
                    ">" => Condition::gt(given.value),
                    _ => Condition::ge(given.value),
                }
            }
            Self::In(given) => Condition::is_in(values(given)),
            Self::NotIn(given) => Condition::is_none_of(values(given)),
            Self::Like(given) => Condition::prefix(given.pattern()?),
            Self::Prefix(given) => Condition::prefix(given.text()?),
            Self::Under(given) => {
                return Err(ParseError::new(
                    given.offset,
                    "`under` is asked of artifacts and paths",
                ));
            }
            Self::Exists => Condition::exists(),
            Self::Missing => Condition::missing(),
        })
    }

    fn into_attribute(self, attribute: Attribute) -> Result<Query, ParseError> {
        let equal = |given: &Given| -> Result<Query, ParseError> {
            Ok(Query::new().with_attribute(attribute, given.text()?))
        };
        let any = |given: Vec<Given>| -> Result<Vec<Query>, ParseError> {
            given.iter().map(equal).collect()
        };
        let present = || Query::from(Term::Exists(attribute.of_presence()));
        match self {
            Self::Compare("=", given) => equal(&given),
            Self::Compare("!=", given) => Ok(present().with_none_of([equal(&given)?])),
            Self::In(given) => Ok(Query::new().with_any_of(any(given)?)),
            Self::NotIn(given) => Ok(present().with_none_of(any(given)?)),
            Self::Like(given) if attribute == Attribute::Name => {
                Ok(Query::new().with_name_prefix(given.pattern()?))
            }
            Self::Prefix(given) if attribute == Attribute::Name => {
                Ok(Query::new().with_name_prefix(given.text()?))
            }
            Self::Compare(_, given)
            | Self::Like(given)
            | Self::Prefix(given)
            | Self::Under(given) => Err(ParseError::new(
                given.offset,
                "this field is asked for with =, !=, in, not in, exists or missing (and a name with like)",
            )),
            Self::Exists => Ok(present()),
            Self::Missing => Ok(Query::new().with_none_of([present()])),
        }
    }
}

impl Given {
    fn text(&self) -> Result<&str, ParseError> {
        match &self.value {
            Operand::Text(text) => Ok(text),
            _ => Err(ParseError::new(self.offset, "expected a text in quotes")),
        }
    }

    fn number(&self) -> Result<(), ParseError> {
        match &self.value {
            Operand::Text(_) => Err(ParseError::new(
                self.offset,
                "expected a number without quotes: <, <=, > and >= compare numbers",
            )),
            _ => Ok(()),
        }
    }

    fn time(&self) -> Result<DateTime, ParseError> {
        match &self.value {
            Operand::Text(text) => parse_time(text).map_err(|error| match error {
                Error::InvalidArgument { reason, .. } => ParseError::new(self.offset, reason),
                error => ParseError::new(self.offset, error.to_string()),
            }),
            Operand::Integer(millis) => Some(*millis)
                .filter(|millis| millis.unsigned_abs() <= MAX_MILLIS)
                .map(DateTime::from_millis)
                .ok_or_else(|| {
                    ParseError::new(
                        self.offset,
                        "a time lies within 8.64e15 milliseconds of 1970",
                    )
                }),
            Operand::Float(_) => Err(ParseError::new(self.offset, "milliseconds are whole")),
        }
    }

    /// What comes before the `%` of a pattern.
    fn pattern(&self) -> Result<&str, ParseError> {
        let refused = || {
            ParseError::new(
                self.offset,
                "`like` takes a text that ends in %, and holds no other %: 'train-%'; _ stands for itself. What a text holds in its middle is not searched for: print the column with `--format csv` and filter it",
            )
        };
        let text = self.text()?.strip_suffix('%').ok_or_else(refused)?;
        if text.contains('%') {
            return Err(refused());
        }
        Ok(text)
    }
}

fn lineage_term(subject: Subject, direction: Direction, given: &Given) -> Result<Term, ParseError> {
    let text = given.text()?;
    let refused = |reason: String| ParseError::new(given.offset, reason);
    let empty = || refused("it is empty".to_owned());
    Ok(match subject {
        Subject::Node => Term::Node {
            direction,
            node: node(direction, given)?,
        },
        Subject::Kind(kind) => match kind.read(text).map_err(refused)? {
            NodeArg::Node(node) => Term::Node { direction, node },
            NodeArg::Pointer(pointer) => {
                return Err(refused(format!(
                    "{pointer} is resolved by --input-model and --output-model only: write NAME:VERSION here"
                )));
            }
        },
        Subject::WithoutDetail(kind) => {
            let node = Node::checked(kind, text, None).map_err(|_| empty())?;
            Term::WithoutDetail {
                direction,
                kind,
                key: node.key().to_owned(),
            }
        }
        Subject::Detail(kind) => Term::Path {
            direction,
            kind,
            path: path(text).ok_or_else(empty)?,
            under: false,
        },
    })
}

/// A node of a kind that can stand on this side, in the form that it prints in.
fn node(direction: Direction, given: &Given) -> Result<Node, ParseError> {
    let refused = |reason: String| ParseError::new(given.offset, reason);
    let node: Node = given.text()?.parse().map_err(|error| match error {
        Error::InvalidArgument { reason, .. } => refused(reason),
        error => refused(error.to_string()),
    })?;
    if !node.kind().spec().directions.contains(&direction) {
        return Err(refused(format!(
            "a {} stands on no run as {direction}",
            node.kind()
        )));
    }
    Ok(node)
}

fn under(
    subject: Subject,
    direction: Direction,
    given: &Given,
    offset: usize,
) -> Result<Query, ParseError> {
    let no_path = |kind: Kind| ParseError::new(offset, format!("a {kind} has no path to be under"));
    let empty = || {
        ParseError::new(
            given.offset,
            "path: it is empty; every artifact of a run is found without a path",
        )
    };
    let term = match subject {
        Subject::Detail(kind) => Term::Path {
            direction,
            kind,
            path: path(given.text()?).ok_or_else(empty)?,
            under: true,
        },
        Subject::WithoutDetail(kind) => return Err(no_path(kind)),
        subject => match lineage_term(subject, direction, given)? {
            Term::Node { node, .. }
                if !node
                    .kind()
                    .spec()
                    .detail
                    .is_some_and(|detail| detail.is_path) =>
            {
                return Err(no_path(node.kind()));
            }
            Term::Node { node, .. } if node.detail().is_none() => return Err(empty()),
            Term::Node { node, .. } => Term::Under { direction, node },
            term => term,
        },
    };
    Ok(term.into())
}

fn path(text: &str) -> Option<String> {
    let path = text.trim_matches('/');
    (!path.is_empty()).then(|| path.to_owned())
}

/// Details of one key as one term, which one range of an index finds.
fn one_of(terms: &[Term]) -> Option<Term> {
    let mut details = Vec::new();
    let mut of = None;
    for term in terms {
        let Term::Node { direction, node } = term else {
            return None;
        };
        let this = (*direction, node.kind(), node.key());
        if *of.get_or_insert(this) != this {
            return None;
        }
        details.push(node.detail()?.to_owned());
    }
    let (direction, kind, key) = of.filter(|_| details.len() > 1)?;
    Some(Term::OneOf {
        direction,
        kind,
        key: key.to_owned(),
        details,
    })
}

/// NaN and the infinities, in any of the forms that MLflow and Python print.
fn no_finite_number(word: &str) -> Option<f64> {
    let (sign, word) = match word.strip_prefix(['-', '+']) {
        Some(rest) if word.starts_with('-') => (-1.0, rest),
        Some(rest) => (1.0, rest),
        None => (1.0, word),
    };
    let is = |other: &str| word.eq_ignore_ascii_case(other);
    if is("nan") {
        Some(f64::NAN)
    } else if is("inf") || is("infinity") {
        Some(sign * f64::INFINITY)
    } else {
        None
    }
}

fn to_number(text: &str) -> Result<Operand, String> {
    if let Ok(number) = text.parse::<i64>() {
        return Ok(Operand::Integer(number));
    }
    if let Some(number) = no_finite_number(text) {
        return Ok(Operand::Float(number));
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
        .map(Operand::Float)
        .ok_or_else(|| format!("{text} is no number; a text stands in quotes"))
}
