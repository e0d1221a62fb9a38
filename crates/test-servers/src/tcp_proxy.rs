//! A TCP proxy between the program and MongoDB, whose network cable a test can slow down, hold or cut.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// How long a connection sleeps between two checks of the cable.
const PAUSE: Duration = Duration::from_millis(10);
/// The latency of a slow cable in each direction.
const DELAY: Duration = Duration::from_millis(50);

/// The state of the cable, which decides what happens to the bytes that the two sides send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cable {
    /// Bytes arrive at once.
    Whole,
    /// Bytes arrive with the latency of another continent.
    Slow,
    /// Bytes wait in the cable and arrive when it is whole again, as with TCP's retransmission.
    Held,
    /// Bytes are lost silently. A connection that lost bytes never recovers, as after a firewall has dropped its state.
    Silent,
    /// Every existing and every new connection is closed.
    Closed,
    /// The proxy has ended.
    Gone,
}

/// A running proxy; dropping it ends it.
pub struct TcpProxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    server: u16,
    cable: AtomicU8,
    /// How often the cable was cut silently. A connection that is older than the last cut is dead.
    cuts: AtomicU64,
    bytes: AtomicUsize,
}

impl TcpProxy {
    /// Starts a proxy for the server on this local port.
    pub fn before(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
        let port = listener.local_addr().expect("it is bound").port();
        let shared = Arc::new(Shared {
            server,
            cable: AtomicU8::new(Cable::Whole as u8),
            cuts: AtomicU64::new(0),
            bytes: AtomicUsize::new(0),
        });
        let serving = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.is(Cable::Gone) {
                    return;
                }
                let (Ok(stream), serving) = (stream, serving.clone()) else {
                    continue;
                };
                // An error means that a side closed the connection, which ends this thread.
                std::thread::spawn(move || drop(serving.connect(stream)));
            }
        });
        Self { port, shared }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes the state of the cable.
    pub fn set(&self, cable: Cable) {
        if cable == Cable::Silent {
            self.shared.cuts.fetch_add(1, Ordering::SeqCst);
        }
        self.shared.cable.store(cable as u8, Ordering::SeqCst);
    }

    /// How many bytes have arrived so far, in both directions together.
    pub fn bytes(&self) -> usize {
        self.shared.bytes.load(Ordering::SeqCst)
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.set(Cable::Gone);
        // Wakes the accepting thread.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

impl Shared {
    fn is(&self, cable: Cable) -> bool {
        self.cable.load(Ordering::SeqCst) == cable as u8
    }

    fn connect(self: &Arc<Self>, client: TcpStream) -> std::io::Result<()> {
        let cuts = self.cuts.load(Ordering::SeqCst);
        let server = TcpStream::connect((Ipv4Addr::LOCALHOST, self.server))?;
        let (from_client, to_client) = (client.try_clone()?, client);
        let (from_server, to_server) = (server.try_clone()?, server);
        let forth = self.clone();
        std::thread::spawn(move || drop(forth.copy(from_client, to_server, cuts)));
        self.copy(from_server, to_client, cuts)
    }

    /// Copies bytes in one direction until a side closes the connection.
    fn copy(&self, mut from: TcpStream, mut to: TcpStream, cuts: u64) -> std::io::Result<()> {
        from.set_read_timeout(Some(PAUSE))?;
        let mut chunk = vec![0; 64 << 10];
        loop {
            if self.is(Cable::Gone) || self.is(Cable::Closed) {
                from.shutdown(Shutdown::Both)?;
                return to.shutdown(Shutdown::Both);
            }
            let was_cut = self.cuts.load(Ordering::SeqCst) != cuts;
            if self.is(Cable::Held) || self.is(Cable::Silent) && !was_cut {
                std::thread::sleep(PAUSE);
                continue;
            }
            let count = match from.read(&mut chunk) {
                Ok(count) => count,
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    continue;
                }
                Err(error) => return Err(error),
            };
            if was_cut {
                // The other side does not even notice that this side closes the connection.
                if count == 0 {
                    return Ok(());
                }
                continue;
            }
            if count == 0 {
                return to.shutdown(Shutdown::Write);
            }
            // The state may have changed since the read: the bytes wait, or they are lost.
            while self.is(Cable::Held) {
                std::thread::sleep(PAUSE);
            }
            if self.is(Cable::Slow) {
                std::thread::sleep(DELAY);
            }
            if self.is(Cable::Whole) || self.is(Cable::Slow) {
                to.write_all(&chunk[..count])?;
                self.bytes.fetch_add(count, Ordering::SeqCst);
            }
        }
    }
}
