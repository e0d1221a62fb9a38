//! [`CompanyProxy`]: an HTTP proxy as companies run them, for `HTTP_PROXY` and `HTTPS_PROXY`.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A running proxy; its threads end with the test.
pub struct CompanyProxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The status and the headers of the answer to every request. `None` passes requests on.
    refusal: Mutex<Option<(u16, &'static str)>>,
    requests: AtomicUsize,
    authorization: Mutex<String>,
}

impl CompanyProxy {
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
        let port = listener.local_addr().expect("it is bound").port();
        let shared = Arc::new(Shared::default());
        let serving = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                // An error means that one side closed the connection, which is not a failure of the proxy.
                std::thread::spawn(move || drop(serving.serve(stream)));
            }
        });
        Self { port, shared }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// From now on, refuses every request with this status and these headers.
    pub fn refuse(&self, status: u16, headers: &'static str) {
        *self.shared.refusal.lock().unwrap() = Some((status, headers));
    }

    /// The number of requests since the last call of this method.
    pub fn take_requests(&self) -> usize {
        self.shared.requests.swap(0, Ordering::SeqCst)
    }

    /// The credentials of the last request.
    pub fn authorization(&self) -> String {
        self.shared.authorization.lock().unwrap().clone()
    }
}

impl Shared {
    fn serve(&self, mut client: TcpStream) -> std::io::Result<()> {
        let mut read = Vec::new();
        let end = loop {
            if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            let mut chunk = [0; 4096];
            let count = client.read(&mut chunk)?;
            if count == 0 {
                return Ok(());
            }
            read.extend_from_slice(&chunk[..count]);
        };
        self.requests.fetch_add(1, Ordering::SeqCst);
        let head = String::from_utf8_lossy(&read[..end]).into_owned();
        let body = &read[end + 4..];
        let authorization = head.lines().filter_map(|line| line.split_once(": "));
        let authorization =
            authorization.filter(|(name, _)| name.eq_ignore_ascii_case("proxy-authorization"));
        *self.authorization.lock().unwrap() =
            authorization.map(|(_, value)| value.to_owned()).collect();
        if let Some((status, headers)) = *self.refusal.lock().unwrap() {
            let page = "<html>The proxy's own words</html>";
            let length = page.len();
            write!(
                client,
                "HTTP/1.1 {status} Refused\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{page}"
            )?;
            return client.shutdown(Shutdown::Write);
        }
        let (line, headers) = head.split_once("\r\n").unwrap_or((&head, ""));
        let mut words = line.split(' ');
        let (verb, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let mut server = if verb == "CONNECT" {
            let server = TcpStream::connect(target)?;
            client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
            server
        } else {
            let target = target.trim_start_matches("http://");
            let (host, path) = target.split_once('/').unwrap_or((target, ""));
            let mut server = TcpStream::connect(host)?;
            // One request for each connection, because the proxy would have to rewrite a second one too.
            write!(
                server,
                "{verb} /{path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n\r\n"
            )?;
            server
        };
        server.write_all(body)?;
        let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from_client, &mut to_server);
            let _ = to_server.shutdown(Shutdown::Write);
        });
        std::io::copy(&mut server, &mut client)?;
        client.shutdown(Shutdown::Write)
    }
}
