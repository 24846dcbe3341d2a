//! How long to wait after a failure: twice as long each time, up to a limit. A random part prevents that nodes which lost
//! one database come back to it all at once.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LIMIT: Duration = Duration::from_secs(5);

pub(crate) struct Backoff(Duration);

impl Backoff {
    pub(crate) fn new() -> Backoff {
        Backoff(FIRST)
    }

    /// The next pause: between half and all of the present step.
    pub(crate) fn next_pause(&mut self) -> Duration {
        let step = self.0;
        self.0 = (step * 2).min(LIMIT);
        step.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    /// A pass has succeeded.
    pub(crate) fn reset(&mut self) {
        self.0 = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_start_anew_after_a_success() {
        let mut backoff = Backoff::new();
        assert!(backoff.next_pause() <= FIRST);
        for _ in 0..20 {
            assert!(backoff.next_pause() <= LIMIT);
        }
        assert!(backoff.next_pause() >= LIMIT / 2);
        backoff.reset();
        assert!(backoff.next_pause() <= FIRST);
    }
}
