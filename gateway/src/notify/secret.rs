//! Secrets: read from their files at each send, so that a token that was mended counts at once, and never shown.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;

use crate::config::NamedFile;

/// The largest file that holds a secret, bytes.
const LARGEST: u64 = 4096;
/// What is shown in a secret's place.
const HIDDEN: &str = "***";
/// A text shorter than this is not looked for in what others say: it would be found anywhere.
const SHORTEST_HIDDEN: usize = 4;
/// The same of a piece of a URL's path, which may be an ordinary word.
const SHORTEST_PIECE: usize = 8;

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the request that needs it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Takes it out of what somebody else said, before anything is cut off from that: half a secret is one, too.
    /// Of a URL its path is what is secret, whole or in pieces.
    pub(crate) fn hide_in(&self, text: &str) -> String {
        let path = self.0.split_once("://").and_then(|(_, rest)| {
            let (_, path) = rest.split_once('/')?;
            Some(path)
        });
        let pieces = path
            .into_iter()
            .flat_map(|path| path.split(['/', '?', '&', '=', '#']));
        let pieces = pieces.filter(|piece| piece.len() >= SHORTEST_PIECE);
        let mut text = text.to_owned();
        for part in [self.0.as_str()].into_iter().chain(path).chain(pieces) {
            if part.len() < SHORTEST_HIDDEN {
                continue;
            }
            text = text.replace(part, HIDDEN);
            // Where the text ends in the middle of it.
            let begun = (SHORTEST_HIDDEN..part.len())
                .rev()
                .filter_map(|length| part.get(..length))
                .find(|begun| text.ends_with(begun));
            if let Some(begun) = begun {
                text.truncate(text.len() - begun.len());
                text.push_str(HIDDEN);
            }
        }
        text
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error(
        "cannot read {} ({source}), which holds the channel's {}: write it there, readable by the user of the daemon",
        file.path.display(), file.key.rsplit('.').next().unwrap_or_default()
    )]
    Unreadable {
        /// The file.
        file: NamedFile,
        /// Why.
        source: io::Error,
    },
    /// It holds no secret.
    #[error("{} {what}: write the secret alone, on its first line", file.path.display())]
    Unusable {
        /// The file.
        file: NamedFile,
        /// What is wrong.
        what: &'static str,
    },
}

impl SecretError {
    /// The file that it is about.
    #[must_use]
    pub fn file(&self) -> &NamedFile {
        match self {
            Self::Unreadable { file, .. } | Self::Unusable { file, .. } => file,
        }
    }

    /// Whether it says something of the user who asks, and nothing of the file.
    #[must_use]
    pub fn is_a_lack_of_permission(&self) -> bool {
        match self {
            Self::Unreadable { source, .. } => source.kind() == io::ErrorKind::PermissionDenied,
            Self::Unusable { .. } => false,
        }
    }
}

/// Who can read a secret's file besides its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// Nobody.
    Owner,
    /// Its group.
    Group,
    /// Everybody on this machine.
    World,
}

/// A secret, and who else can read its file. Waits for the disk.
///
/// # Errors
/// The file cannot be read, or holds no secret.
pub fn read(file: &NamedFile) -> Result<(Secret, Exposure), SecretError> {
    let unreadable = |source| SecretError::Unreadable {
        file: file.clone(),
        source,
    };
    let unusable = |what| SecretError::Unusable {
        file: file.clone(),
        what,
    };
    let open = File::open(&file.path).map_err(unreadable)?;
    let mode = open.metadata().map_err(unreadable)?.permissions().mode();
    let exposure = match (mode & 0o044, mode & 0o004) {
        (0, _) => Exposure::Owner,
        (_, 0) => Exposure::Group,
        (_, _) => Exposure::World,
    };
    let mut bytes = Vec::new();
    open.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(unusable("is larger than 4 KiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| unusable("is not text"))?;
    let secret = text.trim();
    if secret.is_empty() {
        return Err(unusable("is empty"));
    }
    if secret.contains(char::is_control) {
        return Err(unusable("holds several lines or control characters"));
    }
    Ok((Secret::new(secret), exposure))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    fn file(dir: &TempDir, text: &str, mode: u32) -> NamedFile {
        let path = dir.path().join("token");
        fs::write(&path, text).expect("a directory of the test's own");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
        NamedFile {
            path,
            key: "alert.channel.token_file".to_owned(),
            line: 3,
        }
    }

    #[test]
    fn a_secret_is_the_line_of_its_file_and_it_is_told_who_else_reads_it() {
        let dir = TempDir::new().expect("a directory of the test's own");
        for (mode, exposure) in [
            (0o600, Exposure::Owner),
            (0o400, Exposure::Owner),
            (0o640, Exposure::Group),
            (0o644, Exposure::World),
        ] {
            let (secret, seen) = read(&file(&dir, " tk_secret\n", mode)).expect("it is there");
            assert_eq!((secret.expose(), seen), ("tk_secret", exposure));
        }
    }

    #[test]
    fn what_is_no_secret_is_told_without_its_text() {
        let dir = TempDir::new().expect("a directory of the test's own");
        let long = "x".repeat(5000);
        for text in ["", " \n", "a\nb", &long] {
            let error = read(&file(&dir, text, 0o600)).expect_err("it holds no secret");
            let told = error.to_string();
            assert!(told.contains("write the secret alone"), "{told}");
            assert!(text.len() < 3 || !told.contains(text), "{told}");
        }
    }

    #[test]
    fn a_secret_shows_itself_nowhere() {
        let secret = Secret::new("tk_secret");
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(
            secret.hide_in("no token tk_secret here"),
            "no token *** here"
        );
    }

    #[test]
    fn half_a_secret_and_a_piece_of_a_secret_url_are_hidden_too() {
        let secret = Secret::new("tk_secret");
        assert_eq!(secret.hide_in("no tk_secr"), "no ***");
        let url = Secret::new("https://hooks.example.org/services/T0/verysecret?key=12345678");
        assert_eq!(
            url.hide_in("POST /services/T0/verysecret?key=12345678 HTTP/1.1"),
            "POST /*** HTTP/1.1"
        );
        assert_eq!(
            url.hide_in("no key 12345678, no verysec"),
            "no key ***, no ***"
        );
    }
}
