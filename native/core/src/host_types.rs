//! Host types as small numbers.
//!
//! A server has a handful of host types and a million domains, so a domain's entry holds a [`HostTypeId`] instead of a
//! text. An id is never used again and never removed, not even when the table is emptied. So an id that a lookup
//! returned stays valid whatever happens, and the Erlang side can build the result for each id once.

use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::RwLock;
use thiserror::Error;

/// The number of a host type in one [`HostTypes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostTypeId(u16);

impl HostTypeId {
    /// The index of the host type in [`HostTypes::names`].
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The id as an entry holds it.
    pub(crate) fn to_number(self) -> u16 {
        self.0
    }

    /// The id in an entry. A late lookup may read any number, and discards it.
    #[inline]
    pub(crate) fn from_number(number: u16) -> HostTypeId {
        HostTypeId(number)
    }
}

/// Why a text is not a host type.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidHostType {
    /// It is empty or longer than the database's column. The number is its length.
    #[error("a host type has 1 to {max} bytes, this one has {0}", max = HostTypes::MAX_BYTES)]
    Length(usize),
    /// It is not UTF-8, or contains a NUL, which PostgreSQL's texts cannot hold.
    #[error("a host type is UTF-8 without NUL bytes")]
    NotText,
    /// All ids are in use.
    #[error("there are {max} host types already", max = HostTypes::MAX_COUNT)]
    TooMany,
}

/// All host types that were named since the VM was started.
#[derive(Default)]
pub struct HostTypes(RwLock<Names>);

#[derive(Default)]
struct Names {
    /// The key is a name as bytes, as it is in a row that is loaded.
    ids: HashMap<Box<[u8]>, HostTypeId>,
    names: Vec<Arc<str>>,
}

impl HostTypes {
    /// The width of `domain_settings.host_type`.
    pub const MAX_BYTES: usize = 250;
    /// The number of possible ids.
    pub const MAX_COUNT: usize = 1 << 16;

    /// Checks that a host type may have this name.
    pub fn check(name: &[u8]) -> Result<&str, InvalidHostType> {
        if !(1..=HostTypes::MAX_BYTES).contains(&name.len()) {
            return Err(InvalidHostType::Length(name.len()));
        }
        match std::str::from_utf8(name) {
            Ok(name) if !name.contains('\0') => Ok(name),
            _ => Err(InvalidHostType::NotText),
        }
    }

    /// The id of the host type `name`, which is a new one if there is none of this name.
    pub fn intern(&self, name: &[u8]) -> Result<HostTypeId, InvalidHostType> {
        let name = HostTypes::check(name)?;
        let mut known = self.0.write();
        if let Some(&id) = known.ids.get(name.as_bytes()) {
            return Ok(id);
        }
        let id = HostTypeId(u16::try_from(known.names.len()).map_err(|_| InvalidHostType::TooMany)?);
        known.names.push(name.into());
        known.ids.insert(name.as_bytes().into(), id);
        Ok(id)
    }

    /// The id of the host type `name`, if there is one. The time does not depend on the length of a name that is too
    /// long.
    pub fn id(&self, name: impl AsRef<[u8]>) -> Option<HostTypeId> {
        let name = Some(name.as_ref()).filter(|name| name.len() <= HostTypes::MAX_BYTES)?;
        self.0.read().ids.get(name).copied()
    }

    /// The id whose [`HostTypeId::index`] this is.
    pub fn from_index(&self, index: usize) -> Option<HostTypeId> {
        let known = index < self.0.read().names.len();
        u16::try_from(index).ok().filter(|_| known).map(HostTypeId)
    }

    /// All ids in order.
    pub fn ids(&self) -> impl Iterator<Item = HostTypeId> {
        // There are at most MAX_COUNT of them.
        (0..self.0.read().names.len()).map(|index| HostTypeId(index as u16))
    }

    /// The name of a host type.
    pub fn name(&self, id: HostTypeId) -> Arc<str> {
        self.0.read().names[id.index()].clone()
    }

    /// All names, in the order of their ids.
    pub fn names(&self) -> Vec<Arc<str>> {
        self.0.read().names.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_id() {
        let host_types = HostTypes::default();
        let first = host_types.intern(b"type1").unwrap();
        let second = host_types.intern(b"type2").unwrap();
        assert_ne!(first, second);
        assert_eq!(host_types.intern(b"type1"), Ok(first));
        assert_eq!(host_types.id("type2"), Some(second));
        assert_eq!(host_types.id("type3"), None);
        assert_eq!((host_types.from_index(1), host_types.from_index(2)), (Some(second), None));
        assert_eq!(&*host_types.name(second), "type2");
        assert_eq!(host_types.names().len(), 2);
    }

    #[test]
    fn a_host_type_has_1_to_250_bytes_of_text() {
        let host_types = HostTypes::default();
        assert_eq!(host_types.intern(b""), Err(InvalidHostType::Length(0)));
        assert_eq!(host_types.intern(&[b'a'; 251]), Err(InvalidHostType::Length(251)));
        assert!(host_types.intern(&[b'a'; 250]).is_ok());
        assert_eq!(host_types.intern(b"\xff"), Err(InvalidHostType::NotText));
        assert_eq!(host_types.intern(b"a\0"), Err(InvalidHostType::NotText));
    }

    #[test]
    fn when_all_ids_are_in_use_a_new_name_is_an_error() {
        let host_types = HostTypes::default();
        for n in 0..HostTypes::MAX_COUNT {
            host_types.intern(n.to_string().as_bytes()).unwrap();
        }
        assert_eq!(host_types.intern(b"one more"), Err(InvalidHostType::TooMany));
        assert!(host_types.intern(b"0").is_ok());
    }
}
