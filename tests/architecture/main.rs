//! Imports point one way, in the library and between the crates.

#![allow(
    clippy::expect_used,
    reason = "clippy knows a test function, but not what one stands on"
)]

mod rules;
mod sources;

use std::path::Path;
use std::process::Command;

use rules::{Dependency, crate_violations, library_violations};
use sources::Sources;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn the_library_imports_one_way() {
    let folder = Path::new(ROOT).join("src");
    let sources = Sources::read(&|file| std::fs::read_to_string(folder.join(file)).ok());
    assert!(sources.modules.len() > 30, "the modules were not found");
    let violations = library_violations(&sources);
    assert!(
        violations.is_empty(),
        "{} imports go against DESIGN's layout:\n{}",
        violations.len(),
        violations.join("\n")
    );
}

#[test]
fn the_crates_depend_one_way() {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(ROOT)
        .output()
        .expect("cargo runs");
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo answers in JSON");
    let mut crates = Vec::new();
    let mut dependencies = Vec::new();
    for package in metadata["packages"].as_array().expect("a list") {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        crates.push(text(&package["name"]));
        for dependency in package["dependencies"].as_array().expect("a list") {
            dependencies.push(Dependency {
                of: text(&package["name"]),
                on: text(&dependency["name"]),
                is_for_tests: dependency["kind"] == "dev",
            });
        }
    }
    assert!(crates.len() >= 4 && dependencies.len() > 50, "{crates:?}");
    assert_eq!(
        crate_violations(&crates, &dependencies),
        Vec::<String>::new()
    );
}
