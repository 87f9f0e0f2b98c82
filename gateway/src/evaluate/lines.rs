//! A recording's lines, one at a time: however long the file, one line is in memory.
//!
//! It knows nothing of what a line says; it says which line it was when somebody cannot make anything of it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The longest line that is taken, in bytes.
pub const LINE_BYTES_MAX: usize = 256 * 1024;
/// What some programs write before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why a file of readings, or of truths, cannot be used.
#[derive(Debug, Error)]
pub enum ReadError {
    /// It cannot be opened, or not be read on.
    #[error("cannot read {}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is not what it should be.
    #[error("{}:{line}: {why}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// Its line, from 1.
        line: u64,
        /// What is wrong, and what to write.
        why: String,
    },
}

/// The lines of a file that are not blank.
pub struct Lines {
    file: PathBuf,
    input: BufReader<File>,
    number: u64,
    bytes: u64,
    buffer: Vec<u8>,
}

impl Lines {
    /// Opens a file.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let opened = File::open(path).map_err(|source| ReadError::File {
            file: path.to_owned(),
            source,
        })?;
        Ok(Self {
            file: path.to_owned(),
            input: BufReader::with_capacity(64 * 1024, opened),
            number: 0,
            bytes: 0,
            buffer: Vec::new(),
        })
    }

    /// Goes to the next line that is not blank; `false` at the end of the file.
    ///
    /// # Errors
    /// Where the file cannot be read on, or a line is longer than [`LINE_BYTES_MAX`].
    pub fn advance(&mut self) -> Result<bool, ReadError> {
        loop {
            self.buffer.clear();
            let most = LINE_BYTES_MAX as u64 + 1;
            let input = &mut self.input;
            let read = input.take(most).read_until(b'\n', &mut self.buffer);
            let read = read.map_err(|source| ReadError::File {
                file: self.file.clone(),
                source,
            })?;
            if read == 0 {
                return Ok(false);
            }
            self.number += 1;
            self.bytes += read as u64;
            if self.buffer.len() > LINE_BYTES_MAX {
                return Err(self.wrong(format!(
                    "is longer than {LINE_BYTES_MAX} bytes: a line holds one reading"
                )));
            }
            if self.number == 1 && self.buffer.starts_with(BYTE_ORDER_MARK) {
                self.buffer.drain(..BYTE_ORDER_MARK.len());
            }
            if !self.buffer.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }

    /// The line at hand, without its end.
    ///
    /// # Errors
    /// Where it is not UTF-8.
    pub fn text(&self) -> Result<&str, ReadError> {
        let text = std::str::from_utf8(&self.buffer);
        let text = text.map_err(|_| self.wrong("is not UTF-8 text".to_owned()))?;
        Ok(text.trim_end_matches(['\r', '\n']))
    }

    /// Bytes read so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// That the line at hand is not what it should be.
    #[must_use]
    pub fn wrong(&self, why: String) -> ReadError {
        ReadError::Line {
            file: self.file.clone(),
            line: self.number,
            why,
        }
    }
}
