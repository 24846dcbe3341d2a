//! Points at which a test breaks a change off, to show that the table is put right.
//!
//! A change is not expected to panic, and there is no list of the places where one could. So a point stands between any
//! two steps that leave the table different, and a test breaks the same change off at each of them in turn.

#[cfg(test)]
thread_local! {
    static LEFT: std::cell::Cell<Option<u32>> = const { std::cell::Cell::new(None) };
}

/// Has this thread panic at one of the next points: at the first one after so many others.
#[cfg(test)]
pub(crate) fn after(points: u32) {
    LEFT.set(Some(points));
}

/// Has this thread pass all points. Whether it has panicked since [`after`].
#[cfg(test)]
pub(crate) fn never() -> bool {
    LEFT.take().is_none()
}

/// One of the points.
#[cfg(test)]
pub(crate) fn point() {
    match LEFT.get() {
        Some(0) => {
            LEFT.set(None);
            panic!("a change is broken off, on purpose");
        }
        Some(left) => LEFT.set(Some(left - 1)),
        None => {}
    }
}

#[cfg(not(test))]
#[inline(always)]
pub(crate) fn point() {}
