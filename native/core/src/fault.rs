//! Fault injection: points at which a test interrupts a change by a panic, to show that the table is repaired.
//!
//! A change is not expected to panic, and there is no list of the places where one could. So there is a point between
//! any two steps that leave the table in different states, and a test interrupts the same change at each of them in
//! turn.

#[cfg(test)]
thread_local! {
    static REMAINING: std::cell::Cell<Option<u32>> = const { std::cell::Cell::new(None) };
}

/// Makes this thread panic once, after it has passed this many points.
#[cfg(test)]
pub(crate) fn panic_after(points: u32) {
    REMAINING.set(Some(points));
}

/// Cancels [`panic_after`]. Returns whether the thread has panicked since.
#[cfg(test)]
pub(crate) fn cancel() -> bool {
    REMAINING.take().is_none()
}

/// One of the points.
#[cfg(test)]
pub(crate) fn fault_point() {
    match REMAINING.get() {
        Some(0) => {
            REMAINING.set(None);
            panic!("a test interrupts this change");
        }
        Some(remaining) => REMAINING.set(Some(remaining - 1)),
        None => {}
    }
}

#[cfg(not(test))]
#[inline(always)]
pub(crate) fn fault_point() {}
