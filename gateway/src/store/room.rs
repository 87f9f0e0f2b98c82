//! How much room the disk of the store has, and when that is little.
//!
//! Looks and judges; makes no room and refuses nothing.

use std::io;
use std::path::Path;

/// Below this the disk is low: there is time to do something about it.
const LOW_BYTES: u64 = 256 << 20;
/// Below this it is scarce: a home fills it within weeks, a backlog within minutes.
const SCARCE_BYTES: u64 = 64 << 20;
/// A level is left for a better one only when there is a quarter more than its threshold.
const CLEARLY: u64 = 4;

/// The room on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes that we may still write.
    pub free_bytes: u64,
    /// Bytes that the disk has in all.
    pub total_bytes: u64,
}

/// How much room that is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Enough.
    #[default]
    Ample,
    /// Below 256 MiB.
    Low,
    /// Below 64 MiB.
    Scarce,
}

impl Room {
    /// Of the disk that `dir` is on.
    pub(super) fn of(dir: &Path) -> io::Result<Self> {
        let disk = rustix::fs::statvfs(dir)?;
        Ok(Self {
            free_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
            total_bytes: disk.f_blocks.saturating_mul(disk.f_frsize),
        })
    }

    /// How much it is for who called it `before`: it is not called more at every block that
    /// comes and goes.
    #[must_use]
    pub fn level(self, before: Level) -> Level {
        let now = Level::of(self.free_bytes);
        if now < before {
            Level::of(self.free_bytes - self.free_bytes / (CLEARLY + 1)).min(before)
        } else {
            now
        }
    }
}

impl Level {
    fn of(free_bytes: u64) -> Self {
        match free_bytes {
            SCARCE_BYTES.. if free_bytes >= LOW_BYTES => Self::Ample,
            SCARCE_BYTES.. => Self::Low,
            _ => Self::Scarce,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_entered_at_its_threshold_and_left_a_quarter_above_it() {
        const MIB: u64 = 1 << 20;
        let mut level = Level::default();
        for (free_mib, expected) in [
            (300, Level::Ample),
            (256, Level::Ample),
            (255, Level::Low),
            (300, Level::Low),
            (319, Level::Low),
            (320, Level::Ample),
            (63, Level::Scarce),
            (79, Level::Scarce),
            (80, Level::Low),
            (64, Level::Low),
            (0, Level::Scarce),
            (400, Level::Ample),
        ] {
            let room = Room {
                free_bytes: free_mib * MIB,
                total_bytes: 1 << 30,
            };
            level = room.level(level);
            assert_eq!(level, expected, "{free_mib} MiB");
        }
    }

    #[test]
    fn a_disk_tells_its_room() {
        let room = Room::of(&std::env::temp_dir()).expect("it has a disk");
        assert!(room.free_bytes <= room.total_bytes && room.total_bytes > 0);
    }
}
