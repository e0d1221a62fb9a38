//! Real MLflow tracking servers.
//!
//! All test programs that `tools/with-servers` starts share one server; else all tests of one program do. So a test creates an
//! experiment with a [`unique`](super::unique) name and reads nothing else there. A test that stops its server, or needs another
//! setup, starts its own.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::keeper::{Kept, KeptFolder, tail};
use crate::{free_port, poll, tool};

/// The administrator of a server with [`Setup::basic_auth`].
pub const ADMIN: (&str, &str) = ("admin", "tests-only-1234");

/// How long a server may take to start. Its first start migrates an empty database, which takes 20 s on an idle machine.
const READY: Duration = Duration::from_secs(180);

/// How long an answer may take on a loaded machine.
const ANSWER: Duration = Duration::from_secs(60);

/// Variables that `tools/with-servers` sets: the port of its MLflow, and the folder with the SQLite file.
const PORT: &str = "RUNLINEAGE_TEST_MLFLOW_PORT";
const FOLDER: &str = "RUNLINEAGE_TEST_MLFLOW_FOLDER";

/// The major version of MLflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V2,
    V3,
}

impl Version {
    /// The version under test: 3, or 2 with `RUNLINEAGE_TEST_MLFLOW=2`.
    pub fn under_test() -> Self {
        match std::env::var("RUNLINEAGE_TEST_MLFLOW").as_deref() {
            Err(_) | Ok("3" | "") => Self::V3,
            Ok("2") => Self::V2,
            Ok(other) => panic!("RUNLINEAGE_TEST_MLFLOW is {other:?}; it can be 2 or 3"),
        }
    }
}

/// How a server differs from the shared one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup {
    /// `None` means the version under test.
    pub version: Option<Version>,
    /// The server accepts only [`ADMIN`].
    pub basic_auth: bool,
    /// A prefix of all paths, such as `/mlflow`. For MLflow 3 only: 2.22 has its pages under the prefix, but not its REST API.
    pub static_prefix: Option<&'static str>,
}

/// A running server with its own folder, which holds the artifacts too. Dropping it kills it, if this program started it.
pub struct MlflowServer {
    port: u16,
    setup: Setup,
    // Dropped before the folder: the server must have ended when its folder is removed.
    server: Option<Kept>,
    folder: Folder,
}

enum Folder {
    Own(KeptFolder),
    /// The folder of a server that `tools/with-servers` started.
    Given(PathBuf),
}

/// The server that the tests share: the one of `tools/with-servers`, else one that the first call starts.
pub fn shared() -> &'static MlflowServer {
    static SHARED: OnceLock<Result<MlflowServer, String>> = OnceLock::new();
    SHARED
        .get_or_init(|| {
            MlflowServer::given().unwrap_or_else(|| MlflowServer::try_start(Setup::default()))
        })
        .as_ref()
        .unwrap_or_else(|reason| panic!("{reason}"))
}

impl MlflowServer {
    pub fn start(setup: Setup) -> Self {
        Self::try_start(setup).unwrap_or_else(|reason| panic!("{reason}"))
    }

