//! One lease for migrations, one for sync: one holder at a time, whatever becomes of the server's clock.
//!
//! A lease ends by the server's clock, which may jump: a set's new primary may be an hour ahead. So a lease that ends later than
//! any holder can have said is over, and whoever takes one that was not released waits until its former holder has noticed.

use std::time::{Duration, Instant};

use bson::{Bson, Document, doc};
use mongodb::Collection;
use mongodb::options::ReturnDocument;
use tokio_util::task::AbortOnDropHandle;

use super::collections::Collections;
use super::failure::{code, code_of, failed};
use super::{MongoRunStore, majority};
use crate::error::{Error, Result};

/// How often a holder renews its lease at least, and so notices that another process has taken it.
const RENEWAL: Duration = Duration::from_secs(3);
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
    /// How long a former holder that did not release it may take to notice that the lease is another's.
    grace: Duration,
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
            leases: Collections::of(store).leases(),
            what,
            id: id.to_owned(),
            holder: holder(),
            length,
            grace: Duration::ZERO,
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

    /// Does the work as the only holder, and renews the lease beside it; ends with an error once the lease may be another's.
    pub(crate) async fn hold<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let alone = async {
            if !self.grace.is_zero() {
                tracing::info!(
                    "taking over {} from a process that did not end it; going on when that has surely stopped",
                    self.what
                );
                tokio::time::sleep(self.grace).await;
            }
            work.await
        };
        tokio::select! {
            done = alone => done,
            lost = self.keep() => Err(lost),
        }
    }

    /// Renews the lease for as long as this is polled; ends with the error once the lease may be another's.
    ///
    /// It has a task of its own, so that work which keeps a thread busy does not hold it up.
    async fn keep(&self) -> Error {
        let mut lease = self.clone();
        let keeper = tokio::spawn(async move { lease.renew_until_lost().await });
        let keeper = AbortOnDropHandle::new(keeper);
        keeper.await.unwrap_or_else(|_| self.lost())
    }

    async fn renew_until_lost(&mut self) -> Error {
        loop {
            tokio::time::sleep((self.length / 10).min(RENEWAL)).await;
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
        let own_length = i64::try_from(self.length.as_millis()).unwrap_or(i64::MAX / 4);
        // That of the lease that is there, which other processes may hold for longer or shorter.
        let length = doc! { "$cond": [{ "$isNumber": "$length" }, "$length", own_length] };
        let free = if newcomer {
            let latest = doc! { "$add": ["$$NOW", { "$multiply": [2, &length] }] };
            // A lease that is not there yet has no `until`, which sorts before every date.
            doc! { "$or": [{ "$lt": ["$until", "$$NOW"] }, { "$gt": ["$until", latest] }] }
        } else {
            doc! { "$eq": ["$holder", { "$literal": &self.holder }] }
        };
        // Twice what its holder lets pass between two renewals.
        let renewal = i64::try_from(RENEWAL.as_millis()).unwrap_or(i64::MAX);
        let grace = doc! { "$min": [{ "$divide": [&length, 5] }, 2 * renewal] };
        let grace =
            doc! { "$cond": [{ "$gt": ["$holder", Bson::Null] }, { "$toLong": grace }, 0_i64] };
        let mut set = doc! {
            "holder": { "$cond": [&free, { "$literal": &self.holder }, "$holder"] },
            "until": { "$cond": [&free, { "$add": ["$$NOW", own_length] }, "$until"] },
            "length": { "$cond": [&free, own_length, "$length"] },
        };
        if newcomer {
            set.insert("grace", doc! { "$cond": [&free, grace, "$grace"] });
        }
        let set = doc! { "$set": set };
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
                    let grace = claimed.get_i64("grace").unwrap_or_default();
                    self.grace = Duration::from_millis(grace.try_into().unwrap_or_default());
                }
                Ok(mine)
            }
            Ok(None) => Ok(false),
            // Two newcomers at once, and the other one came first.
            Err(error) if code_of(&error) == Some(code::DUPLICATE_KEY) => Ok(false),
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

/// Who holds a lease, for people: host, process and a number that no other process has.
fn holder() -> String {
    let host = gethostname::gethostname();
    format!(
        "{} process {} ({})",
        host.display(),
        std::process::id(),
        bson::oid::ObjectId::new()
    )
}
