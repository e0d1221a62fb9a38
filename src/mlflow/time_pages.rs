//! [`TimePages`]: the place of a scan that pages through a list by time and misses no entry, whatever changes between two pages.
//!
//! MLflow's page token is an offset, so an entry that is created or deleted before it shifts all entries behind it. A scan
//! therefore asks for the oldest entries first, and starts each page at the time of the last entry it saw. It uses a token only
//! inside a group of entries with one time that fills a page.

use std::collections::HashSet;

/// An entry of a list that MLflow sorts by time.
pub(super) trait Timed {
    fn id(&self) -> &str;
    /// MLflow lists entries without a time last.
    fn time(&self) -> Option<i64>;
}

/// Where the next page begins, and what it begins with again.
#[derive(Debug)]
pub(super) struct TimePages {
    place: Place,
    /// The entries with the last time seen. The next page begins with them again.
    boundary: HashSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Start,
    From(i64),
    Group { time: i64, token: Option<String> },
    End,
}

impl TimePages {
    pub(super) fn from_start() -> Self {
        Self::at(Place::Start)
    }

    /// Starts with the entries of this time.
    pub(super) fn from_time(time: i64) -> Self {
        Self::at(Place::From(time))
    }

    fn at(place: Place) -> Self {
        Self {
            place,
            boundary: HashSet::new(),
        }
    }

    /// The time at which a later scan can resume without missing an entry.
    pub(super) fn position(&self) -> Option<i64> {
        match self.place {
            Place::From(time) | Place::Group { time, .. } => Some(time),
            Place::Start | Place::End => None,
        }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.place == Place::End
    }

    pub(super) fn end(&mut self) {
        self.place = Place::End;
    }

    /// MLflow's filter on the field of the time for the next page; `None` for the first page of a whole list.
    pub(super) fn filter(&self, field: &str) -> Option<String> {
        match &self.place {
            Place::Start | Place::End => None,
            Place::From(time) => Some(format!("{field} >= {time}")),
            Place::Group { time, .. } => Some(format!("{field} = {time}")),
        }
    }

    pub(super) fn token(&self) -> Option<&str> {
        match &self.place {
            Place::Group { token, .. } => token.as_deref(),
            _ => None,
        }
    }

    /// Moves past a page, and returns its entries without those that an earlier page has shown.
    ///
    /// # Errors
    /// What the server answered, where that contradicts the request.
    pub(super) fn advance<T: Timed>(
        &mut self,
        page: Vec<T>,
        next: Option<String>,
    ) -> Result<Vec<T>, &'static str> {
        let next = next.filter(|token| !token.is_empty());
        let times = || page.iter().map(Timed::time);
        if !times().map(|time| time.unwrap_or(i64::MAX)).is_sorted() {
            return Err("entries that are not in the requested order");
        }
        // With a server that ignores the filter, the scan would never end.
        let is_requested = |time: Option<i64>| match self.place {
            Place::From(from) => time.is_some_and(|time| time >= from),
            Place::Group { time: of, .. } => time == Some(of),
            Place::Start | Place::End => true,
        };
        if !times().all(is_requested) {
            return Err("entries with other times than the requested ones");
        }
        let (first, last) = (times().next().flatten(), times().next_back().flatten());
        let place = match (&self.place, next) {
            (Place::Group { time, .. }, None) => {
                time.checked_add(1).map_or(Place::End, Place::From)
            }
            (_, None) => Place::End,
            (Place::Group { token, .. }, next) if *token == next => {
                return Err("the same page token twice");
            }
            (Place::Group { time, .. }, token) => Place::Group { time: *time, token },
            (_, Some(_)) => match (first, last) {
                (Some(first), Some(last)) if first < last => Place::From(last),
                (Some(time), Some(_)) => Place::Group { time, token: None },
                _ => {
                    return Err(
                        "a page that is not the last one, with no start time to continue from",
                    );
                }
            },
        };
        let seen = std::mem::take(&mut self.boundary);
        let at_last = page.iter().filter(|entry| entry.time() == last);
        self.boundary = at_last.map(|entry| entry.id().to_owned()).collect();
        let is_new = |entry: &T| !seen.contains(entry.id());
        let fresh = page.into_iter().filter(is_new).collect();
        if matches!(place, Place::Group { .. }) {
            self.boundary.extend(seen);
        }
        self.place = place;
        Ok(fresh)
    }
}
