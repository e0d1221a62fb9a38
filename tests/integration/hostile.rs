//! Filters of callers: harmful ones are refused before any request, useful ones are accepted.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{
    Binary, Bson, DateTime, DbPointer, Decimal128, Document, JavaScriptCodeWithScope, Regex,
    Timestamp, bson, doc,
};
use runlineage::query::{MAX_DEPTH, MAX_LIST, MAX_NODES, MAX_PATH, MAX_TEXT};
use runlineage::{Error, Search};

/// Operators of MongoDB, removed ones and invented ones, that are not on the list of accepted operators.
const OPERATORS: [&str; 52] = [
    "$where",
    "$function",
    "$expr",
    "$accumulator",
    "$text",
    "$jsonSchema",
    "$regex",
    "$options",
    "$mod",
    "$all",
    "$comment",
    "$rand",
    "$sampleRate",
    "$near",
    "$nearSphere",
    "$geoWithin",
    "$geoIntersects",
    "$geometry",
    "$maxDistance",
    "$minDistance",
    "$box",
    "$center",
    "$centerSphere",
    "$polygon",
    "$uniqueDocs",
    "$within",
    "$bitsAllSet",
    "$bitsAnySet",
    "$bitsAllClear",
    "$bitsAnyClear",
    "$slice",
    "$meta",
    "$search",
    "$vectorSearch",
    "$query",
    "$orderby",
    "$explain",
    "$hint",
    "$maxScan",
    "$returnKey",
    "$snapshot",
    "$natural",
    "$_internalExpr",
    "$_internalSchemaType",
    "$lookup",
    "$out",
    "$merge",
    "$set",
    "$ref",
    "$id",
    "$db",
    "$",
];

/// The operator in every place of a filter.
fn everywhere(operator: &str, operand: &Bson) -> Vec<Document> {
    let harm = doc! { operator: operand.clone() };
    vec![
        harm.clone(),
        doc! { "$and": [harm.clone()] },
        doc! { "status": "FAILED", "$or": [{ "status": "x" }, { "$and": [{ "$nor": [harm.clone()] }] }] },
        doc! { "tags.a": harm.clone() },
        doc! { "tags.a": { "$not": harm.clone() } },
        doc! { "inputs.models": { "$elemMatch": harm.clone() } },
        doc! { "inputs.models": { "$elemMatch": { "name": "a", "$and": [harm.clone()] } } },
        doc! { "inputs.models": { "$not": { "$elemMatch": { "name": { "$not": harm.clone() } } } } },
        doc! { "tags.a": { "$in": [1, harm.clone()] } },
        doc! { "tags.a": { "$eq": harm.clone() } },
        doc! { "tags": { "a": { "b": [harm.clone()] } } },
        doc! { "tags.a": { "$gt": 1, operator: operand.clone() } },
        doc! { format!("tags.{operator}"): 1 },
    ]
}

fn refused(filter: &Document) -> bool {
    matches!(
        Search::checked(filter.clone()),
        Err(Error::Unsupported { .. })
    )
}

fn values() -> Vec<Bson> {
    let regex = |options: &str| {
        Bson::RegularExpression(Regex {
            pattern: "^(a+)+$".try_into().expect("no NUL"),
            options: options.try_into().expect("no NUL"),
        })
    };
    let pointer = serde_json::json!({ "$dbPointer": { "$ref": "users", "$id": { "$oid": "507f191e810c19729de860ea" } } });
    let pointer = Bson::try_from(pointer).expect("it is Extended JSON");
    let _: Option<&DbPointer> = match &pointer {
        Bson::DbPointer(pointer) => Some(pointer),
        _ => None,
    };
    vec![
        Bson::JavaScriptCode("sleep(1000)".into()),
        Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope {
            code: "f()".into(),
            scope: doc! { "f": 1 },
        }),
        regex(""),
        regex("x"),
        Bson::Symbol("a".into()),
        Bson::MinKey,
        Bson::MaxKey,
        Bson::Undefined,
        Bson::Timestamp(Timestamp {
            time: 1,
            increment: 1,
        }),
        Bson::Binary(Binary {
            subtype: BinarySubtype::Function,
            bytes: vec![1],
        }),
        Bson::Decimal128("1".parse::<Decimal128>().expect("a number")),
        Bson::ObjectId(ObjectId::from_bytes([1; 12])),
        pointer,
    ]
}

