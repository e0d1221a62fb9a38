//! `register --from`: registers the lines of a file concurrently.

use std::io::{BufRead, BufReader, Read};
use std::process::ExitCode;

use anyhow::Context;
use futures::{StreamExt, stream};
use runlineage::{Error, MlflowClient, MongoRunStore};

use super::super::Result;
use super::line;
use crate::say::{counted, say};

pub(super) const CONCURRENT_LINES: usize = 8;
/// In bytes. The lineage tags of a run hold less.
const MAX_LINE: u64 = 32 << 20;
/// Windows editors begin a file with it.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The numbered lines of a file. A line that is too long is an error of that line only.
struct Lines {
    input: BufReader<Box<dyn Read + Send>>,
    number: u64,
}

impl Lines {
    fn of(file: &str) -> Result<Self> {
        let input: Box<dyn Read + Send> = match file {
            "-" => Box::new(std::io::stdin()),
            _ => {
                Box::new(std::fs::File::open(file).with_context(|| format!("cannot open {file}"))?)
            }
        };
        Ok(Self {
            input: BufReader::new(input),
            number: 0,
        })
    }

    /// Reads bytes, so that a line that is not UTF-8 is an error of that line only.
    fn read(&mut self) -> std::io::Result<Option<(u64, Result<Vec<u8>>)>> {
        let mut line = Vec::new();
        if self
            .input
            .by_ref()
            .take(MAX_LINE)
            .read_until(b'\n', &mut line)?
            == 0
        {
            return Ok(None);
        }
        self.number += 1;
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() as u64 == MAX_LINE {
            self.skip_line()?;
            let too_long = anyhow::anyhow!("the line is longer than {} MiB", MAX_LINE >> 20);
            return Ok(Some((self.number, Err(too_long))));
        }
        if self.number == 1 && line.starts_with(BYTE_ORDER_MARK) {
            line.drain(..BYTE_ORDER_MARK.len());
        }
        Ok(Some((self.number, Ok(line))))
    }

    fn skip_line(&mut self) -> std::io::Result<()> {
        loop {
            let buffer = self.input.fill_buf()?;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let (length, is_over) = (end.map_or(buffer.len(), |end| end + 1), end.is_some());
            let is_over = is_over || length == 0;
            self.input.consume(length);
            if is_over {
                return Ok(());
            }
        }
    }
}

impl Iterator for Lines {
    type Item = std::io::Result<(u64, Result<Vec<u8>>)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// Registers the lines from number `from_line` on. Reports a bad line, and registers the others. An error that all lines share
/// ends the command, and names the line from which to resume.
pub(super) async fn register(
    mlflow: &MlflowClient,
    store: &MongoRunStore,
    file: &str,
    from_line: u64,
) -> Result {
    let lines = Lines::of(file)?;
    let is_requested = |line: &std::io::Result<(u64, _)>| {
        line.as_ref()
            .map_or(true, |(number, _)| *number >= from_line)
    };
    // `buffered` keeps the order, so that all lines before the one in the error are registered.
    let mut registered = stream::iter(lines.filter(is_requested))
        .map(async |line| {
            let (number, line) = line.with_context(|| format!("cannot read {file}"))?;
            let registered = match line {
                Ok(line) if line.trim_ascii().is_empty() => Ok(false),
                Ok(line) => register_line(mlflow, store, &line).await.map(|()| true),
                Err(error) => Err(error),
            };
            anyhow::Ok((number, registered))
        })
        .buffered(CONCURRENT_LINES);
    let (mut done, mut failed) = (0_u64, 0_u64);
    while let Some(line) = registered.next().await {
        match line? {
            (_, Ok(is_line)) => done += u64::from(is_line),
            (number, Err(error)) if is_shared_by_all_lines(&error) => {
                say!(
                    "{} registered, {} failed.",
                    counted(done, "run"),
                    counted(failed, "line")
                );
                let go_on = format!(
                    "line {number} failed for a reason that stops the later lines too; remove the cause, then resume with `--from {file} --from-line {number}`"
                );
                return Err(error.context(go_on));
            }
            (number, Err(error)) => {
                failed += 1;
                say!("line {number}: {error:#}");
            }
        }
    }
    say!(
        "{} registered, {} failed.",
        counted(done, "run"),
        counted(failed, "line")
    );
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn register_line(mlflow: &MlflowClient, store: &MongoRunStore, line: &[u8]) -> Result<()> {
    let (run, lineage) = line::parse(line)?;
    super::register(mlflow, store, &run, &lineage).await
}

/// Whether the other lines would fail too, because a server is unreachable or refuses the user.
fn is_shared_by_all_lines(error: &anyhow::Error) -> bool {
    let Some(error) = error.downcast_ref::<Error>() else {
        return false;
    };
    match error {
        Error::MirrorBehind { .. }
        | Error::Mongo { .. }
        | Error::Database { .. }
        | Error::Migration { .. }
        | Error::MlflowUnreachable { .. }
        | Error::MlflowProtocol { .. } => true,
        Error::Mlflow { status, .. } => error.is_transient() || matches!(status, 401 | 407),
        _ => false,
    }
}
