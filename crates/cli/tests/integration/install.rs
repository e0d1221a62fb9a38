//! Shell completions and man pages: they know every command and flag.

use std::collections::BTreeSet;
use std::process::Command;

use regex::Regex;

use crate::support::program::{run, runlineage};

/// What bash offers for the last of these words.
fn completed(script: &str, words: &[&str]) -> Vec<String> {
    const ASK: &str = r#"
        source "$1" && shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        function=$(complete -p runlineage | sed 's/.* -F \([^ ]*\) .*/\1/')
        "$function" runlineage "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", ASK, "bash", script]).args(words);
    let offered = run(&mut bash).success();
    offered.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_flags_and_values() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("runlineage");
    let printed = run(&mut runlineage(["completions", "bash"])).success();
    std::fs::write(&script, printed).expect("the script can be written");
    let script = script.to_str().expect("a path");
    for (words, offered) in [
        (&["runlineage", "ver"][..], &["verify", "versions"][..]),
        (&["runlineage", "find", "--input-mo"], &["--input-model"]),
        (&["runlineage", "find", "--mongodb"], &["--mongodb-uri"]),
        (&["runlineage", "find", "--format", "ndj"], &["ndjson"]),
    ] {
        let mut found = completed(script, words);
        found.sort();
        assert_eq!(found, offered, "{words:?}");
    }
}

#[test]
fn every_command_has_a_man_page_that_names_its_flags() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("a path");
    run(&mut runlineage(["man", path])).success();
    let page = |name: &str| {
        let page = std::fs::read_to_string(folder.path().join(format!("{name}.1")));
        // roff writes a hyphen that is not to be broken or replaced as `\-`.
        page.unwrap_or_default().replace("\\-", "-")
    };
    let help = run(&mut runlineage(["--help"])).success();
    let command = Regex::new("(?m)^  ([a-z]+)  ").expect("a pattern");
    let commands = command.captures_iter(&help).filter_map(|line| line.get(1));
    let commands = commands.map(|name| name.as_str());
    let commands: BTreeSet<&str> = commands.filter(|name| *name != "help").collect();
    assert!(commands.len() > 15, "{commands:?}");
    let flag = Regex::new("--[a-z][a-z-]*").expect("a pattern");
    let mut missing = Vec::new();
    let mut named = 0;
    for command in commands {
        assert!(page("runlineage").contains(&format!("runlineage-{command}(1)")));
        let (help, page) = (
            run(&mut runlineage([command, "--help"])).success(),
            page(&format!("runlineage-{command}")),
        );
        let usage = help.split("Example").next().unwrap_or_default();
        for flag in flag.find_iter(usage) {
            named += 1;
            if !page.contains(flag.as_str()) {
                missing.push(format!("{command}: {}", flag.as_str()));
            }
        }
    }
    assert!(named > 100, "{named}");
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn man_pages_for_a_folder_that_is_missing_are_an_error() {
    let finished = run(&mut runlineage(["man", "/nowhere/man1"]));
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(
        finished
            .stderr
            .contains("\"/nowhere/man1\"; choose a folder"),
        "{finished:?}"
    );
}
