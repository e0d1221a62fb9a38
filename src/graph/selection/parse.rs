//! Parses a selection from text.

use std::str::FromStr;

use super::token::{self, Kind as Token, WORDS};
use super::{Expression, Selection, Span};
use crate::error::{Error, Result};
use crate::node::{Kind, Node, NodeArg};
use crate::query::{self, ParseError};
use crate::run::RunId;

/// The maximum nesting of parentheses and `not`: the parser is recursive, and its stack is finite.
const MAX_NESTING: usize = 40;
/// The maximum length of the text in bytes.
const MAX_LENGTH: usize = 100_000;
/// The maximum number of nodes in the text: each of them costs a walk.
const MAX_SPANS: usize = 100;

/// Parses a selection from text, in the manner of dbt and Dagster.
///
/// ```
/// use runlineage::graph::Selection;
///
/// let selection: Selection = "2+model:churn:7+1 and not where(status = FAILED)".parse()?;
/// assert_eq!(selection.to_string(), "2+model:churn:7+1 and not where(status = 'FAILED')");
/// let error = "model:churn:7 und model:churn:8".parse::<Selection>().unwrap_err();
/// assert!(error.to_string().contains("column 15: expected `and`, `or`"));
/// # Ok::<(), runlineage::Error>(())
/// ```
///
/// | text | selects |
/// |---|---|
/// | `model:churn:7` | the node: a [`Node`], a URI of MLflow such as `models:/churn@champion`, or the id of a run |
/// | `2+NODE+1` | the node, two levels of runs upstream and one downstream: the nodes of [`graph`](crate::MongoRunStore::graph) |
/// | `+NODE`, `NODE+` | the node and all that is upstream, or downstream |
/// | `A and B`, `A or B` | the nodes of both, or of either; `A+ and +B` is what lies between `A` and `B` |
/// | `A and not B` | the nodes of `A` that are not in `B` |
/// | `A and where(QUERY)` | `A` without the runs that do not match the [`Query`](crate::Query) |
/// | `A and not where(QUERY)` | `A` without the runs that match |
/// | `roots(A)`, `sinks(A)` | the nodes of `A` to which no edge within `A` leads, or from which none leads |
/// | `(A)` | the same as `A` |
///
/// - `not` binds tighter than `and`, and `and` binds tighter than `or`. Words are case-insensitive.
/// - Put a node into double quotes if it holds white space or one of `+ ( ) "`, is a word of the grammar, or begins with a digit,
///   and double each quote in it: `"model:c++:3"+`. The id of a run may begin with a digit without quotes, unless it is a number.
/// - `not` and `where(…)` need a set of nodes to take nodes from. By themselves they are an error, since only the size of the
///   mirror bounds what they select.
/// - A condition is about runs alone: models, artifacts, datasets and prompts stay. A run that is not mirrored matches no condition.
///
/// # Errors
/// [`Error::InvalidArgument`] shows the column of the error and what to write there.
impl FromStr for Selection {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse(text).map_err(|error| error.into_error("selection", text))
    }
}

fn parse(text: &str) -> Result<Selection, ParseError> {
    if text.len() > MAX_LENGTH {
        let reason = format!("the selection is longer than {MAX_LENGTH} bytes; split it");
        return Err(ParseError::new(0, reason));
    }
    let tokens = token::tokens(text)?;
    let mut parser = Parser {
        tokens: &tokens,
        next: 0,
        end: text.len(),
        spans: 0,
    };
    let offset = parser.offset();
    let root = parser.disjunction(0)?;
    if parser.peek().is_some() {
        return Err(parser.expected("`and`, `or` or the end of the selection"));
    }
    parser.check_set(&root, offset)?;
    Ok(Selection { root })
}

/// A recursive-descent parser.
struct Parser<'a> {
    tokens: &'a [token::Token],
    next: usize,
    end: usize,
    spans: usize,
}

