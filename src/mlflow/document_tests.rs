//! Property tests of the whole mapping: lineage to tags and back, MLflow's texts to a document and back.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use bson::{Bson, Document};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use regex::Regex;

use super::document;
use super::wire::{RawData, RawInfo, RawInputs, RawMetric, RawOutputs, RawRun, RawText};
use crate::codec::nest::Texts;
use crate::codec::tags::{self, read};
use crate::codec::value::{decode, double_quotes, dumps};
use crate::error::{Error, Result};
use crate::node::{Direction, Kind, Lineage, Node, Reference};
use crate::run::Run;

type Tags = BTreeMap<String, String>;

/// The characters that MLflow's `_validate_tag_name` accepts. It also requires a normal, relative path.
static MLFLOW_KEY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[/[\p{L}\p{N}&&\p{Age:13.0}]_.\- :]+$").unwrap());

const ODD_NAMES: [&str; 28] = [
    "a.b",
    "a b",
    "a/b",
    "a//b",
    "/a",
    "a/",
    "../x",
    "a/./b",
    ".",
    "..",
    "''",
    "it's",
    "it''s",
    "\"",
    "\"\"",
    "'\"'",
    "$oid",
    "a:b",
    "größe",
    "模型",
    "😀",
    "\\",
    "\\u0041",
    "a\nb",
    "\u{0}",
    "[\"1\"]",
    "gro\u{a7cb}e",
    "\u{11f04}",
];

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-z]{1,3}",
        2 => r#"[\w ./$'":\\-]{1,12}"#,
        2 => proptest::sample::select(&ODD_NAMES[..]).prop_map(str::to_owned),
        1 => any::<String>().prop_filter("a name", |name| !name.is_empty()),
        1 => (200..260_usize, "[aé]").prop_map(|(length, letter)| letter.repeat(length)),
    ]
}

/// Up to some hundred values of one key, which do not fit into mlopus' form.
fn values() -> impl Strategy<Value = Vec<String>> {
    let few = vec(
        prop_oneof![
            name(),
            "[0-9]{1,3}",
            Just(String::new()),
            Just("/".to_owned())
        ],
        0..5,
    );
    let many = (0..400_usize, name())
        .prop_map(|(count, name)| (0..count).map(|n| format!("{n}{name}")).collect());
    prop_oneof![9 => few, 1 => many]
}

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::Input), Just(Direction::Output)]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::MODEL), Just(Kind::ARTIFACT)]
}

fn lineage() -> impl Strategy<Value = Lineage> {
    vec((direction(), kind(), name(), values()), 0..6).prop_map(|keys| {
        let mut lineage = Lineage::new();
        for (direction, kind, key, values) in keys {
            lineage.add(direction, node(kind, &key, None));
            for value in values {
                lineage.add(direction, node(kind, &key, Some(&value)));
            }
        }
        lineage
    })
}

fn node(kind: Kind, key: &str, detail: Option<&str>) -> Node {
    Node::new(kind, key, detail).expect("a key is not empty")
}

fn references(lineage: &Lineage) -> BTreeSet<Reference> {
    let of = |direction| {
        let nodes = lineage.side(direction).nodes();
        nodes.map(move |node| Reference::tagged(direction, node))
    };
    Direction::BOTH.into_iter().flat_map(of).collect()
}

fn write(lineage: &Lineage, present: &Tags) -> Result<Tags> {
    tags::write(&references(lineage), present)
}

