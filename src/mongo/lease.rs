//! [`Lease`]: lets one process at a time sync or migrate a mirror, even if the server's clock jumps.
//!
//! A lease expires by the MongoDB server's clock. That clock may jump: after an election, the new primary may be an hour ahead.
//! So a lease that expires later than any holder can have set is treated as expired. And a process that takes over an unreleased
//! lease first waits until the former holder has noticed the loss.
//!
//! **A holder that is cut off from MongoDB** keeps working for up to 5/6 of the lease's length after its last renewal. Another
//! process can take the lease only after the full length. Meanwhile the holder changes neither the mirror nor MLflow:
//!
//! - The mirror is in MongoDB, which the holder does not reach. If one of its writes arrives late, that write applies only over
//!   lower tickets, and the next holder draws higher ones.
//! - Work under a lease sends MLflow only requests that read. Only a registration writes to MLflow, and it takes no lease: the
//!   unique keys of its tags protect concurrent registrations from each other.

use std::time::{Duration, Instant};

use bson::{Bson, Document, doc};
use mongodb::Collection;
use mongodb::options::ReturnDocument;
use tokio_util::task::AbortOnDropHandle;

use super::collections::Collections;
use super::failure::{code, code_of, failed};
use super::{MongoRunStore, majority};
use crate::error::{Error, Result};

/// The longest time between two renewals. A renewal is also how a holder notices that another process has taken the lease.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(3);
/// How long a release may take.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// The exclusive right to one activity, until it expires or is released.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    leases: Collection<Document>,
    /// The protected activity, in words for error messages.
    what: &'static str,
    id: String,
    holder: String,
    length: Duration,
    /// How long to wait before the work, so that a former holder that did not release the lease notices the loss.
    grace: Duration,
    /// The expiry by this process' own clock. It counts from before the request, so it never comes later than the server's.
    expires_at: Instant,
}

