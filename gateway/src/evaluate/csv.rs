//! A line of comma-separated values → its fields (RFC 4180), with the columns found by their names.
//!
//! A field never goes on in the next line: a reading has no use for that, and a quote that somebody forgot
//! must not take in the rest of the file.

use std::borrow::Cow;

/// Which of a line's fields are the ones that are wanted, in the order in which they were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns<const N: usize> {
    places: [Option<usize>; N],
}

/// A column that may be there, and whether it has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Without it there is nothing to read.
    Needed(&'static str),
    /// Where it is missing, every field of it is empty.
    Optional(&'static str),
}

impl Wanted {
    const fn name(self) -> &'static str {
        match self {
            Self::Needed(name) | Self::Optional(name) => name,
        }
    }
}

impl<const N: usize> Columns<N> {
    /// Finds the columns in a header. Others are ignored.
    ///
    /// # Errors
    /// Says which column is missing, or there twice.
    pub(super) fn find(header: &str, wanted: [Wanted; N]) -> Result<Self, String> {
        let names = fields(header)?;
        let mut places = [None; N];
        for (place, column) in places.iter_mut().zip(wanted) {
            let mut found = names
                .iter()
                .enumerate()
                .filter(|(_, name)| name.trim() == column.name());
            *place = found.next().map(|(at, _)| at);
            let name = column.name();
            if found.next().is_some() {
                return Err(format!("has two columns `{name}`: leave one of them out"));
            }
            if let (None, Wanted::Needed(_)) = (*place, column) {
                let all = wanted.map(Wanted::name).join(",");
                return Err(format!(
                    "has no column `{name}`: the first line of a CSV file is a header such as {all}"
                ));
            }
        }
        Ok(Self { places })
    }

    /// The fields of a line in these columns; empty where the line has no such field.
    ///
    /// # Errors
    /// Says where quotes do not match.
    pub(super) fn pick<'l>(&self, line: &'l str) -> Result<[Cow<'l, str>; N], String> {
        let mut picked = [const { Cow::Borrowed("") }; N];
        let mut take = |at: usize, field: Cow<'l, str>| {
            for (place, picked) in self.places.iter().zip(&mut picked) {
                if *place == Some(at) {
                    picked.clone_from(&field);
                }
            }
        };
        if line.contains('"') {
            for (at, field) in fields(line)?.into_iter().enumerate() {
                take(at, field);
            }
        } else {
            for (at, field) in line.split(',').enumerate() {
                take(at, Cow::Borrowed(field));
            }
        }
        Ok(picked)
    }
}

fn fields(line: &str) -> Result<Vec<Cow<'_, str>>, String> {
    let mut all = Vec::new();
    let mut rest = Some(line);
    while let Some(text) = rest {
        let (field, behind) = match text.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => match text.split_once(',') {
                Some((field, behind)) => (Cow::Borrowed(field), Some(behind)),
                None => (Cow::Borrowed(text), None),
            },
        };
        all.push(field);
        rest = behind;
    }
    Ok(all)
}

/// A quoted field without its first quote → what it says, and what is behind its comma.
fn unquote(text: &str) -> Result<(Cow<'_, str>, Option<&str>), String> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let Some((before, behind)) = rest.split_once('"') else {
            return Err("has a quote that is not closed on its line".to_owned());
        };
        field.push_str(before);
        match behind.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None if behind.is_empty() => return Ok((Cow::Owned(field), None)),
            None => {
                let next = behind.strip_prefix(',');
                let next = next.ok_or("has text behind a quoted field: a comma is due there")?;
                return Ok((Cow::Owned(field), Some(next)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: [Wanted; 3] = [
        Wanted::Needed("sensor"),
        Wanted::Needed("value"),
        Wanted::Optional("id"),
    ];

    fn picked(header: &str, line: &str) -> Result<Vec<String>, String> {
        let columns = Columns::find(header, WANTED)?;
        let fields = columns.pick(line)?;
        Ok(fields.into_iter().map(Cow::into_owned).collect())
    }

    #[test]
    fn columns_come_in_any_order_and_strange_ones_are_ignored() {
        let all = |line| picked("value, sensor ,note,id", line).expect("a line of the test");
        assert_eq!(all("1,W1,hm,7"), ["W1", "1", "7"]);
        assert_eq!(all("1,W1"), ["W1", "1", ""]);
        assert_eq!(
            picked("sensor,value", "W1,1").expect("good"),
            ["W1", "1", ""]
        );
    }

    #[test]
    fn quotes_hold_commas_and_doubled_quotes() {
        let all = |line| picked("sensor,value,id", line);
        assert_eq!(
            all(r#""a,""b""",1,"7""#).expect("good"),
            ["a,\"b\"", "1", "7"]
        );
        assert_eq!(
            all(r#"a,1,"7"#).err().as_deref(),
            Some("has a quote that is not closed on its line")
        );
        assert!(all(r#""a"b,1,7"#).is_err());
    }

    #[test]
    fn a_header_without_what_is_needed_is_told_what_to_be() {
        assert_eq!(
            picked("time;value", "").err().as_deref(),
            Some(
                "has no column `sensor`: the first line of a CSV file is a header such as sensor,value,id"
            )
        );
        assert!(picked("sensor,value,value", "").is_err());
    }
}