/// Tags that a run has already, from `register`, from mlopus and from other programs.
fn present() -> impl Strategy<Value = Tags> {
    let registered = lineage().prop_map(|lineage| write(&lineage, &Tags::new()).unwrap());
    let key = prop_oneof![
        "lineage\\.(inputs|outputs)\\.(models|runs)\\.[a-z]{1,3}",
        "lineage(_overflow)?\\.[a-z.]{0,12}",
        "[a-z.]{1,8}",
    ];
    let value = prop_oneof![
        r#"\["[0-9]", [0-9.]{1,3}, "it''s"\]"#,
        Just("[]".to_owned()),
        Just(r#"["1", null]"#.to_owned()),
        json_text(),
    ];
    (registered, btree_map(key, value, 0..4)).prop_map(|(mut tags, others)| {
        tags.extend(others);
        tags
    })
}

fn read_lineage(tags: &Tags) -> (Lineage, Vec<String>) {
    let (entries, problems) = read(tags.iter().map(|(key, text)| (key.as_str(), text.as_str())));
    let mut lineage = Lineage::new();
    for Reference {
        direction, node, ..
    } in entries
    {
        lineage.add(direction, node);
    }
    (
        lineage,
        problems.into_iter().map(|problem| problem.key).collect(),
    )
}

/// The references in the tags. A [`Lineage`] would not tell an entry without a version beside versions.
fn entries(tags: &Tags) -> BTreeSet<Reference> {
    read(tags.iter().map(|(key, text)| (key.as_str(), text.as_str()))).0
}

fn registered(lineage: &Lineage, present: &Tags) -> Tags {
    let mut tags = present.clone();
    tags.extend(write(lineage, present).unwrap());
    tags
}

fn is_normal_path(key: &str) -> bool {
    key.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[test]
fn a_metric_that_mlflow_sends_keeps_every_bit() {
    let numbers = (1..2_000).map(|number| 1.0 / f64::from(number));
    let changed: Vec<f64> = numbers
        .filter(|number| {
            let json = format!("{{\"key\":\"loss\",\"value\":{number}}}");
            let metric: RawMetric = serde_json::from_str(&json).unwrap();
            metric.value.to_bits() != number.to_bits()
        })
        .collect();
    assert_eq!(changed, Vec::<f64>::new());
}

#[test]
fn the_tag_of_another_repo_hides_no_artifact_uri() {
    let mapped = |tags: &[(&str, &str)]| {
        let tags = tags
            .iter()
            .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()));
        let mut raw = raw(&tags.collect(), &Tags::new(), &BTreeMap::new());
        raw.info.artifact_uri = Some("s3://own".to_owned());
        let run = document::map(&raw, "exp").unwrap();
        let texts = [run.repo(), run.artifact_uri()];
        texts
            .map(|text| text.map(str::to_owned))
            .map(Option::unwrap)
    };
    assert_eq!(mapped(&[]), ["s3://own", "s3://own"]);
    assert_eq!(mapped(&[("artifacts_repo", "")]), ["s3://own", "s3://own"]);
    assert_eq!(
        mapped(&[("artifacts_repo", "gs://moved")]),
        ["gs://moved", "s3://own"]
    );
}

proptest! {
    #[test]
    fn any_lineage_is_read_back_from_its_tags(lineage in lineage()) {
        let tags = write(&lineage, &Tags::new()).unwrap();
        let (read, problems) = read_lineage(&tags);
        prop_assert_eq!(read, lineage);
        prop_assert_eq!(problems, Vec::<String>::new());
    }

    #[test]
    fn every_written_tag_is_one_that_mlflow_accepts(lineage in lineage(), present in present()) {
        for (key, text) in write(&lineage, &present).unwrap() {
            prop_assert!(text.chars().count() <= 5_000, "{} characters", text.chars().count());
            prop_assert!(key.chars().count() <= 250, "{key}");
            prop_assert!(MLFLOW_KEY.is_match(&key) && is_normal_path(&key), "{key}");
        }
    }

    #[test]
    fn lineage_is_added_to_what_the_tags_record_already(first in lineage(), second in lineage(), present in present()) {
        let (mut expected, problems) = (entries(&present), read_lineage(&present).1);
        let mut tags = present;
        for lineage in [first, second] {
            tags = registered(&lineage, &tags);
            expected.extend(references(&lineage));
            prop_assert_eq!(&entries(&tags), &expected);
            prop_assert_eq!(write(&lineage, &tags).unwrap(), Tags::new());
        }
        prop_assert_eq!(read_lineage(&tags).1, problems);
    }

    #[test]
    fn no_value_is_kept_beside_values_in_either_order(direction in direction(), kind in kind(), key in name(), value in "[0-9a-z]{1,3}") {
        let with = |value: Option<&str>| {
            let mut lineage = Lineage::new();
            lineage.add(direction, node(kind, &key, value));
            lineage
        };
        for [first, second] in [[None, Some(&*value)], [Some(&*value), None]] {
            let tags = registered(&with(second), &registered(&with(first), &Tags::new()));
            let expected = [first, second].map(|value| Reference::tagged(direction, node(kind, &key, value)));
            prop_assert_eq!(entries(&tags), BTreeSet::from(expected));
        }
    }

    #[test]
    fn reading_any_tags_never_panics(tags in btree_map("lineage(_overflow)?\\.\\PC{0,30}", json_text(), 0..4)) {
        let (_, problems) = read_lineage(&tags);
        prop_assert!(problems.iter().all(|key| tags.contains_key(key)));
    }
}

