//! The document that the figures stand in: what is between two markers is the command's, all else a person's.

use std::fs;
use std::io;
use std::path::PathBuf;

/// A document with places for figures: `<!-- figures: NAME -->` … `<!-- end of figures -->`.
pub(crate) struct Document {
    path: PathBuf,
    text: String,
}

const END: &str = "<!-- end of figures -->";

impl Document {
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        let text = fs::read_to_string(&path)?;
        Ok(Self { path, text })
    }

    /// Puts figures into their place, and writes the document.
    pub(crate) fn put(&mut self, name: &str, figures: &str) -> io::Result<()> {
        let begin = format!("<!-- figures: {name} -->\n");
        let lacks = || io::Error::other(format!("{} has no place for {name}", self.path.display()));
        let from = self.text.find(&begin).ok_or_else(lacks)? + begin.len();
        let length = self.text[from..].find(END).ok_or_else(lacks)?;
        self.text
            .replace_range(from..from + length, &format!("{}\n", figures.trim_end()));
        fs::write(&self.path, &self.text)
    }
}
