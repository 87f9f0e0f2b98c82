//! What a machine shows of its clock without being asked as root: files of Linux, read at the start,
//! and a time service's word, asked again until it is given. Everything else is "not known".
//!
//! The kernel's own word (`adjtimex`) has no safe interface; those who do read it keep it here.

use super::trust::Keeper;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// There once systemd-timesyncd has set the clock since the machine started.
const TIMESYNCD: &str = "/run/systemd/timesync/synchronized";
/// The hardware clock, in epoch seconds.
const HARDWARE_CLOCK: &str = "/sys/class/rtc/rtc0/since_epoch";
/// What a board is called.
const BOARD: [&str; 2] = [
    "/proc/device-tree/model",
    "/sys/firmware/devicetree/base/model",
];
/// Also says so where the above is hidden from a container.
const PROCESSOR: &str = "/proc/cpuinfo";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// How far a hardware clock may be from the wall clock and agree with it, in seconds,
const AGREES_S: i64 = 60;
/// where it may keep a local time instead of UTC: zones are quarter hours apart,
const QUARTER_HOUR_S: i64 = 900;
/// and at most so far from UTC.
const FARTHEST_ZONE_S: i64 = 14 * 3600;

/// Whether a time service says that it has set the clock. May wait for another process.
pub(super) fn is_synchronised() -> bool {
    Path::new(TIMESYNCD).exists() || kernel_says_so()
}

/// The same, without waiting.
pub(super) fn is_known_to_be_synchronised() -> bool {
    Path::new(TIMESYNCD).exists()
}

/// `timedatectl` reads `adjtimex`, so it knows of chrony, ntpd and PTP, too.
fn kernel_says_so() -> bool {
    let asked = Command::new("timedatectl")
        .args(["show", "--property=NTPSynchronized", "--value"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    asked.is_ok_and(|answer| answer.stdout.starts_with(b"yes"))
}

/// Who keeps the time while the machine is off.
pub(super) fn keeper(wall_ms: i64) -> Keeper {
    let hardware = read(HARDWARE_CLOCK).and_then(|text| text.trim().parse().ok());
    if hardware.is_some_and(|hardware| agrees(hardware, wall_ms / 1000)) {
        Keeper::HardwareClock
    } else if is_board() {
        Keeper::Nobody
    } else {
        Keeper::Host
    }
}

fn agrees(hardware_s: i64, wall_s: i64) -> bool {
    let apart = hardware_s.abs_diff(wall_s).cast_signed();
    let from_quarter = (apart + AGREES_S).rem_euclid(QUARTER_HOUR_S);
    apart <= FARTHEST_ZONE_S + AGREES_S && from_quarter <= 2 * AGREES_S
}

/// A single-board computer, and not a virtual one.
fn is_board() -> bool {
    let model = BOARD.iter().find_map(|path| read(path)).or_else(|| {
        let processor = read(PROCESSOR)?;
        let line = processor.lines().find(|line| line.starts_with("Model\t"));
        line.map(str::to_owned)
    });
    model.is_some_and(|model| !model.contains("virt"))
}

/// A number that is another one after every start of the machine; `None` where it has none.
pub(super) fn boot_id() -> Option<u128> {
    let digits = read(BOOT_ID)?.trim().replace('-', "");
    u128::from_str_radix(&digits, 16).ok()
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hardware_clock_may_keep_local_time() {
        let noon = 1_780_315_200;
        assert!(agrees(noon + 59, noon));
        assert!(agrees(noon + 3 * 3600 - 30, noon), "Athens in summer");
        assert!(agrees(noon - 5 * 3600 - 1800 + 30, noon), "west of UTC");
        assert!(agrees(noon + 5 * 3600 + 2700, noon), "Nepal");
        assert!(!agrees(noon + 400, noon));
        assert!(!agrees(noon + 86_400, noon));
        assert!(!agrees(946_684_800, noon), "its battery is flat");
    }
}
