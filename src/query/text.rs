//! Parses a query from text. The language extends MLflow's `filter_string`.

mod lineage;
mod literal;
mod predicate;
mod terms;
mod token;

use std::str::FromStr;

use super::Query;
use crate::error::{Error, Result, TextPosition};

pub(crate) use token::{Input, Parsed, all_tokens, in_quotes};
use token::{Kind, Token};

/// The maximum nesting of parentheses and `not`: the parser is recursive, and its stack is finite.
const MAX_NESTING: usize = 40;
/// The maximum length of the text in bytes.
const MAX_LENGTH: usize = 100_000;

/// An error in a text, and the byte offset where it occurred.
#[derive(Debug)]
pub(crate) struct ParseError {
    pub(crate) offset: usize,
    pub(crate) reason: String,
}

/// Parses a query from text. The language is MLflow's `filter_string` with `or`, `not`, parentheses and lineage.
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
/// `not` binds tighter than `and`, and `and` binds tighter than `or`. Operators are case-insensitive, fields are
/// case-sensitive.
///
/// | term | means |
/// |---|---|
/// | `input.model = 'churn'`, `= 'churn:3'`, `in ('churn:2', 'churn:3')` | [`with_input_model`](Query::with_input_model); end a name that holds colons with one more colon: `'a:b:'` |
/// | `input.unversioned_model = 'churn'` | [`with_input_model_without_version`](Query::with_input_model_without_version) |
/// | `input.artifact = 'RUN_ID/PATH'`, `= 'RUN_ID'`, `under 'RUN_ID/PATH'` | [`with_input_artifact`](Query::with_input_artifact), [`…_under`](Query::with_input_artifact_under) |
/// | `input.path = 'data/x'`, `under 'data'` | [`with_input_path`](Query::with_input_path), [`…_under`](Query::with_input_path_under) |
/// | `inputs missing`, `inputs exists` | [`without_inputs`](Query::without_inputs), and its negation |
/// | `input = 'model:churn:3'`, `in (…)`, `under 'artifact:RUN_ID/PATH'` | [`with_input`](Query::with_input): a [`Node`](crate::Node) of any kind, in its printed form |
/// | the same with `output` | |
/// | `exp`, `exp.id`, `exp.name`, `status`, `user`, `name`, `run_id`, `parent`: `=`, `!=`, `in (…)`, `not in (…)`, `exists`, `missing` | the fields of the run; `exp` is an id or a name |
/// | `name like 'train-%'` | [`with_name_prefix`](Query::with_name_prefix); `%` is allowed at the end only, and `_` has no special meaning; `prefix '50%-'` takes any text |
/// | `start_time >= '2026-03-01'`, `end_time < '7d'` | a date, a time, a span before now, or milliseconds since 1970 |
/// | `params.KEY`, `tags.KEY`: `=`, `!=`, `in`, `not in`, `like 'x%'`, `exists`, `missing`; `<`, `<=`, `>`, `>=` with a number | [`with_param`](Query::with_param); put a key with spaces or special characters into `` ` `` or `"` |
/// | `metrics.KEY` with a number, `NaN` or `Infinity`: `=`, `!=`, `<`, `<=`, `>`, `>=`, `in`, `exists`, `missing` | [`with_metric`](Query::with_metric) |
/// | `problems exists`, `problems missing` | [`with_problems`](Query::with_problems) |
/// | `true` | every run |
///
/// - `is null` means `missing`, and `is not null` means `exists`.
/// - Double a quote inside a text: `'it''s'`. The words for a status need no quotes: `status = FINISHED`.
/// - As in MLflow, `x != y` matches only runs with a value of `x`. `not x = y` also matches runs without one.
/// - A list holds at most 1,000 values.
/// - `like` on a param or a tag refuses a prefix of a number, such as `'1%'`, because the mirror stores numbers as numbers.
///
/// # Errors
/// [`Error::InvalidArgument`] shows the column of the error and what to write there.
impl FromStr for Query {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse(text).map_err(|error| error.into_error("query", text))
    }
}

/// Parses a query that may stand inside another text, so the error keeps its offset.
pub(crate) fn parse(text: &str) -> Result<Query, ParseError> {
    if text.len() > MAX_LENGTH {
        return Err(ParseError::new(
            0,
            format!("the query is longer than {MAX_LENGTH} bytes; split it into several searches"),
        ));
    }
    let tokens = token::tokens(text)?;
    let mut parser = Parser {
        tokens: &tokens,
        next: 0,
        end: text.len(),
    };
    let query = parser.disjunction(0)?;
    match parser.peek() {
        None => Ok(query),
        Some(token) => Err(ParseError::new(
            token.offset,
            format!(
                "expected `and`, `or` or the end of the query, not {}",
                token.kind
            ),
        )),
    }
}

