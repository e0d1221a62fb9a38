//! Every query prints as a text that parses back into it, with any names.

use std::ops::Bound;

use bson::DateTime;
use proptest::collection::vec;
use proptest::prelude::*;

use super::condition::Condition;
use super::{Operand, Query};
use crate::node::{Direction, Kind, Node, Origin};

/// Names that MLflow accepts, and names that are hard to print.
fn name() -> BoxedStrategy<String> {
    let odd = [
        "churn",
        "a b",
        "c++",
        "x@y",
        "and",
        "2+m",
        "q\"t",
        "p(1)",
        "it's",
        "''",
        "a:b",
        ":",
        "a:",
        "100%",
        "%41",
        "%",
        "a/b",
        "models:/m/1",
        "runs:/8f2c",
        "not",
        "true",
        "é😀",
        "\n",
        "`",
        "a`b",
        ".",
        "a.b",
        "a..b",
        ".a",
        "a.",
        "NaN",
        "-",
        "1e5",
    ];
    prop_oneof![
        proptest::sample::select(odd.to_vec()).prop_map(str::to_owned),
        "[a-z0-9:@/%'\"` .]{1,6}",
        "\\PC{1,4}",
    ]
    .boxed()
}

fn node() -> impl Strategy<Value = (Direction, Node)> {
    let place = proptest::sample::select(
        Direction::BOTH
            .into_iter()
            .flat_map(|direction| Kind::of_direction(direction).map(move |kind| (direction, kind)))
            .collect::<Vec<_>>(),
    );
    (place, name(), proptest::option::of(name())).prop_map(|((direction, kind), key, detail)| {
        let detail = detail.filter(|_| kind.spec().detail.is_some());
        let node = Node::new(kind, &key, detail.as_deref());
        (direction, node.expect("no key is empty"))
    })
}

fn operand() -> impl Strategy<Value = Operand> {
    let number = prop_oneof![
        any::<i64>().prop_map(Operand::from),
        // NaN does not equal itself, so it has a test of its own.
        any::<f64>()
            .prop_filter("not NaN", |number| !number.is_nan())
            .prop_map(Operand::from),
        Just(Operand::from(f64::INFINITY)),
    ];
    prop_oneof![number, name().prop_map(Operand::from)]
}

fn condition() -> BoxedStrategy<Condition> {
    prop_oneof![
        operand().prop_map(Condition::eq),
        operand().prop_map(Condition::ne),
        any::<f64>()
            .prop_filter("not NaN", |number| !number.is_nan())
            .prop_map(Condition::lt),
        any::<i64>().prop_map(Condition::ge),
        vec(operand(), 1..4).prop_map(Condition::is_in),
        vec(operand(), 1..4).prop_map(Condition::is_none_of),
        name().prop_map(Condition::prefix),
        Just(Condition::exists()),
        Just(Condition::missing()),
    ]
    .boxed()
}

fn bounds() -> impl Strategy<Value = (Bound<DateTime>, Bound<DateTime>)> {
    let bound = || {
        let time =
            (-8_640_000_000_000_000..8_640_000_000_000_000_i64).prop_map(DateTime::from_millis);
        prop_oneof![
            time.clone().prop_map(Bound::Included),
            time.prop_map(Bound::Excluded),
            Just(Bound::Unbounded)
        ]
    };
    (bound(), bound())
}

fn leaf() -> BoxedStrategy<Query> {
    let lineage = prop_oneof![
        node().prop_map(|(direction, node)| match direction {
            Direction::Input => Query::new().with_input(node),
            Direction::Output => Query::new().with_output(node),
        }),
        (name(), vec(name(), 1..4))
            .prop_map(|(name, versions)| Query::new().with_output_model_versions(&name, versions)),
        name().prop_map(|name| Query::new().with_input_model_without_version(&name)),
        (name(), name())
            .prop_map(|(run, path)| Query::new().with_input_artifact_under(&run, &path)),
        name().prop_map(|path| Query::new().with_output_path(&path)),
        name().prop_map(|path| Query::new().with_input_path_under(&path)),
        Just(Query::new().without_inputs()),
        Just(Query::new().without_outputs()),
    ];
    let fields = prop_oneof![
        name().prop_map(|text| Query::new().with_exp(&text)),
        name().prop_map(|text| Query::new().with_exp_id(&text)),
        name().prop_map(|text| Query::new().with_status(&text)),
        name().prop_map(|text| Query::new().with_parent(&text)),
        name().prop_map(|text| Query::new().with_name_prefix(&text)),
        bounds().prop_map(|bounds| Query::new().with_start_time(bounds)),
        bounds().prop_map(|bounds| Query::new().with_end_time(bounds)),
        Just(Query::new().with_problems()),
        Just(Query::new()),
    ];
    let data = (name(), condition(), 0..3_u8).prop_map(|(key, condition, root)| match root {
        0 => Query::new().with_tag(&key, condition),
        1 => Query::new().with_param(&key, condition),
        _ => Query::new().with_metric(&key, condition),
    });
    prop_oneof![lineage, fields, data].boxed()
}

fn query() -> impl Strategy<Value = Query> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        let origin = proptest::sample::select(&Origin::ALL[..]);
        (leaf(), vec(inner, 1..4), 0..4_u8, origin).prop_map(
            |(query, group, how, origin)| match how {
                0 => query.with_all_of(group),
                1 => query.with_any_of(group),
                2 => query.with_any_of(group).of_origin(origin),
                _ => query.with_none_of(group),
            },
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_printed_query_parses_back_into_itself(query in query()) {
        prop_assume!(query.render().is_ok());
        let text = query.to_string();
        let parsed: Query = match text.parse() {
            Ok(parsed) => parsed,
            Err(error) => return Err(TestCaseError::fail(format!("{text}\n{error}"))),
        };
        prop_assert_eq!(&parsed, &query, "{}", text);
        prop_assert_eq!(parsed.render().unwrap(), query.render().unwrap());
    }

    #[test]
    fn a_printed_node_parses_back_into_itself((_, node) in node()) {
        prop_assert_eq!(node.to_string().parse::<Node>().unwrap(), node);
    }
}

#[test]
fn nan_prints_and_parses_back() {
    let query = Query::new().with_metric("auc", f64::NAN);
    assert_eq!(query.to_string(), "metrics.auc = NaN");
    let parsed: Query = "metrics.auc = nan".parse().unwrap();
    assert_eq!(parsed.to_string(), query.to_string());
}
