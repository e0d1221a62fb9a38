//! The facets by which runs can be counted: some fields, and each kind of node in each direction.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use runlineage::lineage::{Direction, Kind};
use runlineage::mongo::Facet;

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

fn facets() -> impl Iterator<Item = (String, Facet)> {
    let own = [
        ("exp", Facet::Experiment),
        ("status", Facet::Status),
        ("user", Facet::User),
    ];
    let own = own.map(|(name, facet)| (name.to_owned(), facet));
    let nodes = Direction::BOTH.into_iter().flat_map(|direction| {
        Kind::of_direction(direction)
            .map(move |kind| (kind.flag(direction), Facet::Nodes(direction, kind)))
    });
    own.into_iter().chain(nodes)
}