    /// The server that the variables name; `None` when they name none.
    fn given() -> Option<Result<Self, String>> {
        let port = std::env::var(PORT).ok().filter(|port| !port.is_empty())?;
        let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap_or_default());
        let server = port.parse().ok().map(|port| Self {
            port,
            setup: Setup::default(),
            server: None,
            folder: Folder::Given(folder),
        });
        // On a loaded machine the server may take long to answer, or refuse connections for a moment.
        let answers = |server: &Self| poll(READY, || server.is_healthy().then_some(())).is_some();
        let server = server.filter(|server| server.sql_file().is_file() && answers(server));
        Some(server.ok_or_else(|| {
            format!(
                "{PORT} is {port:?} and {FOLDER} {:?}, and no MLflow of tools/with-servers runs there: run `make test`, or unset both",
                std::env::var_os(FOLDER).unwrap_or_default()
            )
        }))
    }

    fn try_start(setup: Setup) -> Result<Self, String> {
        let mut server = Self {
            port: free_port(),
            setup,
            server: None,
            folder: Folder::Own(KeptFolder::new()),
        };
        assert!(
            setup.static_prefix.is_none() || server.version() == Version::V3,
            "MLflow 2.22 has no REST API under a prefix"
        );
        // Another process may take the port before MLflow does.
        server.try_resume().or_else(|_| {
            server.port = free_port();
            server.try_resume()
        })?;
        Ok(server)
    }

    /// The tracking URI, without credentials.
    pub fn uri(&self) -> String {
        let prefix = self.setup.static_prefix.unwrap_or_default();
        format!("http://127.0.0.1:{}{prefix}", self.port)
    }

    /// The SQLite file that holds its runs.
    pub fn sql_file(&self) -> PathBuf {
        self.folder().join("mlflow.db")
    }

    fn folder(&self) -> &Path {
        match &self.folder {
            Folder::Own(folder) => folder.path(),
            Folder::Given(folder) => folder,
        }
    }

    pub fn version(&self) -> Version {
        self.setup.version.unwrap_or_else(Version::under_test)
    }

    /// Kills the server at once, as `kill -9` does; its data stays.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Starts the killed server again, on the same port and data.
    pub fn resume(&mut self) {
        self.try_resume()
            .unwrap_or_else(|reason| panic!("{reason}"));
    }

    fn try_resume(&mut self) -> Result<(), String> {
        let log = self.folder().join("mlflow.log");
        let mut server = Kept::start(&self.command(), &log);
        let ready = poll(READY, || {
            if !server.runs() {
                return Some(Err("ended"));
            }
            self.is_healthy().then_some(Ok(()))
        });
        match ready {
            Some(Ok(())) => {
                self.server = Some(server);
                Ok(())
            }
            failed => Err(format!(
                "the MLflow server {} before it was ready; {}",
                failed
                    .and_then(Result::err)
                    .unwrap_or("was given three minutes"),
                tail(&log)
            )),
        }
    }

    fn command(&self) -> Command {
        let folder = self.folder();
        let mut command = Command::new(tool(match self.version() {
            Version::V2 => "mlflow2/bin/mlflow",
            Version::V3 => "mlflow3/bin/mlflow",
        }));
        // The settings of a developer's shell must not reach the server.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MLFLOW_") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(folder)
            .env("HOME", folder)
            .env("MLFLOW_DISABLE_TELEMETRY", "true")
            .env("DO_NOT_TRACK", "true")
            .env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
            .args(["server", "--host", "127.0.0.1", "--workers", "1"])
            .args(["--port", &self.port.to_string()])
            .arg("--backend-store-uri")
            .arg(format!("sqlite:///{}/mlflow.db", folder.display()))
            // mlopus needs rclone for other than local artifact roots, and it is not installed.
            .arg("--default-artifact-root")
            .arg(folder.join("artifacts"));
        if let Some(prefix) = self.setup.static_prefix {
            command.args(["--static-prefix", prefix]);
        }
        if self.setup.basic_auth {
            command
                .args(["--app-name", "basic-auth"])
                .env("MLFLOW_AUTH_CONFIG_PATH", self.auth_config())
                .env("MLFLOW_FLASK_SERVER_SECRET_KEY", "tests only");
        }
        command
    }

    fn auth_config(&self) -> PathBuf {
        let folder = self.folder();
        let path = folder.join("basic_auth.ini");
        let (user, password) = ADMIN;
        let text = format!(
            "[mlflow]\n\
             default_permission = NO_PERMISSIONS\n\
             database_uri = sqlite:///{}/auth.db\n\
             admin_username = {user}\n\
             admin_password = {password}\n\
             authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n",
            folder.display()
        );
        std::fs::write(&path, text).expect("the server's folder can be written");
        path
    }

    fn is_healthy(&self) -> bool {
        self.get("/health", None)
            .is_some_and(|(status, _)| status == 200)
    }

    /// The status and the body of the answer to a GET; `None` without an answer. `user` is a name and a password.
    pub fn get(&self, path: &str, user: Option<(&str, &str)>) -> Option<(u16, String)> {
        let prefix = self.setup.static_prefix.unwrap_or_default();
        let authorization = user.map_or_else(String::new, |(name, password)| {
            let token = base64(&format!("{name}:{password}"));
            format!("Authorization: Basic {token}\r\n")
        });
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        stream.set_read_timeout(Some(ANSWER)).ok()?;
        write!(
            stream,
            "GET {prefix}{path} HTTP/1.0\r\nHost: 127.0.0.1\r\n{authorization}\r\n"
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = chunk
            .iter()
            .chain([0; 2].iter())
            .take(3)
            .fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        for digit in 0..4 {
            let present = digit <= chunk.len();
            encoded.push(if present {
                char::from(DIGITS[bits >> (18 - 6 * digit) & 63])
            } else {
                '='
            });
        }
    }
    encoded
}
