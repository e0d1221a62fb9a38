//! Explains why `mongod` did not start or ended, from its log and the free space on its disk.

use serde_json::Value;

use crate::folder::Folder;

/// With less free space, `mongod` fails. It would allocate its journal in files of 100 MB.
const LITTLE_SPACE: u64 = 16 * 1024 * 1024;

/// The free space on the disk of the database, in bytes; `None` if the system does not report it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disk(Option<u64>);

impl Disk {
    pub(crate) fn of(folder: &Folder) -> Self {
        let figures = rustix::fs::statvfs(folder.path()).ok();
        Self(figures.map(|figures| figures.f_bavail.saturating_mul(figures.f_frsize)))
    }
}

/// A message that says what happened and what to do, and quotes the log of `mongod`.
pub(crate) fn explain(what_happened: &str, log: &str, folder: &Folder, disk: Disk) -> String {
    let said = meaningful_lines(log);
    let advice = advice(&said.join("\n"), folder, disk);
    let said = match said.as_slice() {
        [] => "printed no message".to_owned(),
        lines => format!("said: {}", lines.join(" | ")),
    };
    format!(
        "mongod {what_happened}{advice}; it {said}; its log is {}",
        folder.mongod_log().display()
    )
}

fn advice(said: &str, folder: &Folder, disk: Disk) -> String {
    let data = folder.data();
    let data = data.display();
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if says(&["DBPathInUse"]) {
        // The file is empty while the other mongod is starting.
        let process = std::fs::read_to_string(folder.data().join("mongod.lock"))
            .ok()
            .filter(|text| !text.trim().is_empty())
            .map_or_else(String::new, |text| format!(" (process {})", text.trim()));
        return format!(": another mongod{process} uses {data}; stop it");
    }
    if says(&["No space left on device", "Disk quota exceeded"])
        || disk.0.is_some_and(|free| free < LITTLE_SPACE)
    {
        return format!(
            ": the disk of {data} is full; make room, or set XDG_DATA_HOME to a folder elsewhere"
        );
    }
    if says(&[
        "UPGRADE PROBLEM",
        "featureCompatibilityVersion",
        "Wrong mongod version",
        "unsupported WiredTiger file version",
        "too recent to start up on the existing data",
    ]) {
        return format!(
            ": {data} was written by another version of MongoDB; set MONGOD to that mongod, or remove {data} and sync \
             again, since it mirrors what MLflow holds"
        );
    }
    if says(&[
        "Permission denied",
        "read-only directory",
        "Read-only file system",
    ]) {
        return format!(
            ": {data} cannot be written by this user; make it writable, or set XDG_DATA_HOME"
        );
    }
    if says(&["WT_TRY_SALVAGE", "database corruption", "data corruption"]) {
        return format!(
            ": {data} is damaged; remove it and sync again, since it mirrors what MLflow holds"
        );
    }
    String::new()
}

/// The last errors in the log. Without errors, its last lines that are not log records, such as the linker's. Without such
/// lines, its last records.
fn meaningful_lines(log: &str) -> Vec<String> {
    let mut errors = Vec::new();
    let mut plain = Vec::new();
    let mut records = Vec::new();
    for line in log.lines().filter(|line| !line.trim().is_empty()) {
        match serde_json::from_str::<Value>(line) {
            Ok(record) => {
                if matches!(record["s"].as_str(), Some("E" | "F")) {
                    errors.push(summary(&record));
                }
                records.push(summary(&record));
            }
            Err(_) => plain.push(line.trim().to_owned()),
        }
    }
    let chosen = [errors, plain, records]
        .into_iter()
        .find(|lines| !lines.is_empty())
        .unwrap_or_default();
    let first = chosen.len().saturating_sub(4);
    chosen[first..].to_vec()
}

/// A record's message, and the text of the error in its attributes.
fn summary(record: &Value) -> String {
    let attributes = &record["attr"];
    let details = [
        &attributes["error"],
        &attributes["message"]["msg"],
        &attributes["message"]["error_str"],
        &attributes["message"],
    ];
    [&record["msg"]]
        .into_iter()
        .chain(details)
        .filter_map(Value::as_str)
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(": ")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn explain_alone(log: &str, free: u64) -> String {
        let folder = Folder::already_prepared(PathBuf::from("/nowhere/db"));
        explain("ended (exit status: 100)", log, &folder, Disk(Some(free)))
    }

    #[test]
    fn a_data_folder_in_use_is_named_with_advice() {
        let log = r#"{"t":{"$date":"2026-11-23T18:21:17.507+00:00"},"s":"E",  "c":"CONTROL",  "id":20557,   "ctx":"initandlisten","msg":"DBException in initAndListen, terminating","attr":{"error":"DBPathInUse: Unable to lock the lock file: d/mongod.lock"}}"#;
        assert_eq!(
            explain_alone(log, u64::MAX),
            "mongod ended (exit status: 100): another mongod uses /nowhere/db/data; stop it; it said: DBException in \
             initAndListen, terminating: DBPathInUse: Unable to lock the lock file: d/mongod.lock; its log is \
             /nowhere/db/mongod.log"
        );
    }

    #[test]
    fn a_full_disk_is_recognized_without_a_log() {
        assert_eq!(
            explain_alone("", 0),
            "mongod ended (exit status: 100): the disk of /nowhere/db/data is full; make room, or set XDG_DATA_HOME to a \
             folder elsewhere; it printed no message; its log is /nowhere/db/mongod.log"
        );
    }

    #[test]
    fn an_error_of_the_linker_is_quoted() {
        let log = "mongod: error while loading shared libraries: libcurl.so.4: cannot open shared object file";
        assert_eq!(
            explain_alone(log, u64::MAX),
            format!(
                "mongod ended (exit status: 100); it said: {log}; its log is /nowhere/db/mongod.log"
            )
        );
    }
}
