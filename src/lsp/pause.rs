//! The pause after a keystroke, in which only what the client shows is checked, so that the next keystroke seldom waits.

use std::time::{Duration, Instant};

/// How long a pause is.
const LENGTH: Duration = Duration::from_millis(5);

#[derive(Debug, Default)]
pub(super) struct Pause {
    begin: Option<Instant>,
}

impl Pause {
    /// Begins a pause, also where one has not ended.
    pub(super) fn begin(&mut self) {
        self.begin = Some(Instant::now());
    }

    /// Returns what is left of the pause, if it has not ended.
    pub(super) fn rest(&self) -> Option<Duration> {
        LENGTH
            .checked_sub(self.begin?.elapsed())
            .filter(|rest| !rest.is_zero())
    }
}
