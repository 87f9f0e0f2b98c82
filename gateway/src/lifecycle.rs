//! What the world asks of a running daemon (to stop, or to read its configuration again), and what the
//! daemon asks of the system before it runs.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To drain and stop: SIGTERM or SIGINT.
    Stop,
    /// To read the configuration again: SIGHUP.
    Reload,
}

/// Listens for signals from the moment it is made.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Must be called within a tokio runtime.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next thing that is asked. Cancel safe.
    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }
}

/// Files that a daemon has open besides its connections: the store, listeners, web clients, pipes.
const FILES_BESIDES: u64 = 256;

/// Asks the system to let us have a connection for everybody whom the configuration lets in: a shell
/// begins with 1024 files. Where the hard limit is lower, says so: the last ones would not be accepted.
pub fn open_files(connections: usize) {
    let wanted = connections as u64 + FILES_BESIDES;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return;
    }
    let allowed = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let limit = Rlimit {
        current: Some(allowed),
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, wanted, "the limit of open files could not be raised");
    } else if allowed < wanted {
        tracing::warn!(
            allowed,
            wanted,
            "the system lets this daemon open fewer files than [broker] max_connections needs: raise its hard \
             limit (`ulimit -Hn`, LimitNOFILE= of a unit)"
        );
    }
}
