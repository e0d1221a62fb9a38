//! A real MongoDB server that all tests share. Each test has its own database.
//!
//! The server is the one in `RUNLINEAGE_TEST_MONGODB_URI`, which `tools/with-servers` sets. Without it, testcontainers starts a
//! container if a Docker engine has the image; otherwise a local `mongod` is started. With `RUNLINEAGE_TEST_REQUIRE_DOCKER=1`, a
//! missing container is an error.

use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use mongodb::{Client, Database};
use testcontainers::core::{IntoContainerPort as _, WaitFor};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, GenericImage, ImageExt as _};

use crate::keeper::{Finally, Kept, KeptFolder, tail};
use crate::{free_port, poll, tool, unique};

const IMAGE: (&str, &str) = ("mongo", "6.0.5");
const READY: Duration = Duration::from_secs(120);

/// An empty database that no other test uses. Dropping this value drops the database.
pub struct TestDatabase {
    pub uri: String,
    pub database: Database,
}

impl TestDatabase {
    pub async fn new() -> Self {
        let uri = with_database(server_uri(), &unique("test"));
        let client = Client::with_uri_str(&uri).await.expect("the URI is valid");
        let database = client.default_database().expect("the URI names a database");
        Self { uri, database }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // A new thread, since this runs inside the test's runtime, which must not block. And a new client, since a client
        // belongs to the runtime that made it.
        let uri = self.uri.clone();
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.map(|runtime| {
                runtime.block_on(async {
                    let client = Client::with_uri_str(&uri).await?;
                    match client.default_database() {
                        Some(database) => database.drop().await,
                        None => Ok(()),
                    }
                })
            })
        });
        // The test may have stopped the server.
        let _ = dropping.join();
    }
}

/// The URI of the shared server, without a database.
pub fn server_uri() -> &'static str {
    static SHARED: OnceLock<Result<Shared, String>> = OnceLock::new();
    let shared = SHARED.get_or_init(Shared::find).as_ref();
    &shared.unwrap_or_else(|reason| panic!("{reason}")).uri
}

/// The connection string `uri` with another database and the same options.
pub fn with_database(uri: &str, database: &str) -> String {
    let (address, options) = uri.split_once('?').unwrap_or((uri, ""));
    let (scheme, hosts) = address.split_once("://").unwrap_or(("mongodb", address));
    let (hosts, previous) = hosts.split_once('/').unwrap_or((hosts, ""));
    let mut options = options.to_owned();
    // MongoDB looks the user up in the path's database unless `authSource` names another one.
    if hosts.contains('@') && !previous.is_empty() && !options.contains("authSource=") {
        let and = if options.is_empty() { "" } else { "&" };
        options = format!("{options}{and}authSource={previous}");
    }
    let mark = if options.is_empty() { "" } else { "?" };
    format!("{scheme}://{hosts}/{database}{mark}{options}")
}

struct Shared {
    uri: String,
    // A static is never dropped; the keepers end these servers together with the test process.
    _server: Option<(Mongod, KeptFolder)>,
    _container: Option<(ContainerAsync<GenericImage>, Finally)>,
}

impl Shared {
    fn find() -> Result<Self, String> {
        let named = std::env::var("RUNLINEAGE_TEST_MONGODB_URI").unwrap_or_default();
        if !named.is_empty() {
            return Ok(Self {
                uri: named,
                _server: None,
                _container: None,
            });
        }
        let required =
            std::env::var("RUNLINEAGE_TEST_REQUIRE_DOCKER").is_ok_and(|value| value == "1");
        match docker_has_image() {
            Ok(()) => Self::start_container(),
            Err(reason) if required => Err(format!(
                "RUNLINEAGE_TEST_REQUIRE_DOCKER is set, and no Docker engine has the image {}:{}: {reason}",
                IMAGE.0, IMAGE.1
            )),
            Err(_) => Self::start_mongod(),
        }
    }

