//! The `mongod` that benchmarks measure on.

use std::error::Error;
use std::path::PathBuf;
use std::process::{Child, Command};

use mongodb::Client;
use mongodb::bson::doc;

/// A `mongod` of the benchmark's own. Dropping it stops the server.
pub(crate) struct Server {
    pub(crate) uri: String,
    folder: PathBuf,
    process: Child,
}

impl Server {
    /// Starts it with its data in a folder of this name under `target/`.
    pub(crate) async fn start(name: &str) -> Result<Self, Box<dyn Error>> {
        let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let folder = root.join("target").join(name);
        std::fs::create_dir_all(folder.join("data"))?;
        let mongod = std::env::var_os("MONGOD")
            .map_or_else(|| root.join(".tools/bin/mongod"), PathBuf::from);
        let port = std::net::TcpListener::bind(("127.0.0.1", 0))?
            .local_addr()?
            .port();
        let process = Command::new(mongod)
            .arg("--dbpath")
            .arg(folder.join("data"))
            .args([
                "--bind_ip",
                "127.0.0.1",
                "--port",
                &port.to_string(),
                "--nounixsocket",
                "--wiredTigerCacheSizeGB",
                "2",
            ])
            .stdout(std::fs::File::create(folder.join("mongod.log"))?)
            .spawn()?;
        let uri = format!("mongodb://127.0.0.1:{port}");
        let server = Self {
            uri,
            folder,
            process,
        };
        let client = Client::with_uri_str(&server.uri).await?;
        client
            .database("admin")
            .run_command(doc! { "ping": 1 })
            .await?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A clean shutdown, so that a kept folder is consistent.
        let _ = Command::new("kill")
            .arg(self.process.id().to_string())
            .status();
        let _ = self.process.wait();
        if std::env::var_os("KEEP").is_none() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}