fn hostile() -> Vec<Document> {
    let mut filters = Vec::new();
    for operator in OPERATORS {
        let operand = match operator {
            "$where" => bson!("sleep(1000) || true"),
            "$function" => {
                bson!({ "body": "function() { while (true) {} }", "args": [], "lang": "js" })
            }
            "$regex" => bson!("^(a+)+$"),
            _ => bson!({ "$function": { "body": "f", "args": [], "lang": "js" } }),
        };
        filters.extend(everywhere(operator, &operand));
    }
    // Keys that look like operators, and values that hide one.
    for name in [
        "\u{ff04}where",
        "\u{fe69}where",
        "$\u{200b}where",
        "\u{200b}$where",
        "$where\u{0}",
        "\u{feff}$where",
        "$Where",
        "$WHERE",
        " $where",
        "$ where",
        "$wh\u{435}re",
        "\u{202e}erehw$",
        "$where.a",
        "a.$where",
        "",
        ".",
        "a..b",
        ".tags",
        "tags.",
        "\u{1f4b2}where",
        "$\u{e9}q",
        "$in\u{ad}",
        "$or ",
        "$AND",
    ] {
        filters.push(doc! { name: "1" });
        filters.push(doc! { "$and": [{ name: [{ "a": 1 }] }] });
        filters.push(doc! { "tags.a": { "$gt": 1, name: 1 } });
    }
    // Fields that no run has, and other collections.
    for field in [
        "password",
        "id",
        "exp_id",
        "metric.auc",
        "constructor",
        "__proto__",
        "system.users",
        "this.a",
        "inputsx",
        "Tags",
    ] {
        filters.push(doc! { field: 1 });
        filters.push(doc! { "$nor": [{ "$or": [{ field: { "$exists": true } }] }] });
    }
    // Values that no run holds.
    for value in values() {
        filters.push(doc! { "tags.a": value.clone() });
        filters.push(doc! { "tags.a": { "$not": { "$in": ["a", value.clone()] } } });
        filters.push(doc! { "inputs.models": { "$elemMatch": { "name": value.clone() } } });
        filters.push(doc! { "tags": { "a": [[{ "b": value }]] } });
    }
    // Operands of the wrong type.
    for (operator, operand) in [
        ("$in", bson!("a")),
        ("$in", bson!({ "a": 1 })),
        ("$nin", bson!(1)),
        ("$exists", bson!("yes")),
        ("$exists", bson!(1)),
        ("$exists", bson!({ "$gt": 1 })),
        ("$type", bson!("javascript")),
        ("$type", bson!(13)),
        ("$type", bson!(["string", "regex"])),
        ("$type", bson!([])),
        ("$type", bson!({ "a": 1 })),
        ("$size", bson!("1")),
        ("$size", bson!(-1)),
        ("$size", bson!({ "$gt": 1 })),
        ("$not", bson!("a")),
        ("$not", bson!({})),
        ("$not", bson!({ "a": 1 })),
        ("$not", bson!([{ "$eq": 1 }])),
        ("$elemMatch", bson!([])),
        ("$elemMatch", bson!("a")),
        ("$and", bson!([{ "status": "a" }])),
        ("$or", bson!([])),
        ("$nor", bson!([])),
    ] {
        filters.push(doc! { "tags.a": { operator: operand } });
    }
    for operator in ["$and", "$or", "$nor"] {
        for operand in [
            bson!({}),
            bson!([]),
            bson!(["a"]),
            bson!([[{ "status": "a" }]]),
            bson!({ "0": { "status": "a" } }),
            bson!(null),
        ] {
            filters.push(doc! { operator: operand });
        }
    }
    // Filters that are too large or too deep.
    let nest = |depth: usize, wrap: &dyn Fn(Bson) -> Bson| {
        (0..depth).fold(bson!({ "status": "a" }), |inner, _| wrap(inner))
    };
    let deep = [
        nest(MAX_DEPTH, &|inner| bson!({ "$and": [inner] })),
        nest(200, &|inner| bson!({ "$nor": [inner] })),
        bson!({ "tags": nest(MAX_DEPTH, &|inner| bson!({ "a": inner })) }),
        bson!({ "tags.a": nest(MAX_DEPTH, &|inner| bson!([inner])) }),
        bson!({ "inputs.models": { "$elemMatch": nest(MAX_DEPTH, &|inner| bson!({ "name": { "$elemMatch": inner } })) } }),
    ];
    filters.extend(
        deep.into_iter()
            .filter_map(|filter| filter.as_document().cloned()),
    );
    let long: Vec<Bson> = vec![bson!(1); MAX_LIST + 1];
    filters.push(doc! { "tags.a": { "$in": long.clone() } });
    filters.push(doc! { "tags.a": long });
    filters.push(doc! { "$or": vec![doc! { "status": "a" }; MAX_LIST + 1] });
    filters.push(doc! { "$or": vec![doc! { "tags.a": { "$in": vec![1; 100] } }; MAX_NODES / 100] });
    filters.push(doc! { "name": "a".repeat(MAX_TEXT + 1) });
    filters.push(doc! { format!("tags{}", ".a".repeat(MAX_PATH)): 1 });
    filters.push(doc! { "inputs.models": { "$size": i64::from(i32::MAX) + 1 } });
    filters.push(doc! { format!("tags.{}", "a".repeat(MAX_TEXT)): 1 });
    filters
}

