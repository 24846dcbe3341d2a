use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use domain_core::DomainName;
use proptest::prelude::*;
use tempfile::TempDir;

use super::reader::{AHEAD, Frame, parse};
use super::writer::Written;
use super::*;

const DATABASE: &str = "postgres://db/domains";
const HOUR: Duration = Duration::from_secs(60 * 60);
const HOST_TYPES: [&str; 2] = ["one", "two"];

/// A cursor and gaps.
type State = (i64, Vec<i64>);

/// A name, a host type and an origin.
type Owned = (Vec<u8>, u16, Origin);

fn state() -> State {
    (42, vec![7, 9])
}

fn some() -> Vec<Owned> {
    let long = vec![b'x'; DomainName::MAX_BYTES];
    vec![
        (b"a.example".to_vec(), 0, Origin::Current),
        (b"b.example".to_vec(), 1, Origin::Kept),
        (long, 1, Origin::Current),
    ]
}

/// A place for one snapshot.
struct Place {
    directory: TempDir,
    file: PathBuf,
}

impl Place {
    fn new() -> Place {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("routes");
        Place { directory, file }
    }

    /// A place with a snapshot of `routes`.
    fn with(routes: &[Owned]) -> Place {
        let place = Place::new();
        place.write(routes).expect("a snapshot");
        place
    }

    fn writer(&self) -> Writer {
        Writer::create(&self.file, DATABASE, &state(), &HOST_TYPES).expect("a writer")
    }

    fn write(&self, routes: &[Owned]) -> io::Result<Written> {
        let mut writer = self.writer();
        for (name, host_type, origin) in routes {
            writer.push(Route { name, host_type: *host_type, origin: *origin })?;
        }
        writer.finish()
    }

    fn read(&self) -> Result<Option<Snapshot<State>>, Refused> {
        read(&self.file, DATABASE, HOUR, SystemTime::now())
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(&self.file).expect("a file")
    }

    /// The names of all files.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).expect("a directory");
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    }

    /// The old snapshot is still there, and nothing else is.
    fn is_as_before(&self, routes: &[Owned]) {
        assert_eq!(self.files(), ["routes"]);
        assert_eq!(owned(&self.read().expect("readable").expect("there")), routes);
    }
}

fn owned<S>(snapshot: &Snapshot<S>) -> Vec<Owned> {
    let routes: Vec<Owned> =
        snapshot.routes.iter().map(|Route { name, host_type, origin }| (name.to_vec(), host_type, origin)).collect();
    routes
}

fn parse_bytes(bytes: &[u8]) -> Result<Snapshot<State>, Refused> {
    parse(bytes, DATABASE, HOUR, SystemTime::now())
}

fn full() -> BufWriter<File> {
    BufWriter::new(File::options().write(true).open("/dev/full").expect("a full disk"))
}

/// Lets the checksum be that of what stands before it.
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
fn what_was_written_is_read() {
    let place = Place::new();
    let before = SystemTime::now() - Duration::from_millis(1);
    let written = place.write(&some()).expect("a snapshot");
    let snapshot = place.read().expect("readable").expect("there");
    assert_eq!(snapshot.state, state());
    assert_eq!(snapshot.host_types, HOST_TYPES);
    assert!(before <= snapshot.written && snapshot.written <= SystemTime::now());
    assert_eq!(owned(&snapshot), some());
    assert_eq!(written, Written { routes: 3, bytes: place.bytes().len() as u64 });
}

#[test]
fn routes_of_many_blocks_are_read() {
    let routes: Vec<Owned> =
        (0..20_000).map(|n| (format!("{n}.example").into_bytes(), n % 2, Origin::Current)).collect();
    let place = Place::with(&routes);
    assert!(place.bytes().len() > 3 * BLOCK);
    place.is_as_before(&routes);
}

