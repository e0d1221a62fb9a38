//! Every selection prints as a text that parses back into it, with any names, and an error points at its column.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Expression, Selection, Span};
use crate::Query;
use crate::node::{Kind, ModelPointer, Node, NodeArg, PointsTo};
use crate::query::Condition;

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
        "2",
        "+",
        "not",
        "where",
        "where(",
        "roots(x)",
        "\"",
        "\"\"",
        "it's",
        "`",
        ")",
        "a:b",
        "%41",
        "%",
        "a/b",
        "é😀",
        "\n",
        "\u{3000}",
        "models:/m/1",
    ];
    prop_oneof![
        proptest::sample::select(odd.to_vec()).prop_map(str::to_owned),
        "[a-z0-9+()\" :@/%'`]{1,6}",
        "\\PC{1,4}",
    ]
    .boxed()
}

fn node() -> BoxedStrategy<NodeArg> {
    let kinds = proptest::sample::select(Kind::all().collect::<Vec<_>>());
    let node = (kinds, name(), proptest::option::of(name())).prop_map(|(kind, key, detail)| {
        let detail = detail.filter(|_| kind.spec().detail.is_some());
        let node = Node::new(kind, &key, detail.as_deref());
        NodeArg::Node(node.expect("no key is empty"))
    });
    // A URI has no encoding, so these are the names that MLflow itself can write.
    let names = proptest::sample::select(vec!["churn", "a b", "c++", "and", "q\"t", "p(1)"]);
    let to = proptest::sample::select(vec![
        PointsTo::Latest,
        PointsTo::Alias("champion".to_owned()),
        PointsTo::Stage("Production".to_owned()),
    ]);
    let pointer = (names, to).prop_map(|(name, to)| {
        let name = name.to_owned();
        NodeArg::Pointer(ModelPointer { name, to })
    });
    prop_oneof![4 => node, 1 => pointer].boxed()
}

fn span() -> impl Strategy<Value = Expression> {
    let levels = || proptest::option::of(prop_oneof![0..4_u32, Just(u32::MAX), any::<u32>()]);
    (node(), levels(), levels()).prop_map(|(node, upstream, downstream)| {
        Expression::Walk(Span {
            node,
            upstream,
            downstream,
        })
    })
}

fn query() -> impl Strategy<Value = Query> {
    prop_oneof![
        Just(Query::new()),
        Just(Query::new().with_status("FAILED")),
        (name(), name()).prop_map(|(key, value)| Query::new().with_tag(&key, Condition::eq(value))),
        (name(), name()).prop_map(|(one, other)| {
            let any = [one, other].map(|name| Query::new().with_input_model(&name, None));
            Query::new().with_any_of(any)
        }),
    ]
    .prop_filter("a builder took its argument", |query| {
        query.render().is_ok()
    })
}

fn set(depth: u32) -> BoxedStrategy<Expression> {
    if depth == 0 {
        return span().boxed();
    }
    let part = || set(depth - 1);
    let all = (
        part(),
        vec(prop_oneof![part(), condition(depth - 1)], 1..4),
        any::<bool>(),
    );
    prop_oneof![
        2 => span(),
        2 => all.prop_map(|(first, mut parts, is_last)| {
            parts.insert(if is_last { parts.len() } else { 0 }, first);
            Expression::All(parts)
        }),
        1 => vec(part(), 2..4).prop_map(Expression::Any),
        1 => part().prop_map(|part| Expression::Roots(Box::new(part))),
        1 => part().prop_map(|part| Expression::Sinks(Box::new(part))),
    ]
    .boxed()
}

