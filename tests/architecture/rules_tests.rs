//! Small sources that break each rule, and sources that only look as if they did.

use super::*;

/// The violations in a library of these files; all other files are empty.
fn violations(files: &[(&str, &str)]) -> Vec<String> {
    const ROOT: &str = "
        mod codec; mod error; mod mlflow; mod mongo; mod node; mod query; mod register; mod run; mod store; mod sync;
        pub use mongodb;
        pub use query::Query;
        pub mod lineage { pub use crate::node::*; pub use crate::register::of; }
    ";
    let sources = Sources::read(&|file| {
        let given = files.iter().find(|(given, _)| *given == file);
        let text = given.map_or("", |(_, text)| text);
        Some(if file == "lib.rs" {
            format!("{ROOT}{text}")
        } else {
            text.to_owned()
        })
    });
    library_violations(&sources)
}

#[track_caller]
fn assert_broken(files: &[(&str, &str)], expected: &[&str]) {
    assert_eq!(violations(files), expected);
}

#[test]
fn a_lower_layer_may_not_import_a_higher_one() {
    for (file, text, expected) in [
        (
            "codec.rs",
            "use crate::query::Query;",
            "src/codec.rs: `codec` may not import `query`: crate::query::Query",
        ),
        // An import in a group, with another name, inside a function.
        (
            "error.rs",
            "fn f() { use crate::{run::{self as r, Run as R}}; }",
            "src/error.rs: `error` may not import `run`: crate::run, crate::run::Run",
        ),
        // An inline path, in an expression, a type or a bound.
        (
            "run.rs",
            "fn f(x: crate::codec::A) -> u8 { crate::codec::b::<u8>() }",
            "src/run.rs: `run` may not import `codec`: crate::codec::A, crate::codec::b",
        ),
        (
            "node.rs",
            "impl<T: super::run::T> A for T {}",
            "src/node.rs: `node` may not import `run`: super::run::T",
        ),
        // A path in the arguments of a macro or in the text of an attribute.
        (
            "store.rs",
            "fn f() { log!(a, g(crate::sync::A)) }",
            "src/store.rs: `store` may not import `sync`: crate::sync::A",
        ),
        (
            "node.rs",
            "struct A { #[serde(with = \"crate::codec::tags\")] a: u8 }",
            "src/node.rs: `node` may not import `codec`: crate::codec::tags",
        ),
        // A re-export of the root counts as an import from the defining module.
        (
            "codec.rs",
            "fn f(q: crate::Query) {}",
            "src/codec.rs: `codec` may not import `query`: crate::Query",
        ),
        (
            "mongo.rs",
            "use crate::lineage::of;",
            "src/mongo.rs: `mongo` may not import `register`: crate::lineage::of",
        ),
        // An import of a whole module.
        (
            "query.rs",
            "use crate::mongo::*;",
            "src/query.rs: `query` may not import `mongo`: crate::mongo",
        ),
        (
            "query.rs",
            "pub(crate) use super::store;",
            "src/query.rs: `query` may not import `store`: super::store",
        ),
    ] {
        assert_broken(
            &[
                ("query.rs", "pub struct Query;"),
                ("register.rs", "pub fn of() {}"),
            ],
            &[],
        );
        let defined = [
            ("query.rs", "pub struct Query;"),
            ("register.rs", "pub fn of() {}"),
        ];
        let others = defined.into_iter().filter(|(defined, _)| *defined != file);
        let files: Vec<_> = others.chain([(file, text)]).collect();
        assert_broken(&files, &[expected]);
    }
}

#[test]
fn a_file_belongs_to_the_layer_of_its_folder() {
    assert_broken(
        &[
            ("run.rs", "mod json;"),
            (
                "run/json.rs",
                "use crate::run::A; use super::super::mongo::B; use crate::error::C;",
            ),
        ],
        &["src/run/json.rs: `run` may not import `mongo`: super::super::mongo::B"],
    );
}

#[test]
fn modules_of_one_layer_may_not_import_each_other() {
    assert_broken(
        &[
            ("mongo.rs", "use crate::mlflow::MlflowClient;"),
            ("mlflow.rs", "fn f() { crate::mongo::failed() }"),
            ("register.rs", "use crate::sync::A;"),
        ],
        &[
            "src/mlflow.rs: `mlflow` may not import `mongo`: crate::mongo::failed",
            "src/mongo.rs: `mongo` may not import `mlflow`: crate::mlflow::MlflowClient",
            "src/register.rs: `register` may not import `sync`: crate::sync::A",
        ],
    );
}

#[test]
fn a_re_export_does_not_hide_an_import() {
    assert_broken(
        &[
            ("store.rs", "use crate::codec::A;"),
            ("codec.rs", "pub use crate::sync::A;"),
            ("sync.rs", "pub struct A;"),
        ],
        &[
            "src/codec.rs: `codec` may not import `sync`: crate::sync::A",
            "src/store.rs: `store` may not import `sync`: crate::codec::A",
        ],
    );
}