    fn start_container() -> Result<Self, String> {
        let name = unique("runlineage-test");
        let remove = Finally::new(["docker", "rm", "--force", "--volumes", &name]);
        // The container's handle belongs to a runtime, which therefore has to outlive the first test.
        let started = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().map_err(|e| e.to_string())?;
            let started = runtime.block_on(async {
                let container = GenericImage::new(IMAGE.0, IMAGE.1)
                    .with_exposed_port(27017.tcp())
                    .with_wait_for(WaitFor::message_on_stdout("Waiting for connections"))
                    .with_container_name(name)
                    .with_startup_timeout(READY)
                    .start()
                    .await?;
                let host = container.get_host().await?;
                let port = container.get_host_port_ipv4(27017).await?;
                Ok((container, format!("mongodb://{host}:{port}")))
            });
            std::mem::forget(runtime);
            started.map_err(|e: testcontainers::TestcontainersError| e.to_string())
        });
        let (container, uri) = started
            .join()
            .unwrap_or_else(|_| Err("the starting thread panicked".to_owned()))
            .map_err(|e| format!("testcontainers did not start MongoDB: {e}"))?;
        Ok(Self {
            uri,
            _server: None,
            _container: Some((container, remove)),
        })
    }

    fn start_mongod() -> Result<Self, String> {
        let folder = KeptFolder::new();
        let server = Mongod::start(folder.path(), &[])?;
        Ok(Self {
            uri: format!("mongodb://127.0.0.1:{}", server.port),
            _server: Some((server, folder)),
            _container: None,
        })
    }
}

/// A running `mongod` on 127.0.0.1. Dropping it kills the server; its data stays.
pub struct Mongod {
    pub port: u16,
    process: Kept,
}

impl Mongod {
    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Starts a server on a free port, with its data in `folder`.
    pub fn start(folder: &Path, options: &[&str]) -> Result<Self, String> {
        // Another process may take the port before the server does.
        let mut failure = String::new();
        for _ in 0..5 {
            match Self::start_at(free_port(), folder, options) {
                Ok(server) => return Ok(server),
                Err(reason) => failure = reason,
            }
        }
        Err(failure)
    }

    /// Whether the server is still running. A full disk ends it, for example.
    pub fn runs(&mut self) -> bool {
        self.process.runs()
    }

    /// Starts a server on this port.
    pub fn start_at(port: u16, folder: &Path, options: &[&str]) -> Result<Self, String> {
        Self::start_by(Command::new(mongod()), port, folder, options)
    }

    /// Starts a server on this port in the mount namespace of the process `inside`.
    pub fn start_inside(
        inside: u32,
        port: u16,
        folder: &Path,
        options: &[&str],
    ) -> Result<Self, String> {
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &inside.to_string()])
            .args(["--user", "--mount", "--preserve-credentials", "--"])
            .arg(mongod());
        Self::start_by(command, port, folder, options)
    }

    fn start_by(
        mut command: Command,
        port: u16,
        folder: &Path,
        options: &[&str],
    ) -> Result<Self, String> {
        let log = folder.join("mongod.log");
        let data = folder.join("data");
        std::fs::create_dir_all(&data).map_err(|e| format!("{}: {e}", data.display()))?;
        command
            .arg("--dbpath")
            .arg(&data)
            .args(["--bind_ip", "127.0.0.1", "--port", &port.to_string()])
            .args(["--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"])
            .args(["--setParameter", "diagnosticDataCollectionEnabled=false"])
            .args(options);
        let mut process = Kept::start(&command, &log);
        let ready = poll(READY, || {
            if !process.runs() {
                return Some(false);
            }
            TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                .is_ok()
                .then_some(true)
        });
        if ready == Some(true) {
            Ok(Self { port, process })
        } else {
            Err(format!("mongod did not start; {}", tail(&log)))
        }
    }
}

/// The `mongod` in `MONGOD`, else the first in `PATH`, else the one that tools/install installed.
pub fn mongod() -> PathBuf {
    if let Some(named) = std::env::var_os("MONGOD").filter(|named| !named.is_empty()) {
        return named.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join("mongod"))
        .find(|program| program.is_file())
        .unwrap_or_else(|| tool("bin/mongod"))
}

/// Fails unless a Docker engine answers and has the image. Tests never pull an image.
fn docker_has_image() -> Result<(), String> {
    let output = Command::new("docker")
        .args(["image", "inspect", "--format", "{{.Id}}"])
        .arg(format!("{}:{}", IMAGE.0, IMAGE.1))
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("cannot run docker: {e}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}
