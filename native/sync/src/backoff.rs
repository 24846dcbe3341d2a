//! How long to rest after a failure: twice as long each time, up to a cap, with a random part so
//! that nodes that lost one database do not come back to it in step.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const CAP: Duration = Duration::from_secs(5);

pub(crate) struct Backoff(Duration);

impl Backoff {
    pub(crate) fn new() -> Backoff {
        Backoff(FIRST)
    }

    /// The next rest: between half and all of the present step.
    pub(crate) fn rest(&mut self) -> Duration {
        let step = self.0;
        self.0 = (step * 2).min(CAP);
        step.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    /// Something worked: begin from the start.
    pub(crate) fn reset(&mut self) {
        self.0 = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_to_a_cap_and_start_anew_after_a_success() {
        let mut backoff = Backoff::new();
        assert!(backoff.rest() <= FIRST);
        for _ in 0..20 {
            assert!(backoff.rest() <= CAP);
        }
        assert!(backoff.rest() >= CAP / 2);
        backoff.reset();
        assert!(backoff.rest() <= FIRST);
    }
}
