//! Where results go.

use std::io::{self, ErrorKind, Write};

use crate::terminal::{self, Harmless};

/// Standard output, whose errors say that it is what could not be written.
pub(crate) struct Stdout(Harmless<io::Stdout>);

#[derive(Debug, thiserror::Error)]
#[error("cannot write to stdout")]
struct Unwritten(#[source] io::Error);

pub(crate) fn stdout() -> Stdout {
    Stdout(terminal::stdout())
}

/// Whether the reader of results, such as `head`, has seen enough; what else is closed in passing is a failure.
pub(crate) fn reader_left(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| {
        let is_stdout = error.get_ref().is_some_and(|error| error.is::<Unwritten>());
        is_stdout && error.kind() == ErrorKind::BrokenPipe
    })
}

/// The error below one of the CSV writer, which would only say the same again.
pub(crate) fn csv_failed(error: csv::Error) -> anyhow::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.into(),
        kind => anyhow::anyhow!("cannot write CSV: {kind:?}"),
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(unwritten)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(unwritten)
    }
}

/// An error of writing to standard output, named as one.
pub(crate) fn unwritten(error: io::Error) -> io::Error {
    // The caller writes again.
    if error.kind() == ErrorKind::Interrupted {
        return error;
    }
    io::Error::new(error.kind(), Unwritten(error))
}