impl Lease {
    /// Takes the lease, or fails at once with [`Error::Leased`], which names the holder and the expiry.
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
            expires_at: Instant::now(),
        };
        if lease.claim(true).await? {
            return Ok(lease);
        }
        let current = lease.leases.find_one(doc! { "_id": id }).await;
        let current = current
            .map_err(|error| failed(format!("cannot read the lease of {what}"), error))?
            .unwrap_or_default();
        Err(Error::Leased {
            what,
            holder: current
                .get_str("holder")
                .unwrap_or("another process")
                .to_owned(),
            until: current.get_datetime("until").map_or_else(
                |_| "an unknown time".to_owned(),
                |until| until.try_to_rfc3339_string().unwrap_or_default(),
            ),
        })
    }

    /// Takes the lease as soon as its holder releases it or the lease expires.
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
                        tracing::info!(%holder, %until, "another process holds the lease of {what}; waiting for its release or expiry");
                    }
                    tokio::time::sleep(pause).await;
                }
                taken => return taken,
            }
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    /// Extends the lease by its length; fails if another process holds it.
    async fn renew(&mut self) -> Result<()> {
        if self.claim(false).await? {
            return Ok(());
        }
        Err(self.lost())
    }

    /// Does the work as the only holder and renews the lease meanwhile. Drops the work and fails as soon as another process may
    /// hold the lease.
    pub(crate) async fn hold<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let work_after_grace = async {
            if !self.grace.is_zero() {
                tracing::info!(
                    wait = ?self.grace,
                    "taking over {} from a process that did not release its lease; waiting until that process has noticed",
                    self.what
                );
                tokio::time::sleep(self.grace).await;
            }
            work.await
        };
        tokio::select! {
            done = work_after_grace => done,
            lost = self.renew_in_background() => Err(lost),
        }
    }

    /// Renews the lease while this future is polled; returns the error as soon as another process may hold the lease.
    ///
    /// The renewal has a task of its own, so that work which blocks a thread does not delay it.
    async fn renew_in_background(&self) -> Error {
        let mut lease = self.clone();
        let renewal = tokio::spawn(async move { lease.renew_until_lost().await });
        let renewal = AbortOnDropHandle::new(renewal);
        renewal.await.unwrap_or_else(|_| self.lost())
    }

    async fn renew_until_lost(&mut self) -> Error {
        loop {
            tokio::time::sleep((self.length / 10).min(RENEWAL_INTERVAL)).await;
            // The margin lets this process stop before another one may begin.
            let deadline = self.expires_at - self.length / 6;
            if Instant::now() >= deadline {
                return self.lost();
            }
            let mut last_error = None;
            let renewed = tokio::time::timeout_at(deadline.into(), async {
                loop {
                    match self.renew().await {
                        Err(error @ Error::Mongo { .. }) => {
                            last_error = Some(error);
                            tokio::time::sleep(Duration::from_millis(200)).await
                        }
                        renewed => return renewed,
                    }
                }
            });
            match renewed.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error,
                // MongoDB did not answer in time. Its own error says more than that the lease is lost.
                Err(_) => return last_error.unwrap_or_else(|| self.no_answer()),
            }
        }
    }

    /// Releases the lease. If MongoDB does not answer, the lease stays and expires.
    pub(crate) async fn release(self) {
        let mine = doc! { "_id": &self.id, "holder": &self.holder };
        let release = self.leases.delete_one(mine).into_future();
        // A program that is told to stop does not wait for an unreachable database.
        match tokio::time::timeout(RELEASE_TIMEOUT, release).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::warn!(lease = self.id, %error, "cannot release the lease; it will expire");
            }
            Err(_) => tracing::warn!(
                lease = self.id,
                "cannot release the lease, since MongoDB does not answer; it will expire"
            ),
        }
    }

    /// Extends the lease if this process holds it; a newcomer takes it if it is free. Returns whether this process holds it now.
    async fn claim(&mut self, newcomer: bool) -> Result<bool> {
        let requested_at = Instant::now();
        let own_length = i64::try_from(self.length.as_millis()).unwrap_or(i64::MAX / 4);
        // The length that the current holder set, which may differ from this process' own.
        let length = doc! { "$cond": [{ "$isNumber": "$length" }, "$length", own_length] };
        let free = if newcomer {
            // No holder sets an expiry that far ahead, so the server's clock has jumped.
            let latest = doc! { "$add": ["$$NOW", { "$multiply": [2, &length] }] };
            // A lease that does not exist yet has no `until`, which sorts before every date.
            doc! { "$or": [{ "$lt": ["$until", "$$NOW"] }, { "$gt": ["$until", latest] }] }
        } else {
            doc! { "$eq": ["$holder", { "$literal": &self.holder }] }
        };
        // Twice the interval at which the former holder renews.
        let renewal = i64::try_from(RENEWAL_INTERVAL.as_millis()).unwrap_or(i64::MAX);
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
                    self.expires_at = requested_at + self.length;
                    let grace = claimed.get_i64("grace").unwrap_or_default();
                    self.grace = Duration::from_millis(grace.try_into().unwrap_or_default());
                }
                Ok(mine)
            }
            Ok(None) => Ok(false),
            // Two newcomers inserted the lease concurrently, and the other one was first.
            Err(error) if code_of(&error) == Some(code::DUPLICATE_KEY) => Ok(false),
            Err(error) => Err(failed(format!("cannot take the lease {}", self.id), error)),
        }
    }

    fn no_answer(&self) -> Error {
        Error::Mongo {
            doing: format!("cannot renew the lease {}", self.id),
            source: "MongoDB did not answer in time; check the server and the network".into(),
        }
    }

    fn lost(&self) -> Error {
        Error::LeaseLost {
            what: self.what.to_owned(),
        }
    }
}

/// Names this process as a holder, for people: host, process id and a unique number.
fn holder() -> String {
    let host = gethostname::gethostname();
    format!(
        "{} process {} ({})",
        host.display(),
        std::process::id(),
        bson::oid::ObjectId::new()
    )
}
