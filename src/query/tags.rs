//! Renders a query as mlopus does: as a filter on the nested lineage tags of a run.

use bson::{Bson, Document, doc};

use super::Term;
use crate::codec::tags::fits_mlopus;
use crate::error::{Error, Result};
use crate::node::Origin;

pub(super) fn render(terms: &[Term]) -> Result<Document> {
    let mut query = Document::new();
    for term in terms {
        // Tags are all that mlopus knows.
        let term = match term {
            Term::OfOrigin(Origin::Tag, term) => term,
            term => term,
        };
        let Term::Node { direction, node } = term else {
            return Err(Error::unsupported(
                "a condition other than a model or an artifact in a query for mlopus",
                "use `render()` and search the mirror",
            ));
        };
        if !node.kind().spec().is_mlopus {
            return Err(Error::unsupported(
                format!("a {} in a query for mlopus", node.kind()),
                "mlopus knows models and artifacts; use `render()` and search the mirror",
            ));
        }
        let key = node.key();
        if !fits_mlopus(key) {
            return Err(Error::unsupported(
                format!("the name {key:?} in a query for mlopus"),
                "mlopus reads only names of letters, digits, `_`, `-` and `/`; use `render()` and search the mirror",
            ));
        }
        let field = format!("tags.lineage.{}.{key}", node.kind().path(*direction));
        let expected = match node.detail() {
            Some(detail) => Bson::from(detail),
            None => Bson::from(doc! { "$exists": true }),
        };
        match query.get(&field) {
            Some(earlier) if *earlier != expected => {
                return Err(Error::unsupported(
                    format!("a second value of {field} in a query for mlopus"),
                    "run one query for each value",
                ));
            }
            _ => query.insert(field, expected),
        };
    }
    Ok(query)
}
