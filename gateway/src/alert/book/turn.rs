//! What the book has done since the store last knew all of it: what is to be written, and how it was before.

use std::collections::{BTreeMap, BTreeSet};

use super::{Book, Kept};
use crate::alert::{AlertId, Notice};

/// What is different since the last [`Book::keep`].
#[derive(Clone, Debug, Default)]
pub(super) struct Turn {
    /// The alerts that were touched, as they were before; `None`: they were not there.
    pub(super) before: BTreeMap<AlertId, Option<Kept>>,
    pub(super) notices: Vec<Notice>,
    /// Which notice goes to which channel.
    pub(super) outbox: Vec<(String, u64)>,
}

/// What is to be written of a turn, in one transaction.
#[must_use = "what is not written is lost with the power"]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Written {
    /// The alerts that are different now.
    pub alerts: Vec<Kept>,
    /// Those that are no more.
    pub removed: Vec<AlertId>,
    /// New lines of the journal.
    pub notices: Vec<Notice>,
    /// New entries of the outbox: channel, and the notice's place in the journal.
    pub outbox: Vec<(String, u64)>,
}

impl Book {
    /// What is to be written of this turn. It stays until [`keep`](Self::keep) or [`undo`](Self::undo).
    pub fn written(&self) -> Written {
        let mut written = Written {
            notices: self.turn.notices.clone(),
            outbox: self.turn.outbox.clone(),
            ..Written::default()
        };
        for (id, before) in &self.turn.before {
            match self.kept.get(id) {
                Some(kept) if before.as_ref() != Some(kept) => written.alerts.push(kept.clone()),
                None if before.is_some() => written.removed.push(id.clone()),
                Some(_) | None => {}
            }
        }
        written
    }

    /// Whether there is anything to write.
    #[must_use]
    pub fn has_news(&self) -> bool {
        let is_news =
            |(id, before): (&AlertId, &Option<Kept>)| self.kept.get(id) != before.as_ref();
        !self.turn.notices.is_empty() || self.turn.before.iter().any(is_news)
    }

    /// This turn is on disk; the next begins.
    pub fn keep(&mut self) {
        self.turn = Turn::default();
    }

    /// This turn never was.
    pub fn undo(&mut self) {
        let turn = std::mem::take(&mut self.turn);
        self.next_seq -= turn.notices.len() as u64;
        for (id, before) in turn.before {
            match before {
                Some(kept) => self.kept.insert(id, kept),
                None => self.kept.remove(&id),
            };
        }
        self.stale();
    }

    /// Goes on with the turn of `older`, which was said from memory and could not be written: each alert
    /// that is here as it was there before. Says what number each of its notices has here.
    pub fn adopt(&mut self, older: Self) -> BTreeMap<u64, u64> {
        let Self { mut kept, turn, .. } = older;
        let Turn {
            before,
            notices,
            outbox,
        } = turn;
        let mut adopted = BTreeSet::new();
        for (id, before) in before {
            if self.kept.get(&id) != before.as_ref() {
                continue; // the disk knows better
            }
            self.touch(&id);
            match kept.remove(&id) {
                Some(now) => self.kept.insert(id.clone(), now),
                None => self.kept.remove(&id),
            };
            adopted.insert(id);
        }
        let mut numbers = BTreeMap::new();
        for mut notice in notices {
            if adopted.contains(&notice.alert.claim.id) {
                numbers.insert(notice.seq, self.next_seq);
                notice.seq = self.next_seq;
                self.next_seq += 1;
                self.turn.notices.push(notice);
            }
        }
        for (channel, seq) in outbox {
            if let Some(seq) = numbers.get(&seq) {
                self.turn.outbox.push((channel, *seq));
            }
        }
        numbers
    }

    /// Remembers how an alert was when the turn began.
    pub(super) fn touch(&mut self, id: &AlertId) {
        if !self.turn.before.contains_key(id) {
            let before = self.kept.get(id).cloned();
            self.turn.before.insert(id.clone(), before);
        }
        self.stale();
    }
}
