//! A real browser: Chromium, driven by a script for Playwright.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::keeper::KeptFolder;
use crate::program::run;
use crate::tool;

const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Runs a script, which reads this input as JSON from the variable `INPUT`. Fails the test if the script fails.
#[track_caller]
pub fn drive(script: &Path, input: &Value) -> String {
    // Chromium keeps its settings in the home folder.
    let home = KeptFolder::new();
    let mut node = Command::new(tool("bin/browser-node"));
    node.arg(script)
        .env("INPUT", input.to_string())
        .env("CHROMIUM", chromium())
        .env("PACKAGES", tool("browser"))
        .env("HOME", home.path())
        .current_dir(home.path());
    run(&mut node).success()
}

/// The browser of this computer. No package registry has one that the tests could install.
#[track_caller]
fn chromium() -> PathBuf {
    if let Some(named) = std::env::var_os("CHROMIUM").filter(|named| !named.is_empty()) {
        return named.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut programs =
        std::env::split_paths(&path).flat_map(|folder| NAMES.map(|name| folder.join(name)));
    programs.find(|program| program.is_file()).unwrap_or_else(|| {
        panic!("Chromium is missing: install it (Debian, Ubuntu: apt-get install chromium), or set CHROMIUM to the program")
    })
}
