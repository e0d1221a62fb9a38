//! Parses a term of a query's text: a field and a predicate, such as `status = 'FAILED'`.

use std::ops::Bound;

use super::lineage::Subject;
use super::predicate::Predicate;
use super::token::Kind as Token;
use super::{ParseError, Parser};
use crate::node::{Direction, Kind};
use crate::query::attribute::{Attribute, TimeField};
use crate::query::data_key::Root;
use crate::query::{Query, Term};

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
        let data = data.and_then(|(root, key)| Some((Root::parse(root)?, key)));
        match data {
            Some((root, key)) => {
                if let Some(words) = self.words_before_operator() {
                    let quoted = format!("{}.`{key} {words}`", root.name());
                    return Err(ParseError::new(
                        offset,
                        format!("put a key with spaces into backquotes: {quoted}"),
                    ));
                }
                let condition = self.predicate()?.into_condition()?;
                Ok(Query::new().with_data(root, key, condition))
            }
            None => self.field(plain, offset),
        }
    }

    /// The words between the field and its operator: the rest of a key with spaces that lacks its backquotes.
    fn words_before_operator(&self) -> Option<String> {
        const OPERATORS: [&str; 9] = [
            "in", "like", "ilike", "prefix", "under", "exists", "missing", "not", "is",
        ];
        let words: Vec<&str> = self.words_ahead();
        let first = words.first()?;
        let is_operator = OPERATORS
            .iter()
            .any(|word| word.eq_ignore_ascii_case(first));
        (!is_operator).then(|| {
            let is_no_operator = |word: &&&str| {
                OPERATORS
                    .iter()
                    .all(|operator| !operator.eq_ignore_ascii_case(word))
            };
            let key: Vec<&str> = words.iter().take_while(is_no_operator).copied().collect();
            key.join(" ")
        })
    }

    /// The words and numbers that follow, up to any other token and up to `and` or `or`.
    pub(super) fn words_ahead(&self) -> Vec<&str> {
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
        if let Some(attribute) = Attribute::parse(name) {
            return self.predicate()?.into_attribute(attribute);
        }
        if let Some(time_field) = TimeField::parse(name) {
            return self.time(time_field);
        }
        match name {
            // A query without terms prints as `true`.
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
                "there is no field `{}`; the fields are {}",
                name.chars().take(60).collect::<String>(),
                known_fields()
            ),
        ))
    }

    /// Parses `exists` or `missing`. `query` matches the runs where the field is missing if `is_absence` is set, else those
    /// where it exists.
    fn presence(&mut self, query: Query, is_absence: bool) -> Result<Query, ParseError> {
        let offset = self.offset();
        match self.predicate()? {
            Predicate::Missing if is_absence => Ok(query),
            Predicate::Exists if !is_absence => Ok(query),
            Predicate::Missing | Predicate::Exists => Ok(Query::new().with_none_of([query])),
            _ => Err(ParseError::new(
                offset,
                "`inputs`, `outputs` and `problems` take only `exists` or `missing`",
            )),
        }
    }

    fn time(&mut self, time_field: TimeField) -> Result<Query, ParseError> {
        use Bound::{Excluded, Included, Unbounded};
        let offset = self.offset();
        let refused = || ParseError::new(offset, "a time takes =, <, <=, > or >=");
        let Predicate::Compare(operator, literal) = self.predicate()? else {
            return Err(refused());
        };
        let time = literal.time()?;
        let (from, to) = match operator {
            "=" => (Included(time), Included(time)),
            "<" => (Unbounded, Excluded(time)),
            "<=" => (Unbounded, Included(time)),
            ">" => (Excluded(time), Unbounded),
            ">=" => (Included(time), Unbounded),
            _ => return Err(refused()),
        };
        Ok(Term::Time(time_field, from, to).into())
    }
}

/// The list of all fields, for error messages.
fn known_fields() -> String {
    let lineage = Kind::of_direction(Direction::Input).flat_map(|kind| {
        let detail = kind.spec().detail.and_then(|detail| detail.of_any_key);
        let detail = detail.map(|word| format!("{}.{word}", Direction::Input));
        [kind.term(Direction::Input)].into_iter().chain(detail)
    });
    let lineage = lineage.collect::<Vec<_>>().join(", ");
    let attributes = Attribute::names().collect::<Vec<_>>().join(", ");
    format!(
        "{lineage}, inputs, the same with output, {attributes}, start_time, end_time, problems, params.KEY, tags.KEY and metrics.KEY"
    )
}
