//! Parses a literal of a query's text: a text, a number, a time or a pattern.

use bson::DateTime;

use super::token::Kind as Token;
use super::{ParseError, Parser};
use crate::error::Error;
use crate::query::condition::Operand;
use crate::query::parse_time;

/// The largest date of JavaScript, and so of mongosh.
const MAX_MILLIS: u64 = 8_640_000_000_000_000;

/// The statuses of a run, which need no quotes.
const STATUSES: [&str; 5] = ["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"];

/// A value and the byte offset where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Literal {
    pub(super) offset: usize,
    pub(super) value: Operand,
}

impl Parser<'_> {
    pub(super) fn literal(&mut self) -> Result<Literal, ParseError> {
        let offset = self.offset();
        let value = match self.peek().map(|token| &token.kind) {
            Some(Token::Text(text)) => Operand::Text(text.clone()),
            Some(Token::Number(number)) => {
                to_number(number).map_err(|reason| ParseError::new(offset, reason))?
            }
            Some(Token::Word(word)) if non_finite(word).is_some() => {
                Operand::Float(non_finite(word).unwrap_or(f64::NAN))
            }
            // MLflow's words for a status are no keywords, and quotes are hard to write inside the quotes of a shell.
            Some(Token::Word(word)) if STATUSES.contains(&word.as_str()) => {
                Operand::Text(word.clone())
            }
            Some(Token::Word(word)) => {
                return Err(ParseError::new(
                    offset,
                    format!(
                        "expected a value, not `{word}`; put a text into quotes: '{}'",
                        self.words_ahead().join(" ")
                    ),
                ));
            }
            _ => return Err(self.expected("a text in quotes or a number")),
        };
        self.next += 1;
        Ok(Literal { offset, value })
    }
}

impl Literal {
    pub(super) fn text(&self) -> Result<&str, ParseError> {
        match &self.value {
            Operand::Text(text) => Ok(text),
            _ => Err(ParseError::new(self.offset, "expected a text in quotes")),
        }
    }

    pub(super) fn number(&self) -> Result<(), ParseError> {
        match &self.value {
            Operand::Text(_) => Err(ParseError::new(
                self.offset,
                "<, <=, > and >= compare numbers; write a number without quotes",
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn time(&self) -> Result<DateTime, ParseError> {
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
                        "the time is out of range; write at most 8.64e15 milliseconds before or after 1970",
                    )
                }),
            Operand::Float(_) => Err(ParseError::new(
                self.offset,
                "milliseconds since 1970 are a whole number; leave out the fraction",
            )),
        }
    }

    /// The prefix of a pattern: the text before its `%`.
    pub(super) fn pattern(&self) -> Result<&str, ParseError> {
        let refused = || {
            ParseError::new(
                self.offset,
                "`like` searches for a prefix; write exactly one % and put it at the end, as in 'train-%'. For a prefix that holds a %, write `prefix '50%-'`. To search inside a text, print the column with `--format csv` and filter it",
            )
        };
        let text = self.text()?.strip_suffix('%').ok_or_else(refused)?;
        if text.contains('%') {
            return Err(refused());
        }
        Ok(text)
    }
}

/// Parses NaN and the infinities, in every form that MLflow and Python print.
fn non_finite(word: &str) -> Option<f64> {
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
    if let Some(number) = non_finite(text) {
        return Ok(Operand::Float(number));
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.is_empty() {
        return Err(format!(
            "{text} is beyond 64 bits; a number of this size compares only as text, so put it into quotes"
        ));
    }
    let shaped = text
        .chars()
        .all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E'));
    let number = text.parse::<f64>().ok();
    number
        .filter(|number| shaped && number.is_finite())
        .map(Operand::Float)
        .ok_or_else(|| format!("{text} is not a number; put a text into quotes"))
}
