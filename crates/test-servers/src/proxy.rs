//! [`Proxy`]: a proxy before a real MLflow server. A test decides what happens to each request, and can list all of them.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use socket2::SockRef;

/// A request that the proxy received.
#[derive(Clone, Debug)]
pub struct Request {
    /// The number of the request, counted from 1.
    pub number: usize,
    /// The REST call, such as `runs/search`.
    pub call: String,
    /// The request line and the headers.
    pub head: String,
    /// The JSON body; null if there is none.
    pub body: Value,
}

/// What the proxy does with a request.
pub enum Answer {
    /// Passes it to the server.
    Pass,
    /// Passes it to the server, and calls this before it passes the answer to the client.
    After(Box<dyn FnOnce() + Send>),
    /// Passes it to the server, and changes the answer.
    Change(Box<dyn FnOnce(Value) -> Value + Send>),
    /// Answers with this, without the server.
    Say(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Resets the connection after this share of the server's answer.
    Reset(f64),
    /// Sends this share of the server's answer as if it were the whole.
    CutOff(f64),
    /// Sends nothing for this long, and closes the connection.
    Silence(Duration),
    /// Sends the server's answer in pieces of this many bytes, with this pause after each.
    Pieces(usize, Duration),
}

/// How an answer reaches the client.
#[derive(Clone, Copy)]
enum Delivery {
    Whole,
    Reset,
    Pieces(usize, Duration),
}

/// The calls that list what has a name, and the field of their answers that holds it.
const LISTED: [(&str, &str); 3] = [
    ("experiments/search", "experiments"),
    ("registered-models/search", "registered_models"),
    ("model-versions/search", "model_versions"),
];

type Said = (u16, Vec<(&'static str, String)>, Vec<u8>, Delivery);
type Handler = Arc<dyn Fn(&Request) -> Answer + Send + Sync>;

/// A running proxy; dropping it stops it.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: Mutex<String>,
    handler: Mutex<Handler>,
    /// The server lists only experiments and registered models whose names begin with this, so that a test sees only its own.
    prefix: Mutex<String>,
    requests: Mutex<Vec<Request>>,
    count: AtomicUsize,
    /// Connections that are accepted and not closed yet.
    open: AtomicUsize,
    under_way: AtomicUsize,
    peak: AtomicUsize,
    ended: AtomicBool,
}

impl Request {
    /// The id of the experiment whose runs are requested.
    pub fn experiment(&self) -> &str {
        self.body["experiment_ids"][0].as_str().unwrap_or_default()
    }
}

impl Answer {
    /// An error in MLflow's form.
    pub fn refuse(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!({ "error_code": code, "message": message });
        Self::Say(status, Vec::new(), body.to_string().into_bytes())
    }

    /// A status with a text body.
    pub fn text(status: u16, text: &str) -> Self {
        Self::Say(status, Vec::new(), text.as_bytes().to_vec())
    }
}

impl Proxy {
    /// A proxy before the server at this tracking URI.
    pub fn before(uri: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
        let port = listener.local_addr().expect("it is bound").port();
        let shared = Arc::new(Shared {
            upstream: Mutex::new(address(uri)),
            handler: Mutex::new(Arc::new(|_| Answer::Pass)),
            prefix: Mutex::default(),
            requests: Mutex::default(),
            count: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        });
        let serving = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.ended.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), serving) = (stream, serving.clone()) else {
                    continue;
                };
                serving.open.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || {
                    serving.serve(stream);
                    serving.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { port, shared }
    }

    pub fn uri(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on, `handler` decides what happens to each request.
    pub fn on(&self, handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) {
        *self.shared.handler.lock().unwrap() = Arc::new(handler);
    }

    /// From now on, the proxy passes every request.
    pub fn pass(&self) {
        self.on(|_| Answer::Pass);
    }

    /// From now on, the proxy passes requests to the server at this tracking URI.
    pub fn point_at(&self, uri: &str) {
        *self.shared.upstream.lock().unwrap() = address(uri);
    }

    /// From now on, the server lists only experiments and registered models whose names begin with `prefix`.
    pub fn list_only(&self, prefix: &str) {
        prefix.clone_into(&mut self.shared.prefix.lock().unwrap());
    }

    /// The requests since the last call of this method.
    pub fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.shared.requests.lock().unwrap())
    }

