//! A query written as text, in the manner of MLflow's `filter_string`.

mod lineage;
mod literal;
mod predicate;
mod terms;
mod token;

use std::str::FromStr;

use super::Query;
use crate::error::{Error, Result};

use token::{Kind, Token};

/// How deep parentheses and `not` may nest.
const MAX_NESTING: usize = 40;
/// How long the text may be.
const MAX_LENGTH: usize = 100_000;

/// What is wrong, and the byte where.
#[derive(Debug)]
struct ParseError {
    offset: usize,
    reason: String,
}

/// Parses a query from text, in the manner of MLflow's `filter_string`, with AND, OR, NOT, parentheses and lineage.
///
/// ```
/// use bson::doc;
/// use runlineage::Query;
/// use runlineage::query::Condition;
///
/// let query: Query = "input.model = 'churn:3' and metrics.auc > 0.9 or not status = 'FAILED'".parse()?;
/// let churn = Query::new().with_input_model("churn", "3").with_metric("auc", Condition::gt(0.9));
/// let failed = Query::new().with_status("FAILED");
/// let same = Query::new().with_any_of([churn, Query::new().with_none_of([failed])]);
/// assert_eq!(query.render()?, same.render()?);
/// # Ok::<(), runlineage::Error>(())
/// ```
///
/// `not` binds tighter than `and`, `and` tighter than `or`. Words may be in any case; fields not.
///
/// | term | means |
/// |---|---|
/// | `input.model = 'churn'`, `= 'churn:3'`, `in ('churn:2', 'churn:3')` | [`with_input_model`](Query::with_input_model); a name that holds colons ends in one |
/// | `input.unversioned_model = 'churn'` | [`with_input_model_without_version`](Query::with_input_model_without_version) |
/// | `input.artifact = 'RUN_ID/PATH'`, `= 'RUN_ID'`, `under 'RUN_ID/PATH'` | [`with_input_artifact`](Query::with_input_artifact), [`…_under`](Query::with_input_artifact_under) |
/// | `input.path = 'data/x'`, `under 'data'` | [`with_input_path`](Query::with_input_path), [`…_under`](Query::with_input_path_under) |
/// | `inputs missing`, `inputs exists` | [`without_inputs`](Query::without_inputs), and its contrary |
/// | `input = 'model:churn:3'`, `in (…)`, `under 'artifact:RUN_ID/PATH'` | [`with_input`](Query::with_input): a [`Node`](crate::Node) as it prints, of any kind |
/// | the same with `output` | |
/// | `exp`, `exp.id`, `exp.name`, `status`, `user`, `name`, `run_id`, `parent`: `=`, `!=`, `in (…)`, `not in (…)`, `exists`, `missing` | the run's fields; `exp` is an id or a name |
/// | `name like 'train-%'` | [`with_name_prefix`](Query::with_name_prefix); `%` stands at the end only, `_` for itself; `prefix '50%-'` takes any text |
/// | `start_time >= '2026-03-01'`, `end_time < '7d'` | dates, spans back from now, or milliseconds since 1970 |
/// | `params.KEY`, `tags.KEY`: `=`, `!=`, `in`, `not in`, `like 'x%'`, `exists`, `missing`; `<`, `<=`, `>`, `>=` with a number | [`with_param`](Query::with_param); a key with other characters stands in `` ` `` or `"` |
/// | `metrics.KEY` with a number, `NaN` or `Infinity`: `=`, `!=`, `<`, `<=`, `>`, `>=`, `in`, `exists`, `missing` | [`with_metric`](Query::with_metric) |
/// | `problems exists`, `problems missing` | [`with_problems`](Query::with_problems) |
/// | `true` | every run |
///
/// `is null` and `is not null` are `missing` and `exists`. A quote in a text is doubled: `'it''s'`. As in MLflow, `!=` holds only where there is
/// a value; `not x = y` holds where there is none, too. A list holds 1,000 values at most. Of `like` with a text that a number may begin with, such
/// as `'1%'`, only names can be asked: numbers of params and tags are held as numbers.
///
/// # Errors
/// [`Error::InvalidArgument`] shows the column and what is expected there.
impl FromStr for Query {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse(text).map_err(|error| error.into_error(text))
    }
}

