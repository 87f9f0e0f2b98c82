//! A real mosquitto in a process of its own, in a directory of its own, on a free port of loopback.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// Where Debian puts programs that it does not expect people to call.
const SBIN: &str = "/usr/sbin";

/// A mosquitto that may be stopped and started again.
#[derive(Debug)]
pub struct Mosquitto {
    dir: TempDir,
    address: SocketAddr,
    child: Option<Child>,
}

impl Mosquitto {
    /// One that lets everybody in, keeps every session, and writes them down when it stops.
    #[must_use]
    pub fn start() -> Self {
        Self::with("allow_anonymous true\n")
    }

    /// One with these lines in its configuration besides its address and its limits; `{dir}` stands for
    /// its directory.
    ///
    /// # Panics
    /// When it is not installed, or does not start.
    #[must_use]
    pub fn with(lines: &str) -> Self {
        Self::prepared(lines, |_| {})
    }

    /// Likewise, after `prepare` has put files into its directory.
    ///
    /// # Panics
    /// When it is not installed, or does not start.
    #[must_use]
    pub fn prepared(lines: &str, prepare: impl FnOnce(&Path)) -> Self {
        let dir = TempDir::new().expect("a directory of the test's own");
        prepare(dir.path());
        // Taken and given back: nobody else asks the system for this one meanwhile.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|at| at.local_addr());
        let address = free.expect("a free port");
        let at = dir.path().display().to_string();
        let mut config = format!("listener {} 127.0.0.1\n", address.port());
        // By itself it drops what it queues above 1000 messages a client.
        config += "max_queued_messages 0\nmax_inflight_messages 1000\n";
        config += "persistence true\nautosave_interval 0\nlog_type all\nlog_dest stderr\n";
        // It gives up root, and then could not write here.
        writeln!(config, "user root\npersistence_location {at}/").expect("a String takes all");
        config += &lines.replace("{dir}", &at);
        fs::write(dir.path().join("mosquitto.conf"), config).expect("the directory takes files");
        let mut mosquitto = Self {
            dir,
            address,
            child: None,
        };
        mosquitto.start_again();
        mosquitto
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts it after a stop, and waits until it serves.
    ///
    /// # Panics
    /// When it ends instead.
    pub fn start_again(&mut self) {
        let mut child = Command::new(program("mosquitto"))
            .arg("-c")
            .arg(self.dir.path().join("mosquitto.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it was found just now");
        let stderr = child.stderr.take().expect("it is piped");
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let mut said = Vec::new();
        let running = lines.by_ref().any(|line| {
            said.push(line);
            said.last().is_some_and(|line| line.ends_with(" running"))
        });
        assert!(running, "mosquitto ended: {said:#?}");
        // It would stand still with a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        self.child = Some(child);
    }

    /// SIGTERM: it writes down what it holds. A kill -9 would lose that: mosquitto acknowledges from
    /// memory.
    ///
    /// # Panics
    /// When it does not run.
    pub fn stop(&mut self) {
        let mut child = self.child.take().expect("it runs");
        let pid = child.id().to_string();
        let sent = Command::new("sh")
            .args(["-c", "kill -TERM \"$0\"", &pid])
            .status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -TERM");
        child.wait().expect("it is our child");
    }

    /// Forgets what it has written down.
    ///
    /// # Panics
    /// When it has written nothing.
    pub fn forget(&self) {
        fs::remove_file(self.dir.path().join("mosquitto.db")).expect("it was written at the stop");
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// A file for `password_file` with one user in it.
///
/// # Panics
/// When mosquitto's tool for it is not installed.
pub fn passwords(file: &Path, name: &str, password: &str) {
    let status = Command::new(program("mosquitto_passwd"))
        .args(["-b", "-c"])
        .arg(file)
        .args([name, password])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "mosquitto_passwd"
    );
}

/// A program of the Debian package mosquitto.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).chain([PathBuf::from(SBIN)]);
    let found = places.find_map(|place| {
        let path = place.join(name);
        match fs::metadata(&path) {
            Ok(_) => Some(path),
            Err(why) if why.kind() == ErrorKind::NotFound => None,
            Err(why) => panic!("{}: {why}", path.display()),
        }
    });
    found.unwrap_or_else(|| {
        panic!("{name} is not installed; on Debian: apt-get update && apt-get install -y mosquitto")
    })
}
