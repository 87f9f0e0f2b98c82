//! A gateway within the test, on free ports, with a store that goes with it.

use std::net::SocketAddr;
use std::path::Path;

use gateway::app::{App, Running};
use gateway::clock::Clock;
use gateway::config::{ClockMode, Config};
use tempfile::TempDir;
use world::api::Api;

/// Whatever tells this store from another: nobody looks at it here.
const GENERATION: u64 = 1;

pub(crate) struct House {
    pub(crate) mqtt: SocketAddr,
    pub(crate) api: Api,
    running: Running,
    dir: TempDir,
}

impl House {
    /// The seed home in event mode, adjusted.
    #[allow(dead_code, reason = "tests of the clock have one of their own")]
    pub(crate) async fn with(adjust: impl FnOnce(&mut Config)) -> Self {
        let dir = TempDir::new().expect("a directory of the test's own");
        Self::on(dir, Clock::machine(), adjust).await
    }

    /// The same by another clock, in a directory that may hold a store.
    #[allow(dead_code, reason = "only tests of the clock have one of their own")]
    pub(crate) async fn on(dir: TempDir, clock: Clock, adjust: impl FnOnce(&mut Config)) -> Self {
        let mut config = seed_home(dir.path());
        adjust(&mut config);
        let app = App::build(config, clock, GENERATION).await;
        let running = app.and_then(App::start).expect("nothing is in its way");
        let at = running.addresses();
        Self {
            mqtt: at.mqtt.expect("it is not switched off"),
            api: Api::at(at.http),
            running,
            dir,
        }
    }

    /// Stops it, and leaves the directory.
    pub(crate) async fn stop(self) -> TempDir {
        self.running.stop().await.expect("it drains and seals");
        self.dir
    }
}

fn seed_home(dir: &Path) -> Config {
    let mut config = Config::home();
    dir.clone_into(&mut config.store.path);
    config.time.clock = ClockMode::Event;
    config.web.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.broker.listen = Some(config.web.listen);
    config
}
