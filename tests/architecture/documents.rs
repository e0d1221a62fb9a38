//! The documents agree with the repository: links, the code map, and the messages that they explain.

use std::path::{Path, PathBuf};

use regex::Regex;

use crate::ROOT;

#[test]
fn the_readme_fits_on_a_page() {
    let lines = read("README.md").lines().count();
    assert!(lines <= 120, "{lines} lines");
}

#[test]
fn every_link_leads_to_a_file() {
    let link = Regex::new(r"\]\(([^)#]+)(?:#[^)]*)?\)").expect("a pattern");
    let documents = documents();
    let mut broken = Vec::new();
    let mut followed = 0;
    for document in &documents {
        let text = read(document);
        let folder = Path::new(document).parent().expect("a file is in a folder");
        let targets = link.captures_iter(&text).map(|link| link[1].to_owned());
        for target in targets.filter(|target| !target.contains("://")) {
            followed += 1;
            if !Path::new(ROOT).join(folder).join(&target).exists() {
                broken.push(format!("{document}: {target}"));
            }
        }
    }
    assert!(documents.len() > 15 && followed > 20, "{documents:?}");
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn the_code_map_lists_every_module_and_crate_and_no_missing_file() {
    let row = Regex::new("(?m)^\\| `([^`]+)` \\|").expect("a pattern");
    let text = read("ARCHITECTURE.md");
    let named: Vec<String> = row
        .captures_iter(&text)
        .map(|row| row[1].to_owned())
        .collect();
    let exists = |path: &&String| Path::new(ROOT).join(path).exists();
    let gone: Vec<&String> = named.iter().filter(|path| !exists(path)).collect();
    assert_eq!(gone, Vec::<&String>::new());
    let modules = entries("src")
        .into_iter()
        .filter(|path| path.ends_with(".rs"));
    let parts: Vec<String> = modules.chain(entries("crates")).collect();
    assert!(parts.len() > 10, "{parts:?}");
    let missing: Vec<String> = parts
        .into_iter()
        .filter(|part| !named.contains(part))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn every_explained_message_occurs_in_the_sources() {
    let sources = sources();
    let row = Regex::new("(?m)^\\| `([^`]+)` \\|").expect("a pattern");
    let text = read("docs/troubleshooting.md");
    let messages: Vec<String> = row
        .captures_iter(&text)
        .map(|row| row[1].to_owned())
        .collect();
    assert!(messages.len() > 5, "{messages:?}");
    let is_given = |message: &&String| {
        let mut parts = message.split(['…', ':']).map(str::trim);
        parts.all(|part| sources.contains(part))
    };
    let unknown: Vec<&String> = messages
        .iter()
        .filter(|message| !is_given(message))
        .collect();
    assert_eq!(unknown, Vec::<&String>::new());
}

/// Every document of the root and of `docs/`.
fn documents() -> Vec<String> {
    let folders = ["", "docs", "docs/decisions"];
    let files = folders.iter().flat_map(|folder| entries(folder));
    files.filter(|file| file.ends_with(".md")).collect()
}

/// The sorted entries of a folder, as paths from the root.
fn entries(folder: &str) -> Vec<String> {
    let listed = std::fs::read_dir(Path::new(ROOT).join(folder)).expect("a folder");
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name();
    let path = |name| Path::new(folder).join(name).display().to_string();
    let mut entries: Vec<String> = listed.map(name).map(path).collect();
    entries.sort();
    entries
}

/// The text of every source file of the library and the program, with each string literal on one line.
fn sources() -> String {
    let mut folders: Vec<PathBuf> = [
        "src",
        "crates/answer/src",
        "crates/cli/src",
        "crates/local-mongod/src",
        "crates/mcp/src",
        "crates/server/src",
    ]
    .map(|folder| Path::new(ROOT).join(folder))
    .into();
    let mut text = String::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                text.push_str(&std::fs::read_to_string(path).expect("a source file"));
            }
        }
    }
    let broken = Regex::new(r"\\\n\s*").expect("a pattern");
    broken.replace_all(&text, "").into_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(path)).expect("a document")
}
