//! Parses a predicate of a query's text: an operator and its literals, such as `>= 0.5` or `in ('a', 'b')`.

use super::literal::Literal;
use super::token::Kind as Token;
use super::{ParseError, Parser};
use crate::query::attribute::Attribute;
use crate::query::check::MAX_LIST;
use crate::query::condition::Condition;
use crate::query::{Query, Term};

/// An operator and its literals.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Predicate {
    Compare(&'static str, Literal),
    In(Vec<Literal>),
    NotIn(Vec<Literal>),
    Like(Literal),
    Prefix(Literal),
    Under(Literal),
    Exists,
    Missing,
}

impl Parser<'_> {
    pub(super) fn predicate(&mut self) -> Result<Predicate, ParseError> {
        if let Some(Token::Operator(operator)) = self.peek().map(|token| &token.kind) {
            let operator = *operator;
            self.next += 1;
            return Ok(Predicate::Compare(operator, self.literal()?));
        }
        if self.takes_word("in") {
            return Ok(Predicate::In(self.literals()?));
        }
        if self.peek().is_some_and(
            |token| matches!(&token.kind, Token::Word(word) if word.eq_ignore_ascii_case("ilike")),
        ) {
            return Err(ParseError::new(
                self.offset(),
                "`ilike` is not supported, because every index is case-sensitive; write `like 'Train-%' or … like 'train-%'`",
            ));
        }
        if self.takes_word("like") {
            return Ok(Predicate::Like(self.literal()?));
        }
        if self.takes_word("prefix") {
            return Ok(Predicate::Prefix(self.literal()?));
        }
        if self.takes_word("under") {
            return Ok(Predicate::Under(self.literal()?));
        }
        if self.takes_word("exists") {
            return Ok(Predicate::Exists);
        }
        if self.takes_word("missing") {
            return Ok(Predicate::Missing);
        }
        if self.takes_word("not") {
            if self.takes_word("in") {
                return Ok(Predicate::NotIn(self.literals()?));
            }
            return Err(self.expected("`in` after `not`"));
        }
        if self.takes_word("is") {
            let not = self.takes_word("not");
            if self.takes_word("null") {
                return Ok(if not {
                    Predicate::Exists
                } else {
                    Predicate::Missing
                });
            }
            return Err(self.expected("`null` or `not null`"));
        }
        Err(self
            .expected("=, !=, <, <=, >, >=, in, not in, like, prefix, under, exists or missing"))
    }

    fn literals(&mut self) -> Result<Vec<Literal>, ParseError> {
        self.expect(&Token::Open, "`(`")?;
        let mut values = vec![self.literal()?];
        while self.takes(&Token::Comma) {
            if values.len() == MAX_LIST {
                let offset = self.offset();
                return Err(ParseError::new(
                    offset,
                    format!(
                        "a list holds {MAX_LIST} values at most; split it into several searches"
                    ),
                ));
            }
            values.push(self.literal()?);
        }
        self.expect(&Token::Close, "`,` or `)`")?;
        Ok(values)
    }
}

impl Predicate {
    pub(super) fn into_condition(self) -> Result<Condition, ParseError> {
        let values = |literals: Vec<Literal>| literals.into_iter().map(|literal| literal.value);
        Ok(match self {
            Self::Compare("=", literal) => Condition::eq(literal.value),
            Self::Compare("!=", literal) => Condition::ne(literal.value),
            Self::Compare(operator, literal) => {
                literal.number()?;
                match operator {
                    "<" => Condition::lt(literal.value),
                    "<=" => Condition::le(literal.value),
                    ">" => Condition::gt(literal.value),
                    _ => Condition::ge(literal.value),
                }
            }
            Self::In(literals) => Condition::is_in(values(literals)),
            Self::NotIn(literals) => Condition::is_none_of(values(literals)),
            Self::Like(literal) => Condition::prefix(literal.pattern()?),
            Self::Prefix(literal) => Condition::prefix(literal.text()?),
            Self::Under(literal) => {
                return Err(ParseError::new(
                    literal.offset,
                    "`under` applies to artifacts and paths only, as in `input.path under 'data'`",
                ));
            }
            Self::Exists => Condition::exists(),
            Self::Missing => Condition::missing(),
        })
    }

    pub(super) fn into_attribute(self, attribute: Attribute) -> Result<Query, ParseError> {
        let equal = |literal: &Literal| -> Result<Query, ParseError> {
            Ok(Query::new().with_attribute(attribute, literal.text()?))
        };
        let any = |literals: Vec<Literal>| -> Result<Vec<Query>, ParseError> {
            literals.iter().map(equal).collect()
        };
        let present = || Query::from(Term::Exists(attribute.of_presence()));
        match self {
            Self::Compare("=", literal) => equal(&literal),
            Self::Compare("!=", literal) => Ok(present().with_none_of([equal(&literal)?])),
            Self::In(literals) => Ok(Query::new().with_any_of(any(literals)?)),
            Self::NotIn(literals) => Ok(present().with_none_of(any(literals)?)),
            Self::Like(literal) if attribute == Attribute::Name => {
                Ok(Query::new().with_name_prefix(literal.pattern()?))
            }
            Self::Prefix(literal) if attribute == Attribute::Name => {
                Ok(Query::new().with_name_prefix(literal.text()?))
            }
            Self::Compare(_, literal)
            | Self::Like(literal)
            | Self::Prefix(literal)
            | Self::Under(literal) => Err(ParseError::new(
                literal.offset,
                "this field takes =, !=, in, not in, exists or missing; only `name` also takes like and prefix",
            )),
            Self::Exists => Ok(present()),
            Self::Missing => Ok(Query::new().with_none_of([present()])),
        }
    }
}
