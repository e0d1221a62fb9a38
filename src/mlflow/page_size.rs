//! [`PageSize`]: how many entries the next page may hold.
//!
//! Pages shrink while they are too large for this program's memory, or while a gateway before MLflow gives up on them.
//! They grow again when pages succeed.

/// A size that failed is tried again after this many good pages. Each further failure doubles the wait.
const FIRST_WAIT: u32 = 8;
const LONGEST_WAIT: u32 = 1_024;

/// The size of the pages of one list: it shrinks after failures and grows after successes.
#[derive(Debug)]
pub(super) struct PageSize {
    /// The size to return to; no page is larger.
    wanted: u32,
    /// The size of the next page.
    now: u32,
    /// The size of the last good page; 0 before the first one.
    good: u32,
    /// The smallest size that failed recently.
    failed: Option<u32>,
    /// How many good pages must come before `failed` is tried again.
    wait: u32,
    /// How many of these are still to come.
    to_come: u32,
}

impl PageSize {
    pub(in crate::mlflow) fn new(wanted: u32) -> Self {
        let wanted = wanted.max(1);
        Self {
            wanted,
            now: wanted,
            good: 0,
            failed: None,
            wait: 0,
            to_come: 0,
        }
    }

    pub(super) fn now(&self) -> u32 {
        self.now
    }

    /// Halves the size after a page that does not fit into memory. False when the page held one entry already.
    pub(super) fn halve(&mut self) -> bool {
        let halves = self.now > 1;
        self.now = (self.now / 2).max(1);
        halves
    }

    /// Halves the size after a gateway refused a page as too large. False when the page held one entry already.
    pub(super) fn refused(&mut self) -> bool {
        let shrinks = self.now > 1;
        self.shrink_to(self.now / 2);
        shrinks
    }

    /// Shrinks the size after no answer came, or one that a gateway may have sent because MLflow took too long.
    ///
    /// The last try asks for one entry: if MLflow answers that, the size was the reason.
    pub(super) fn unanswered(&mut self, is_last_try: bool) {
        let is_probe = self.good > 0 && self.now > self.good;
        self.shrink_to(match (is_last_try, is_probe) {
            (true, _) => 1,
            (false, true) => self.good,
            (false, false) => self.now / 4,
        });
    }

    fn shrink_to(&mut self, size: u32) {
        if self.now == 1 {
            return;
        }
        self.failed = Some(self.now);
        self.wait = (self.wait * 2).clamp(FIRST_WAIT, LONGEST_WAIT);
        self.to_come = self.wait;
        self.now = size.max(1);
    }

    /// Notes a good page. The next one may be larger if `may_grow`, that is if this one left memory for it.
    pub(super) fn succeeded(&mut self, may_grow: bool) {
        self.good = self.now;
        if self.now == self.wanted {
            (self.failed, self.wait) = (None, 0);
        }
        let next = self.now.saturating_mul(2).min(self.wanted);
        if !may_grow || next == self.now {
            return;
        }
        if self.failed.is_some_and(|failed| next >= failed) {
            if self.to_come > 0 {
                self.to_come -= 1;
                return;
            }
            self.failed = None;
        }
        self.now = next;
    }
}

#[cfg(test)]
mod tests {
    use super::PageSize;

    /// The sizes that a client asks for through a gateway that lets pages up to `limit` through.
    fn sizes(limit: u32, size: &mut PageSize, pages: usize) -> Vec<u32> {
        let mut asked = Vec::new();
        for _ in 0..pages {
            asked.push(size.now());
            while size.now() > limit {
                size.unanswered(false);
                asked.push(size.now());
            }
            size.succeeded(true);
        }
        asked
    }

    #[test]
    fn pages_shrink_to_what_a_gateway_lets_through_and_few_are_lost_on_trying_more() {
        let mut size = PageSize::new(1_000);
        let asked = sizes(100, &mut size, 1_000);
        assert_eq!(asked[..4], [1_000, 250, 62, 124], "{asked:?}");
        let lost = asked.iter().filter(|size| **size > 100).count();
        assert!(lost <= 12, "{lost} of {} pages were lost", asked.len());
        // The gateway now lets all sizes through.
        sizes(1_000, &mut size, 1_100);
        assert_eq!(size.now(), 1_000);
    }

    #[test]
    fn one_outage_makes_pages_small_for_a_moment_only() {
        let mut size = PageSize::new(1_000);
        size.unanswered(false);
        assert_eq!(size.now(), 250);
        sizes(1_000, &mut size, 12);
        assert_eq!(size.now(), 1_000);
    }

    #[test]
    fn the_last_try_asks_for_one_entry_and_no_page_is_empty() {
        let mut size = PageSize::new(7);
        size.unanswered(false);
        assert_eq!(size.now(), 1);
        size.unanswered(false);
        assert!(!size.halve() && !size.refused());
        assert_eq!(size.now(), 1);
        let mut size = PageSize::new(1_000);
        size.unanswered(true);
        assert_eq!(size.now(), 1);
    }

    #[test]
    fn a_page_too_large_for_memory_is_halved_and_grows_again_at_once() {
        let mut size = PageSize::new(8);
        assert!(size.halve() && size.halve());
        size.succeeded(false);
        assert_eq!(size.now(), 2);
        size.succeeded(true);
        size.succeeded(true);
        assert_eq!(size.now(), 8);
    }
}