#[test]
fn a_name_that_no_tag_can_hold_is_an_error_that_names_it() {
    let long = "x".repeat(5_000);
    let model = write(&Lineage::new().with_input_model(&long, "1"), &Tags::new()).unwrap_err();
    let run = write(
        &Lineage::new().with_output_artifact("77ab", &*long),
        &Tags::new(),
    )
    .unwrap_err();
    assert!(
        matches!(
            model,
            Error::InvalidArgument {
                argument: "model name",
                ..
            }
        ),
        "{model}"
    );
    assert!(
        matches!(
            run,
            Error::InvalidArgument {
                argument: "run id",
                ..
            }
        ),
        "{run}"
    );
}

const ODD_TEXTS: [&str; 58] = [
    "",
    " ",
    "adam",
    "1.10",
    "1e-3",
    "1E5",
    "-0",
    "-0.0",
    "0.50",
    "01",
    "+1",
    ".5",
    "1.",
    "0x10",
    "1_000",
    "NaN",
    "Infinity",
    "-Infinity",
    "nan",
    "1e999",
    "-1e999",
    "1e-999",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "123456789012345678901234567890",
    "2147483648",
    "true",
    "True",
    "null",
    "None",
    "\"\"",
    "\"abc\"",
    "\"abc\"\n",
    "3\n",
    " 3",
    "[1,2]",
    "[1, 2]",
    "[]",
    "{}",
    "{ }",
    "[{}]",
    r#"{"a": 1}"#,
    r#"{"a":1}"#,
    r#"{"a": 1, "a": 2}"#,
    r#"{"$oid": "507f1f77bcf86cd799439011"}"#,
    r#"{"$date": {"$numberLong": "0"}}"#,
    r#"{"a": {"$numberLong": "1"}}"#,
    r#"{"": 1}"#,
    r#"{"a.b": 1}"#,
    r#"{"a\u0000": 1}"#,
    r#""\ud800""#,
    r#""\ud83d\ude00""#,
    "\"a\u{0}b\"",
    "a\u{0}b",
    "''",
    "it''s",
];

fn json_text() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:?}")),
        any::<f64>().prop_map(|number| format!("{number:e}")),
        "-?[0-9]{1,25}(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
    ];
    let string = prop_oneof![
        r#""[a-z .$'']{0,6}""#,
        any::<String>().prop_map(|text| dumps(&Bson::String(text))),
        any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
    ];
    let odd = proptest::sample::select(&ODD_TEXTS[..]).prop_map(str::to_owned);
    let leaf = prop_oneof![2 => number, 2 => string, 2 => odd, 1 => any::<String>()];
    let key = prop_oneof![
        r#""[a-c]""#,
        r#""[a-c.$]{0,3}""#,
        Just(r#""\u0000""#.to_owned()),
        any::<String>().prop_map(|text| dumps(&Bson::String(text)))
    ];
    let nested = leaf.prop_recursive(4, 24, 4, move |inner| {
        let entry = (key.clone(), inner.clone()).prop_map(|(key, value)| format!("{key}: {value}"));
        let separator = prop_oneof![4 => Just(", "), 1 => Just(","), 1 => Just(" , \n")];
        prop_oneof![
            (vec(inner, 0..4), separator.clone())
                .prop_map(|(values, separator)| format!("[{}]", values.join(separator))),
            (vec(entry, 0..4), separator)
                .prop_map(|(entries, separator)| format!("{{{}}}", entries.join(separator))),
        ]
    });
    let deep = (0..120_usize, nested.clone())
        .prop_map(|(depth, text)| format!("{}{text}{}", "[".repeat(depth), "]".repeat(depth)));
    prop_oneof![
        6 => nested.clone(),
        1 => nested.clone().prop_map(|text| double_quotes(&text)),
        1 => nested.prop_map(|text| text + "\n"),
        1 => deep,
    ]
}

