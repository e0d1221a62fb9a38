//! Limits on the number of requests: a bucket for each token and each address, which fills with time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A full bucket holds the requests of so many seconds, because a page asks for several things at once.
const BURST_SECONDS: f64 = 2.0;
/// At this number of buckets, full ones are dropped: a new bucket is full too.
const MAX_BUCKETS: usize = 10_000;

/// Whose requests are counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Counted {
    Address(IpAddr),
    Token(String),
}

/// The buckets of all tokens and addresses.
#[derive(Debug)]
pub(crate) struct Rates {
    /// Requests in a second; 0 means no limit.
    each_second: f64,
    buckets: Mutex<HashMap<Counted, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Rates {
    pub(crate) fn new(each_second: u32) -> Self {
        Self {
            each_second: f64::from(each_second),
            buckets: Mutex::default(),
        }
    }

    /// Takes one request from a bucket. `Err` is the time until the next one is there.
    pub(crate) fn take(&self, counted: Counted, now: Instant) -> Result<(), Duration> {
        if self.each_second == 0.0 {
            return Ok(());
        }
        let size = self.each_second * BURST_SECONDS;
        let filled = |bucket: &Bucket| {
            let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
            (bucket.left + passed * self.each_second).min(size)
        };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_BUCKETS && !buckets.contains_key(&counted) {
            buckets.retain(|_, bucket| filled(bucket) < size);
            if buckets.len() >= MAX_BUCKETS {
                return Err(Duration::from_secs(1));
            }
        }
        let full = Bucket {
            left: size,
            at: now,
        };
        let bucket = buckets.entry(counted).or_insert(full);
        let left = filled(bucket);
        if left < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - left) / self.each_second));
        }
        *bucket = Bucket {
            left: left - 1.0,
            at: now,
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::{Duration, Instant};

    use super::{Counted, MAX_BUCKETS, Rates};

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let (rates, now) = (Rates::new(10), Instant::now());
        let take = |after: u64| {
            let now = now + Duration::from_millis(after);
            rates.take(Counted::Token("ana".into()), now).is_ok()
        };
        let taken = (0..30).filter(|_| take(0)).count();
        assert_eq!(taken, 20, "two seconds' requests at once");
        assert!(!take(50) && take(100) && !take(100));
        let other = rates.take(Counted::Token("ben".into()), now);
        assert!(other.is_ok(), "each token has its own bucket");
    }

    #[test]
    fn zero_is_no_limit() {
        let (rates, now) = (Rates::new(0), Instant::now());
        assert!((0..10_000).all(|_| rates.take(Counted::Token("ana".into()), now).is_ok()));
    }

    #[test]
    fn many_addresses_take_bounded_memory() {
        let (rates, now) = (Rates::new(1), Instant::now());
        let address = |n: usize| Counted::Address(IpAddr::V4(Ipv4Addr::from(n as u32)));
        let taken = (0..2 * MAX_BUCKETS).filter(|n| rates.take(address(*n), now).is_ok());
        assert_eq!(taken.count(), MAX_BUCKETS);
        let later = now + Duration::from_secs(60);
        assert!(rates.take(address(3 * MAX_BUCKETS), later).is_ok());
    }
}
