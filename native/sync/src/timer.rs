//! Something that is due at an interval, or a random part of it (up to a fifth) earlier: nodes that started together
//! spread out.

use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Timer {
    interval: Duration,
    due: Instant,
}

impl Timer {
    /// Due after the interval.
    pub(crate) fn new(interval: Duration, now: Instant) -> Timer {
        let mut timer = Timer::due_now(interval, now);
        timer.start(now);
        timer
    }

    /// Due now, and then every interval.
    pub(crate) fn due_now(interval: Duration, now: Instant) -> Timer {
        Timer { interval, due: now }
    }

    /// Begins the interval anew.
    pub(crate) fn start(&mut self, now: Instant) {
        self.due = now + self.interval.mul_f64(0.8 + fastrand::f64() / 5.0);
    }

    /// Whether it is due; if so, the next interval begins.
    pub(crate) fn take_due(&mut self, now: Instant) -> bool {
        let due = self.left(now).is_zero();
        if due {
            self.start(now);
        }
        due
    }

    /// How long until it is due.
    pub(crate) fn left(&self, now: Instant) -> Duration {
        self.due.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_once_an_interval_and_never_late() {
        let (interval, mut now) = (Duration::from_secs(10), Instant::now());
        let mut timer = Timer::new(interval, now);
        for _ in 0..100 {
            assert!(!timer.take_due(now));
            assert!(timer.left(now) >= interval * 4 / 5);
            now += interval;
            assert!(timer.take_due(now));
        }
    }
}
