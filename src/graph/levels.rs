//! The levels of a walk, upstream and downstream.

use futures::FutureExt as _;
use futures::future::OptionFuture;

use super::arena::{Arena, At, Progress};
use super::downstream::Descent;
use super::upstream::Ascent;
use super::walk::{Stop, Walk};
use crate::error::Result;
use crate::node::Kind;

impl Walk<'_> {
    /// Walks from these starts, and calls `tell` after each level.
    pub(super) async fn go(
        &mut self,
        starts: &[At],
        up: u32,
        down: u32,
        tell: &mut (dyn FnMut(u32, &Arena) + Send),
    ) -> Result<()> {
        match self.levels(starts, up, down, tell).await {
            Ok(()) => Ok(()),
            Err(Stop::Cut(cut)) => {
                self.truncated = Some(cut);
                Ok(())
            }
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    async fn levels(
        &mut self,
        starts: &[At],
        up: u32,
        down: u32,
        tell: &mut (dyn FnMut(u32, &Arena) + Send),
    ) -> Result<(), Stop> {
        self.show_starts(starts)?;
        let is_run = |at: &&At| self.arena.node(**at).kind() == Kind::RUN;
        let (runs, references): (Vec<At>, Vec<At>) = starts.iter().partition(is_run);
        for run in &runs {
            let met = self.arena.node_mut(*run);
            (met.up, met.down) = (Progress::Runs, Progress::Runs);
        }
        let (mut above, mut below) = (runs.clone(), runs);
        let mut references = references.as_slice();
        // The levels alternate, so that neither direction uses up the limits of the other.
        for depth in 0..up.max(down) {
            let is_due = |runs: &[At], last: u32| {
                depth < last && !(runs.is_empty() && references.is_empty())
            };
            let (is_up, is_down) = (is_due(&above, up), is_due(&below, down));
            let mut ascent = match is_up {
                true => Some(Ascent::begin(self, &above, references, depth)?),
                false => None,
            };
            let mut descent = match is_down {
                true => Some(Descent::begin(self, &below, references, depth)?),
                false => None,
            };
            self.expand(ascent.as_mut(), descent.as_mut()).await?;
            above = ascent.map_or(above, |ascent| ascent.next);
            below = descent.map_or(below, |descent| descent.next);
            references = &[];
            tell(depth + 1, &self.arena);
            let is_done = |way: &[At], last: u32| depth + 1 >= last || way.is_empty();
            if is_done(&above, up) && is_done(&below, down) || self.is_found() {
                break;
            }
        }
        Ok(())
    }

    /// Expands a level upstream and a level downstream. Their queries run at the same time.
    async fn expand(
        &mut self,
        mut ascent: Option<&mut Ascent>,
        mut descent: Option<&mut Descent>,
    ) -> Result<(), Stop> {
        loop {
            let up = ascent.as_mut().and_then(|ascent| ascent.round(self));
            let down = descent.as_mut().and_then(|descent| descent.round(self));
            if up.is_none() && down.is_none() {
                return Ok(());
            }
            let walk = &*self;
            let reads_up = OptionFuture::from(up.as_ref().map(|up| up.read(walk)));
            let reads_down = OptionFuture::from(down.as_ref().map(|down| down.read(walk)));
            let (above, below) = futures::try_join!(
                reads_up.map(Option::transpose),
                reads_down.map(Option::transpose),
            )?;
            if let (Some(ascent), Some(up), Some(above)) = (&mut ascent, up, above) {
                ascent.show(self, up, above).await?;
            }
            if let (Some(descent), Some(down), Some(below)) = (&mut descent, down, below) {
                descent.show(self, down, below)?;
            }
        }
    }
}
