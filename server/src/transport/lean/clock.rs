//! A clock that many share: everything that waits for the same span stands in one line, the next to come at its head. No timer per
//! connection; entries that have become pointless are found out when their time comes. Time is handed in.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// The line of those who wait for one span.
#[derive(Debug)]
pub(super) struct Clock<T> {
    span: Duration,
    waiting: VecDeque<(Instant, T)>,
}

/// Places that an empty line keeps.
const PLACES_KEPT_MAX: usize = 64;

impl<T> Clock<T> {
    pub(super) fn new(span: Duration) -> Self {
        Self { span, waiting: VecDeque::new() }
    }

    /// Waits for the span from `now` on. `true`: nobody waited before, so whoever sleeps must look anew. Calls come with times that do not
    /// go back.
    pub(super) fn wait(&mut self, now: Instant, item: T) -> bool {
        self.waiting.push_back((now + self.span, item));
        self.waiting.len() == 1
    }

    /// The next whose time has come.
    pub(super) fn due(&mut self, now: Instant) -> Option<T> {
        let is_due = self.waiting.front().is_some_and(|(at, _)| *at <= now);
        let item = if is_due { self.waiting.pop_front().map(|(_, item)| item) } else { None };
        if self.waiting.is_empty() && self.waiting.capacity() > PLACES_KEPT_MAX {
            self.waiting = VecDeque::new();
        }
        item
    }

    /// When the next one's time comes.
    pub(super) fn next(&self) -> Option<Instant> {
        self.waiting.front().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_due_after_the_span_in_the_order_they_came() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut clock = Clock::new(Duration::from_secs(5));
        assert!(clock.wait(at(0), "a"));
        assert!(!clock.wait(at(0), "b"));
        assert!(!clock.wait(at(2), "c"));
        assert_eq!((clock.due(at(4)), clock.next()), (None, Some(at(5))));
        assert_eq!([clock.due(at(6)), clock.due(at(6)), clock.due(at(6))], [Some("a"), Some("b"), None]);
        assert_eq!((clock.next(), clock.due(at(7)), clock.next()), (Some(at(7)), Some("c"), None));
    }
}
