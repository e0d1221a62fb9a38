//! Runs in a format: as one page, or as a stream.

use std::io;

use bytes::Bytes;
use futures::stream::{self, Stream, TryStreamExt as _};
use runlineage::{Run, RunStream};

use crate::answer::RunWriter;
use crate::format::Format;
use crate::problem::Problem;

/// A stream is written in chunks of this many bytes.
const CHUNK: usize = 64 * 1024;

/// Writes runs in one format.
pub(super) struct Written {
    format: Format,
    writer: RunWriter,
    count: u64,
}

/// A stream in the middle.
struct Open<T> {
    written: Written,
    /// `None` after the last run.
    runs: Option<RunStream>,
    /// Kept until the stream ends.
    _kept: T,
}

impl Written {
    pub(super) fn new(format: Format, writer: RunWriter) -> Self {
        Self {
            format,
            writer,
            count: 0,
        }
    }

    /// These runs as a whole answer.
    pub(super) fn page(mut self, runs: &[Run]) -> Result<Vec<u8>, Problem> {
        let mut out = self.begin();
        for run in runs {
            self.run(run, &mut out)?;
        }
        self.end(&mut out);
        Ok(out)
    }

    /// All runs, in chunks. An error ends the stream without its end, so that no reader takes it for complete.
    pub(super) fn stream<T: Send + 'static>(
        self,
        runs: RunStream,
        kept: T,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let open = Open {
            written: self,
            runs: Some(runs),
            _kept: kept,
        };
        stream::try_unfold(open, |mut open| async move {
            let Some(mut runs) = open.runs.take() else {
                return Ok(None);
            };
            let mut out = match open.written.count {
                0 => open.written.begin(),
                _ => Vec::with_capacity(2 * CHUNK),
            };
            while out.len() < CHUNK {
                match runs.try_next().await.map_err(reported)? {
                    Some(run) => open.written.run(&run, &mut out).map_err(reported)?,
                    None => {
                        open.written.end(&mut out);
                        return Ok(Some((Bytes::from(out), open)));
                    }
                }
            }
            open.runs = Some(runs);
            Ok(Some((Bytes::from(out), open)))
        })
    }

    fn begin(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(CHUNK);
        if self.format == Format::CSV {
            csv_row(&self.writer.header(), &mut out);
        }
        out
    }

    fn run(&mut self, run: &Run, out: &mut Vec<u8>) -> runlineage::Result<()> {
        self.count += 1;
        match self.format {
            Format::Json => {
                out.extend_from_slice(if self.count == 1 { b"[\n" } else { b",\n" });
                self.writer.json(run, out)
            }
            Format::Ndjson => {
                self.writer.json(run, out)?;
                out.push(b'\n');
                Ok(())
            }
            Format::Drawn(_) => {
                csv_row(&self.writer.row(run)?, out);
                Ok(())
            }
        }
    }

    fn end(&self, out: &mut Vec<u8>) {
        if self.format == Format::Json {
            out.extend_from_slice(if self.count == 0 { b"[]\n" } else { b"\n]\n" });
        }
    }
}

fn csv_row(cells: &[String], out: &mut Vec<u8>) {
    let mut row = csv::Writer::from_writer(out);
    // Writing to memory cannot fail.
    let _ = row.write_record(cells);
    let _ = row.flush();
}

/// The log has the cause. The client sees that the answer breaks off.
fn reported(error: runlineage::Error) -> io::Error {
    let _ = Problem::from(error);
    io::Error::other("the mirror cannot be read on")
}
