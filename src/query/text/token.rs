//! Splits the text of a query into tokens.

use std::fmt;

use winnow::ascii::multispace0;
use winnow::combinator::{alt, cut_err, delimited, eof, preceded, repeat, terminated};
use winnow::error::{ErrMode, ParserError};
use winnow::prelude::*;
use winnow::stream::{LocatingSlice, Location, Stream};
use winnow::token::{none_of, one_of, take_while};

use super::ParseError;

/// A token and the byte offset where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) offset: usize,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// A field, or a keyword such as `and`, `in` or `like`.
    Word(String),
    /// A field with a quoted part, which is never a keyword.
    Quoted(String),
    Text(String),
    Number(String),
    /// `=`, `!=`, `<`, `<=`, `>`, `>=`.
    Operator(&'static str),
    Open,
    Close,
    Comma,
}

pub(crate) type Input<'a> = LocatingSlice<&'a str>;
pub(crate) type Parsed<T> = Result<T, ErrMode<ParseError>>;

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, ParseError> {
    all_tokens(text, token, "the query ends too early")
}

/// Every token of a text in this grammar, with white space between them.
pub(crate) fn all_tokens<T>(
    text: &str,
    token: fn(&mut Input<'_>) -> Parsed<T>,
    too_early: &str,
) -> Result<Vec<T>, ParseError> {
    let tokens = repeat(0.., terminated(token, multispace0));
    let mut whole = terminated(preceded(multispace0, tokens), eof);
    whole
        .parse_next(&mut LocatingSlice::new(text))
        .map_err(|error| match error {
            ErrMode::Backtrack(error) | ErrMode::Cut(error) => error,
            ErrMode::Incomplete(_) => ParseError::new(text.len(), too_early),
        })
}

fn token(input: &mut Input<'_>) -> Parsed<Token> {
    let offset = input.current_token_start();
    let kind = alt((
        operator.map(Kind::Operator),
        '('.value(Kind::Open),
        ')'.value(Kind::Close),
        ','.value(Kind::Comma),
        alt((in_quotes('\''), in_quotes('"'))).map(Kind::Text),
        number.map(Kind::Number),
        word,
    ))
    .parse_next(input)?;
    Ok(Token { offset, kind })
}

fn operator(input: &mut Input<'_>) -> Parsed<&'static str> {
    alt((
        "<=".value("<="),
        ">=".value(">="),
        "!=".value("!="),
        "<>".value("!="),
        "==".value("="),
        "=".value("="),
        "<".value("<"),
        ">".value(">"),
    ))
    .parse_next(input)
}

/// A text between two quotes; a doubled quote inside stands for one.
pub(crate) fn in_quotes<'a>(quote: char) -> impl Parser<Input<'a>, String, ErrMode<ParseError>> {
    let doubled = move |input: &mut Input<'a>| (quote, quote).value(quote).parse_next(input);
    let inner =
        move |input: &mut Input<'a>| repeat(0.., alt((doubled, none_of(quote)))).parse_next(input);
    move |input: &mut Input<'a>| {
        let start = input.current_token_start();
        let closed = |input: &mut Input<'a>| {
            let mut mark = quote;
            let closed: Parsed<char> = mark.parse_next(input);
            closed.map_err(|_| {
                ErrMode::Cut(ParseError::new(
                    start,
                    format!("this quote is not closed; add {quote} at the end of the text"),
                ))
            })
        };
        delimited(quote, inner, closed).parse_next(input)
    }
}

/// Takes every text that begins like a number. The parser of literals refuses those that are not one, with a better message.
fn number(input: &mut Input<'_>) -> Parsed<String> {
    (
        one_of(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')),
        take_while(0.., |c: char| {
            c.is_alphanumeric() || matches!(c, '.' | '-' | '+' | '_')
        }),
    )
        .take()
        .map(str::to_owned)
        .parse_next(input)
}

fn word(input: &mut Input<'_>) -> Parsed<Kind> {
    let first = plain(input)?;
    let mut name = first.to_owned();
    let mut quoted = false;
    while name.ends_with('.') {
        let part = cut_err(alt((
            in_quotes('`'),
            in_quotes('"'),
            plain.map(str::to_owned),
        )))
        .parse_next(input)?;
        quoted = true;
        name.push_str(&part);
        if input.peek_token() != Some('.') {
            break;
        }
        name.push_str(plain(input)?);
    }
    Ok(if quoted {
        Kind::Quoted(name)
    } else {
        Kind::Word(name)
    })
}

fn plain<'a>(input: &mut Input<'a>) -> Parsed<&'a str> {
    take_while(1.., |c: char| {
        c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '/')
    })
    .parse_next(input)
}

impl<'a> ParserError<Input<'a>> for ParseError {
    type Inner = Self;

    fn from_input(input: &Input<'a>) -> Self {
        let reason = match input.peek_token() {
            Some(c) => format!(
                "unexpected character {c:?}; put a text into single quotes, and a key with other characters into backquotes"
            ),
            None => "the query ends after a dot; write a key, as in `metrics.auc`".to_owned(),
        };
        Self::new(input.current_token_start(), reason)
    }

    fn into_inner(self) -> Result<Self::Inner, Self> {
        Ok(self)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) | Self::Quoted(word) => write!(f, "`{word}`"),
            Self::Text(text) => write!(f, "the text '{text}'"),
            Self::Number(number) => write!(f, "the number {number}"),
            Self::Operator(operator) => write!(f, "`{operator}`"),
            Self::Open => f.write_str("`(`"),
            Self::Close => f.write_str("`)`"),
            Self::Comma => f.write_str("`,`"),
        }
    }
}
