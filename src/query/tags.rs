//! Renders a query as mlopus does, over the nested tags of a run.

use bson::{Bson, Document, doc};

use super::Term;
use crate::codec::tags::fits_mlopus;
use crate::error::{Error, Result};

pub(super) fn render(terms: &[Term]) -> Result<Document> {
    let mut query = Document::new();
    for term in terms {
        let Term::Node { direction, node } = term else {
            return Err(Error::unsupported(
                "all but models and artifacts, each with AND, in a query for mlopus",
                "use `render()` on the mirror",
            ));
        };
        let key = node.key();
        if !fits_mlopus(key) {
            return Err(Error::unsupported(
                format!("{key:?} in a query for mlopus"),
                "it reads names of letters, digits, `_`, `-` and `/` only; use `render()` on the mirror",
            ));
        }
        let field = format!("tags.lineage.{}.{key}", node.kind().path(*direction));
        let wanted = match node.detail() {
            Some(detail) => Bson::from(detail),
            None => Bson::from(doc! { "$exists": true }),
        };
        match query.get(&field) {
            Some(earlier) if *earlier != wanted => {
                return Err(Error::unsupported(
                    format!("two values of {field} in a query for mlopus"),
                    "ask mlopus once for each value",
                ));
            }
            _ => query.insert(field, wanted),
        };
    }
    Ok(query)
}
