//! One lease for migrations, sync and register: one holder at a time, by the server's clock.

use std::time::{Duration, Instant};

use bson::{Bson, Document, doc};
use mongodb::Collection;
use mongodb::error::{ErrorKind, WriteFailure};
use mongodb::options::ReturnDocument;

use super::{MongoRunStore, failed, majority};
use crate::error::{Error, Result};

const LEASES: &str = "leases";
/// How long letting go may take.
const RELEASE: Duration = Duration::from_secs(2);

/// The right to do one thing, until it ends or is released.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    leases: Collection<Document>,
    /// What it protects, for people.
    what: &'static str,
    id: String,
    holder: String,
    length: Duration,
    /// By this process' own clock, and before the server's: taken before the server was asked.
    until: Instant,
}

impl Lease {
    /// Takes the lease, or fails with [`Error::Leased`] which says who holds it and until when.
    pub(crate) async fn take(
        store: &MongoRunStore,
        what: &'static str,
        id: &str,
        length: Duration,
    ) -> Result<Self> {
        let mut lease = Self {
            leases: store.at_primary().database().collection(LEASES),
            what,
            id: id.to_owned(),
            holder: holder(),
            length,
            until: Instant::now(),
        };
        if lease.claim(true).await? {
            return Ok(lease);
        }
        let held = lease.leases.find_one(doc! { "_id": id }).await;
        let held = held
            .map_err(|error| failed(format!("cannot read the lease of {what}"), error))?
            .unwrap_or_default();
        Err(Error::Leased {
            what,
            holder: held
                .get_str("holder")
                .unwrap_or("another process")
                .to_owned(),
            until: held.get_datetime("until").map_or_else(
                |_| "a moment ago".to_owned(),
                |until| until.try_to_rfc3339_string().unwrap_or_default(),
            ),
        })
    }

    /// Takes the lease as soon as its holder lets go or dies.
    pub(crate) async fn wait(
        store: &MongoRunStore,
        what: &'static str,
        id: &str,
        length: Duration,
    ) -> Result<Self> {
        let mut pause = Duration::from_millis(20);
        let mut first = true;
        loop {
            match Self::take(store, what, id, length).await {
                Err(Error::Leased { holder, until, .. }) => {
                    if std::mem::take(&mut first) {
                        tracing::info!(%holder, %until, "waiting for {what} of another process");
                    }
                    tokio::time::sleep(pause).await;
                }
                taken => return taken,
            }
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    /// Prolongs the lease by its length; fails where it is no longer this process'.
    async fn renew(&mut self) -> Result<()> {
        if self.claim(false).await? {
            return Ok(());
        }
        Err(self.lost())
    }

    /// Renews the lease for as long as this is polled; ends with the error once the lease may be another's.
    ///
    /// It has a task of its own, so that work which keeps a thread busy does not hold it up.
    pub(crate) async fn keep(&self) -> Error {
        let mut lease = self.clone();
        let mut keeper = AbortOnDrop(tokio::spawn(async move { lease.renew_until_lost().await }));
        (&mut keeper.0).await.unwrap_or_else(|_| self.lost())
    }

    async fn renew_until_lost(&mut self) -> Error {
        loop {
            tokio::time::sleep(self.length / 3).await;
            // A margin, so that this process has stopped when another may begin.
            let last_call = self.until - self.length / 6;
            if Instant::now() >= last_call {
                return self.lost();
            }
            let mut refused = None;
            let renewed = tokio::time::timeout_at(last_call.into(), async {
                loop {
                    match self.renew().await {
                        Err(error @ Error::Mongo { .. }) => {
                            refused = Some(error);
                            tokio::time::sleep(Duration::from_millis(200)).await
                        }
                        renewed => return renewed,
                    }
                }
            });
            match renewed.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error,
                // It was asked in time, so MongoDB is to blame: its own words help more than that the lease is lost.
                Err(_) => return refused.unwrap_or_else(|| self.unanswered()),
            }
        }
    }

    /// Lets go; a lease that cannot be released at once ends by itself.
    pub(crate) async fn release(self) {
        let mine = doc! { "_id": &self.id, "holder": &self.holder };
        let release = self.leases.delete_one(mine).into_future();
        // Whoever stops a program does not wait for a database that is away.
        match tokio::time::timeout(RELEASE, release).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::warn!(lease = self.id, %error, "the lease could not be released and ends by itself");
            }
            Err(_) => tracing::warn!(
                lease = self.id,
                "MongoDB does not answer; the lease ends by itself"
            ),
        }
    }

    /// Sets the holder where this process holds the lease or, for a newcomer, where it has ended.
    async fn claim(&mut self, newcomer: bool) -> Result<bool> {
        let asked_at = Instant::now();
        // A lease that is not there yet has no `until`, which sorts before every date.
        let free = if newcomer {
            doc! { "$lt": ["$until", "$$NOW"] }
        } else {
            doc! { "$eq": ["$holder", &self.holder] }
        };
        let millis = i64::try_from(self.length.as_millis()).unwrap_or(i64::MAX);
        let set = doc! { "$set": {
            "holder": { "$cond": [&free, &self.holder, "$holder"] },
            "until": { "$cond": [&free, { "$add": ["$$NOW", millis] }, "$until"] },
        } };
        let claimed = self
            .leases
            .find_one_and_update(doc! { "_id": &self.id }, vec![set])
            .upsert(newcomer)
            .return_document(ReturnDocument::After)
            .write_concern(majority())
            .await;
        match claimed {
            Ok(Some(claimed)) => {
                let mine = claimed.get("holder") == Some(&Bson::from(self.holder.as_str()));
                if mine {
                    self.until = asked_at + self.length;
                }
                Ok(mine)
            }
            Ok(None) => Ok(false),
            // Two newcomers at once, and the other one came first.
            Err(error) if is_duplicate(&error) => Ok(false),
            Err(error) => Err(failed(format!("cannot take the lease {}", self.id), error)),
        }
    }

    fn unanswered(&self) -> Error {
        Error::Mongo {
            doing: format!("cannot renew the lease {}", self.id),
            source:
                "no answer until the lease was about to end; is the server or the network down?"
                    .into(),
        }
    }

    fn lost(&self) -> Error {
        Error::LeaseLost {
            what: self.what.to_owned(),
        }
    }
}

/// A task that ends with what waits for it.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn is_duplicate(error: &mongodb::error::Error) -> bool {
    match error.kind.as_ref() {
        ErrorKind::Command(command) => command.code == 11000,
        ErrorKind::Write(WriteFailure::WriteError(write)) => write.code == 11000,
        _ => false,
    }
}

/// Who holds a lease, for people: host, process and a number that no other process has.
fn holder() -> String {
    let host = std::env::var("HOSTNAME")
        .ok()
        .or_else(|| std::fs::read_to_string("/etc/hostname").ok());
    let host = host.as_deref().map_or("?", str::trim).to_owned();
    format!(
        "{host} process {} ({})",
        std::process::id(),
        bson::oid::ObjectId::new()
    )
}
