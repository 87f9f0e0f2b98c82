//! What an answer means for the notice: it is there, it may be there soon, or somebody must mend something.
//! Pure.

use std::time::Duration;

use chrono::DateTime;

use super::words::shortened;

/// The longest that a receiver may make us wait.
pub(crate) const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);
/// How much of an answer's text is told, in characters.
const TOLD_CHARS: usize = 200;

/// What a receiver that took it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// In a few words: `200 OK`.
    pub words: String,
}

/// Why it is not known to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What failed, why, and what to do about it; no secrets.
    pub text: String,
    /// Whom trying again must wait for.
    pub blame: Blame,
    /// Whether it may be there all the same.
    pub taken: Taken,
}

/// Whom or what it failed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// It may pass by itself: a restart, a cable.
    Passing,
    /// The receiver wants to be left alone for so long.
    Busy(Duration),
    /// Somebody must mend something: a token, a topic, a certificate.
    Settings,
    /// What this message says is refused; another may be taken.
    Content,
}

/// Whether a receiver has it although we were not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It has not.
    No,
    /// Nobody knows: the line broke before the answer.
    Perhaps,
}

/// An answer to an HTTP request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `200 OK`
    pub(crate) words: String,
    pub(crate) retry_after: Option<String>,
    pub(crate) date: Option<String>,
    /// The beginning of the body.
    pub(crate) body: String,
}

impl Failure {
    pub(crate) fn passing(text: impl Into<String>, taken: Taken) -> Self {
        Self {
            text: text.into(),
            blame: Blame::Passing,
            taken,
        }
    }

    pub(crate) fn settings(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            blame: Blame::Settings,
            taken: Taken::No,
        }
    }
}

/// What an answer means.
pub(crate) fn judge(answer: &Answer) -> Result<Reply, Failure> {
    let said = if answer.body.trim().is_empty() {
        String::new()
    } else {
        let line = answer.body.split_whitespace().collect::<Vec<_>>().join(" ");
        format!(": {}", shortened(line, TOLD_CHARS))
    };
    let words = &answer.words;
    let failed = |blame, advice: &str| {
        Err(Failure {
            text: format!("the receiver answers {words}{said}{advice}"),
            blame,
            taken: Taken::No,
        })
    };
    match answer.status {
        200..=299 => Ok(Reply {
            words: words.clone(),
        }),
        300..=399 => failed(
            Blame::Settings,
            "; redirects are not followed: write the url that it leads to",
        ),
        401 | 403 => failed(
            Blame::Settings,
            "; see the channel's token_file, which is read again at each try",
        ),
        400 | 413 | 422 => failed(
            Blame::Content,
            "; see whether the channel's keys and its template are what the receiver wants",
        ),
        408 | 425 | 429 | 500..=599 => {
            failed(retry_after(answer).map_or(Blame::Passing, Blame::Busy), "")
        }
        404 | 405 | 410 => failed(Blame::Settings, "; see the channel's url"),
        _ => failed(Blame::Settings, ""),
    }
}

/// How long it wants to be left alone. A date is compared with the receiver's own, so that clocks that differ do
/// no harm; Telegram says it in the body.
fn retry_after(answer: &Answer) -> Option<Duration> {
    let date = |text: &str| DateTime::parse_from_rfc2822(text).ok();
    let of_header = answer.retry_after.as_deref().and_then(|text| {
        let text = text.trim();
        if let Ok(seconds) = text.parse::<u64>() {
            return Some(Duration::from_secs(seconds));
        }
        let from = date(answer.date.as_deref()?)?;
        date(text)?.signed_duration_since(from).to_std().ok()
    });
    let of_body = || {
        let body: serde_json::Value = serde_json::from_str(&answer.body).ok()?;
        let seconds = body.pointer("/parameters/retry_after")?.as_u64()?;
        Some(Duration::from_secs(seconds))
    };
    Some(of_header.or_else(of_body)?.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16) -> Answer {
        Answer {
            status,
            words: status.to_string(),
            ..Answer::default()
        }
    }

    fn blame(answer: &Answer) -> Option<Blame> {
        judge(answer).err().map(|failure| failure.blame)
    }

    #[test]
    fn each_answer_says_whom_to_wait_for() {
        let verdicts = [
            (200, None),
            (204, None),
            (302, Some(Blame::Settings)),
            (400, Some(Blame::Content)),
            (401, Some(Blame::Settings)),
            (403, Some(Blame::Settings)),
            (404, Some(Blame::Settings)),
            (408, Some(Blame::Passing)),
            (413, Some(Blame::Content)),
            (418, Some(Blame::Settings)),
            (429, Some(Blame::Passing)),
            (500, Some(Blame::Passing)),
            (503, Some(Blame::Passing)),
            (101, Some(Blame::Settings)),
        ];
        for (status, expected) in verdicts {
            assert_eq!(blame(&answer(status)), expected, "{status}");
        }
    }

    #[test]
    fn a_receiver_is_left_alone_for_as_long_as_it_says_and_an_hour_at_most() {
        let wait = |retry_after: &str| {
            blame(&Answer {
                retry_after: Some(retry_after.to_owned()),
                date: Some("Tue, 24 Nov 2026 00:00:00 GMT".to_owned()),
                ..answer(429)
            })
        };
        let busy = |seconds| Some(Blame::Busy(Duration::from_secs(seconds)));
        assert_eq!(wait("17"), busy(17));
        assert_eq!(wait("Tue, 24 Nov 2026 00:01:30 GMT"), busy(90));
        assert_eq!(wait("99999999"), busy(3600));
        assert_eq!(wait("later"), Some(Blame::Passing));
        assert_eq!(wait("Mon, 23 Nov 2026 00:00:00 GMT"), Some(Blame::Passing));
        let telegram = Answer {
            body: r#"{"ok":false,"parameters":{"retry_after":5}}"#.to_owned(),
            ..answer(429)
        };
        assert_eq!(blame(&telegram), busy(5));
    }

    #[test]
    fn what_is_told_of_an_answer_is_one_short_line() {
        let long = Answer {
            body: format!("<html>\n\n {}", "x".repeat(5000)),
            ..answer(500)
        };
        let text = judge(&long).expect_err("it failed").text;
        assert!(text.starts_with("the receiver answers 500: <html> xxx"));
        assert!(text.chars().count() < 250 && !text.contains('\n'), "{text}");
    }
}