#[test]
fn every_hostile_filter_is_refused() {
    let hostile = hostile();
    assert!(hostile.len() >= 200, "only {} filters", hostile.len());
    let accepted: Vec<String> = hostile
        .iter()
        .filter(|filter| !refused(filter))
        .map(|filter| filter.to_string().chars().take(200).collect())
        .collect();
    assert!(
        accepted.is_empty(),
        "{} of {} are accepted: {accepted:#?}",
        accepted.len(),
        hostile.len()
    );
}

#[test]
fn useful_filters_are_accepted() {
    let useful = [
        doc! {},
        doc! { "_id": { "$in": ["8f2c", "77ab"] } },
        doc! { "exp": { "id": "12", "name": "churn" } },
        doc! { "metrics.auc": { "$gt": 0.9, "$lte": 1 } },
        doc! { "params.lr": { "$ne": Bson::Null }, "status": { "$nin": ["FAILED", "KILLED"] } },
        doc! { "inputs.models": { "$elemMatch": { "name": "churn", "version": { "$in": ["2", "3"] } } } },
        doc! { "inputs.runs": { "$elemMatch": { "id": "8f2c", "$or": [{ "path": "data" }, { "path": { "$gte": "data/", "$lt": "data0" } }] } } },
        doc! { "$nor": [{ "outputs.models.0": { "$exists": true } }, { "tags.layers": { "$size": 3 } }] },
        doc! { "params.layers": { "$elemMatch": { "$gt": 3 } }, "tags.a": { "$not": { "$type": ["array", "object"] } } },
        doc! { "start_time": { "$gte": DateTime::from_millis(0) }, "mirror.problems.key": { "$exists": true } },
        doc! { "tags.cost in $": "1 $", "tags.é ü": { "a b": [1, { "c": true }] }, "name": "$where" },
        doc! { "metrics.auc": f64::NAN },
        doc! { "tags.a": { "$in": vec![1; MAX_LIST] } },
    ];
    for filter in useful {
        let checked = Search::checked(filter.clone()).and_then(|search| search.filter());
        assert!(
            checked.is_ok_and(|checked| checked.to_string() == filter.to_string()),
            "{filter}"
        );
    }
}
