//! What TOML says, with its lines. A [`Section`] is a cursor over one table: each key is taken once
//! with a parser, what the parser refuses is recorded with its line, and when the cursor is dropped
//! every key that nobody took is recorded as unknown. So whoever reads a section lists its keys
//! once, and no problem hides another.

use std::cell::RefCell;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problem;
use super::value::nearest;

/// One file and what was found wrong with it so far.
pub(super) struct Sheet<'f> {
    file: &'f str,
    /// Where each line begins, in bytes.
    line_starts: Vec<usize>,
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
}

/// What a section became, and where it stood: for rules between sections.
#[derive(Clone, Debug)]
pub(super) struct Placed<T> {
    pub(super) value: T,
    line: usize,
    key_lines: Vec<(&'static str, usize)>,
}

/// A cursor over one table; an absent table has no keys.
pub(super) struct Section<'s, 'i> {
    sheet: &'s Sheet<'s>,
    path: String,
    line: usize,
    table: Option<&'s DeTable<'i>>,
    known: Vec<&'static str>,
    open: bool,
}

impl<'f> Sheet<'f> {
    pub(super) fn new(file: &'f str, text: &str) -> Self {
        let after_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            file,
            line_starts: std::iter::once(0).chain(after_newlines).collect(),
            problems: RefCell::default(),
            warnings: RefCell::default(),
        }
    }

    /// The line of a byte offset, from 1.
    pub(super) fn line_at(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }

    /// Records what makes the configuration unusable.
    pub(super) fn problem(&self, line: usize, key: impl Into<String>, text: impl Into<String>) {
        let problem = self.at(line, key.into(), text.into());
        self.problems.borrow_mut().push(problem);
    }

    /// Records what is odd but works.
    pub(super) fn warn(&self, line: usize, key: impl Into<String>, text: impl Into<String>) {
        let warning = self.at(line, key.into(), text.into());
        self.warnings.borrow_mut().push(warning);
    }

    fn at(&self, line: usize, key: String, text: String) -> Problem {
        Problem {
            file: self.file.to_owned(),
            line: Some(line),
            key,
            text,
        }
    }

    /// All problems and all warnings, by line.
    pub(super) fn finish(self) -> (Vec<Problem>, Vec<Problem>) {
        let (mut problems, mut warnings) = (self.problems.into_inner(), self.warnings.into_inner());
        problems.sort_by_key(|problem| problem.line);
        warnings.sort_by_key(|warning| warning.line);
        (problems, warnings)
    }
}

impl<T> Placed<T> {
    /// The line of a key, or of the section where the key is absent.
    pub(super) fn line_of(&self, key: &str) -> usize {
        let mut lines = self.key_lines.iter();
        lines
            .find(|(name, _)| *name == key)
            .map_or(self.line, |(_, line)| *line)
    }
}

impl<'s, 'i> Section<'s, 'i> {
    /// The table that is the whole document.
    pub(super) fn root(sheet: &'s Sheet<'s>, table: &'s DeTable<'i>) -> Self {
        Self::new(sheet, String::new(), 1, Some(table))
    }

    fn new(
        sheet: &'s Sheet<'s>,
        path: String,
        line: usize,
        table: Option<&'s DeTable<'i>>,
    ) -> Self {
        Self {
            sheet,
            path,
            line,
            table,
            known: Vec::new(),
            open: false,
        }
    }

    /// What it became, with its lines.
    pub(super) fn place<T>(&self, value: T) -> Placed<T> {
        let key_lines = self.known.iter().map(|key| (*key, self.line_of(key)));
        Placed {
            value,
            line: self.line,
            key_lines: key_lines.collect(),
        }
    }

