//! A replica set of three real servers, any of which a test can kill.

use std::time::{Duration, Instant};

use mongodb::Client;
use mongodb::bson::{Document, doc};

use crate::keeper::KeptFolder;
use crate::mongodb::Mongod;

const NAME: &str = "tests";
const ELECTED: Duration = Duration::from_secs(120);

/// Three members on 127.0.0.1; all are killed when it is dropped.
pub struct ReplicaSet {
    ports: Vec<u16>,
    // Before the folders: a server has to be gone when its folder is removed.
    members: Vec<Option<Mongod>>,
    folders: Vec<KeptFolder>,
}

impl ReplicaSet {
    /// Starts the members, and returns when they have a primary.
    pub async fn start() -> Self {
        let folders: Vec<KeptFolder> = (0..3).map(|_| KeptFolder::new()).collect();
        let members: Vec<Mongod> = folders
            .iter()
            .map(|folder| {
                Mongod::start(folder.path(), &OPTIONS).unwrap_or_else(|reason| panic!("{reason}"))
            })
            .collect();
        let set = Self {
            ports: members.iter().map(|member| member.port).collect(),
            members: members.into_iter().map(Some).collect(),
            folders,
        };
        set.initiate().await;
        set.primary().await;
        set
    }

    /// The URI of a database in the whole set.
    pub fn uri(&self, database: &str) -> String {
        let hosts: Vec<String> = self
            .ports
            .iter()
            .map(|port| format!("127.0.0.1:{port}"))
            .collect();
        format!(
            "mongodb://{}/{database}?replicaSet={NAME}&w=majority&retryWrites=true",
            hosts.join(",")
        )
    }

    /// The index of the primary; waits for the set to elect one.
    pub async fn primary(&self) -> usize {
        let start = Instant::now();
        while start.elapsed() < ELECTED {
            for (index, member) in self.members.iter().enumerate() {
                // A primary that has lost the majority does not know it yet; one that a majority follows can commit.
                if member.is_some() && self.is_writable(index).await {
                    return index;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the replica set elected no primary");
    }

    pub fn port(&self, index: usize) -> u16 {
        self.ports[index]
    }

    /// Kills a member at once, as `kill -9` does; its data stays.
    pub fn kill(&mut self, index: usize) {
        self.members[index] = None;
    }

    /// Starts a killed member again, on its port and data.
    pub fn restart(&mut self, index: usize) {
        let folder = self.folders[index].path();
        let member = Mongod::start_at(self.ports[index], folder, &OPTIONS);
        self.members[index] = Some(member.unwrap_or_else(|reason| panic!("{reason}")));
    }

    /// Makes the primary a secondary, in the middle of whatever it does.
    pub async fn step_down(&self) {
        let primary = self.direct(self.primary().await).await;
        let command =
            doc! { "replSetStepDown": 10, "secondaryCatchUpPeriodSecs": 5, "force": true };
        // Some versions close the connection with it.
        let _ = primary.database("admin").run_command(command).await;
    }

    /// The process of a member that runs.
    pub fn pid(&self, index: usize) -> u32 {
        self.members[index].as_ref().expect("it runs").pid()
    }

    async fn initiate(&self) {
        let members: Vec<Document> = self
            .ports
            .iter()
            .enumerate()
            .map(|(index, port)| doc! { "_id": index as i32, "host": format!("127.0.0.1:{port}") })
            .collect();
        let settings = doc! { "electionTimeoutMillis": 2000, "heartbeatIntervalMillis": 500 };
        let config = doc! { "_id": NAME, "members": members, "settings": settings };
        self.direct(0)
            .await
            .database("admin")
            .run_command(doc! { "replSetInitiate": config })
            .await
            .expect("a new replica set can be initiated");
    }

    async fn is_writable(&self, index: usize) -> bool {
        let hello = self
            .direct(index)
            .await
            .database("admin")
            .run_command(doc! { "hello": 1 })
            .await;
        hello.is_ok_and(|hello| hello.get_bool("isWritablePrimary").unwrap_or(false))
    }

    async fn direct(&self, index: usize) -> Client {
        let uri = format!(
            "mongodb://127.0.0.1:{}/?directConnection=true&serverSelectionTimeoutMS=2000",
            self.ports[index]
        );
        Client::with_uri_str(uri).await.expect("the URI is valid")
    }
}

const OPTIONS: [&str; 4] = ["--replSet", NAME, "--oplogSize", "64"];