/// A recursive-descent parser. The field of a term decides which operators may follow it, so each kind of term parses
/// its own predicate.
struct Parser<'a> {
    tokens: &'a [Token],
    next: usize,
    end: usize,
}

impl Parser<'_> {
    fn disjunction(&mut self, depth: usize) -> Result<Query, ParseError> {
        let mut alternatives = vec![self.conjunction(depth)?];
        while self.takes_word("or") {
            alternatives.push(self.conjunction(depth)?);
        }
        Ok(Query::new().with_any_of(alternatives))
    }

    fn conjunction(&mut self, depth: usize) -> Result<Query, ParseError> {
        let mut parts = vec![self.factor(depth)?];
        while self.takes_word("and") {
            parts.push(self.factor(depth)?);
        }
        Ok(Query::new().with_all_of(parts))
    }

    fn factor(&mut self, depth: usize) -> Result<Query, ParseError> {
        let offset = self.offset();
        if depth > MAX_NESTING {
            return Err(ParseError::new(
                offset,
                format!(
                    "parentheses and `not` nest deeper than {MAX_NESTING} levels; use fewer of them"
                ),
            ));
        }
        if self.takes_word("not") {
            return Ok(Query::new().with_none_of([self.factor(depth + 1)?]));
        }
        if self.takes(&Kind::Open) {
            let query = self.disjunction(depth + 1)?;
            self.expect(&Kind::Close, "`)`, `and` or `or`")?;
            return Ok(query);
        }
        let query = self.term()?;
        // A builder keeps a bad argument without its position, so check each term at its offset.
        match query.check() {
            Err(Error::InvalidArgument {
                argument, reason, ..
            }) => Err(ParseError::new(offset, format!("{argument}: {reason}"))),
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
        let found = self.peek().map_or_else(
            || "the end of the query".to_owned(),
            |token| token.kind.to_string(),
        );
        ParseError::new(self.offset(), format!("expected {what}, not {found}"))
    }
}

impl ParseError {
    pub(crate) fn new(offset: usize, reason: impl Into<String>) -> Self {
        Self {
            offset,
            reason: reason.into(),
        }
    }

    /// Converts into an error of the argument, with the reason, the line, and a mark under the column.
    pub(crate) fn into_error(self, argument: &'static str, text: &str) -> Error {
        let before = text.get(..self.offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        let line = text[line_start..].lines().next().unwrap_or_default();
        let column = before[line_start..].chars().count();
        // Show only the part of a long line around the mark.
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
            argument,
            format!("{place}: {}\n  {shown}\n  {mark}^", self.reason),
        )
        .at(TextPosition {
            line: number,
            column: column + 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::query::Query;

    #[test]
    fn an_error_points_at_the_column_and_says_what_to_write() {
        let errors = [
            (
                "status = @x",
                "column 10: unexpected character '@'; put a text into single quotes",
            ),
            (
                "metrics.",
                "column 9: the query ends after a dot; write a key",
            ),
            (
                "name = 'x",
                "column 8: this quote is not closed; add ' at the end",
            ),
            (
                "(status = 'x'",
                "column 14: expected `)`, `and` or `or`, not the end of the query",
            ),
            (
                "status 'x'",
                "column 8: expected =, !=, <, <=, >, >=, in, not in",
            ),
            (
                "status = x",
                "column 10: expected a value, not `x`; put a text into quotes: 'x'",
            ),
            (
                "input.model != 'a:1'",
                "column 13: a run may have several of these",
            ),
            (
                "input.model under 'a'",
                "column 13: `under` needs a path, and a model has none; write `=`",
            ),
            (
                "input.artifact under 'a'",
                "column 22: `under` needs a path; for all artifacts of a run",
            ),
            ("input.path = '/'", "column 14: the text is empty"),
            (
                "metrics.a b > 1",
                "column 1: put a key with spaces into backquotes: metrics.`a b`",
            ),
            (
                "params.a > '1'",
                "column 12: <, <=, > and >= compare numbers; write a number without quotes",
            ),
            (
                "metrics.a = 1x",
                "column 13: 1x is not a number; put a text into quotes",
            ),
            (
                "status = 'a'\nand user = 1",
                "line 2, column 12: expected a text in quotes",
            ),
            (
                "status = 'a' and\n user = ''",
                "line 2, column 2: user: the value must not be empty",
            ),
        ];
        let found = errors.map(|(text, _)| match text.parse::<Query>() {
            Ok(query) => format!("parsed as {query}"),
            Err(error) => error.to_string(),
        });
        for ((text, expected), found) in errors.iter().zip(&found) {
            let expected = format!("query: {expected}");
            assert!(found.starts_with(&expected), "{text:?}: {found}");
        }
    }
}
