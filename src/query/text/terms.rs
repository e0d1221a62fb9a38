//! The terms of a query written as text: a field, and the predicate that it fulfils.

use std::ops::Bound;

use super::lineage::Subject;
use super::predicate::Predicate;
use super::token::Kind as Token;
use super::{ParseError, Parser};
use crate::node::{Direction, Kind};
use crate::query::attribute::{Attribute, Clock};
use crate::query::data_key::Root;
use crate::query::{Query, Term};

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
                let condition = self.predicate()?.into_condition()?;
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
        if let Some(attribute) = Attribute::of_word(name) {
            return self.predicate()?.into_attribute(attribute);
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
        match self.predicate()? {
            Predicate::Missing if is_absence => Ok(query),
            Predicate::Exists if !is_absence => Ok(query),
            Predicate::Missing | Predicate::Exists => Ok(Query::new().with_none_of([query])),
            _ => Err(ParseError::new(
                offset,
                "of inputs, outputs and problems as a whole, only `exists` and `missing` can be asked",
            )),
        }
    }

    fn time(&mut self, clock: Clock) -> Result<Query, ParseError> {
        use Bound::{Excluded, Included, Unbounded};
        let offset = self.offset();
        let refused = || ParseError::new(offset, "a time is asked for with =, <, <=, > or >=");
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
        Ok(Term::Time(clock, from, to).into())
    }
}
