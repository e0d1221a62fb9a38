//! `--out`: which files are written, and how.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::Pipeline;
use crate::support::failing::check;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_gets_the_format_of_its_name_and_replaces_the_old_one() {
    let pipeline = Pipeline::new().await;
    let version = pipeline.version();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let write = |args: &[&str]| {
        pipeline.program_in(
            folder.path(),
            &[&["graph", version.as_str()], args].concat(),
        )
    };
    for (name, format) in [
        ("graph.txt", "tree"),
        ("graph.json", "json"),
        ("graph.csv", "csv"),
        ("graph.SVG", "svg"),
        ("graph.html", "html"),
    ] {
        fs::write(path(name), "an old and longer text".repeat(10_000)).unwrap();
        let wrote = write(&["--out", name]);
        assert!(
            wrote.stderr.contains(&format!("Wrote {name}.")),
            "{}",
            wrote.stderr
        );
        assert_eq!(wrote.success(), "");
        let printed = write(&["--format", format]).success();
        assert_eq!(fs::read_to_string(path(name)).unwrap(), printed, "{name}");
    }
    write(&["--out", "graph.png"]).success();
    assert!(fs::read(path("graph.png")).unwrap().starts_with(b"\x89PNG"));
    write(&["--out", "graph.dat", "--format", "svg"]).success();
    assert!(
        fs::read_to_string(path("graph.dat"))
            .unwrap()
            .starts_with("<svg ")
    );

    symlink("graph.dat", path("link.svg")).unwrap();
    write(&["--out", "link.svg", "--format", "csv"]).success();
    assert!(path("link.svg").is_symlink(), "the link stays");
    assert!(
        fs::read_to_string(path("graph.dat"))
            .unwrap()
            .starts_with("from,to,")
    );
    let mode = |name: &str| fs::metadata(path(name)).unwrap().permissions().mode() & 0o777;
    fs::write(path("usual"), "").unwrap();
    assert_eq!(mode("graph.csv"), mode("usual"), "as any new file");
    let left = fs::read_dir(folder.path()).unwrap();
    let left = left.filter(|entry| {
        entry
            .as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with('.')
    });
    assert_eq!(left.count(), 0, "no temporary file stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_written_is_an_error_that_says_what_to_do() {
    let pipeline = Pipeline::new().await;
    let version = pipeline.version();
    let folder = tempfile::tempdir().unwrap();
    let write = |out: &str| pipeline.program_in(folder.path(), &["graph", &version, "--out", out]);
    for name in ["graph.pdf", "graph", "-"] {
        check(
            &write(name),
            2,
            &["--out", ".graphml or .ndjson", "--format"],
        );
    }
    fs::create_dir(folder.path().join("folder.svg")).unwrap();
    for name in ["missing/graph.svg", "folder.svg", "/proc/graph.svg"] {
        check(&write(name), 1, &["cannot write", name, "choose a folder"]);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
