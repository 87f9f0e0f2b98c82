//! The daemon as its users run it: the binary `sluice` as a process of its own, in a directory of
//! its own, on free ports.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

use serde_json::Value;
use tempfile::TempDir;

use crate::PATIENCE;
use crate::api::Api;

/// The configuration that a [`Place`] begins with: the seed home in event mode.
const HOME: &str = include_str!("../../config/home.toml");

/// Where a daemon lives: its configuration and its store.
#[derive(Debug)]
pub struct Place {
    dir: TempDir,
}

/// A daemon that has not said yet that it is ready.
#[derive(Debug)]
pub struct Starting {
    process: Process,
}

/// A daemon that serves.
#[derive(Debug)]
pub struct Daemon {
    process: Process,
    /// Where it listens for MQTT.
    pub mqtt: SocketAddr,
    /// Where it listens for MQTT over TLS, if it does.
    pub tls: Option<SocketAddr>,
    /// Where it listens for MQTT over WebSocket, if it does.
    pub websocket: Option<SocketAddr>,
    /// Where it answers.
    pub api: Api,
}

/// The memory of a process, while it lives.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pid: u32,
}

impl Memory {
    /// What of it is in RAM.
    ///
    /// # Panics
    /// When the process has ended.
    #[must_use]
    pub fn resident_bytes(self) -> u64 {
        let path = format!("/proc/{}/status", self.pid);
        let status = fs::read_to_string(&path).unwrap_or_else(|why| panic!("{path}: {why}"));
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kb = resident.and_then(|text| text.trim().strip_suffix(" kB"));
        let kb: Option<u64> = kb.and_then(|kb| kb.trim().parse().ok());
        kb.expect("Linux says how much is resident") * 1024
    }
}

/// A child that does not outlive its test.
#[derive(Debug)]
struct Process {
    child: Child,
    log: Receiver<String>,
    said: Vec<String>,
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

impl Place {
    /// The seed home in event mode, on free ports of loopback.
    ///
    /// # Panics
    /// When `config/home.toml` no longer says what is changed here.
    #[must_use]
    pub fn new() -> Self {
        let dir = TempDir::new().expect("a directory of the test's own");
        let path = |name: &str| dir.path().join(name).display().to_string();
        let mut config = HOME.to_owned();
        for (is, becomes) in [
            (
                "path = \"/var/lib/sluice\"",
                format!("path = \"{}\"", path("data")),
            ),
            ("clock = \"wall\"", "clock = \"event\"".to_owned()),
            (
                "listen = \"127.0.0.1:1883\"",
                "listen = \"127.0.0.1:0\"".to_owned(),
            ),
            (
                "listen = \"127.0.0.1:8080\"",
                "listen = \"127.0.0.1:0\"".to_owned(),
            ),
        ] {
            assert!(config.contains(is), "config/home.toml says {is}");
            config = config.replacen(is, &becomes, 1);
        }
        config += &format!("\n[control]\nsocket = \"{}\"\n", path("socket"));
        let place = Self { dir };
        place.configure(&config);
        place
    }

    /// Has the store kept in another directory.
    ///
    /// # Panics
    /// When the configuration no longer says where it is kept.
    pub fn keep_in(&self, directory: &Path) {
        let config = fs::read_to_string(self.config()).expect("there is one");
        let (is, becomes) = (self.data(), directory.display());
        let is = format!("path = \"{}\"", is.display());
        assert!(config.contains(&is), "the configuration says {is}");
        self.configure(&config.replacen(&is, &format!("path = \"{becomes}\""), 1));
    }

    /// Writes another configuration.
    pub fn configure(&self, config: &str) {
        fs::write(self.config(), config).expect("the test's directory takes files");
    }

    /// Adds keys to a section that the configuration has.
    ///
    /// # Panics
    /// When it has no such section.
    pub fn add(&self, section: &str, keys: &str) {
        let config = fs::read_to_string(self.config()).expect("it was written here");
        let head = format!("\n[{section}]\n");
        assert!(config.contains(&head), "the configuration has [{section}]");
        self.configure(&config.replacen(&head, &format!("{head}{keys}\n"), 1));
    }

