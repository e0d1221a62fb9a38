//! The rules of DESIGN's layout, and what breaks them.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::{ModulePath, Sources};

/// The files and folders of `src`, the ground first: each may import those of the rows before its own, and nobody in its row.
const LAYERS: [&[&str]; 9] = [
    &["error"],
    &["node", "lineage"],
    &["run"],
    &["registry"],
    &["codec"],
    &["query"],
    &["store"],
    &["mlflow", "mongo"],
    &["graph", "register", "sync"],
];

/// The only module that may use a crate.
const OWNERS: [(&str, &str); 2] = [("mongodb", "mongo"), ("reqwest", "mlflow")];

/// Folders whose files import each other in no circle.
const WITHOUT_CIRCLES: [&str; 1] = ["sync"];

/// Which crates of this workspace each may use, and which more its tests may.
const CRATES: [(&str, &[&str], &[&str]); 4] = [
    // Its own tests use it with what is unstable.
    (
        "runlineage",
        &[],
        &["runlineage", "runlineage-test-servers"],
    ),
    (
        "runlineage-cli",
        &["runlineage", "runlineage-local-mongod"],
        &["runlineage-test-servers"],
    ),
    ("runlineage-local-mongod", &[], &["runlineage-test-servers"]),
    ("runlineage-test-servers", &[], &[]),
];

/// A dependency as a crate's manifest has it.
pub(crate) struct Dependency {
    pub(crate) of: String,
    pub(crate) on: String,
    pub(crate) is_for_tests: bool,
}

/// All that breaks a rule; the root itself is the facade, which may name everything.
pub(crate) fn library_violations(sources: &Sources) -> Vec<String> {
    // By file and what is wrong there: the paths that are written so.
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
            add(format!("`{top}` has no place among the layers"), None);
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
    let circles = WITHOUT_CIRCLES
        .iter()
        .filter_map(|folder| circle(sources, folder));
    violations.chain(circles).collect()
}

/// The crates that depend on one of this workspace that they must not know.
pub(crate) fn crate_violations(crates: &[String], dependencies: &[Dependency]) -> Vec<String> {
    let row = |name: &str| CRATES.iter().find(|(known, ..)| *known == name);
    let mut violations: Vec<String> = crates
        .iter()
        .filter(|name| row(name).is_none())
        .map(|name| format!("the crate {name} is not in the table"))
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

/// The root, and the modules that are written in it: they name what is elsewhere.
fn is_facade(sources: &Sources, path: &ModulePath) -> bool {
    sources.modules[path].file == "lib.rs"
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|names| names.contains(&name))
}

/// The files of a folder that import each other in a circle, all that take part in one. A file and those of its own folder are one.
fn circle(sources: &Sources, folder: &str) -> Option<String> {
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
    // What imports nothing, or only what is left out already, is in no circle.
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
    (!files.is_empty()).then(|| format!("`{folder}` imports in a circle: {}", files.join("; ")))
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
