//! A disk of a few megabytes that a test may fill: a tmpfs in a mount namespace of its own, which
//! goes with the process that holds it, however that ends.
//!
//! Needs root, or a system where users may have namespaces; and `unshare` and `mount` (util-linux).

use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use tempfile::TempDir;

/// What fills the rest.
const FILLER: &str = "filler";

/// A disk that is there for as long as this.
#[derive(Debug)]
pub struct Disk {
    keeper: Child,
    /// When it closes, the keeper ends.
    _held: Option<ChildStdin>,
    path: PathBuf,
    _mount_point: TempDir,
}

impl Disk {
    /// A new and empty one.
    ///
    /// # Panics
    /// When it cannot be had: a test that needs it must not pass without.
    #[must_use]
    pub fn of_mib(mib: u32) -> Self {
        let mount_point = TempDir::new().expect("a directory of the test's own");
        let as_root: &[&str] = &["--mount"];
        let as_user: &[&str] = &["--user", "--map-root-user", "--mount"];
        let mut tried = [as_root, as_user]
            .into_iter()
            .map(|how| mount(how, mib, mount_point.path()));
        let (mut keeper, outside) = tried
            .find_map(Result::ok)
            .expect("a tmpfs needs root, or `unshare --user`: neither is to be had here");
        let held = keeper.stdin.take();
        Self {
            keeper,
            _held: held,
            path: outside,
            _mount_point: mount_point,
        }
    }

    /// The directory that is on it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Fills it to the last byte.
    ///
    /// # Panics
    /// When it cannot be written for another reason.
    pub fn fill(&self) {
        let mut filler = File::options()
            .create(true)
            .append(true)
            .open(self.path.join(FILLER))
            .expect("it takes files");
        for chunk in [1 << 16, 1 << 12, 1] {
            let zeros = vec![0; chunk];
            loop {
                match filler.write(&zeros) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    /// Makes the room again that [`fill`](Self::fill) took.
    ///
    /// # Panics
    /// When it was not filled.
    pub fn clear(&self) {
        fs::remove_file(self.path.join(FILLER)).expect("it was filled");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.keeper.kill());
        drop(self.keeper.wait());
    }
}

/// Mounts it; gives the process that holds it, and where it is seen from outside.
fn mount(unshare: &[&str], mib: u32, at: &Path) -> Result<(Child, PathBuf), String> {
    const SCRIPT: &str =
        r#"mount -t tmpfs -o "size=$1m" tmpfs "$0" && echo mounted && exec cat >/dev/null"#;
    let mut keeper = Command::new("unshare")
        .args(unshare)
        .args(["sh", "-c", SCRIPT])
        .arg(at)
        .arg(mib.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|why| format!("unshare: {why}"))?;
    let said = keeper.stdout.take().expect("it is piped");
    let mut line = String::new();
    let heard = BufReader::new(said).read_line(&mut line);
    if heard.is_err() || line.trim() != "mounted" {
        drop(keeper.kill());
        drop(keeper.wait());
        return Err("it did not mount".to_owned());
    }
    let inside = at.strip_prefix("/").expect("an absolute path");
    let outside = Path::new("/proc").join(keeper.id().to_string());
    Ok((keeper, outside.join("root").join(inside)))
}
