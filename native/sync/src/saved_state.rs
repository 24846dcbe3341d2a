//! The part of the follower's state that a snapshot file holds.

use std::time::Instant;

use domain_core::{Epoch, EventId};
use domain_store::{IdRange, PersistentId};
use serde::{Deserialize, Serialize};

use crate::cursor::Cursor;
use crate::gaps::Gaps;
use crate::gate::Evidence;
use crate::state::{Age, FollowerState};

/// The cursor and what belongs to it. When this type changes, the snapshot's version has to: postcard writes values
/// without their names and types.
#[derive(Serialize, Deserialize)]
pub(crate) struct SavedState {
    identity: Option<String>,
    evidence: Option<Evidence>,
    at: i64,
    anchor: Option<String>,
    oldest: i64,
    gaps: Vec<(i64, i64)>,
}

impl SavedState {
    pub(crate) fn new(state: &FollowerState, cursor: &Cursor) -> SavedState {
        SavedState {
            identity: state.identity.as_ref().map(|identity| identity.0.clone()),
            evidence: state.evidence,
            at: cursor.at.0,
            anchor: cursor.anchor.clone(),
            oldest: cursor.gaps.oldest().0,
            gaps: cursor.gaps.remembered().map(|range| (range.first.0, range.last.0)).collect(),
        }
    }

    /// A state with stale routes of this epoch.
    pub(crate) fn into_state(self, epoch: Epoch) -> FollowerState {
        let now = Instant::now();
        let mut gaps = Gaps::of_log(EventId(self.oldest), now);
        for (first, last) in self.gaps {
            gaps.add(IdRange { first: EventId(first), last: EventId(last) }, now);
        }
        FollowerState {
            epoch: Some(epoch),
            cursor: Some(Cursor { at: EventId(self.at), anchor: self.anchor, gaps }),
            identity: self.identity.map(PersistentId),
            evidence: self.evidence,
            age: Age::Stale,
            ..FollowerState::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::VERSION;

    /// A file of another version of this program must not be misread: what changes these bytes counts the format up.
    #[test]
    fn the_bytes_of_a_state_are_those_of_its_format() {
        let state = |evidence| SavedState {
            identity: Some("1/2".to_owned()),
            evidence,
            at: 300,
            anchor: Some("a".to_owned()),
            oldest: -2,
            gaps: vec![(4, 5)],
        };
        let bytes = |evidence: &[u8]| [b"\x01\x031/2", evidence, b"\xd8\x04\x01\x01a\x03\x01\x08\x0a"].concat();
        let written = |evidence| postcard::to_stdvec(&state(evidence)).expect("a vector has room");
        assert_eq!(VERSION, 1);
        assert_eq!(written(None), bytes(&[0]));
        let all = [Evidence::IdsBackwards, Evidence::OtherDatabase, Evidence::NoRows, Evidence::ManyRoutes];
        for (number, evidence) in (0..).zip(all) {
            assert_eq!(written(Some(evidence)), bytes(&[1, number]), "{evidence:?}");
        }
    }
}
