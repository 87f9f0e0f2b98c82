//! Who may do what: the users there are, how they prove it, and what each may reach. The broker asks at every
//! CONNECT, gets a permit, and asks no more; whoever fails too often waits.
//!
//! Users are named in the configuration and in the store. What they may reach is spelled in filters, and the
//! topics that are the gateway's own are nobody's, whatever stands there.

mod account;
mod check;
mod directory;
mod filters;
mod gate;
mod password;
mod register;
mod remembered;
mod slow;

pub use account::{Account, Doors, NameError, Origin, user_name};
pub use directory::{Anonymous, Directory};
pub use filters::{Pattern, PatternError};
pub use gate::Gate;
pub use password::{Hash, HashError, Password, PasswordError};
pub use register::{Listed, Register, directory};