/// Keys of few and odd segments, so that keys collide.
fn key() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        6 => "[ab]",
        1 => proptest::sample::select(&["", "", "$x", "x\u{0}y", " ", "é", "a/b", "mlflow", "0", "_id", "key", "lineage"][..]).prop_map(str::to_owned),
    ];
    prop_oneof![
        9 => vec(segment, 1..4).prop_map(|segments| segments.join(".")),
        1 => (27..34_usize).prop_map(|count| vec!["a"; count].join(".")),
        1 => any::<String>(),
    ]
}

fn raw(tags: &Tags, params: &Tags, metrics: &BTreeMap<String, f64>) -> RawRun {
    let texts = |texts: &Tags| {
        texts
            .iter()
            .map(|(key, value)| RawText {
                key: key.clone(),
                value: value.clone(),
            })
            .collect()
    };
    RawRun {
        info: RawInfo {
            run_id: "8f2c".into(),
            experiment_id: "1".into(),
            ..RawInfo::default()
        },
        data: RawData {
            metrics: metrics
                .iter()
                .map(|(key, value)| RawMetric {
                    key: key.clone(),
                    value: *value,
                })
                .collect(),
            params: texts(params),
            tags: texts(tags),
        },
        inputs: RawInputs::default(),
        outputs: RawOutputs::default(),
    }
}

/// Every metric of a run: the nested ones, and those that cannot be nested.
fn all_metrics(run: &Run) -> BTreeMap<String, u64> {
    fn flatten(tree: &Document, prefix: &str, found: &mut BTreeMap<String, u64>) {
        for (name, value) in tree {
            match value {
                Bson::Document(inner) => flatten(inner, &format!("{prefix}{name}."), found),
                _ => {
                    let value = value.as_f64().unwrap().to_bits();
                    found.insert(format!("{prefix}{name}"), value);
                }
            }
        }
    }
    let mut found = BTreeMap::new();
    flatten(&run.metrics().unwrap(), "", &mut found);
    let document = run.to_document().unwrap();
    let apart = document
        .get_document("mirror")
        .unwrap()
        .get_document("unnested");
    for entry in apart
        .and_then(|apart| apart.get_array("metrics"))
        .into_iter()
        .flatten()
    {
        let entry = entry.as_document().unwrap();
        let value = entry.get_f64("value").unwrap().to_bits();
        assert_eq!(
            found.insert(entry.get_str("key").unwrap().to_owned(), value),
            None
        );
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]
    #[test]
    fn any_texts_of_mlflow_are_given_back_exactly(
        tags in btree_map(key(), json_text(), 0..6),
        params in btree_map(key(), json_text(), 0..6),
    ) {
        let run = document::map(&raw(&tags, &params, &BTreeMap::new()), "exp").unwrap();
        let texts = Texts::of(&run).unwrap();
        prop_assert_eq!(texts.tags, tags);
        prop_assert_eq!(texts.params, params);
    }

    #[test]
    fn any_metrics_are_all_in_the_document(metrics in btree_map(key(), any::<f64>(), 0..6)) {
        let run = document::map(&raw(&Tags::new(), &Tags::new(), &metrics), "exp").unwrap();
        let expected: BTreeMap<String, u64> = metrics.iter().map(|(key, value)| (key.clone(), value.to_bits())).collect();
        prop_assert_eq!(all_metrics(&run), expected);
    }

    #[test]
    fn equal_runs_map_to_equal_documents_in_any_order(tags in btree_map(key(), json_text(), 0..6)) {
        let forth = raw(&tags, &tags, &BTreeMap::new());
        let mut back = forth.clone();
        back.data.tags.reverse();
        back.data.params.reverse();
        prop_assert_eq!(document::map(&forth, "exp").unwrap(), document::map(&back, "exp").unwrap());
    }
}

