//! The architecture: imports point one way, in the library and between the crates, and the published package is small.

#![allow(
    clippy::expect_used,
    reason = "clippy allows it in test functions, but not in the functions that they call"
)]

mod documents;
mod rules;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use rules::{Dependency, crate_violations, library_violations};
use sources::Sources;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn the_modules_of_the_library_import_one_way() {
    let folder = Path::new(ROOT).join("src");
    let sources = Sources::read(&|file| std::fs::read_to_string(folder.join(file)).ok());
    assert!(sources.modules.len() > 30, "too few modules were found");
    let violations = library_violations(&sources);
    assert!(
        violations.is_empty(),
        "{} imports break the rules of tests/architecture/rules.rs:\n{}",
        violations.len(),
        violations.join("\n")
    );
}

#[test]
fn the_crates_depend_one_way() {
    // The Python package is a workspace of its own.
    let packages = ["Cargo.toml", "python/Cargo.toml"].map(|manifest| {
        let manifest = ["--no-deps", "--manifest-path", manifest];
        let metadata = cargo(&[&["metadata", "--format-version", "1"], &manifest[..]].concat());
        let metadata: serde_json::Value =
            serde_json::from_str(&metadata).expect("cargo answers in JSON");
        metadata["packages"].as_array().expect("a list").clone()
    });
    let mut crates = Vec::new();
    let mut dependencies = Vec::new();
    for package in packages.iter().flatten() {
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

#[test]
fn the_lock_file_of_the_python_package_has_the_dependencies_of_the_library() {
    // It fails with what to do: without `--locked`, the same command adds what is missing.
    let manifest = ["--locked", "--manifest-path", "python/Cargo.toml"];
    let metadata = cargo(&[&["metadata", "--format-version", "1"], &manifest[..]].concat());
    assert!(metadata.contains("\"runlineage-python\""));
}

#[test]
fn the_version_stands_in_one_place() {
    let metadata = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: serde_json::Value =
        serde_json::from_str(&metadata).expect("cargo answers in JSON");
    let packages = metadata["packages"].as_array().expect("a list");
    assert!(packages.len() >= 4, "{packages:?}");
    let mut wrong = Vec::new();
    for package in packages {
        let manifest = package["manifest_path"].as_str().expect("a path");
        let text = std::fs::read_to_string(manifest).expect("a manifest");
        if !text.contains("\nversion.workspace = true\n") {
            wrong.push(format!("{manifest} has a version of its own"));
        }
        // A published crate needs a version of each crate of this workspace on which it depends. It is the same version.
        let expected = format!("^{}", env!("CARGO_PKG_VERSION"));
        let dependencies = package["dependencies"].as_array().expect("a list");
        let of_workspace = dependencies.iter().filter(|on| !on["path"].is_null());
        for on in of_workspace.filter(|on| on["req"] != "*" && on["req"] != expected.as_str()) {
            wrong.push(format!("{manifest} needs {} {}", on["name"], on["req"]));
        }
    }
    // Outside the workspace, nothing can be inherited.
    let python = std::fs::read_to_string(Path::new(ROOT).join("python/Cargo.toml"));
    let python = python.expect("a manifest");
    let is_ours = |line: &&str| line.starts_with("version = ") || line.contains("path = \"..");
    let ours: Vec<&str> = python.lines().filter(is_ours).collect();
    assert!(ours.len() > 3, "{ours:?}");
    let version = format!("version = \"{}\"", env!("CARGO_PKG_VERSION"));
    let others = ours.iter().filter(|line| !line.contains(&version));
    wrong.extend(others.map(|line| format!("python/Cargo.toml: {line}")));
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_library_depends_on_nothing_that_only_the_program_needs() {
    const OF_THE_PROGRAM: [&str; 9] = [
        "anyhow",
        "axum",
        "clap",
        "comfy-table",
        "csv",
        "directories",
        "indicatif",
        "metrics",
        "utoipa",
    ];
    let tree = cargo(&[
        "tree",
        "--package",
        "runlineage",
        "--edges",
        "normal",
        "--prefix",
        "none",
    ]);
    let crates: Vec<&str> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(crates.contains(&"mongodb"), "{crates:?}");
    let pulled: Vec<&str> = OF_THE_PROGRAM
        .into_iter()
        .filter(|name| crates.contains(name))
        .collect();
    assert_eq!(pulled, Vec::<&str>::new());
}

#[test]
fn no_dependency_of_a_published_crate_needs_a_newer_rust_than_declared() {
    const PUBLISHED: [&str; 6] = [
        "runlineage",
        "runlineage-answer",
        "runlineage-cli",
        "runlineage-local-mongod",
        "runlineage-mcp",
        "runlineage-server",
    ];
    let trees = PUBLISHED.map(|package| {
        let edges = ["--edges", "normal,build", "--prefix", "none"];
        cargo(&[&["tree", "--package", package][..], &edges[..]].concat())
    });
    // Such as `bson v3.1.0`.
    let used: BTreeSet<String> = trees
        .iter()
        .flat_map(|tree| tree.lines())
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    let metadata = cargo(&[
        "metadata",
        "--format-version",
        "1",
        "--filter-platform",
        "x86_64-unknown-linux-gnu",
    ]);
    let metadata: serde_json::Value =
        serde_json::from_str(&metadata).expect("cargo answers in JSON");
    let packages = metadata["packages"].as_array().expect("a list");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let number = |version: &str| -> Vec<u32> {
        let numbers = version.split('.').map(str::parse);
        numbers
            .map(|part| part.expect("a number"))
            .take(2)
            .collect()
    };
    let package = |package: &serde_json::Value| {
        let name = format!("{} v{}", text(&package["name"]), text(&package["version"]));
        let needs = package["rust_version"].as_str().map(number);
        (name, needs.unwrap_or_default())
    };
    let needed: BTreeMap<String, Vec<u32>> = packages
        .iter()
        .map(package)
        .filter(|(name, _)| used.contains(name))
        .collect();
    assert!(needed.len() > 100, "{needed:?}");
    let promised = number(env!("CARGO_PKG_RUST_VERSION"));
    let newer: Vec<_> = needed
        .into_iter()
        .filter(|(_, needs)| *needs > promised)
        .collect();
    assert_eq!(newer, []);
}

#[test]
fn the_published_library_holds_only_its_sources_and_migrations() {
    let list = cargo(&[
        "package",
        "--package",
        "runlineage",
        "--list",
        "--allow-dirty",
    ]);
    let (mut folders, mut files): (Vec<&str>, Vec<&str>) =
        list.lines().partition(|file| file.contains('/'));
    folders.retain(|file| !file.starts_with("src/") && !file.starts_with("migrations/"));
    assert_eq!(folders, Vec::<&str>::new());
    // Cargo adds these files itself.
    files.retain(|file| !file.starts_with(".cargo_vcs_info") && *file != "Cargo.toml.orig");
    assert_eq!(
        files,
        [
            "CHANGELOG.md",
            "Cargo.lock",
            "Cargo.toml",
            "LICENSE",
            "README.md"
        ]
    );
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(ROOT)
        .output()
        .expect("cargo runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
