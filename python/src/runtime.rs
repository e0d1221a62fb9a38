//! The one runtime of the process.

use std::future::Future;
use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::error::exceptions::Error;
use crate::error::{Raised, io_error};
use crate::log;

/// How often a waiting call looks for Ctrl-C.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);

/// A batch is parsed by the thread that asked for it. These threads only serve the connections.
const THREADS: usize = 2;

/// A value that belongs to the process that made it. After `fork`, the child makes its own.
///
/// The lock is taken only while this thread holds the interpreter's lock, and never for longer than a copy takes. So no thread
/// can fork while another one holds this lock, and a child never finds it taken.
pub(crate) struct PerProcess<T>(Mutex<Option<(u32, T)>>);

impl<T: Clone> PerProcess<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The value of this process.
    pub(crate) fn get(&self, _: Python<'_>) -> Option<T> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (owner, value) = held.as_ref()?;
        (*owner == process::id()).then(|| value.clone())
    }

    /// Keeps the value for this process, unless another thread was faster; returns the one that is kept.
    pub(crate) fn keep(&self, _: Python<'_>, value: T) -> T {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*held {
            Some((owner, kept)) if *owner == process::id() => kept.clone(),
            _ => {
                let inherited = held.replace((process::id(), value.clone()));
                // The threads that its end would wait for exist only in the parent.
                std::mem::forget(inherited);
                value
            }
        }
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        let held = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if held
            .as_ref()
            .is_some_and(|(owner, _)| *owner != process::id())
        {
            std::mem::forget(held.take());
        }
    }
}

/// A value that has to be dropped within the runtime, such as a cursor, which then tells the server.
pub(crate) struct InRuntime<T> {
    owner: u32,
    runtime: Arc<Runtime>,
    value: Option<T>,
}

impl<T> InRuntime<T> {
    pub(crate) fn new(py: Python<'_>, value: T) -> PyResult<Self> {
        Ok(Self {
            owner: process::id(),
            runtime: runtime(py)?,
            value: Some(value),
        })
    }

    /// The value; an error in a child of the process that made it.
    pub(crate) fn get_mut(&mut self) -> PyResult<&mut T> {
        let is_own = self.owner == process::id();
        self.value.as_mut().filter(|_| is_own).ok_or_else(|| {
            Error::new_err(
                "this search began before the process was forked; search again in the child",
            )
        })
    }
}

impl<T> Drop for InRuntime<T> {
    fn drop(&mut self) {
        if self.owner == process::id() {
            let _entered = self.runtime.enter();
            drop(self.value.take());
        } else {
            std::mem::forget(self.value.take());
        }
    }
}

static RUNTIME: PerProcess<Arc<Runtime>> = PerProcess::new();

fn runtime(py: Python<'_>) -> PyResult<Arc<Runtime>> {
    if let Some(runtime) = RUNTIME.get(py) {
        return Ok(runtime);
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("runlineage")
        .enable_all()
        .build()
        .map_err(|error| io_error("cannot start the async runtime", error))?;
    Ok(RUNTIME.keep(py, Arc::new(runtime)))
}

/// Waits for the future without the interpreter's lock.
///
/// Ctrl-C drops the future, which cancels its queries, and raises `KeyboardInterrupt`.
pub(crate) fn wait<T, E, F>(py: Python<'_>, future: F) -> PyResult<T>
where
    T: Send,
    E: Send + Into<Raised>,
    F: Future<Output = Result<T, E>> + Send,
{
    wait_and_show(py, future, |_| Ok(()))
}

/// Like [`wait`], but calls `show` after each interval, such as to show a progress.
pub(crate) fn wait_and_show<T, E, F>(
    py: Python<'_>,
    future: F,
    mut show: impl FnMut(Python<'_>) -> PyResult<()> + Send,
) -> PyResult<T>
where
    T: Send,
    E: Send + Into<Raised>,
    F: Future<Output = Result<T, E>> + Send,
{
    let runtime = runtime(py)?;
    let ended = py.detach(|| {
        // A future that is dropped early ends its cursors, for which it needs the runtime.
        let _entered = runtime.enter();
        let mut future = Box::pin(future);
        loop {
            let step = async { timeout(SIGNAL_INTERVAL, future.as_mut()).await };
            if let Ok(ended) = runtime.block_on(step) {
                return ended.map_err(|error| error.into().into());
            }
            Python::attach(|py| {
                log::forward(py);
                py.check_signals()?;
                show(py)
            })?;
        }
    });
    log::forward(py);
    ended
}
