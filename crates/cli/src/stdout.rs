//! Standard output, for results.

use std::io::{self, ErrorKind, Write};

use crate::terminal::{self, Escaped};

/// Standard output. Its errors say that writing to stdout failed.
pub(crate) struct Stdout(Escaped<io::Stdout>);

#[derive(Debug, thiserror::Error)]
#[error("cannot write to stdout")]
struct WriteError(#[source] io::Error);

pub(crate) fn stdout() -> Stdout {
    Stdout(terminal::stdout())
}

/// Whether the reader of stdout, such as `head`, closed it. Any other broken pipe is a failure.
pub(crate) fn reader_left(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| {
        let is_stdout = error
            .get_ref()
            .is_some_and(|error| error.is::<WriteError>());
        is_stdout && error.kind() == ErrorKind::BrokenPipe
    })
}

/// The cause of an error of the CSV writer, which adds nothing to it.
pub(crate) fn csv_failed(error: csv::Error) -> anyhow::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.into(),
        kind => anyhow::anyhow!("cannot write CSV: {kind:?}"),
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(write_error)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(write_error)
    }
}

/// Marks an error as one of writing to stdout.
pub(crate) fn write_error(error: io::Error) -> io::Error {
    // `write_all` retries this one.
    if error.kind() == ErrorKind::Interrupted {
        return error;
    }
    io::Error::new(error.kind(), WriteError(error))
}
