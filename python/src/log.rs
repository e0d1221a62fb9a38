//! Forwards the library's events to Python's `logging`.
//!
//! An event may come from a thread of the runtime, which must not wait for the interpreter's lock. So events queue up, and the next
//! thread that waits for an answer hands them over.

use std::fmt::{Debug, Write as _};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyDict;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// The crate whose events are forwarded. The driver's own would be far too many.
const TARGET: &str = "runlineage";

static QUEUE: Mutex<Option<Receiver<Line>>> = Mutex::new(None);

struct Line {
    level: Level,
    logger: String,
    text: String,
}

/// Begins to queue events. Without effect where the process has another subscriber.
pub(crate) fn start() {
    let (sender, receiver) = channel();
    if tracing::subscriber::set_global_default(Queue(sender)).is_ok() {
        *QUEUE.lock().unwrap_or_else(PoisonError::into_inner) = Some(receiver);
    }
}

/// Hands the queued events over. A failure to log is no reason to fail a query.
pub(crate) fn forward(py: Python<'_>) {
    let lines: Vec<Line> = {
        let queue = QUEUE.lock().unwrap_or_else(PoisonError::into_inner);
        queue.iter().flat_map(Receiver::try_iter).collect()
    };
    for line in lines {
        if let Err(error) = line.log(py) {
            error.write_unraisable(py, None);
        }
    }
}

/// Logs a line of this package.
pub(crate) fn warn(py: Python<'_>, text: String) {
    let line = Line {
        level: Level::WARN,
        logger: TARGET.to_owned(),
        text,
    };
    if let Err(error) = line.log(py) {
        error.write_unraisable(py, None);
    }
}

impl Line {
    fn log(&self, py: Python<'_>) -> PyResult<()> {
        let level = match self.level {
            Level::ERROR => 40,
            Level::WARN => 30,
            Level::INFO => 20,
            _ => 10,
        };
        let logger = py
            .import("logging")?
            .call_method1("getLogger", (&self.logger,))?;
        // The text is an argument, so that a `%` in it is no format.
        logger.call_method("log", (level, "%s", &self.text), None::<&Bound<'_, PyDict>>)?;
        Ok(())
    }
}

struct Queue(Sender<Line>);

impl Subscriber for Queue {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && *metadata.level() <= Level::INFO
            && metadata.target().starts_with(TARGET)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let line = Line {
            level: *event.metadata().level(),
            logger: event.metadata().target().replace("::", "."),
            text: text.message + &text.fields,
        };
        // The queue lives as long as the process.
        let _ = self.0.send(line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The message of an event, and its fields.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
