//! [`Faulty`]: a real MongoDB server whose commands a test can make fail, by MongoDB's own fail points.

use std::time::Duration;

use mongodb::Client;
use mongodb::bson::{Bson, Document, doc};

use super::keeper::KeptFolder;
use super::mongodb::Mongod;
use super::unique;

/// A replica set with one member and fail points.
pub(crate) struct Faulty {
    server: Mongod,
    admin: Client,
    _folder: KeptFolder,
}

impl Faulty {
    pub(crate) async fn start() -> Self {
        let folder = KeptFolder::new();
        let options = [
            ["--replSet", "faulty"],
            ["--oplogSize", "64"],
            ["--setParameter", "enableTestCommands=1"],
        ];
        let server = Mongod::start(folder.path(), options.as_flattened());
        let server = server.unwrap_or_else(|reason| panic!("{reason}"));
        let uri = format!("mongodb://127.0.0.1:{}/?directConnection=true", server.port);
        let admin = Client::with_uri_str(uri).await.expect("the URI is valid");
        let host = format!("127.0.0.1:{}", server.port);
        let config = doc! { "_id": "faulty", "members": [{ "_id": 0, "host": host }] };
        let faulty = Self {
            server,
            admin,
            _folder: folder,
        };
        faulty.admin(doc! { "replSetInitiate": config }).await;
        for _ in 0..600 {
            let hello = faulty.admin(doc! { "hello": 1 }).await;
            if hello.get_bool("isWritablePrimary").unwrap_or_default() {
                return faulty;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the only member does not become the primary");
    }

    pub(crate) fn uri(&self) -> String {
        let port = self.server.port;
        let database = unique("test");
        format!("mongodb://127.0.0.1:{port}/{database}?replicaSet=faulty&w=majority")
    }

    async fn admin(&self, command: Document) -> Document {
        let answer = self.admin.database("admin").run_command(command).await;
        answer.expect("the administrator's command")
    }

    /// From now on, the program's commands with these names on the collection `on` fail with `fault`, as often as `mode` says.
    pub(crate) async fn fail(
        &self,
        mode: impl Into<Bson>,
        on: &str,
        commands: &[&str],
        fault: Document,
    ) {
        let mut data = doc! {
            "failCommands": commands,
            "namespace": on,
            "appName": "runlineage",
        };
        data.extend(fault);
        let mode = mode.into();
        self.admin(doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data })
            .await;
    }

    /// Turns the fail point off, and returns how many commands it has made fail so far.
    pub(crate) async fn mend(&self) -> i64 {
        let off = doc! { "configureFailPoint": "failCommand", "mode": "off" };
        let count = self.admin(off).await;
        count
            .get_i64("count")
            .or_else(|_| count.get_i32("count").map(i64::from))
            .expect("a count")
    }
}