    /// Writes a file beside the configuration, and says where it is.
    #[must_use]
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, text).expect("the test's directory takes files");
        path
    }

    /// The configuration's file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.dir.path().join("sluice.toml")
    }

    /// The directory of the store.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Starts the daemon and waits until it serves.
    #[must_use]
    pub fn start(&self) -> Daemon {
        self.spawn().ready()
    }

    /// Starts the daemon.
    ///
    /// # Panics
    /// When there is no binary to start.
    #[must_use]
    pub fn spawn(&self) -> Starting {
        let mut child = self
            .command(&["run", "--log", "info", "--log-format", "json"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary was built just now");
        let stderr = child.stderr.take().expect("it is piped");
        let (say, log) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(stderr).lines().map_while(Result::ok);
            for line in lines {
                if say.send(line).is_err() {
                    break;
                }
            }
        });
        Starting {
            process: Process {
                child,
                log,
                said: Vec::new(),
            },
        }
    }

    /// Runs another command to its end.
    ///
    /// # Panics
    /// When there is no binary to start.
    #[must_use]
    pub fn sluice(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).stdin(Stdio::null()).output();
        output.expect("the binary was built just now")
    }

    /// The same, with something to read on standard input.
    ///
    /// # Panics
    /// When there is no binary to start, or it reads nothing.
    #[must_use]
    pub fn sluice_reads(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary was built just now");
        let stdin = child.stdin.take();
        let written = stdin.expect("it is piped").write_all(input.as_bytes());
        written.expect("it reads");
        child.wait_with_output().expect("it is our child")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(arguments)
            .arg("--config")
            .arg(self.config())
            .current_dir(self.dir.path())
            .env_remove("SLUICE_CONFIG")
            .env_remove("RUST_LOG");
        command
    }
}

impl Starting {
    /// Waits until it serves.
    ///
    /// # Panics
    /// When it ends instead.
    #[must_use]
    pub fn ready(mut self) -> Daemon {
        loop {
            let Some(line) = self.process.next_line() else {
                panic!("the daemon ended: {:#?}", self.process.said)
            };
            let line: Value = serde_json::from_str(&line).unwrap_or_default();
            let fields = &line["fields"];
            if fields["message"] == "ready" {
                let address = |of: &str| -> Option<SocketAddr> {
                    let text = fields[of].as_str()?;
                    Some(text.parse().expect("an address and a port"))
                };
                let always = |of: &str| address(of).expect("it says where it listens");
                return Daemon {
                    mqtt: always("mqtt"),
                    tls: address("tls"),
                    websocket: address("websocket"),
                    api: Api::at(always("http")),
                    process: self.process,
                };
            }
        }
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.process.kill();
    }
}

impl Daemon {
    /// Its memory.
    #[must_use]
    pub fn memory(&self) -> Memory {
        Memory {
            pid: self.process.child.id(),
        }
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.process.kill();
    }

    /// Waits until it serves again, after it began anew by itself.
    #[must_use]
    pub fn begun_anew(self) -> Self {
        let process = self.process;
        Starting { process }.ready()
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// SIGHUP: it reads its configuration again.
    pub fn reload(&self) {
        self.signal("HUP");
    }

    /// Waits until its log says these words, and returns the line.
    ///
    /// # Panics
    /// When it ends instead.
    pub fn says(&mut self, words: &str) -> String {
        loop {
            match self.process.next_line() {
                Some(line) if line.contains(words) => return line,
                Some(_) => {}
                None => panic!("the daemon ended: {:#?}", self.process.said),
            }
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.process.child.id().to_string();
        let sent = Command::new("sh")
            .args(["-c", "kill -\"$1\" \"$0\"", &pid, name])
            .status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -{name}");
    }

    /// Waits until it has ended by itself; every line that it has logged.
    #[must_use]
    pub fn ended_saying(mut self) -> Vec<String> {
        while self.process.next_line().is_some() {}
        std::mem::take(&mut self.process.said)
    }

    /// Waits until it has ended by itself.
    #[must_use]
    pub fn ended(mut self) -> ExitStatus {
        while self.process.next_line().is_some() {}
        self.process.child.wait().expect("it is our child")
    }
}

impl Process {
    /// The next line of its log; none when it has ended.
    fn next_line(&mut self) -> Option<String> {
        match self.log.recv_timeout(PATIENCE) {
            Ok(line) => {
                self.said.push(line.clone());
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("the daemon says nothing more: {:#?}", self.said)
            }
        }
    }

    fn kill(&mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended long ago.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Builds `sluice` once, in the profile of the test that asks, and says where it is.
fn binary() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        // target/<profile>/deps/<test>
        let test = env::current_exe().expect("a test knows its executable");
        let profile = test.ancestors().nth(2).expect("cargo's directories");
        let target = profile.parent().expect("cargo's directories");
        let name = profile.file_name().expect("cargo's directories");
        let name = match name.to_str() {
            Some("debug") | None => "dev",
            Some(other) => other,
        };
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        // What cargo tells this test of itself would make build scripts run again that ask for it,
        // and everything after them be built again.
        for (name, _) in env::vars_os() {
            let told = ["CARGO_PKG_", "CARGO_MANIFEST_"];
            if told
                .iter()
                .any(|prefix| name.to_string_lossy().starts_with(prefix))
            {
                build.env_remove(name);
            }
        }
        let built = build
            .args(["build", "--quiet", "-p", "gateway", "--bin", "sluice"])
            .args(["--profile", name, "--target-dir"])
            .arg(target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(
            built.is_ok_and(|status| status.success()),
            "cargo build -p gateway --bin sluice"
        );
        profile.join("sluice")
    })
}
