//! Files that are not as they were written, too old, or of something else.

use std::fs;
use std::io::{self, Read};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain_core::DomainName;
use proptest::prelude::*;

use super::super::reader::{Frame, MAX_AHEAD, parse, read};
use super::super::*;
use super::{DATABASE, HOST_TYPES, HOUR, Owned, State, TestFile, owned, some, state};

fn parse_bytes(bytes: &[u8]) -> Result<Snapshot<State>, Refused> {
    parse(bytes, DATABASE, HOUR, SystemTime::now())
}

/// Appends the checksum.
fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// A file of these parts, with the right checksum.
fn framed(header: &[u8], blocks: &[Vec<u8>], count: u64) -> Vec<u8> {
    let mut bytes = [&MAGIC[..], &VERSION.to_le_bytes()].concat();
    for part in std::iter::once(header).chain(blocks.iter().map(Vec::as_slice)) {
        bytes.extend_from_slice(&(part.len() as u32).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    bytes.extend_from_slice(&0_u32.to_le_bytes());
    bytes.extend_from_slice(&count.to_le_bytes());
    seal(bytes)
}

fn header() -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    let written = now.as_millis() as u64;
    postcard::to_stdvec(&Header { database: DATABASE, written, host_types: HOST_TYPES.to_vec(), state: state() })
        .expect("a header")
}

#[test]
fn every_changed_byte_is_noticed() {
    let bytes = TestFile::with(&some()).bytes();
    for position in 0..bytes.len() {
        for change in 1..=255 {
            let mut bytes = bytes.clone();
            bytes[position] ^= change;
            assert!(parse_bytes(&bytes).is_err(), "byte {position}, changed by {change}");
        }
    }
}

#[test]
fn every_truncation_is_noticed() {
    let bytes = TestFile::with(&some()).bytes();
    for length in 0..bytes.len() {
        let refused = parse_bytes(&bytes[..length]).expect_err("too short");
        assert!(matches!(refused, Refused::Damaged { .. }), "{length} bytes: {refused}");
    }
}

#[test]
fn whatever_follows_the_end_is_noticed() {
    let mut bytes = TestFile::with(&some()).bytes();
    bytes.push(0);
    assert!(matches!(parse_bytes(&bytes), Err(Refused::Damaged { what: "something follows its end" })));
}

#[test]
fn a_file_of_another_kind_is_refused() {
    let test_file = TestFile::new();
    for content in ["root:x:0:0", "x"] {
        fs::write(&test_file.file, content).expect("a file");
        assert!(matches!(test_file.read(), Err(Refused::NotASnapshot)));
    }
}

#[test]
fn a_snapshot_of_another_format_is_refused() {
    let bytes = [&MAGIC[..], &2_u32.to_le_bytes(), b"anything"].concat();
    assert!(matches!(parse_bytes(&bytes), Err(Refused::OtherVersion { found: 2 })));
}

#[test]
fn a_snapshot_of_another_database_is_refused() {
    let test_file = TestFile::with(&some());
    let refused =
        read::<State>(&test_file.file, "sqlite:other", HOUR, SystemTime::now()).expect_err("another database");
    assert!(matches!(&refused, Refused::OtherDatabase { found } if found == DATABASE), "{refused}");
}

#[test]
fn a_snapshot_is_refused_when_it_is_too_old_or_from_the_future() {
    let test_file = TestFile::with(&some());
    let written = test_file.read().expect("readable").expect("there").written;
    let at = |now| read::<State>(&test_file.file, DATABASE, HOUR, now);
    let second = Duration::from_secs(1);
    assert!(at(written + HOUR).is_ok());
    assert!(matches!(at(written + HOUR + second), Err(Refused::TooOld { age, limit: HOUR }) if age == HOUR + second));
    assert!(at(written - MAX_AHEAD).is_ok());
    assert!(
        matches!(at(written - MAX_AHEAD - second), Err(Refused::FromTheFuture { ahead }) if ahead == MAX_AHEAD + second)
    );
}

#[test]
fn a_state_of_another_type_is_refused() {
    let test_file = TestFile::with(&some());
    let refused = read::<(i64, Vec<i64>, u8)>(&test_file.file, DATABASE, HOUR, SystemTime::now());
    assert!(matches!(refused, Err(Refused::Damaged { what: "its header is invalid" })));
    let refused = read::<i64>(&test_file.file, DATABASE, HOUR, SystemTime::now());
    assert!(matches!(refused, Err(Refused::Damaged { what: "its header is invalid" })));
}

#[test]
fn no_length_is_used_unchecked() {
    let start = [&MAGIC[..], &VERSION.to_le_bytes()].concat();
    let header = header();
    let to_block = [&start[..], &(header.len() as u32).to_le_bytes(), &header].concat();
    for (before, limit) in [(start, MAX_HEADER), (to_block, MAX_BLOCK)] {
        for length in [limit as u32 + 1, u32::MAX] {
            let bytes = [&before[..], &length.to_le_bytes()].concat();
            // An endless file: a reader that used the length would read it.
            let refused = Frame::read(bytes.chain(io::repeat(0))).err();
            assert!(matches!(refused, Some(Refused::Damaged { what }) if what.contains("longer")));
        }
    }
}

#[test]
fn invalid_content_with_the_right_checksum_is_refused() {
    let good = vec![1, 0, 0, 0, b'a'];
    assert!(parse_bytes(&framed(&header(), std::slice::from_ref(&good), 1)).is_ok());
    assert!(parse_bytes(&framed(&header(), std::slice::from_ref(&good), 2)).is_err());
    assert!(parse_bytes(&framed(b"", &[good], 1)).is_err());
    let no_name = vec![0, 0, 0, 0];
    let long_name = [&[251, 0, 0, 0][..], &[b'a'; 251]].concat();
    let half_a_name = vec![2, 0, 0, 0, b'a'];
    let no_host_type = vec![1, 2, 0, 0, b'a'];
    let no_origin = vec![1, 0, 0, 2, b'a'];
    for bad in [no_name, long_name, half_a_name, no_host_type, no_origin] {
        for count in 0..2 {
            assert!(parse_bytes(&framed(&header(), std::slice::from_ref(&bad), count)).is_err(), "{bad:?}");
        }
    }
}

fn routes() -> impl Strategy<Value = Vec<Owned>> {
    let origin = prop_oneof![Just(Origin::Current), Just(Origin::Kept)];
    let name = prop::collection::vec(any::<u8>(), 1..=DomainName::MAX_BYTES);
    prop::collection::vec((name, 0_u16..2, origin), 0..50)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_was_written_is_read(routes in routes()) {
        let test_file = TestFile::with(&routes);
        prop_assert_eq!(owned(&test_file.read().expect("readable").expect("there")), routes);
    }

    #[test]
    fn no_damage_yields_other_routes(
        routes in routes(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let mut bytes = TestFile::with(&routes).bytes();
        for (position, byte) in damage {
            let position = position.index(bytes.len());
            bytes[position] = byte;
        }
        if let Ok(snapshot) = parse_bytes(&bytes) {
            prop_assert_eq!(owned(&snapshot), routes);
            prop_assert_eq!(snapshot.state, state());
        }
    }

    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        prop_assert!(parse_bytes(&bytes).is_err());
        let bytes = [&MAGIC[..], &VERSION.to_le_bytes(), &bytes].concat();
        prop_assert!(parse_bytes(&bytes).is_err());
        // Only the content of this one is wrong.
        prop_assert!(parse_bytes(&seal(bytes)).is_err());
    }

    #[test]
    fn random_content_with_the_right_checksum_is_no_danger(
        header_bytes in prop::collection::vec(any::<u8>(), 0..200),
        blocks in prop::collection::vec(prop::collection::vec(0_u8..4, 1..40), 0..5),
        count in 0_u64..10,
    ) {
        let _ = parse_bytes(&framed(&header_bytes, &blocks, count));
        if let Ok(snapshot) = parse_bytes(&framed(&header(), &blocks, count)) {
            prop_assert_eq!(owned(&snapshot).len() as u64, count);
        }
    }
}
