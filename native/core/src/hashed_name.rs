//! A name with its hash, which is computed once for all that a lookup or a change does with the name.

use std::hash::{BuildHasher, Hasher};

#[cfg(loom)]
use foldhash::fast::FixedState as Hashing; // a model has to do the same in each run
#[cfg(not(loom))]
use foldhash::fast::RandomState as Hashing;

/// Half of the hash of a name. Its lowest bits are the number of the name's bucket and stripe, its highest ones tell
/// the name from others in that bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NameHash(pub(crate) u32);

impl NameHash {
    /// The stripe of the name: see [`StripedSeqLock`](crate::seqlock::StripedSeqLock). The names of one bucket have the
    /// same stripe, however many buckets there are: both are numbered by the lowest bits of the hash, and there are
    /// never fewer buckets than stripes.
    #[inline]
    pub(crate) fn stripe(self) -> usize {
        self.0 as usize
    }
}

/// A name and its hash.
#[derive(Clone, Copy)]
pub(crate) struct HashedName<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) hash: NameHash,
}

/// Hashes names with a random seed: tenants choose the names, and must not be able to choose the collisions.
#[derive(Default)]
pub(crate) struct NameHasher(Hashing);

impl NameHasher {
    #[inline]
    pub(crate) fn hash<'a>(&self, name: &'a [u8]) -> HashedName<'a> {
        let mut hasher = self.0.build_hasher();
        hasher.write(name);
        HashedName { name, hash: NameHash(hasher.finish() as u32) }
    }
}
