//! Splits the text of a selection into tokens.

use std::fmt;

use winnow::ascii::multispace0;
use winnow::combinator::alt;
use winnow::error::ErrMode;
use winnow::prelude::*;
use winnow::stream::Location;
use winnow::token::{any, take_till};

use crate::query::{Input, ParseError, Parsed, all_tokens, in_quotes};

/// The words of the grammar, which a node without quotes cannot be.
pub(super) const WORDS: [&str; 6] = ["and", "or", "not", "roots", "sinks", "where"];

/// A token and the byte offset where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) offset: usize,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// A node, a number of levels, or a word of the grammar.
    Word(String),
    /// A node in double quotes.
    Quoted(String),
    /// The text between the parentheses of `where(…)`, and the byte offset where it begins.
    Where(String, usize),
    Plus,
    Open,
    Close,
}

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, ParseError> {
    all_tokens(text, token, "the selection ends too early")
}

fn token(input: &mut Input<'_>) -> Parsed<Token> {
    let offset = input.current_token_start();
    let kind = alt((
        '+'.value(Kind::Plus),
        '('.value(Kind::Open),
        ')'.value(Kind::Close),
        in_quotes('"').map(Kind::Quoted),
        condition,
        plain.map(|word: &str| Kind::Word(word.to_owned())),
    ))
    .parse_next(input)?;
    Ok(Token { offset, kind })
}

/// Whether a node needs quotes because of this character.
pub(super) fn separates(c: char) -> bool {
    c.is_whitespace() || matches!(c, '+' | '(' | ')' | '"')
}

fn plain<'a>(input: &mut Input<'a>) -> Parsed<&'a str> {
    take_till(1.., separates).parse_next(input)
}

/// `where(…)`. Only the query language knows what may stand between the parentheses, so they are matched here, past quotes.
fn condition(input: &mut Input<'_>) -> Parsed<Kind> {
    let is_where = |word: &&str| word.eq_ignore_ascii_case("where");
    (plain.verify(is_where), multispace0, '(').parse_next(input)?;
    let start = input.current_token_start();
    let mut text = String::new();
    let mut depth = 0_usize;
    loop {
        if let Some(quote @ ('\'' | '"' | '`')) = input.peek_token() {
            text.push_str(in_quotes(quote).take().parse_next(input)?);
            continue;
        }
        let next: Parsed<char> = any.parse_next(input);
        match next {
            Ok(')') if depth == 0 => return Ok(Kind::Where(text, start)),
            Ok(c) => {
                depth += usize::from(c == '(');
                depth -= usize::from(c == ')');
                text.push(c);
            }
            Err(_) => {
                return Err(ErrMode::Cut(ParseError::new(
                    input.current_token_start(),
                    "expected `)` at the end of `where(…)`, not the end of the selection",
                )));
            }
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => write!(f, "`{word}`"),
            Self::Quoted(node) => write!(f, "`\"{node}\"`"),
            Self::Where(..) => f.write_str("`where(`"),
            Self::Plus => f.write_str("`+`"),
            Self::Open => f.write_str("`(`"),
            Self::Close => f.write_str("`)`"),
        }
    }
}