fn condition(depth: u32) -> BoxedStrategy<Expression> {
    let leaf = prop_oneof![
        query().prop_map(Expression::Where),
        span().prop_map(|part| Expression::Not(Box::new(part))),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    let part = || condition(depth - 1);
    prop_oneof![
        2 => leaf,
        1 => prop_oneof![part(), set(depth - 1)].prop_map(|part| Expression::Not(Box::new(part))),
        1 => vec(part(), 2..4).prop_map(Expression::All),
        1 => vec(part(), 2..4).prop_map(Expression::Any),
    ]
    .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_selection_prints_as_a_text_that_parses_back_into_it(root in set(3)) {
        let selection = Selection { root };
        let text = selection.to_string();
        let parsed = text.parse::<Selection>();
        prop_assert!(parsed.is_ok(), "{text}: {}", parsed.unwrap_err());
        prop_assert_eq!(parsed.unwrap(), selection, "{}", text);
    }
}

#[test]
fn a_node_is_written_as_people_write_it() {
    let printed = [
        ("8f2c61d04a7b4f0e", "run:8f2c61d04a7b4f0e"),
        ("2+8f2c+1", "2+run:8f2c+1"),
        ("+ runs:/8f2c/data/x +", "+artifact:8f2c/data/x+"),
        ("models:/churn/7+", "model:churn:7+"),
        ("3+models:/churn@champion", "3+models:/churn@champion"),
        ("+\"model:c++:3\"+2", "+\"model:c++:3\"+2"),
        ("\"model:a b\"", "\"model:a b\""),
        ("\"model:q\"\"t:1\"", "\"model:q\"\"t:1\""),
        ("\"2\"+1", "run:2+1"),
        ("\"and\" AND NOT \"or\"", "run:and and not run:or"),
        ("model:a%20b:1", "\"model:a b:1\""),
        (
            "a or b and not (c or d)",
            "run:a or (run:b and not (run:c or run:d))",
        ),
        ("roots( a+ ) or Sinks(+b)", "roots(run:a+) or sinks(+run:b)"),
        (
            "a and where(name = ')' or params.`x)` = \"(\")",
            "run:a and where(name = ')' or params.`x)` = '(')",
        ),
        (
            "a and where( (status = FINISHED) )",
            "run:a and where(status = 'FINISHED')",
        ),
    ];
    for (text, expected) in printed {
        let selection = text.parse::<Selection>();
        let selection = selection.unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(selection.to_string(), expected, "{text}");
    }
}

#[test]
fn an_error_points_at_the_column_and_says_what_to_write() {
    let errors = [
        (
            "",
            "column 1: expected a node, such as model:churn:7, not the end of the selection",
        ),
        (
            "model:a b:1",
            "column 9: expected `and`, `or` or the end of the selection, not `b:1`; put a node that holds white space",
        ),
        (
            "model:c++:3",
            "column 9: expected `and`, `or` or the end of the selection, not `+`; put a node that holds",
        ),
        ("model:a und model:b", "column 9: expected `and`, `or`"),
        (
            "nonsense:x",
            "column 1: \"nonsense:x\" is not a node; write run:",
        ),
        ("a and", "column 6: expected a node"),
        (
            "a and or b",
            "column 7: expected a node, such as model:churn:7, not `or`",
        ),
        (
            "(a or b",
            "column 8: expected `)`, `and` or `or`, not the end of the selection",
        ),
        (
            "a)",
            "column 2: expected `and`, `or` or the end of the selection, not `)`",
        ),
        (
            "a and \"b",
            "column 7: this quote is not closed; add \" at the end",
        ),
        ("roots a", "column 7: expected `(` after `roots`, not `a`"),
        (
            "a and where",
            "column 7: expected a node, such as model:churn:7, not `where`",
        ),
        (
            "a and where(status = 'x'",
            "column 25: expected `)` at the end of `where(…)`",
        ),
        (
            "a and where(status = x)",
            "column 22: expected a value, not `x`; put a text into quotes",
        ),
        (
            "a and where(nme = 'x')",
            "column 13: there is no field `nme`",
        ),
        (
            "a and where(status = '')",
            "column 13: status: the value must not be empty",
        ),
        ("a and where()", "column 13: expected a field"),
        (
            "a and where(status = 'x)",
            "column 22: this quote is not closed",
        ),
        (
            "not a",
            "column 1: `not` and `where(…)` take nodes out of a set, and there is none here; write one before it, as in `+model:churn:7 and not where(status = 'FAILED')`",
        ),
        (
            "where(status = FAILED)",
            "column 1: `not` and `where(…)` take nodes out",
        ),
        (
            "not a and not b",
            "column 1: `not` and `where(…)` take nodes out",
        ),
        (
            "roots(not a) and b",
            "column 7: `not` and `where(…)` take nodes out",
        ),
        (
            "a or not b",
            "column 6: `or` joins two sets of nodes or two conditions",
        ),
        (
            "99999999999+a",
            "column 1: 99999999999 levels are more than 4294967295",
        ),
        (
            "a+1+b",
            "column 4: expected `and`, `or` or the end of the selection, not `+`",
        ),
        (
            "12+",
            "column 4: expected a node, such as model:churn:7, not the end",
        ),
        (
            "a and\n(b und c)",
            "line 2, column 4: expected `)`, `and` or `or`, not `und`",
        ),
    ];
    for (text, expected) in errors {
        let found = match text.parse::<Selection>() {
            Ok(selection) => format!("parsed as {selection}"),
            Err(error) => error.to_string(),
        };
        let expected = format!("selection: {expected}");
        assert!(found.starts_with(&expected), "{text:?}: {found}");
    }
    let deep = "(".repeat(1_000);
    let many = ["a"; 101].join(" or ");
    for (text, words) in [
        (&deep, "nest deeper than 40"),
        (&many, "holds 100 nodes at most"),
    ] {
        let error = text.parse::<Selection>().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