impl Parser<'_> {
    fn disjunction(&mut self, depth: usize) -> Result<Expression, ParseError> {
        let first = self.conjunction(depth)?;
        let mut parts = vec![first];
        while self.takes_word("or") {
            let offset = self.offset();
            let part = self.conjunction(depth)?;
            if part.is_condition() != parts[0].is_condition() {
                let reason = "`or` joins two sets of nodes or two conditions, and this would mix them; write the condition behind each set, as in `(A and where(…)) or B`";
                return Err(ParseError::new(offset, reason));
            }
            parts.push(part);
        }
        Ok(one_or(parts, Expression::Any))
    }

    fn conjunction(&mut self, depth: usize) -> Result<Expression, ParseError> {
        let mut parts = vec![self.factor(depth)?];
        while self.takes_word("and") {
            parts.push(self.factor(depth)?);
        }
        Ok(one_or(parts, Expression::All))
    }

    fn factor(&mut self, depth: usize) -> Result<Expression, ParseError> {
        if depth > MAX_NESTING {
            let reason = format!(
                "parentheses and `not` nest deeper than {MAX_NESTING} levels; use fewer of them"
            );
            return Err(ParseError::new(self.offset(), reason));
        }
        if self.takes_word("not") {
            return Ok(Expression::Not(Box::new(self.factor(depth + 1)?)));
        }
        for (word, of) in [
            (
                "roots",
                Expression::Roots as fn(Box<Expression>) -> Expression,
            ),
            ("sinks", Expression::Sinks),
        ] {
            if self.takes_word(word) {
                if !self.takes(&Token::Open) {
                    return Err(self.expected(&format!("`(` after `{word}`")));
                }
                let offset = self.offset();
                let inner = self.in_parentheses(depth)?;
                self.check_set(&inner, offset)?;
                return Ok(of(Box::new(inner)));
            }
        }
        if self.takes(&Token::Open) {
            return self.in_parentheses(depth);
        }
        if let Some(Token::Where(text, offset)) = self.kind() {
            let query = query::parse(text).map_err(|error| ParseError {
                offset: offset + error.offset,
                reason: error.reason,
            })?;
            self.next += 1;
            return Ok(Expression::Where(query));
        }
        self.span().map(Expression::Walk)
    }

    /// An expression and the closing parenthesis.
    fn in_parentheses(&mut self, depth: usize) -> Result<Expression, ParseError> {
        let inner = self.disjunction(depth + 1)?;
        match self.takes(&Token::Close) {
            true => Ok(inner),
            false => Err(self.expected("`)`, `and` or `or`")),
        }
    }

    /// A node, and the levels before and after it.
    fn span(&mut self) -> Result<Span, ParseError> {
        let offset = self.offset();
        let mut upstream = None;
        if self.is_number()
            && self.tokens.get(self.next + 1).map(|next| &next.kind) == Some(&Token::Plus)
        {
            upstream = Some(self.levels()?);
            self.next += 1;
        } else if self.takes(&Token::Plus) {
            upstream = Some(u32::MAX);
        }
        let node = self.node()?;
        let mut downstream = None;
        if self.takes(&Token::Plus) {
            downstream = Some(match self.is_number() {
                true => self.levels()?,
                false => u32::MAX,
            });
        }
        self.spans += 1;
        if self.spans > MAX_SPANS {
            let reason = format!("a selection holds {MAX_SPANS} nodes at most; split it");
            return Err(ParseError::new(offset, reason));
        }
        Ok(Span {
            node,
            upstream,
            downstream,
        })
    }

    fn is_number(&self) -> bool {
        matches!(self.kind(), Some(Token::Word(word)) if word.bytes().all(|byte| byte.is_ascii_digit()))
    }

    fn levels(&mut self) -> Result<u32, ParseError> {
        let offset = self.offset();
        let Some(Token::Word(word)) = self.kind() else {
            return Err(self.expected("a number of levels"));
        };
        let levels = word.parse().map_err(|_| {
            let reason = format!("{word} levels are more than {}; leave the number out for all levels, and put the id of a run that is a number into double quotes", u32::MAX);
            ParseError::new(offset, reason)
        })?;
        self.next += 1;
        Ok(levels)
    }

    fn node(&mut self) -> Result<NodeArg, ParseError> {
        let offset = self.offset();
        let text = match self.kind() {
            Some(Token::Quoted(text)) => text,
            Some(Token::Word(word)) if !is_keyword(word) => word,
            _ => return Err(self.expected("a node, such as model:churn:7")),
        };
        let node = read(text).map_err(|reason| ParseError::new(offset, reason))?;
        self.next += 1;
        Ok(node)
    }

    /// Refuses a condition where a set of nodes has to stand.
    fn check_set(&self, expression: &Expression, offset: usize) -> Result<(), ParseError> {
        if !expression.is_condition() {
            return Ok(());
        }
        let reason = "`not` and `where(…)` take nodes out of a set, and there is none here; write one before it, as in `+model:churn:7 and not where(status = 'FAILED')`";
        Err(ParseError::new(offset, reason))
    }

    fn peek(&self) -> Option<&token::Token> {
        self.tokens.get(self.next)
    }

    fn kind(&self) -> Option<&Token> {
        self.peek().map(|token| &token.kind)
    }

    fn offset(&self) -> usize {
        self.peek().map_or(self.end, |token| token.offset)
    }

    fn takes(&mut self, kind: &Token) -> bool {
        let found = self.kind() == Some(kind);
        self.next += usize::from(found);
        found
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let found =
            matches!(self.kind(), Some(Token::Word(other)) if other.eq_ignore_ascii_case(word));
        self.next += usize::from(found);
        found
    }

    fn expected(&self, what: &str) -> ParseError {
        let found = self.kind();
        let hint = match found {
            Some(Token::Word(_) | Token::Quoted(_) | Token::Plus | Token::Open) => {
                "; put a node that holds white space or one of + ( ) \" into double quotes"
            }
            _ => "",
        };
        let found = found.map_or_else(
            || "the end of the selection".to_owned(),
            ToString::to_string,
        );
        ParseError::new(self.offset(), format!("expected {what}, not {found}{hint}"))
    }
}

fn one_or(mut parts: Vec<Expression>, several: fn(Vec<Expression>) -> Expression) -> Expression {
    match parts.len() {
        1 => parts.remove(0),
        _ => several(parts),
    }
}

fn is_keyword(word: &str) -> bool {
    WORDS.iter().any(|other| other.eq_ignore_ascii_case(word))
}

/// Parses a node, or a model by what points to one of its versions. A text without a kind is the id of a run.
fn read(text: &str) -> Result<NodeArg, String> {
    let is_node = text.contains(':') && !text.starts_with("runs:/");
    if !is_node && let Ok(id) = text.parse::<RunId>() {
        return Ok(NodeArg::Node(Node::stored(Kind::RUN, id.as_str(), None)));
    }
    match text.parse::<Node>() {
        Ok(node) => Ok(NodeArg::Node(node)),
        // `models:/m-…` is a logged model, and so a node.
        Err(_) if text.starts_with("models:/") => Kind::MODEL.read(text),
        Err(Error::InvalidArgument { reason, .. }) => Err(reason),
        Err(error) => Err(error.to_string()),
    }
}
