//! Passwords and their hashes: argon2, in the form `$argon2id$v=19$…` that all programs write. Pure, and slow
//! on purpose: never to be called on a thread that serves sockets.

use argon2::password_hash::PasswordHasher;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordVerifier, Version};
use std::fmt;

/// The most memory that one check may take, KiB: whoever writes hashes must not take the machine down.
const MEMORY_MAX_KIB: u32 = 128 << 10;
/// The most work of one check: KiB of memory times passes over it, some ten times what is usual.
const WORK_MAX_KIB: u64 = 512 << 10;
/// The most lanes.
const LANES_MAX: u32 = 16;
/// The longest hash in text, bytes.
const TEXT_MAX: usize = 512;
/// The longest password that is hashed, bytes.
const PASSWORD_MAX: usize = 1024;
/// Bytes of salt in the hashes that we make.
const SALT: usize = 16;

/// The hash of a password, within bounds.
#[derive(Clone, PartialEq, Eq)]
pub struct Hash(Box<str>);

/// Why a text is no hash that we check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Something else, the password itself perhaps: so it is not repeated.
    #[error("is not an argon2 hash")]
    Form,
    /// It would take too long, or too much memory.
    #[error("asks for more than 128 MiB of memory, 512 MiB of passes over it, or 16 lanes")]
    TooCostly,
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Verdict {
    Right,
    Wrong,
}

impl Hash {
    /// Takes a hash of any argon2, if checking it is within bounds.
    ///
    /// # Errors
    /// Says what is wrong, and never repeats the text.
    pub fn parse(text: &str) -> Result<Self, HashError> {
        if text.len() > TEXT_MAX {
            return Err(HashError::Form);
        }
        let parsed = PasswordHash::new(text).map_err(|_| HashError::Form)?;
        Algorithm::try_from(parsed.algorithm.as_str()).map_err(|_| HashError::Form)?;
        let params = Params::try_from(&parsed).map_err(|_| HashError::Form)?;
        if parsed.salt.is_none() || parsed.hash.is_none() {
            return Err(HashError::Form);
        }
        let work = u64::from(params.m_cost()) * u64::from(params.t_cost());
        if params.m_cost() > MEMORY_MAX_KIB || work > WORK_MAX_KIB || params.p_cost() > LANES_MAX {
            return Err(HashError::TooCostly);
        }
        Ok(Self(text.into()))
    }

    /// Hashes a password with a salt of its own: argon2id, 19 MiB, two passes, one lane, as OWASP advises.
    #[must_use]
    pub fn of(password: &Password) -> Self {
        let salt: [u8; SALT] = rand::random();
        let hashed = usual()
            .hash_password_with_salt(&password.0, &salt)
            .expect("19 MiB, this salt and a bounded password are within what argon2 takes");
        Self(hashed.to_string().into())
    }

    /// A hash that no password has, to be checked where there is no user: as much work as for one.
    pub(super) fn of_nobody() -> Self {
        let password: [u8; SALT] = rand::random();
        Self::of(&Password(password.to_vec()))
    }

    /// Whether this is the password. Takes tens to hundreds of milliseconds; the comparison takes the same
    /// time wherever they differ.
    pub(super) fn check(&self, password: &[u8]) -> Verdict {
        if password.len() > PASSWORD_MAX {
            return Verdict::Wrong;
        }
        let checked = PasswordHash::new(&self.0)
            .ok()
            .and_then(|hash| usual().verify_password(password, &hash).ok());
        match checked {
            Some(()) => Verdict::Right,
            None => Verdict::Wrong,
        }
    }

    /// The hash in its usual form. A secret, of a kind: not to be shown or logged.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn usual() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT)
}

/// Says that there is one, and no more.
impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash(…)")
    }
}

/// A new password. Never shown.
pub struct Password(Vec<u8>);

/// Why a text cannot be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// A password that is none.
    #[error("the password is empty")]
    Empty,
    /// Nobody types that.
    #[error("the password is longer than 1024 bytes")]
    TooLong,
}

impl Password {
    /// Takes a new password; a line's end after it is not part of it.
    ///
    /// # Errors
    /// It is empty or too long.
    pub fn new(mut bytes: Vec<u8>) -> Result<Self, PasswordError> {
        if bytes.ends_with(b"\n") {
            bytes.pop();
            if bytes.ends_with(b"\r") {
                bytes.pop();
            }
        }
        match bytes.len() {
            0 => Err(PasswordError::Empty),
            1..=PASSWORD_MAX => Ok(Self(bytes)),
            _ => Err(PasswordError::TooLong),
        }
    }
}

/// Cheap hashes: a test of something else need not wait.
#[cfg(test)]
pub(super) fn cheap(password: &str) -> Hash {
    let params = Params::new(Params::MIN_M_COST, 1, 1, None).unwrap();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hashed = argon2
        .hash_password_with_salt(password.as_bytes(), b"salt and pepper")
        .unwrap();
    Hash::parse(&hashed.to_string()).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash_and_no_other_is() {
        let hash = Hash::of(&Password::new(b"hunter2\n".to_vec()).unwrap());
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_eq!(Hash::parse(hash.as_str()), Ok(hash.clone()));
        assert_eq!(hash.check(b"hunter2"), Verdict::Right);
        assert_eq!(hash.check(b"hunter2\n"), Verdict::Wrong);
        assert_eq!(hash.check(b""), Verdict::Wrong);
        assert_eq!(format!("{hash:?}"), "Hash(…)");
    }

    #[test]
    fn hashes_of_other_programs_are_taken() {
        // Made by the reference implementation: `argon2 somesalt`, password "password".
        for (text, password) in [
            (
                "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
                "password",
            ),
            (
                "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
                "password",
            ),
        ] {
            assert_eq!(
                Hash::parse(text).unwrap().check(password.as_bytes()),
                Verdict::Right,
                "{text}"
            );
        }
    }

    #[test]
    fn a_hash_that_would_take_the_machine_down_is_refused() {
        let with = |params: &str| {
            Hash::parse(&format!(
                "$argon2id$v=19${params}$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"
            ))
        };
        for costly in [
            "m=4194304,t=1,p=1",
            "m=131073,t=1,p=1",
            "m=8,t=4000000,p=1",
            "m=65536,t=9,p=1",
            "m=2048,t=1,p=17",
        ] {
            assert_eq!(with(costly), Err(HashError::TooCostly), "{costly}");
        }
        for usual in ["m=19456,t=2,p=1", "m=65536,t=3,p=4", "m=131072,t=4,p=4"] {
            assert!(with(usual).is_ok(), "{usual}");
        }
        let long = format!("$argon2id${}", "x".repeat(TEXT_MAX));
        for other in [
            "",
            "secret",
            "$argon2id$",
            "$2b$12$abcdefghijklmnopqrstuv",
            "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ",
            &long,
        ] {
            assert_eq!(Hash::parse(other), Err(HashError::Form), "{other}");
        }
    }
}
