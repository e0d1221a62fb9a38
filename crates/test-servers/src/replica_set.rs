//! A replica set of three real servers. A test can kill and restart each of them.

use std::time::{Duration, Instant};

use mongodb::Client;
use mongodb::bson::{Document, doc};

use crate::keeper::KeptFolder;
use crate::mongodb::Mongod;

const NAME: &str = "tests";
const ELECTED: Duration = Duration::from_secs(120);

/// A replica set with three members on 127.0.0.1. Dropping it kills all members.
pub struct ReplicaSet {
    ports: Vec<u16>,
    // Declared before the folders, so dropped first: a server has to end before its folder is removed.
    members: Vec<Option<Mongod>>,
    folders: Vec<KeptFolder>,
}

impl ReplicaSet {
    /// Starts the members, and returns when they have elected a primary.
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

    /// The URI of a database, naming all members.
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

    /// Kills a member by SIGKILL; its data stays.
    pub fn kill(&mut self, index: usize) {
        self.members[index] = None;
    }

    /// Restarts a killed member with the same port and data.
    pub fn restart(&mut self, index: usize) {
        let folder = self.folders[index].path();
        let member = Mongod::start_at(self.ports[index], folder, &OPTIONS);
        self.members[index] = Some(member.unwrap_or_else(|reason| panic!("{reason}")));
    }

    /// Makes the primary step down at once, also during writes.
    pub async fn step_down(&self) {
        let primary = self.direct(self.primary().await).await;
        let command =
            doc! { "replSetStepDown": 10, "secondaryCatchUpPeriodSecs": 5, "force": true };
        // Some versions close the connection, which is an error here.
        let _ = primary.database("admin").run_command(command).await;
    }

    /// The process id of a running member.
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
