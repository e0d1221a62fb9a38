//! Parses the examples of a page of the documentation.

use serde_json::Value;

/// An example, and the line of the page on which it begins.
#[derive(Debug)]
pub(super) struct Example {
    pub(super) line: usize,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// Commands for bash.
    Script(String),
    /// A command that runs until a signal stops it.
    UntilStopped(String),
    /// Commands that ask a running server, each with the output that the page shows, if it shows one.
    WithServer(Vec<(String, Option<String>)>),
    /// Commands that `.ci/run` runs, because they take minutes.
    InCi(Vec<String>),
    /// Commands, each with the output that the page shows.
    Session(Vec<(String, String)>),
    /// The configuration by which a client starts the MCP server.
    Client(Value),
    /// A question of an assistant, and the answer that the page shows.
    Asked(Value, Option<Value>),
    /// An expression for mongosh, and the answer that the page shows.
    Query(String, Option<Value>),
    /// An expression for mongosh that is a document of the collection `runs`.
    Document(String),
    /// A program for pymongo, and the answer that the page shows.
    Python(String, Option<Value>),
}

/// The examples of a page. Every block of code must be an example or the output of one; any other block fails the test.
pub(super) fn examples(page: &str, text: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut marker = "";
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            if !line.is_empty() {
                marker = line;
            }
            continue;
        };
        let code: Vec<&str> = lines
            .by_ref()
            .map(|(_, line)| line)
            .take_while(|line| *line != "```")
            .collect();
        let place = format!("{page}:{}", index + 1);
        let kind = match (language, marker) {
            ("sh", "<!-- run by .ci/run -->") => Kind::InCi(commands(&code)),
            ("sh", "<!-- runs until it is stopped -->") => Kind::UntilStopped(code.join("\n")),
            ("sh", "<!-- while the server runs -->") => {
                let command = |line: &&str| ((*line).to_owned(), None);
                Kind::WithServer(code.iter().map(command).collect())
            }
            ("console", "<!-- while the server runs -->") => {
                let session = session(&code).into_iter();
                Kind::WithServer(
                    session
                        .map(|(command, shown)| (command, Some(shown)))
                        .collect(),
                )
            }
            ("sh", _) => Kind::Script(code.join("\n")),
            ("console", _) => Kind::Session(session(&code)),
            ("js", "<!-- a document that the collection accepts -->") => {
                Kind::Document(code.join("\n"))
            }
            ("js", _) => Kind::Query(code.join("\n"), None),
            // The tests of the Python package run it: python/tests/test_documentation.py.
            ("python" | "text", _) if page == "docs/python.md" => continue,
            ("python", _) => Kind::Python(code.join("\n"), None),
            ("json", "<!-- the configuration of a client -->") => Kind::Client(json(&code, &place)),
            ("json", "<!-- a question of an assistant -->") => {
                Kind::Asked(json(&code, &place), None)
            }
            ("json", _) => {
                let shown = json(&code, &place);
                match examples.last_mut().map(|example| &mut example.kind) {
                    Some(
                        Kind::Query(_, answer @ None)
                        | Kind::Python(_, answer @ None)
                        | Kind::Asked(_, answer @ None),
                    ) => {
                        *answer = Some(shown);
                    }
                    _ => panic!("{place}: this answer follows no query"),
                }
                continue;
            }
            // The library's documentation tests run it: src/lib.rs.
            ("rust,no_run", _) if page == "README.md" => continue,
            ("text", _) if !code.iter().any(|line| line.starts_with("$ ")) => continue,
            _ => panic!("{place}: no test runs a block of {language:?}"),
        };
        examples.push(Example {
            line: index + 1,
            kind,
        });
        marker = "";
    }
    examples
}

#[track_caller]
fn json(code: &[&str], place: &str) -> Value {
    let parsed = serde_json::from_str(&code.join("\n"));
    parsed.unwrap_or_else(|error| panic!("{place}: {error}"))
}

/// The commands of a block, without its comments.
fn commands(code: &[&str]) -> Vec<String> {
    let command = |line: &&str| {
        line.split(" #")
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    code.iter().map(command).collect()
}

/// The commands of a terminal session, each with the lines below it.
fn session(code: &[&str]) -> Vec<(String, String)> {
    let mut session: Vec<(String, String)> = Vec::new();
    for line in code {
        match (line.strip_prefix("$ "), session.last_mut()) {
            (Some(command), _) => session.push((command.to_owned(), String::new())),
            (None, Some((_, output))) => {
                output.push_str(line);
                output.push('\n');
            }
            (None, None) => panic!("a session begins with a command: {line}"),
        }
    }
    session
}

/// Whether an output is as shown: `…` stands for any text, and neither the widths of columns nor the rules between rows count.
pub(super) fn is_as_shown(shown: &str, output: &str) -> bool {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let is_rule = |line: &&str| !line.is_empty() && line.chars().all(|c| "─═".contains(c));
    let lines = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !is_rule(line));
        lines.map(words).collect()
    };
    let (shown, output) = (lines(shown), lines(output));
    shown.len() == output.len()
        && shown.iter().zip(&output).all(|(shown, line)| {
            let parts: Vec<String> = shown.split('…').map(regex::escape).collect();
            let pattern = regex::Regex::new(&format!("^{}$", parts.join(".*")));
            pattern.expect("escaped").is_match(line)
        })
}

#[test]
fn outputs_are_compared_without_ellipses_and_column_widths() {
    assert!(is_as_shown(
        " name   id\n a      8f2c…\n",
        "────\nname id\n════\na   8f2c61\n────\n"
    ));
    assert!(!is_as_shown(" name\n a\n", "name\nb\n"));
    assert!(!is_as_shown(" name\n", "name\na\n"));
}

#[test]
#[should_panic(expected = "docs/x.md:3: no test runs a block of \"yaml\"")]
fn a_block_that_no_test_runs_is_a_failure() {
    examples("docs/x.md", "# X\n\n```yaml\na: 1\n```\n");
}

#[test]
#[should_panic(expected = "docs/x.md:1: no test runs a block of \"text\"")]
fn a_command_that_is_shown_as_text_is_a_failure() {
    examples("docs/x.md", "```text\n$ runlineage find\n```\n");
}
