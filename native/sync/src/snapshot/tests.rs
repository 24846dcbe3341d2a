use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use domain_core::DomainName;
use tempfile::TempDir;

use super::reader::Frame;
use super::writer::Written;
use super::*;

mod damage;

const DATABASE: &str = "postgres://db/domains";
const HOUR: Duration = Duration::from_secs(60 * 60);
const HOST_TYPES: [&str; 2] = ["one", "two"];

/// A state: a cursor and gaps.
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

/// A directory for one snapshot.
struct TestFile {
    directory: TempDir,
    file: PathBuf,
}

impl TestFile {
    fn new() -> TestFile {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("routes");
        TestFile { directory, file }
    }

    /// A directory with a snapshot of `routes`.
    fn with(routes: &[Owned]) -> TestFile {
        let test_file = TestFile::new();
        test_file.write(routes).expect("a snapshot");
        test_file
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

    /// Asserts that there is a snapshot of these routes and no other file.
    fn is_unchanged(&self, routes: &[Owned]) {
        assert_eq!(self.files(), ["routes"]);
        assert_eq!(owned(&self.read().expect("readable").expect("there")), routes);
    }
}

fn owned<S>(snapshot: &Snapshot<S>) -> Vec<Owned> {
    let routes: Vec<Owned> =
        snapshot.routes.iter().map(|Route { name, host_type, origin }| (name.to_vec(), host_type, origin)).collect();
    routes
}

fn full() -> BufWriter<File> {
    BufWriter::new(File::options().write(true).open("/dev/full").expect("a full disk"))
}

#[test]
fn what_was_written_is_read() {
    let test_file = TestFile::new();
    let before = SystemTime::now() - Duration::from_millis(1);
    let written = test_file.write(&some()).expect("a snapshot");
    let snapshot = test_file.read().expect("readable").expect("there");
    assert_eq!(snapshot.state, state());
    assert_eq!(snapshot.host_types, HOST_TYPES);
    assert!(before <= snapshot.written && snapshot.written <= SystemTime::now());
    assert_eq!(owned(&snapshot), some());
    assert_eq!(written, Written { routes: 3, bytes: test_file.bytes().len() as u64 });
}

#[test]
fn routes_of_many_blocks_are_read() {
    let routes: Vec<Owned> =
        (0..20_000).map(|n| (format!("{n}.example").into_bytes(), n % 2, Origin::Current)).collect();
    let test_file = TestFile::with(&routes);
    assert!(test_file.bytes().len() > 3 * MAX_BLOCK);
    test_file.is_unchanged(&routes);
}

#[test]
fn a_block_may_be_full_to_the_last_byte() {
    let per_block = MAX_BLOCK / 64;
    let routes: Vec<Owned> =
        (0..2 * per_block).map(|n| (format!("{n:060}").into_bytes(), 0, Origin::Current)).collect();
    let test_file = TestFile::with(&routes);
    let frame = Frame::read(&test_file.bytes()[..]).expect("a frame");
    assert_eq!(frame.blocks.iter().map(|block| block.len()).collect::<Vec<_>>(), [MAX_BLOCK, MAX_BLOCK]);
    test_file.is_unchanged(&routes);
}

#[test]
fn a_snapshot_may_have_no_routes() {
    TestFile::with(&[]).is_unchanged(&[]);
}

#[test]
fn no_file_is_no_failure() {
    assert!(matches!(TestFile::new().read(), Ok(None)));
}

#[test]
fn a_file_is_its_owners_alone() {
    let test_file = TestFile::with(&some());
    assert_eq!(fs::metadata(&test_file.file).expect("a file").permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_new_snapshot_replaces_the_old_one() {
    let test_file = TestFile::with(&some());
    test_file.write(&some()[..1]).expect("a snapshot");
    test_file.is_unchanged(&some()[..1]);
}

#[test]
fn what_a_crash_left_is_overwritten_and_a_link_there_is_not_followed() {
    let test_file = TestFile::with(&some());
    let new_file = test_file.file.with_added_extension("new");
    fs::write(&new_file, vec![b'x'; 10_000]).expect("a leftover");
    test_file.write(&some()[..1]).expect("a snapshot");
    test_file.is_unchanged(&some()[..1]);
    std::os::unix::fs::symlink(&test_file.file, &new_file).expect("a link");
    drop(test_file.writer());
    test_file.is_unchanged(&some()[..1]);
}

#[test]
fn a_writer_that_is_dropped_leaves_nothing_behind() {
    let test_file = TestFile::with(&some());
    let mut writer = test_file.writer();
    writer.push(Route { name: b"c.example", host_type: 0, origin: Origin::Current }).expect("a route");
    drop(writer);
    test_file.is_unchanged(&some());
}

#[test]
fn a_full_disk_costs_the_new_snapshot_alone() {
    let test_file = TestFile::with(&some());
    let mut writer = test_file.writer();
    writer.out = full();
    assert_eq!(writer.finish().expect_err("full").kind(), ErrorKind::StorageFull);
    test_file.is_unchanged(&some());

    let mut writer = test_file.writer();
    writer.out = full();
    let name = [b'x'; DomainName::MAX_BYTES];
    let route = Route { name: &name, host_type: 0, origin: Origin::Current };
    let failed = (0..MAX_BLOCK).find_map(|_| writer.push(route).err()).expect("full");
    assert_eq!(failed.kind(), ErrorKind::StorageFull);
    drop(writer);
    test_file.is_unchanged(&some());
}

#[test]
fn a_snapshot_that_lost_bytes_does_not_replace_the_old_one() {
    let test_file = TestFile::with(&some());
    let mut writer = test_file.writer();
    writer.out = full();
    for (name, host_type, origin) in some() {
        writer.push(Route { name: &name, host_type, origin }).expect("a route");
    }
    writer.end_block().expect("room in a buffer");
    writer.out.flush().expect_err("full");
    let new_file = test_file.file.with_added_extension("new");
    writer.out = BufWriter::new(File::options().write(true).open(new_file).expect("a file"));
    writer.finish().expect_err("lost bytes");
    test_file.is_unchanged(&some());
}

#[test]
fn a_directory_that_is_not_there_or_in_the_way_is_an_error_that_leaves_nothing() {
    let test_file = TestFile::new();
    let nowhere = test_file.directory.path().join("nowhere").join("routes");
    assert!(Writer::create(&nowhere, DATABASE, &state(), &HOST_TYPES).is_err());
    fs::create_dir(&test_file.file).expect("a directory");
    assert!(test_file.write(&some()).is_err());
    assert_eq!(test_file.files(), ["routes"]);
    assert!(matches!(test_file.read(), Err(Refused::NotASnapshot)));
}

#[test]
fn a_route_that_could_not_be_read_is_not_written() {
    let mut writer = TestFile::new().writer();
    for (name, host_type) in [(&b""[..], 0), (&[b'x'; DomainName::MAX_BYTES + 1], 0), (b"c.example", 2)] {
        let refused = writer.push(Route { name, host_type, origin: Origin::Current });
        assert_eq!(refused.expect_err("invalid").kind(), ErrorKind::InvalidInput);
    }
}
