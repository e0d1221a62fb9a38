//! The program on a pseudo-terminal.

use std::fs::File;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// A program whose stdout and stderr are a terminal. Dropping it kills the process.
pub(crate) struct OnTerminal {
    process: Child,
    shown: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl OnTerminal {
    /// Starts the program on a terminal that reports this width.
    pub(crate) fn start(command: &mut Command, columns: u16) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&terminal).expect("the terminal belongs to this process");
        unlockpt(&terminal).expect("the terminal belongs to this process");
        let size = Winsize {
            ws_row: 24,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&terminal, size).expect("a terminal has a size");
        let name = ptsname(&terminal, Vec::new()).expect("the terminal has a name");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let end = || rustix::fs::open(&name, flags, Mode::empty()).expect("the program's end");
        let process = command
            .env("TERM", "xterm")
            .stdin(Stdio::null())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("the program starts");
        // The command would keep the program's end of the terminal open.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let shown: Arc<Mutex<Vec<u8>>> = Arc::default();
        let kept = shown.clone();
        let reader = std::thread::spawn(move || {
            let mut terminal = File::from(terminal);
            let mut chunk = [0; 4096];
            // Reading from a terminal fails once no program has it open.
            while let Ok(length @ 1..) = terminal.read(&mut chunk) {
                kept.lock().unwrap().extend_from_slice(&chunk[..length]);
            }
        });
        Self {
            process,
            shown,
            reader: Some(reader),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The output to the terminal so far.
    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).replace("\r\n", "\n")
    }

    /// Waits for the end of the program. Returns the exit code and its output.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let status = self.process.wait().expect("the process can be waited for");
        if let Some(reader) = self.reader.take() {
            reader.join().expect("reading does not panic");
        }
        (status.code(), self.shown())
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn on_terminal(command: &mut Command, columns: u16) -> (Option<i32>, String) {
    OnTerminal::start(command, columns).end()
}
