//! Parses lineage terms: `input.model = 'churn:3'`, `output.path under 'plots'`, `input = 'model:churn:3'`.

use super::literal::Literal;
use super::predicate::Predicate;
use super::{ParseError, Parser};
use crate::error::Error;
use crate::node::{Direction, Kind, Node, NodeArg, Origin};
use crate::query::{Query, Term};

/// The part of a run's inputs or outputs that a term is about.
#[derive(Clone, Copy)]
pub(super) enum Subject {
    /// Nodes of any kind, in their printed form.
    Node,
    /// Nodes of this kind.
    Kind(Kind),
    /// Nodes of this kind without a detail.
    WithoutDetail(Kind),
    /// Details of this kind, with any key.
    Detail(Kind),
}

impl Subject {
    /// Parses the field of a term, such as `input.model`, `input.unversioned_model`, `input.path` or `input`.
    pub(super) fn of_term(direction: Direction, term: &str) -> Option<Self> {
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

impl Parser<'_> {
    /// Parses the predicate of a lineage term, and the origin that may follow it, as in `= 'churn:7' from registry`.
    pub(super) fn lineage(
        &mut self,
        subject: Subject,
        direction: Direction,
    ) -> Result<Query, ParseError> {
        let query = self.references(subject, direction)?;
        if !self.takes_word("from") {
            return Ok(query);
        }
        let offset = self.offset();
        let word = self.words_ahead().first().copied().unwrap_or_default();
        let origin = Origin::parse(word).ok_or_else(|| {
            let known: Vec<&str> = Origin::ALL.iter().map(|origin| origin.as_str()).collect();
            ParseError::new(
                offset,
                format!("write one of {} after `from`", known.join(", ")),
            )
        })?;
        self.next += 1;
        Ok(query.of_origin(origin))
    }

    fn references(&mut self, subject: Subject, direction: Direction) -> Result<Query, ParseError> {
        let offset = self.offset();
        match self.predicate()? {
            Predicate::Compare("=", literal) => {
                Ok(lineage_term(subject, direction, &literal)?.into())
            }
            Predicate::In(literals) => {
                let terms: Result<Vec<Term>, _> = literals
                    .iter()
                    .map(|literal| lineage_term(subject, direction, literal))
                    .collect();
                let terms = terms?;
                Ok(one_of(&terms).map_or_else(
                    || Query::new().with_any_of(terms.into_iter().map(Query::from)),
                    Query::from,
                ))
            }
            Predicate::Under(literal) => under(subject, direction, &literal, offset),
            Predicate::Compare("!=", _) | Predicate::NotIn(_) => Err(ParseError::new(
                offset,
                "a run may have several of these, so `!=` is ambiguous; write `not … = …` for the runs that have no such entry",
            )),
            _ => Err(ParseError::new(
                offset,
                "lineage takes `=`, `in` or `under`",
            )),
        }
    }
}

fn lineage_term(
    subject: Subject,
    direction: Direction,
    literal: &Literal,
) -> Result<Term, ParseError> {
    let text = literal.text()?;
    let refused = |reason: String| ParseError::new(literal.offset, reason);
    let empty = || refused("the text is empty; write a name or a path".to_owned());
    Ok(match subject {
        Subject::Node => Term::Node {
            direction,
            node: node(direction, literal)?,
        },
        Subject::Kind(kind) => match kind.read(text).map_err(refused)? {
            NodeArg::Node(node) => Term::Node { direction, node },
            NodeArg::Pointer(pointer) => {
                return Err(refused(format!(
                    "{pointer} is resolved by --input-model and --output-model only; write NAME:VERSION here"
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

/// Parses a node in its printed form, of a kind that runs can have in this direction.
fn node(direction: Direction, literal: &Literal) -> Result<Node, ParseError> {
    let refused = |reason: String| ParseError::new(literal.offset, reason);
    let node: Node = literal.text()?.parse().map_err(|error| match error {
        Error::InvalidArgument { reason, .. } => refused(reason),
        error => refused(error.to_string()),
    })?;
    if !node.kind().spec().directions.contains(&direction) {
        return Err(refused(format!(
            "a {} cannot be an {direction} of a run",
            node.kind()
        )));
    }
    Ok(node)
}

fn under(
    subject: Subject,
    direction: Direction,
    literal: &Literal,
    offset: usize,
) -> Result<Query, ParseError> {
    let no_path = |kind: Kind| {
        ParseError::new(
            offset,
            format!("`under` needs a path, and a {kind} has none; write `=`"),
        )
    };
    let empty = || {
        ParseError::new(
            literal.offset,
            "`under` needs a path; for all artifacts of a run, write `= 'RUN_ID'`",
        )
    };
    let term = match subject {
        Subject::Detail(kind) => Term::Path {
            direction,
            kind,
            path: path(literal.text()?).ok_or_else(empty)?,
            under: true,
        },
        Subject::WithoutDetail(kind) => return Err(no_path(kind)),
        subject => match lineage_term(subject, direction, literal)? {
            Term::Node { node, .. } if !node.kind().has_paths() => {
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

/// Joins terms that differ in their detail only into one term, which takes a single index scan.
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