#[test]
fn only_its_owner_may_use_a_crate() {
    assert_broken(
        &[
            ("mongo.rs", "use mongodb::Client; mod find;"),
            ("mongo/find.rs", "fn f() { mongodb::bson::doc! {} }"),
            ("mlflow.rs", "use reqwest::Url;"),
            (
                "sync.rs",
                "use mongodb::{Client as C, bson}; fn f(c: C) { C::new() }",
            ),
            ("store.rs", "struct A(::reqwest::Url);"),
            ("error.rs", "enum E { A(crate::mongodb::error::Error) }"),
        ],
        &[
            "src/error.rs: only `mongo` may use the crate mongodb: crate::mongodb::error::Error",
            "src/store.rs: only `mlflow` may use the crate reqwest: ::reqwest::Url",
            "src/sync.rs: only `mongo` may use the crate mongodb: C::new, mongodb::Client, mongodb::bson",
        ],
    );
}

#[test]
fn the_files_of_sync_may_not_import_each_other_in_a_cycle() {
    let root = "mod a; mod b; mod c; mod d; pub(crate) struct Shared;";
    assert_broken(
        &[
            ("sync.rs", root),
            ("sync/a.rs", "use super::b::B; use super::Shared;"),
            ("sync/b.rs", "use crate::sync::c;"),
            ("sync/c.rs", "mod part; use super::a::A;"),
            ("sync/c/part.rs", "use super::Super;"),
            ("sync/d.rs", "use super::a::A;"),
        ],
        &[
            "`sync` imports in a cycle: src/sync/a.rs → sync/b.rs; src/sync/b.rs → sync/c.rs; src/sync/c.rs → sync/a.rs; \
           src/sync/d.rs → sync/a.rs",
        ],
    );
    // No cycle: shared items are in the parent file, and a file may use the files of its own subfolder.
    assert_broken(
        &[
            ("sync.rs", root),
            ("sync/a.rs", "use super::b::B; use super::Shared;"),
            ("sync/b.rs", "use crate::sync::c;"),
            ("sync/c.rs", "mod part; use part::Part; struct Super;"),
            ("sync/c/part.rs", "use super::Super;"),
        ],
        &[],
    );
}

#[test]
fn a_new_module_needs_a_layer() {
    assert_broken(
        &[("lib.rs", "mod helpers;")],
        &["src/helpers.rs: `helpers` is missing from the layers: "],
    );
}

#[test]
fn comments_texts_and_test_code_are_no_imports() {
    let text = "
        //! Of [`Sync`](crate::sync::SyncJob).
        /// As [`crate::mongo::MongoRunStore`] does.
        // use crate::sync::SyncJob;
        const A: &str = \"crate::sync::SyncJob\";
        #[cfg(test)] use crate::sync::SyncJob;
        #[cfg(all(test, unix))] fn f() { crate::sync::f() }
        impl A { #[cfg(test)] fn f() { crate::sync::f() } }
        #[cfg(test)] mod tests { use crate::sync::SyncJob; use mongodb::Client; }
        #[cfg(test)] #[path = \"run_tests.rs\"] mod more_tests;
        mod sync { pub struct A; }
        use sync::A; use self::sync::A as B; use ::bson::doc;
        use crate::lineage::Node;
    ";
    let node = ("node.rs", "pub struct Node;");
    assert_broken(&[("run.rs", text), node], &[]);
    // Conditions that do not limit the import to tests.
    for condition in [
        "#[cfg(not(test))]",
        "#[cfg(any(test, unix))]",
        "#[cfg(feature = \"test\")]",
    ] {
        let text = format!("{condition} use crate::sync::SyncJob;");
        assert_broken(
            &[("run.rs", &text)],
            &["src/run.rs: `run` may not import `sync`: crate::sync::SyncJob"],
        );
    }
}

#[test]
fn a_crate_may_depend_only_on_the_crates_of_its_row() {
    let dependency = |of: &str, on: &str, is_for_tests| Dependency {
        of: of.to_owned(),
        on: on.to_owned(),
        is_for_tests,
    };
    let crates = [
        "runlineage",
        "runlineage-cli",
        "runlineage-local-mongod",
        "runlineage-test-servers",
        "runlineage-new",
    ];
    let crates = crates.map(str::to_owned);
    let violations = crate_violations(
        &crates,
        &[
            dependency("runlineage", "serde", false),
            dependency("runlineage", "runlineage-test-servers", true),
            dependency("runlineage", "runlineage-test-servers", false),
            dependency("runlineage", "runlineage-local-mongod", true),
            dependency("runlineage-cli", "runlineage", false),
            dependency("runlineage-local-mongod", "runlineage", true),
            dependency("runlineage-test-servers", "runlineage", false),
        ],
    );
    assert_eq!(
        violations,
        [
            "the crate runlineage-new is missing from the table",
            "runlineage may not depend on runlineage-test-servers",
            "runlineage may not depend on runlineage-local-mongod",
            "runlineage-local-mongod may not depend on runlineage",
            "runlineage-test-servers may not depend on runlineage",
        ]
    );
}