    /// Waits until all requests so far are answered, those of ended processes too.
    pub fn settle(&self) {
        // Connections are accepted in order, so this one is accepted after all others.
        let mut last = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("it listens");
        last.shutdown(Shutdown::Write).expect("it is open");
        let _ = last.read(&mut [0]);
        while self.shared.open.load(Ordering::SeqCst) > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The maximum number of requests that were under way at once.
    pub fn peak(&self) -> usize {
        self.shared.peak.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) {
        // An error means that the client has closed the connection.
        let _ = self.answer(&mut stream);
    }

    fn answer(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        let Some((head, body)) = read_message(stream)? else {
            return Ok(());
        };
        let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(under_way, Ordering::SeqCst);
        let answer = self.decide(&head, &body);
        // Counted before the client has the answer and can send the next request.
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        let Some((status, headers, body, delivery)) = answer? else {
            return Ok(());
        };
        match delivery {
            Delivery::Whole => say(stream, status, &headers, &body, body.len()),
            Delivery::Reset => {
                say(stream, status, &headers, &body, body.len() + 1)?;
                // With this, closing sends a reset instead of an end.
                SockRef::from(&*stream).set_linger(Some(Duration::ZERO))
            }
            Delivery::Pieces(size, pause) => {
                say(stream, status, &headers, &[], body.len())?;
                for piece in body.chunks(size) {
                    stream.write_all(piece)?;
                    std::thread::sleep(pause);
                }
                Ok(())
            }
        }
    }

    /// The answer and its delivery; `None` for no answer.
    fn decide(&self, head: &str, body: &[u8]) -> std::io::Result<Option<Said>> {
        let path = head.split(' ').nth(1).unwrap_or_default();
        let call = path.split('?').next().unwrap_or_default();
        let call = call.split_once("/mlflow/").map_or(call, |(_, call)| call);
        let request = Request {
            number: self.count.fetch_add(1, Ordering::SeqCst) + 1,
            call: call.to_owned(),
            head: head.to_owned(),
            body: serde_json::from_slice(body).unwrap_or(Value::Null),
        };
        self.requests.lock().unwrap().push(request.clone());
        let handler = self.handler.lock().unwrap().clone();
        let forward = || self.forward(&request, head, body);
        let part = |answer: Vec<u8>, share: f64| {
            let length = (answer.len() as f64 * share) as usize;
            answer[..length].to_vec()
        };
        Ok(match handler(&request) {
            Answer::Pass => {
                let (status, answer) = forward()?;
                Some((status, Vec::new(), answer, Delivery::Whole))
            }
            Answer::After(then) => {
                let (status, answer) = forward()?;
                then();
                Some((status, Vec::new(), answer, Delivery::Whole))
            }
            Answer::Change(change) => {
                let (status, answer) = forward()?;
                let changed = change(serde_json::from_slice(&answer)?);
                Some((
                    status,
                    Vec::new(),
                    changed.to_string().into_bytes(),
                    Delivery::Whole,
                ))
            }
            Answer::Say(status, headers, body) => Some((status, headers, body, Delivery::Whole)),
            Answer::CutOff(share) => {
                let (status, answer) = forward()?;
                Some((status, Vec::new(), part(answer, share), Delivery::Whole))
            }
            Answer::Reset(share) => {
                let (status, answer) = forward()?;
                Some((status, Vec::new(), part(answer, share), Delivery::Reset))
            }
            Answer::Pieces(size, pause) => {
                let (status, answer) = forward()?;
                Some((status, Vec::new(), answer, Delivery::Pieces(size, pause)))
            }
            Answer::Silence(length) => {
                std::thread::sleep(length);
                None
            }
        })
    }

    fn forward(
        &self,
        request: &Request,
        head: &str,
        body: &[u8],
    ) -> std::io::Result<(u16, Vec<u8>)> {
        let upstream = self.upstream.lock().unwrap().clone();
        let mut server = TcpStream::connect(upstream)?;
        let mut lines = head.lines();
        let first = lines.next().unwrap_or_default();
        let mut sent = format!("{}\r\n", first.replace("HTTP/1.1", "HTTP/1.0"));
        for line in lines.filter(|line| !line.to_lowercase().starts_with("connection:")) {
            sent.push_str(line);
            sent.push_str("\r\n");
        }
        server.write_all(sent.as_bytes())?;
        server.write_all(b"\r\n")?;
        server.write_all(body)?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer)?;
        let end = find(&answer, b"\r\n\r\n").unwrap_or(answer.len());
        let status = String::from_utf8_lossy(&answer[..end]);
        let status = status
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let mut body = answer.split_off((end + 4).min(answer.len()));
        let prefix = self.prefix.lock().unwrap().clone();
        let listed = LISTED.iter().find(|(call, _)| *call == request.call);
        if let Some((_, list)) = listed.filter(|_| !prefix.is_empty()) {
            body = only(&body, list, &prefix)?;
        }
        Ok((status.unwrap_or(502), body))
    }
}

fn only(body: &[u8], list: &str, prefix: &str) -> std::io::Result<Vec<u8>> {
    let mut page: Value = serde_json::from_slice(body)?;
    if let Some(listed) = page.get_mut(list).and_then(Value::as_array_mut) {
        listed.retain(|one| {
            one["name"]
                .as_str()
                .is_some_and(|name| name.starts_with(prefix))
        });
    }
    Ok(page.to_string().into_bytes())
}

fn say(
    stream: &mut TcpStream,
    status: u16,
    headers: &[(&str, String)],
    body: &[u8],
    length: usize,
) -> std::io::Result<()> {
    let mut head =
        format!("HTTP/1.1 {status} Said\r\nConnection: close\r\nContent-Length: {length}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    if length > body.len() {
        return Ok(());
    }
    stream.shutdown(Shutdown::Write)
}

/// The head and the body of a request; `None` when the client closed the connection without one.
fn read_message(stream: &mut TcpStream) -> std::io::Result<Option<(String, Vec<u8>)>> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut read = Vec::new();
    let mut chunk = [0; 16 << 10];
    loop {
        if let Some(end) = find(&read, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).into_owned();
            let length = head
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .and_then(|(_, value)| value.trim().parse().ok())
                .unwrap_or(0_usize);
            while read.len() < end + 4 + length {
                let count = stream.read(&mut chunk)?;
                if count == 0 {
                    return Ok(None);
                }
                read.extend_from_slice(&chunk[..count]);
            }
            return Ok(Some((head, read.split_off(end + 4))));
        }
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            return Ok(None);
        }
        read.extend_from_slice(&chunk[..count]);
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn address(uri: &str) -> String {
    uri.trim_start_matches("http://").to_owned()
}