#[test]
fn a_block_may_be_full_to_the_last_byte() {
    let per_block = BLOCK / 64;
    let routes: Vec<Owned> =
        (0..2 * per_block).map(|n| (format!("{n:060}").into_bytes(), 0, Origin::Current)).collect();
    let place = Place::with(&routes);
    let frame = Frame::read(&place.bytes()[..]).expect("a frame");
    assert_eq!(frame.blocks.iter().map(|block| block.len()).collect::<Vec<_>>(), [BLOCK, BLOCK]);
    place.is_as_before(&routes);
}

#[test]
fn a_snapshot_may_have_no_routes() {
    Place::with(&[]).is_as_before(&[]);
}

#[test]
fn no_file_is_no_failure() {
    assert!(matches!(Place::new().read(), Ok(None)));
}

#[test]
fn a_file_is_its_owners_alone() {
    let place = Place::with(&some());
    assert_eq!(fs::metadata(&place.file).expect("a file").permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_new_snapshot_replaces_the_old_one() {
    let place = Place::with(&some());
    place.write(&some()[..1]).expect("a snapshot");
    place.is_as_before(&some()[..1]);
}

#[test]
fn what_a_crash_left_is_overwritten_and_a_link_there_is_not_followed() {
    let place = Place::with(&some());
    let fresh = place.file.with_added_extension("new");
    fs::write(&fresh, vec![b'x'; 10_000]).expect("a leftover");
    place.write(&some()[..1]).expect("a snapshot");
    place.is_as_before(&some()[..1]);
    std::os::unix::fs::symlink(&place.file, &fresh).expect("a link");
    drop(place.writer());
    place.is_as_before(&some()[..1]);
}

#[test]
fn a_writer_that_is_dropped_leaves_nothing_behind() {
    let place = Place::with(&some());
    let mut writer = place.writer();
    writer.push(Route { name: b"c.example", host_type: 0, origin: Origin::Current }).expect("a route");
    drop(writer);
    place.is_as_before(&some());
}

#[test]
fn a_full_disk_costs_the_new_snapshot_alone() {
    let place = Place::with(&some());
    let mut writer = place.writer();
    writer.out = full();
    assert_eq!(writer.finish().expect_err("full").kind(), ErrorKind::StorageFull);
    place.is_as_before(&some());

    let mut writer = place.writer();
    writer.out = full();
    let name = [b'x'; DomainName::MAX_BYTES];
    let route = Route { name: &name, host_type: 0, origin: Origin::Current };
    let failed = (0..BLOCK).find_map(|_| writer.push(route).err()).expect("full");
    assert_eq!(failed.kind(), ErrorKind::StorageFull);
    drop(writer);
    place.is_as_before(&some());
}

#[test]
fn a_snapshot_that_lost_bytes_does_not_replace_the_old_one() {
    let place = Place::with(&some());
    let mut writer = place.writer();
    writer.out = full();
    for (name, host_type, origin) in some() {
        writer.push(Route { name: &name, host_type, origin }).expect("a route");
    }
    writer.end_block().expect("room in a buffer");
    writer.out.flush().expect_err("full");
    let fresh = place.file.with_added_extension("new");
    writer.out = BufWriter::new(File::options().write(true).open(fresh).expect("a file"));
    writer.finish().expect_err("lost bytes");
    place.is_as_before(&some());
}

#[test]
fn a_directory_that_is_not_there_or_in_the_way_is_an_error_that_leaves_nothing() {
    let place = Place::new();
    let nowhere = place.directory.path().join("nowhere").join("routes");
    assert!(Writer::create(&nowhere, DATABASE, &state(), &HOST_TYPES).is_err());
    fs::create_dir(&place.file).expect("a directory");
    assert!(place.write(&some()).is_err());
    assert_eq!(place.files(), ["routes"]);
    assert!(matches!(place.read(), Err(Refused::NotASnapshot)));
}

#[test]
fn a_route_that_could_not_be_read_is_not_written() {
    let mut writer = Place::new().writer();
    for (name, host_type) in [(&b""[..], 0), (&[b'x'; DomainName::MAX_BYTES + 1], 0), (b"c.example", 2)] {
        let refused = writer.push(Route { name, host_type, origin: Origin::Current });
        assert_eq!(refused.expect_err("unfit").kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn every_changed_byte_is_noticed() {
    let bytes = Place::with(&some()).bytes();
    for place in 0..bytes.len() {
        for change in 1..=255 {
            let mut bytes = bytes.clone();
            bytes[place] ^= change;
            assert!(parse_bytes(&bytes).is_err(), "byte {place}, changed by {change}");
        }
    }
}

#[test]
fn every_truncation_is_noticed() {
    let bytes = Place::with(&some()).bytes();
    for length in 0..bytes.len() {
        let refused = parse_bytes(&bytes[..length]).expect_err("too short");
        assert!(matches!(refused, Refused::Damaged { .. }), "{length} bytes: {refused}");
    }
}

#[test]
fn whatever_follows_the_end_is_noticed() {
    let mut bytes = Place::with(&some()).bytes();
    bytes.push(0);
    assert!(matches!(parse_bytes(&bytes), Err(Refused::Damaged { what: "something follows its end" })));
}

#[test]
fn a_file_of_another_kind_is_refused() {
    let place = Place::new();
    for content in ["root:x:0:0", "x"] {
        fs::write(&place.file, content).expect("a file");
        assert!(matches!(place.read(), Err(Refused::NotASnapshot)));
    }
}

#[test]
fn a_snapshot_of_another_format_is_refused() {
    let bytes = [&MAGIC[..], &2_u32.to_le_bytes(), b"who knows"].concat();
    assert!(matches!(parse_bytes(&bytes), Err(Refused::OtherVersion { found: 2 })));
}

#[test]
fn a_snapshot_of_another_database_is_refused() {
    let place = Place::with(&some());
    let refused = read::<State>(&place.file, "sqlite:other", HOUR, SystemTime::now()).expect_err("another database");
    assert!(matches!(&refused, Refused::OtherDatabase { found } if found == DATABASE), "{refused}");
}

#[test]
fn a_snapshot_is_refused_when_it_is_too_old_or_from_the_future() {
    let place = Place::with(&some());
    let written = place.read().expect("readable").expect("there").written;
    let at = |now| read::<State>(&place.file, DATABASE, HOUR, now);
    let second = Duration::from_secs(1);
    assert!(at(written + HOUR).is_ok());
    assert!(matches!(at(written + HOUR + second), Err(Refused::TooOld { age, limit: HOUR }) if age == HOUR + second));
    assert!(at(written - AHEAD).is_ok());
    assert!(matches!(at(written - AHEAD - second), Err(Refused::FromTheFuture { ahead }) if ahead == AHEAD + second));
}

#[test]
fn a_mark_of_another_shape_is_refused() {
    let place = Place::with(&some());
    let refused = read::<(i64, Vec<i64>, u8)>(&place.file, DATABASE, HOUR, SystemTime::now());
    assert!(matches!(refused, Err(Refused::Damaged { what: "its header makes no sense" })));
    let refused = read::<i64>(&place.file, DATABASE, HOUR, SystemTime::now());
    assert!(matches!(refused, Err(Refused::Damaged { what: "its header makes no sense" })));
}

#[test]
fn no_length_is_believed() {
    let start = [&MAGIC[..], &VERSION.to_le_bytes()].concat();
    let header = header();
    let to_block = [&start[..], &(header.len() as u32).to_le_bytes(), &header].concat();
    for (before, limit) in [(start, HEADER), (to_block, BLOCK)] {
        for length in [limit as u32 + 1, u32::MAX] {
            let bytes = [&before[..], &length.to_le_bytes()].concat();
            // An endless file: who believed the length would read it.
            let refused = Frame::read(bytes.chain(io::repeat(0))).err();
            assert!(matches!(refused, Some(Refused::Damaged { what }) if what.contains("longer")));
        }
    }
}

#[test]
fn what_only_the_checksum_vouches_for_is_refused() {
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
        let place = Place::with(&routes);
        prop_assert_eq!(owned(&place.read().expect("readable").expect("there")), routes);
    }

    #[test]
    fn no_damage_yields_other_routes(
        routes in routes(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let mut bytes = Place::with(&routes).bytes();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
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
        // Nothing but its content may be wrong with this one.
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
