//! Sensors that fall silent together, or are heard again together, are one thing to a person: a stick that died, a
//! fuse, the network. What several notices say is parted here; single ones keep their own words. Pure.

use super::words::{TITLE_CHARS, shortened};
use super::{House, words};
use crate::alert::{Notice, What};

/// Names that are written out; of more the number is said.
const NAMED_MOST: usize = 20;

/// What belongs together in one message.
pub(super) enum Part<'a> {
    /// A notice by itself.
    One(&'a Notice),
    /// Sensors of which the same is said; at least two.
    Sensors(Said, Vec<&'a Notice>),
}

/// What is said of sensors together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Silent,
    StillSilent,
    Heard,
}

impl Said {
    /// `None`: it is said of each by itself.
    fn of(notice: &Notice) -> Option<Self> {
        if words::matter(&notice.alert.claim) != words::Matter::Silence {
            return None;
        }
        match notice.what {
            What::Fired => Some(Self::Silent),
            What::Repeated => Some(Self::StillSilent),
            What::Cleared => Some(Self::Heard),
            What::Worsened | What::Woken | What::Acknowledged | What::Snoozed | What::Withdrawn => {
                None
            }
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Silent => "sensors are silent",
            Self::StillSilent => "sensors are still silent",
            Self::Heard => "sensors are heard again",
        }
    }

    fn advice(self) -> Option<&'static str> {
        match self {
            Self::Silent | Self::StillSilent => Some(
                "What to do: Look at what they share: the stick or bridge that they speak through, its power, the \
                 network.",
            ),
            Self::Heard => None,
        }
    }
}

/// The parts of a message, in the order in which they began.
pub(super) fn parts(notices: &[Notice]) -> Vec<Part<'_>> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    for notice in notices {
        let said = Said::of(notice);
        let together = parts.iter_mut().find_map(|part| match part {
            Part::Sensors(of, all) if Some(*of) == said => Some(all),
            Part::Sensors(..) | Part::One(_) => None,
        });
        match (said, together) {
            (Some(_), Some(all)) => all.push(notice),
            (Some(said), None) => parts.push(Part::Sensors(said, vec![notice])),
            (None, _) => parts.push(Part::One(notice)),
        }
    }
    parts.into_iter().map(Part::of_one_or_more).collect()
}

impl<'a> Part<'a> {
    fn of_one_or_more(self) -> Self {
        match self {
            Self::Sensors(_, all) if all.len() == 1 => Self::One(all[0]),
            part @ (Self::Sensors(..) | Self::One(_)) => part,
        }
    }

    /// The notices of it, oldest first.
    pub(super) fn notices(&self) -> &[&'a Notice] {
        match self {
            Self::One(notice) => std::slice::from_ref(notice),
            Self::Sensors(_, all) => all,
        }
    }

    /// Its first line.
    pub(super) fn title(&self, house: &House) -> String {
        match self {
            Self::One(notice) => words::one_title(notice, house),
            Self::Sensors(said, all) => shortened(
                format!("{}: {}", counted(*said, all), names(all)),
                TITLE_CHARS,
            ),
        }
    }

    /// Its text, several lines.
    pub(super) fn message(&self, house: &House) -> String {
        match self {
            Self::One(notice) => words::one_message(notice, house),
            Self::Sensors(said, all) => {
                let mut lines = vec![format!("{}: {}.", counted(*said, all), names(all))];
                lines.extend(said.advice().map(str::to_owned));
                lines.join("\n")
            }
        }
    }
}

fn counted(said: Said, all: &[&Notice]) -> String {
    format!("{} {}", all.len(), said.words())
}

fn names(all: &[&Notice]) -> String {
    let subjects = all.iter().map(|notice| notice.alert.claim.subject.as_str());
    let named: Vec<&str> = subjects.take(NAMED_MOST).collect();
    match all.len() - named.len() {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use crate::alert::{AlertId, Notice, What};
    use crate::notify::sample::{bundle, leak, notice, silent};

    fn sensors(what: What, count: usize) -> Vec<Notice> {
        let numbered = |number| {
            let mut claim = silent();
            claim.subject = format!("TH{number}");
            claim.id = AlertId::new("silent", &claim.subject);
            notice(what, claim)
        };
        (1..=count).map(numbered).collect()
    }

    #[test]
    fn sensors_that_fall_silent_together_are_one_sentence() {
        let three = bundle(sensors(What::Fired, 3));
        assert_eq!(three.title(), "3 sensors are silent: TH1, TH2, TH3");
        assert_eq!(
            three.message(),
            "3 sensors are silent: TH1, TH2, TH3.\n\
             What to do: Look at what they share: the stick or bridge that they speak through, its power, the network."
        );
        let heard = bundle(sensors(What::Cleared, 2));
        assert_eq!(heard.title(), "2 sensors are heard again: TH1, TH2");
        assert_eq!(heard.message(), "2 sensors are heard again: TH1, TH2.");
        assert_eq!(bundle(sensors(What::Fired, 1)).title(), "Silent: TH1");
    }

    #[test]
    fn a_whole_house_that_is_silent_fits_on_a_phone() {
        let many = bundle(sensors(What::Fired, 50));
        assert!(many.title().starts_with("50 sensors are silent: TH1, "));
        assert!(many.message().contains("TH20 and 30 more."));
        assert!(many.message().contains("What to do:"));
    }

    #[test]
    fn a_leak_among_silent_sensors_is_what_the_title_says() {
        let mut notices = sensors(What::Fired, 4);
        notices.insert(2, notice(What::Fired, leak()));
        let said = bundle(notices);
        assert_eq!(said.title(), "5 alerts. Leak: 4.8 L/h at Wtot");
        let message = said.message();
        assert!(
            message.contains("4 sensors are silent: TH1, TH2, TH3, TH4."),
            "{message}"
        );
        assert!(message.contains("\n\nLeak: 4.8 L/h at Wtot\n"), "{message}");
        assert_eq!(message.matches("sensors are silent").count(), 1);
    }
}
