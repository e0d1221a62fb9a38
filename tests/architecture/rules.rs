//! The import rules of the library and of the workspace, and the search for violations.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::{ModulePath, Sources};

/// The top-level modules of `src`, lowest layer first. A module may import the modules of earlier rows, but no other module
/// of its own row.
const LAYERS: [&[&str]; 9] = [
    &["error", "hash"],
    &["node", "lineage"],
    &["run"],
    &["registry"],
    &["codec"],
    &["query"],
    &["store"],
    &["mlflow", "mongo"],
    &["graph", "register", "sync"],
];

/// Crates that only one module may use, and that module.
const OWNERS: [(&str, &str); 2] = [("mongodb", "mongo"), ("reqwest", "mlflow")];

/// Folders whose files may not import each other in a cycle.
const ACYCLIC: [&str; 2] = ["graph", "sync"];

/// Each crate of this workspace, the workspace crates that it may depend on, and those that only its tests may depend on.
const CRATES: [(&str, &[&str], &[&str]); 9] = [
    // Its own tests use it with the feature `unstable`.
    (
        "runlineage",
        &[],
        &["runlineage", "runlineage-test-servers"],
    ),
    ("runlineage-answer", &["runlineage", "runlineage-draw"], &[]),
    (
        "runlineage-cli",
        &[
            "runlineage",
            "runlineage-draw",
            "runlineage-local-mongod",
            "runlineage-mcp",
            "runlineage-server",
        ],
        &["runlineage-test-servers"],
    ),
    (
        "runlineage-draw",
        &["runlineage"],
        &["runlineage-test-servers"],
    ),
    ("runlineage-local-mongod", &[], &["runlineage-test-servers"]),
    ("runlineage-mcp", &["runlineage", "runlineage-answer"], &[]),
    (
        "runlineage-python",
        &[
            "runlineage",
            "runlineage-answer",
            "runlineage-draw",
            "runlineage-local-mongod",
        ],
        &[],
    ),
    (
        "runlineage-server",
        &["runlineage", "runlineage-answer", "runlineage-draw"],
        &[],
    ),
    ("runlineage-test-servers", &[], &[]),
];

/// A dependency in the manifest of a crate.
pub(crate) struct Dependency {
    pub(crate) of: String,
    pub(crate) on: String,
    pub(crate) is_for_tests: bool,
}

/// The violations of the import rules. The crate root is exempt, because it re-exports from every layer.
pub(crate) fn library_violations(sources: &Sources) -> Vec<String> {
    // The offending paths, by file and reason.
    let mut wrong: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for (path, module) in &sources.modules {
        let Some(top) = path.first() else { continue };
        if is_facade(sources, path) {
            continue;
        }
        let mut add = |reason: String, written: Option<String>| {
            let paths = wrong.entry((format!("src/{}", module.file), reason));
            paths.or_default().extend(written);
        };
        let Some(layer) = layer(top) else {
            add(format!("`{top}` is missing from the layers"), None);
            continue;
        };
        for (written, target) in sources.references(path) {
            let owner = OWNERS
                .iter()
                .find(|(owned, owner)| target.elsewhere.as_deref() == Some(owned) && owner != top);
            if let Some((owned, owner)) = owner {
                let reason = format!("only `{owner}` may use the crate {owned}");
                add(reason, Some(written.clone()));
            }
            let modules = target.modules.iter();
            let modules = modules.filter(|module| !is_facade(sources, module));
            for other in modules.filter_map(|module| module.first()) {
                if other != top && self::layer(other).is_some_and(|other| other >= layer) {
                    let reason = format!("`{top}` may not import `{other}`");
                    add(reason, Some(written.clone()));
                }
            }
        }
    }
    let violations = wrong.into_iter().map(|((file, reason), written)| {
        let written: Vec<String> = written.into_iter().collect();
        format!("{file}: {reason}: {}", written.join(", "))
    });
    let cycles = ACYCLIC.iter().filter_map(|folder| cycle(sources, folder));
    violations.chain(cycles).collect()
}

/// The dependencies between workspace crates that the table does not allow, and the crates that the table lacks.
pub(crate) fn crate_violations(crates: &[String], dependencies: &[Dependency]) -> Vec<String> {
    let row = |name: &str| CRATES.iter().find(|(known, ..)| *known == name);
    let mut violations: Vec<String> = crates
        .iter()
        .filter(|name| row(name).is_none())
        .map(|name| format!("the crate {name} is missing from the table"))
        .collect();
    for Dependency {
        of,
        on,
        is_for_tests,
    } in dependencies
    {
        let Some((_, always, in_tests)) = row(of) else {
            continue;
        };
        let is_allowed = !crates.contains(on)
            || always.contains(&on.as_str())
            || *is_for_tests && in_tests.contains(&on.as_str());
        if !is_allowed {
            violations.push(format!("{of} may not depend on {on}"));
        }
    }
    violations
}

/// Whether the module is the crate root or is written inside it. Those modules only re-export.
fn is_facade(sources: &Sources, path: &ModulePath) -> bool {
    sources.modules[path].file == "lib.rs"
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|names| names.contains(&name))
}

/// The files of a folder that import each other in a cycle, and those that import such a file. A file and the files of its
/// own subfolder count as one.
fn cycle(sources: &Sources, folder: &str) -> Option<String> {
    let inside = |path: &ModulePath| path.len() > 1 && path[0] == folder;
    let apart = |a: &ModulePath, b: &ModulePath| !a.starts_with(b) && !b.starts_with(a);
    let mut imports: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (path, module) in sources.modules.iter().filter(|(path, _)| inside(path)) {
        let imported = imports.entry(&module.file).or_default();
        for (_, target) in sources.references(path) {
            let modules = target.modules.iter();
            let files = modules
                .filter(|module| inside(module) && apart(path, module))
                .map(|module| sources.modules[module].file.as_str());
            imported.extend(files.filter(|file| *file != module.file));
        }
    }
    // A file whose imports are all removed is in no cycle, so remove it as well.
    loop {
        let free: Vec<&str> = imports
            .iter()
            .filter(|(_, imported)| !imported.iter().any(|file| imports.contains_key(file)))
            .map(|(file, _)| *file)
            .collect();
        if free.is_empty() {
            break;
        }
        imports.retain(|file, _| !free.contains(file));
    }
    let files: Vec<String> = imports
        .iter()
        .map(|(file, imported)| {
            let imported = imported.iter().filter(|file| imports.contains_key(*file));
            let imported: Vec<&str> = imported.copied().collect();
            format!("src/{file} → {}", imported.join(", "))
        })
        .collect();
    (!files.is_empty()).then(|| format!("`{folder}` imports in a cycle: {}", files.join("; ")))
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