fn parse(text: &str) -> Result<Query, ParseError> {
    if text.len() > MAX_LENGTH {
        return Err(ParseError::new(
            0,
            format!("it is longer than {MAX_LENGTH} bytes"),
        ));
    }
    let tokens = token::tokens(text)?;
    let mut parser = Parser {
        tokens: &tokens,
        next: 0,
        end: text.len(),
    };
    let query = parser.any(0)?;
    match parser.peek() {
        None => Ok(query),
        Some(token) => Err(ParseError::new(
            token.offset,
            format!("expected `and`, `or` or the end, not {}", token.kind),
        )),
    }
}

/// Walks over the tokens; what may follow depends on what a field means, so that the terms read on by themselves.
struct Parser<'a> {
    tokens: &'a [Token],
    next: usize,
    end: usize,
}

impl Parser<'_> {
    fn any(&mut self, depth: usize) -> Result<Query, ParseError> {
        let mut alternatives = vec![self.all(depth)?];
        while self.takes_word("or") {
            alternatives.push(self.all(depth)?);
        }
        Ok(Query::new().with_any_of(alternatives))
    }

    fn all(&mut self, depth: usize) -> Result<Query, ParseError> {
        let mut parts = vec![self.one(depth)?];
        while self.takes_word("and") {
            parts.push(self.one(depth)?);
        }
        Ok(Query::new().with_all_of(parts))
    }

    fn one(&mut self, depth: usize) -> Result<Query, ParseError> {
        let offset = self.offset();
        if depth > MAX_NESTING {
            return Err(ParseError::new(
                offset,
                format!("it is nested deeper than {MAX_NESTING}"),
            ));
        }
        if self.takes_word("not") {
            return Ok(Query::new().with_none_of([self.one(depth + 1)?]));
        }
        if self.takes(&Kind::Open) {
            let query = self.any(depth + 1)?;
            self.expect(&Kind::Close, "`)`, `and` or `or`")?;
            return Ok(query);
        }
        let query = self.term()?;
        // The builders keep the first bad argument: here is where it stands.
        match query.check() {
            Err(Error::InvalidArgument { argument, reason }) => {
                Err(ParseError::new(offset, format!("{argument}: {reason}")))
            }
            _ => Ok(query),
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    fn offset(&self) -> usize {
        self.peek().map_or(self.end, |token| token.offset)
    }

    fn takes(&mut self, kind: &Kind) -> bool {
        let found = self.peek().is_some_and(|token| token.kind == *kind);
        self.next += usize::from(found);
        found
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(
            |token| matches!(&token.kind, Kind::Word(other) if other.eq_ignore_ascii_case(word)),
        );
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, kind: &Kind, what: &str) -> Result<(), ParseError> {
        if self.takes(kind) {
            return Ok(());
        }
        Err(self.expected(what))
    }

    fn expected(&self, what: &str) -> ParseError {
        let found = self
            .peek()
            .map_or_else(|| "the end".to_owned(), |token| token.kind.to_string());
        ParseError::new(self.offset(), format!("expected {what}, not {found}"))
    }
}

impl ParseError {
    fn new(offset: usize, reason: impl Into<String>) -> Self {
        Self {
            offset,
            reason: reason.into(),
        }
    }

    /// The reason, and the line with a mark under the column.
    fn into_error(self, text: &str) -> Error {
        let before = text.get(..self.offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        let line = text[line_start..].lines().next().unwrap_or_default();
        let column = before[line_start..].chars().count();
        // Of a long line, what is around the mark.
        let shown_from = column.saturating_sub(60);
        let shown: String = line.chars().skip(shown_from).take(120).collect();
        let number = before.matches('\n').count() + 1;
        let place = if text.contains('\n') {
            format!("line {number}, column {}", column + 1)
        } else {
            format!("column {}", column + 1)
        };
        let mark = " ".repeat(column - shown_from);
        Error::invalid_argument(
            "query",
            format!("{place}: {}\n  {shown}\n  {mark}^", self.reason),
        )
    }
}
