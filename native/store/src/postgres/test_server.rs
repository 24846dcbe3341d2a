//! A throw-away PostgreSQL server for tests.
//!
//! A server has a new cluster in a temporary folder. It listens on 127.0.0.1 at a free port and on a Unix socket in that
//! folder, and requires no password unless a test provides a `pg_hba.conf`. Its superuser is `postgres`. When it is
//! dropped, the server ends and the folder is deleted.
//!
//! `initdb` and `postgres` have to be in `PATH` or in `/usr/lib/postgresql/*/bin`. PostgreSQL refuses to run as root, so
//! a test that runs as root starts them as the user `postgres`.

pub(crate) mod authority;

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The time-out of a server's start.
const START_LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct TestServer {
    process: Child,
    port: u16,
    folder: TempDir,
}

impl TestServer {
    /// Starts a server with these settings (`name=value`).
    pub(crate) fn start(settings: &[&str]) -> TestServer {
        TestServer::start_with_files(settings, &[])
    }

    /// Starts a server that has these files (name and contents) in its data folder.
    pub(crate) fn start_with_files(settings: &[&str], files: &[(&str, &str)]) -> TestServer {
        TestServer::start_with_environment(settings, files, &[])
    }

    /// The same with more variables in the server's environment. `{data}` in a value is the data folder.
    pub(crate) fn start_with_environment(
        settings: &[&str],
        files: &[(&str, &str)],
        environment: &[(&str, &str)],
    ) -> TestServer {
        let owner = Owner::of_servers();
        let folder = tempfile::tempdir().unwrap();
        owner.give(folder.path());
        let data = folder.path().join("data");
        let status = owner
            .command("initdb")
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"])
            .args(["--no-sync", "--no-instructions", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "initdb: {status}");
        for (name, contents) in files {
            let path = data.join(name);
            fs::write(&path, contents).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            owner.give(&path);
        }
        let environment: Vec<_> = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.replace("{data}", &data.display().to_string())))
            .collect();
        loop {
            // Another process may take the port before the server does.
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if let Some(process) = launch(&owner, folder.path(), port, settings, &environment) {
                return TestServer { process, port, folder };
            }
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Replaces files in the data folder, and waits until the server has read its configuration again.
    pub(crate) fn replace_files(&self, files: &[(&str, &str)]) {
        let owner = Owner::of_servers();
        for (name, contents) in files {
            let path = self.folder.path().join("data").join(name);
            fs::write(&path, contents).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            owner.give(&path);
        }
        let read = |log: &str| log.matches("received SIGHUP").count();
        let before = self.log();
        let asked = Command::new("kill").args(["-HUP", &self.process.id().to_string()]).status();
        assert!(asked.is_ok_and(|status| status.success()));
        let deadline = Instant::now() + START_LIMIT;
        // The postmaster reads its files after this message, and before it accepts another connection.
        while read(&self.log()) == read(&before) {
            assert!(Instant::now() < deadline, "the server does not read its configuration");
            sleep(Duration::from_millis(2));
        }
    }

    /// The server's log.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.path().join("log")).unwrap()).into_owned()
    }

    /// The folder of the Unix socket.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // SIGQUIT is an immediate shutdown that leaves no shared memory behind.
        let pid = self.process.id().to_string();
        let asked = Command::new("kill").args(["-QUIT", &pid]).status();
        if !asked.is_ok_and(|status| status.success()) {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

/// Starts the server and waits until it accepts connections; `None` if its port is in use.
fn launch(
    owner: &Owner,
    folder: &Path,
    port: u16,
    settings: &[&str],
    environment: &[(String, String)],
) -> Option<Child> {
    let (data, log) = (folder.join("data"), folder.join("log"));
    let _ = fs::remove_file(data.join("postmaster.pid"));
    let mut process = owner
        .command("postgres")
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .arg("-D")
        .arg(&data)
        .arg("-k")
        .arg(folder)
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-c", "fsync=off"])
        .args(settings.iter().flat_map(|setting| ["-c", *setting]))
        .stdout(Stdio::null())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + START_LIMIT;
    loop {
        // Like pg_ctl: the eighth line is the server's state.
        let state = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
        if state.lines().nth(7).is_some_and(|state| state.trim() == "ready") {
            return Some(process);
        }
        let ended = process.try_wait().unwrap();
        if ended.is_some() || Instant::now() > deadline {
            let _ = process.kill();
            let _ = process.wait();
            let log = fs::read_to_string(&log).unwrap();
            assert!(log.contains("Address already in use"), "postgres did not start: {log}");
            return None;
        }
        sleep(Duration::from_millis(10));
    }
}

/// The owner of the server's processes and files.
struct Owner {
    /// The user and group `postgres`, if the test runs as root.
    other: Option<(u32, u32)>,
}

impl Owner {
    fn of_servers() -> Owner {
        let root = id(&["-u"]) == 0;
        Owner { other: root.then(|| (id(&["-u", "postgres"]), id(&["-g", "postgres"]))) }
    }

    fn give(&self, path: &Path) {
        if let Some((user, group)) = self.other {
            chown(path, Some(user), Some(group)).unwrap();
        }
    }

    /// One of PostgreSQL's programs.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(find(program));
        command.current_dir("/");
        if let Some((user, group)) = self.other {
            command.uid(user).gid(group);
        }
        command
    }
}

fn id(arguments: &[&str]) -> u32 {
    let output = Command::new("id").args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

fn find(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let packaged = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut packaged: Vec<_> = packaged.map(|version| version.path().join("bin")).collect();
    packaged.sort_by_key(|folder| folder.parent().and_then(Path::file_name).map(OsStr::len));
    std::env::split_paths(&path)
        .chain(packaged.into_iter().rev())
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{program} is not here: install PostgreSQL's server"))
}
