//! How a command ends: what scripts see as a number and people as a sentence.

use std::fmt;
use std::io;
use std::process::ExitCode;

/// The exit codes of the contract, apart from success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It was tried and failed.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// No daemon answers, and the store cannot be read in its stead.
    NoDaemon,
    /// The configuration is wrong.
    Configuration,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::NoDaemon => 3,
            Exit::Configuration => 78,
        })
    }
}

/// A command that did not do what it was asked, and why. Any error becomes one with `?`.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    why: anyhow::Error,
}

/// What a command comes to.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure that scripts can tell from others.
    pub fn new(exit: Exit, why: impl Into<anyhow::Error>) -> Self {
        Self {
            exit,
            why: why.into(),
        }
    }

    /// The number for scripts.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// Whether the reader of the output has left, as `head` does: nobody is left to tell.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        let causes = self
            .why
            .chain()
            .filter_map(|cause| cause.downcast_ref::<io::Error>());
        causes
            .into_iter()
            .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(why: E) -> Self {
        Self::new(Exit::Failed, why)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.why)
    }
}
