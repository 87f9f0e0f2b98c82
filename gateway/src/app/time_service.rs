//! Learns that a time service has set the clock, which need not make it jump. Sets no clock, and
//! decides nothing: what the answer is worth, `clock` knows.

use super::stopped;
use crate::clock::{Clock, Trust, TrustRule};
use crate::config::{ClockMode, Config};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often the machine's time service is asked until it has set the clock.
const ASK_AGAIN: Duration = Duration::from_secs(15);

/// Asks until it has, or until the gateway stops.
pub(super) async fn ask(clock: Clock, config: Arc<Config>, stop: watch::Receiver<bool>) {
    match (config.time.clock, config.time.trust) {
        (ClockMode::Wall, TrustRule::Auto | TrustRule::Kernel) => {}
        (ClockMode::Wall, TrustRule::Always) | (ClockMode::Event, _) => return,
    }
    tokio::select! {
        () = until_it_says_yes(clock) => {}
        () = stopped(stop) => {}
    }
}

async fn until_it_says_yes(clock: Clock) {
    loop {
        // Who is trusted for another reason need not wake anybody.
        if clock.trust() == Trust::Unknown {
            let asking = clock.clone();
            let asked = tokio::task::spawn_blocking(move || asking.ask_time_service());
            if asked.await.unwrap_or(true) {
                return;
            }
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}
