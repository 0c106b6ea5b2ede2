//! Starts the real binary on an application in a temporary folder, and talks to it as clients do.

pub mod cases;
pub mod client;
pub mod guest;
pub mod mqtt;
pub mod npm;
pub mod origin;
pub mod python;
pub mod socket;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything may take that a test waits for.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The application that most tests serve.
pub const DOGS: &[(&str, &str)] = &[
    (
        "config.yaml",
        "rest: true\ngraphqlSchema:\n  files: schema.graphql\nstatic:\n  files: web/**\n",
    ),
    (
        "schema.graphql",
        "type Dog @table @export {\n  id: ID @primaryKey\n  name: String @indexed\n  age: Int\n  \
         breed: String\n}\n",
    ),
    ("web/index.html", "<h1>Dogs</h1>"),
    ("web/sub/index.html", "<h1>Sub</h1>"),
];

/// What a server has printed so far.
#[derive(Clone, Default)]
pub struct Output(Arc<(Mutex<String>, Condvar)>);

impl Output {
    fn follow(&self, stream: impl std::io::Read + Send + 'static) {
        let output = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                output.0.0.lock().unwrap().push_str(&(line + "\n"));
                output.0.1.notify_all();
            }
        });
    }

    pub fn text(&self) -> String {
        self.0.0.lock().unwrap().clone()
    }

    /// Waits until something that contains `wanted` is printed; the line.
    pub fn wait_for(&self, wanted: &str) -> String {
        self.wait_for_count(wanted, 1)
    }

    /// Waits until `count` lines contain `wanted`; the last of them.
    pub fn wait_for_count(&self, wanted: &str, count: usize) -> String {
        let deadline = Instant::now() + DEADLINE;
        let mut text = self.0.0.lock().unwrap();
        loop {
            let mut found = text.lines().filter(|line| line.contains(wanted));
            if let Some(line) = found.nth(count - 1) {
                return line.to_owned();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // The guard goes first: the thread that follows the output must not be poisoned by this.
                let shown = text.clone();
                drop(text);
                panic!("no line {count} with {wanted:?} in:\n{shown}");
            }
            text = self.0.1.wait_timeout(text, left).unwrap().0;
        }
    }
}

/// An application's folder and the data beside it.
pub struct App {
    folder: TempDir,
}

impl App {
    pub fn new(files: &[(&str, &str)]) -> App {
        let app = App { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(app.directory()).unwrap();
        for (name, text) in files {
            app.write(name, text);
        }
        app
    }

    pub fn directory(&self) -> PathBuf {
        self.folder.path().join("app")
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Writes a file as editors do: beside it, then in its place.
    pub fn write(&self, name: &str, text: &str) {
        self.write_bytes(name, text.as_bytes());
    }

    pub fn write_bytes(&self, name: &str, bytes: &[u8]) {
        let path = self.directory().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let beside = path.with_extension("tmp");
        std::fs::write(&beside, bytes).unwrap();
        std::fs::rename(beside, path).unwrap();
    }

    pub fn run(&self) -> Server {
        Server::start(&["run"], &self.directory(), &self.data())
    }

    /// With `threads` workers.
    pub fn run_on(&self, threads: usize) -> Server {
        Server::start_on(threads, &["run"], &self.directory(), &self.data())
    }

    pub fn dev(&self) -> Server {
        Server::start(&["dev"], &self.directory(), &self.data())
    }
}

/// The administrator of every server that a test starts, and the password.
pub const ADMINISTRATOR: (&str, &str) = ("admin", "the secret of admin");

/// The command of the binary under test.
pub fn kora() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kora"));
    command.env_remove("RUST_LOG");
    command.env("HDB_ADMIN_USERNAME", ADMINISTRATOR.0).env("HDB_ADMIN_PASSWORD", ADMINISTRATOR.1);
    command
}

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// Where it speaks MQTT over TCP.
    pub mqtt: SocketAddr,
    pub stdout: Output,
    pub stderr: Output,
}

impl Server {
    pub fn start(arguments: &[&str], directory: &Path, data: &Path) -> Server {
        Server::start_on(1, arguments, directory, data)
    }

    pub fn start_on(threads: usize, arguments: &[&str], directory: &Path, data: &Path) -> Server {
        Server::start_command(kora(), threads, arguments, directory, data)
    }

    /// With an environment of its own.
    pub fn start_command(
        mut command: Command,
        threads: usize,
        arguments: &[&str],
        directory: &Path,
        data: &Path,
    ) -> Server {
        command
            .args(arguments)
            .arg(directory)
            .args(["--port", "0", "--threads", &threads.to_string(), "--data"])
            .arg(data);
        Server::spawn(command)
    }

    /// Starts a command that serves, and waits until it does.
    pub fn spawn(mut command: Command) -> Server {
        command.env("MQTT_NETWORK_PORT", "0");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, stderr) = (Output::default(), Output::default());
        stdout.follow(child.stdout.take().unwrap());
        stderr.follow(child.stderr.take().unwrap());
        let started = stdout.wait_for("successfully started");
        let (_, after) = started.split_once("http://").unwrap();
        let address = after.split('/').next().unwrap().parse().unwrap();
        let (_, mqtt) = started.split_once("mqtt://").unwrap();
        let mqtt = mqtt.split(')').next().unwrap().parse().unwrap();
        Server { child, address, mqtt, stdout, stderr }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The names of its threads.
    pub fn threads(&self) -> Vec<String> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        // A thread may end while the list is read.
        let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).ok();
        tasks.filter_map(Result::ok).filter_map(name).map(|name| name.trim().to_owned()).collect()
    }

    /// Resident memory in bytes.
    pub fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// Resident memory in bytes without the pages of mapped files, which the system takes back when
    /// it likes.
    pub fn own_memory(&self) -> u64 {
        self.status("RssAnon:")
    }

    fn status(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// SIGKILL: no chance to clean up.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGKILL while others still hold the server.
    pub fn kill_now(&self) {
        self.signal(libc::SIGKILL);
    }

    fn signal(&self, signal: libc::c_int) {
        let pid = libc::pid_t::try_from(self.child.id()).unwrap();
        // SAFETY: the process is our child and not yet waited for, so the id is its.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }

    /// SIGTERM, and how it ended.
    pub fn terminate(mut self) -> ExitStatus {
        self.signal(libc::SIGTERM);
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "does not end after SIGTERM");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- stdout of the server\n{}", self.stdout.text());
            eprintln!("--- stderr of the server\n{}", self.stderr.text());
        }
    }
}

/// A number from the environment, or a small default: for tests that can be made long.
pub fn rounds(variable: &str, default: usize) -> usize {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")),
        Err(_) => default,
    }
}