    /// Whether the file has it at all.
    pub(super) fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// The full name of a key.
    pub(super) fn key(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// The line of a key, or of the section where the key is absent.
    pub(super) fn line_of(&self, key: &str) -> usize {
        self.table
            .and_then(|table| table.get_key_value(key))
            .map_or(self.line, |(key, _)| self.sheet.line_at(key.span().start))
    }

    /// Records a problem with one of its keys.
    pub(super) fn problem(&self, key: &str, text: impl Into<String>) {
        self.sheet.problem(self.line_of(key), self.key(key), text);
    }

    /// Records that one of its keys is odd.
    pub(super) fn warn(&self, key: &str, text: impl Into<String>) {
        self.sheet.warn(self.line_of(key), self.key(key), text);
    }

    /// The value of a key, if it is there and valid.
    pub(super) fn take<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&DeValue<'i>) -> Result<T, String>,
    ) -> Option<T> {
        match parse(self.find(key)?.get_ref()) {
            Ok(value) => Some(value),
            Err(text) => {
                self.problem(key, text);
                None
            }
        }
    }

    /// The value of a key that must be there; `allowed` says what to write.
    pub(super) fn need<T>(
        &mut self,
        key: &'static str,
        allowed: &str,
        parse: impl FnOnce(&DeValue<'i>) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.take(key, parse);
        if !self.has(key) {
            self.problem(key, format!("is missing; write {allowed}"));
        }
        value
    }

    /// Whether the file has the key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// A table within.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'s, 'i> {
        let line = self.line_of(key);
        let table = match self.find(key).map(Spanned::get_ref) {
            Some(DeValue::Table(table)) => Some(table),
            Some(DeValue::Array(_)) => {
                let path = self.key(key);
                self.problem(key, format!("is there several times; write [{path}] once"));
                None
            }
            Some(other) => {
                let path = self.key(key);
                self.problem(
                    key,
                    format!("is of type {}; write a section [{path}]", other.type_str()),
                );
                None
            }
            None => None,
        };
        Section::new(self.sheet, self.key(key), line, table)
    }

    /// An array of tables within.
    pub(super) fn sections(&mut self, key: &'static str) -> Vec<Section<'s, 'i>> {
        let path = self.key(key);
        let elements: &[Spanned<DeValue<'i>>] = match self.find(key).map(Spanned::get_ref) {
            Some(DeValue::Array(array)) => array,
            Some(other) => {
                let text = format!("is of type {}; write [[{path}]]", other.type_str());
                self.problem(key, text);
                &[]
            }
            None => &[],
        };
        let mut sections = Vec::new();
        for element in elements {
            let line = self.sheet.line_at(element.span().start);
            match element.get_ref() {
                DeValue::Table(table) => {
                    sections.push(Section::new(self.sheet, path.clone(), line, Some(table)));
                }
                other => {
                    let text = format!(
                        "holds a value of type {}; write [[{path}]]",
                        other.type_str()
                    );
                    self.sheet.problem(line, &path, text);
                }
            }
        }
        sections
    }

    /// All keys that nobody took, with their values: for sections that are open by nature.
    pub(super) fn rest(
        &mut self,
    ) -> impl Iterator<Item = (&'s str, &'s DeValue<'i>)> + use<'s, 'i> {
        self.open = true;
        let known = self.known.clone();
        self.table
            .into_iter()
            .flat_map(DeTable::iter)
            .map(|(key, value)| (key.get_ref().as_ref(), value.get_ref()))
            .filter(move |(key, _)| !known.contains(key))
    }

    fn find(&mut self, key: &'static str) -> Option<&'s Spanned<DeValue<'i>>> {
        self.known.push(key);
        self.table?.get(key)
    }
}

impl Drop for Section<'_, '_> {
    fn drop(&mut self) {
        if self.open {
            return;
        }
        for key in self.table.into_iter().flat_map(DeTable::keys) {
            let name = key.get_ref().as_ref();
            if self.known.contains(&name) {
                continue;
            }
            let text = match nearest(name, &self.known) {
                Some(meant) => format!("is not a known key; did you mean {meant:?}?"),
                None => format!("is not a known key; known here: {}", self.known.join(", ")),
            };
            self.problem(name, text);
        }
    }
}