/// For each text, the output of `json.dumps`; null for a text that is no JSON, or JSON that a document cannot hold.
const PYTHON: &str = r"
import json, math, sys

def held(value, depth=0):
    if depth > 50:
        return False
    if isinstance(value, dict):
        return all(key and not key.startswith('$') and '.' not in key and '\0' not in key and text(key) and held(inner, depth + 1) for key, inner in value.items())
    if isinstance(value, list):
        return all(held(inner, depth + 1) for inner in value)
    if isinstance(value, str):
        return text(value)
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, bool) or value is None or -2**63 <= value < 2**63

def text(value):
    return not any(0xd800 <= ord(c) < 0xe000 for c in value)

def answer(value):
    try:
        value = json.loads(value.replace(chr(39) * 2, chr(39)))
    except (ValueError, RecursionError):
        return None
    return json.dumps(value) if held(value) else None

json.dump([answer(value) for value in json.load(sys.stdin)], sys.stdout)
";

/// Runs a Python script that reads JSON, and returns the JSON that it prints.
fn python<T: serde::de::DeserializeOwned>(script: &str, input: &impl serde::Serialize) -> T {
    let tools = std::env::var("TOOLS_DIR")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/.tools").into());
    let program = format!("{tools}/mlopus/bin/python");
    let mut python = Command::new(&program)
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {program}: {error}; run `make test`, or `tools/install` and then `cargo test`"));
    let input = serde_json::to_vec(input).unwrap();
    let mut stdin = python.stdin.take().unwrap();
    let writing = std::thread::spawn(move || stdin.write_all(&input));
    let output = python.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn texts_are_decoded_and_written_as_python_does() {
    let mut runner = TestRunner::deterministic();
    let mut sampled = |count| -> Vec<String> {
        (0..count)
            .map(|_| json_text().new_tree(&mut runner).unwrap().current())
            .collect()
    };
    let mut texts: Vec<String> = ODD_TEXTS.map(str::to_owned).into();
    texts.extend(sampled(3_000));
    let ours: Vec<Option<String>> = texts
        .iter()
        .map(|text| decode(text).as_ref().map(dumps))
        .collect();
    let theirs: Vec<Option<String>> = python(PYTHON, &texts);
    let both = texts.iter().zip(&ours).zip(&theirs);
    let different: Vec<_> = both.filter(|((_, ours), theirs)| ours != theirs).collect();
    assert!(
        different.is_empty(),
        "{} differ, such as {:?}",
        different.len(),
        &different[..different.len().min(5)]
    );
    // Both answers occur, so the comparison above is not trivial.
    let decoded = ours.iter().flatten().count();
    assert!(
        decoded > 500 && ours.len() - decoded > 500,
        "{decoded} of {}",
        ours.len()
    );
}

#[test]
fn every_letter_that_mlopus_gets_matches_a_word_character_of_python() {
    const WORDS: &str = r"
import json, re, sys
json.dump([c for c in json.load(sys.stdin) if not re.fullmatch(r'[\w\-/]+', c)], sys.stdout)
";
    let is_given = |c: &char| tags::fits_mlopus(&c.to_string());
    let given: Vec<char> = ('\0'..=char::MAX).filter(is_given).collect();
    let refused: Vec<char> = python(WORDS, &given);
    assert_eq!(refused, Vec::<char>::new());
    assert!(given.len() > 100_000, "{} letters", given.len());
}

#[test]
fn the_generated_names_cover_every_kind_of_name() {
    let mut runner = TestRunner::deterministic();
    let drawn = vec(name(), 200).new_tree(&mut runner).unwrap().current();
    let fitting = drawn.iter().filter(|name| tags::fits_mlopus(name)).count();
    assert!(
        fitting > 20 && drawn.len() - fitting > 20,
        "{fitting} of {}",
        drawn.len()
    );
}
