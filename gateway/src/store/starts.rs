//! Starts that came to nothing, counted in a small file beside the store's.
//!
//! A large file is not read whole when it is opened, so a bit that rotted in it may end the process later, in the
//! middle of a write, and again after each restart. A start that reaches neither a seal nor a clean end
//! leaves its mark here; after a few of them in a row the file is read whole, and set aside if it is damaged.
//! Nothing else depends on the count: where it cannot be read or written, it is 0.

use std::fs;
use std::path::Path;

/// The count's file.
const FILE_STARTS: &str = "sluice.starts";

/// Counts this start. Says how many before it came to nothing.
pub(super) fn begin(dir: &Path) -> u32 {
    let path = dir.join(FILE_STARTS);
    let before = fs::read_to_string(&path).ok();
    let before = before.and_then(|text| text.trim().parse::<u32>().ok());
    let before = before.unwrap_or(0);
    // No sync: what matters is the end of the process, not of the machine.
    if let Err(error) = fs::write(&path, format!("{}\n", before.saturating_add(1))) {
        tracing::debug!(%error, path = %path.display(), "this start is not counted");
    }
    before
}

/// This start came to something.
pub(super) fn succeed(dir: &Path) {
    let path = dir.join(FILE_STARTS);
    if let Err(error) = fs::remove_file(&path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::debug!(%error, path = %path.display(), "the count of starts stays");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_count_until_one_comes_to_something() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!((begin(dir.path()), begin(dir.path())), (0, 1));
        succeed(dir.path());
        succeed(dir.path());
        assert_eq!(begin(dir.path()), 0);
        fs::write(dir.path().join(FILE_STARTS), "noise").unwrap();
        assert_eq!((begin(dir.path()), begin(dir.path())), (0, 1));
        assert_eq!(begin(&dir.path().join("nowhere")), 0);
    }
}
