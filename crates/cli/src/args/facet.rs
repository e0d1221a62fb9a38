//! A facet by which runs are counted.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use runlineage::mongo::Facet;
use runlineage_server::answer::facets;

/// A facet, parsed from its name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct FacetArg(pub(crate) Facet);

impl FacetArg {
    pub(crate) fn parser() -> impl TypedValueParser<Value = Self> {
        let names = facets().map(|(name, _)| name);
        PossibleValuesParser::new(names.collect::<Vec<_>>()).map(|name| {
            let facet = facets().find(|(other, _)| *other == name);
            Self(facet.map_or(Facet::Experiment, |(_, facet)| facet))
        })
    }
}
