//! A made-up kind: one row of the table is enough to parse, print, store and query it.

use bson::doc;

use super::{Detail, Direction, Kind, KindSpec, Node, NodeArg};
use crate::run::lineage::Entry;

pub(super) const GADGET: Kind = Kind::new(&KindSpec {
    noun: "made-up",
    directions: &[Direction::Input],
    field: "gadgets",
    is_mlopus: false,
    key: "brand",
    key_means: "brand",
    detail: Some(Detail {
        field: "size",
        separator: '@',
        is_path: false,
        of_any_key: None,
        absent: None,
    }),
    read: |kind, text| {
        let (brand, size) = text.split_once('@').unwrap_or((text, ""));
        let node = Node::checked(kind, brand, Some(size)).map_err(|_| "no brand".to_owned())?;
        Ok(NodeArg::Node(node))
    },
    value_name: "BRAND[@SIZE]",
    example: "acme@9",
});

#[test]
fn a_made_up_kind_is_a_node_with_a_text_of_its_own() {
    let node: Node = "made-up:a%40b@9".parse().unwrap();
    assert_eq!((node.key(), node.detail()), ("a@b", Some("9")));
    assert_eq!(node.to_string(), "made-up:a%40b@9");
    assert_eq!(GADGET.flag(Direction::Input), "input-made-up");
    assert_eq!(
        Kind::of_direction(Direction::Input).last(),
        Some(GADGET),
        "flags and facets are made of these"
    );
    assert!(Kind::of_direction(Direction::Output).all(|kind| kind != GADGET));
}

#[test]
fn a_made_up_kind_can_be_queried_and_the_query_prints() {
    let text = "input.made_up = 'acme@9' and not input.made_up in ('acme@1', 'acme@2')";
    let query: crate::Query = text.parse().unwrap();
    let of = |size| doc! { "inputs.gadgets": { "$elemMatch": { "brand": "acme", "size": size } } };
    let few = doc! { "inputs.gadgets": { "$elemMatch": { "brand": "acme", "size": { "$in": ["1", "2"] } } } };
    assert_eq!(
        query.render().unwrap(),
        doc! { "$and": [of("9"), { "$nor": [few] }] }
    );
    assert_eq!(query.to_string(), text);
    let built = crate::Query::new().with_input(Node::new(GADGET, "acme", None).unwrap());
    assert_eq!(
        built.render().unwrap(),
        doc! { "inputs.gadgets.brand": "acme" }
    );
    assert!("output.made_up = 'acme'".parse::<crate::Query>().is_err());
}

#[test]
fn a_made_up_kind_is_read_from_tags_and_stored_and_read_back() {
    let overflow = r#"[["inputs", "gadgets", "acme", "9"], ["inputs", "gadgets", "acme", "10"]]"#;
    let tags = [("lineage_overflow.0", overflow)];
    let (references, problems) = crate::codec::tags::read(tags);
    assert_eq!((references.len(), problems.len()), (2, 0));
    let entries: Vec<Entry> = references.iter().cloned().map(Entry::from).collect();
    let side = crate::run::lineage::to_side(Direction::Input, &entries);
    let stored = doc! { "_id": "8f2c", "inputs": side };
    let run = crate::Run::try_from(&stored).unwrap();
    let read: Vec<_> = run.references().map(|one| one.unwrap()).collect();
    assert_eq!(read, references.into_iter().collect::<Vec<_>>());
    assert!(run.lineage().unwrap().inputs.of_kind(GADGET)["acme"].contains("10"));
}
