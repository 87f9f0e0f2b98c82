//! What the far broker is owed: an acknowledgement for each of its messages, in the order in which they
//! came (MQTT 5, section 4.6), and none before what it stands for is on disk.
//!
//! A ledger lives as long as its connection. What is still in it when that ends is never acknowledged:
//! the far broker sends it again.

use crate::broker::Qos;
use std::collections::VecDeque;

/// What acknowledges one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Receipt {
    /// As delivered; at 0 nothing is owed.
    pub(super) qos: Qos,
    /// The far broker's packet id.
    pub(super) id: u16,
}

/// When a message may be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// When the commit that holds it is done.
    AfterCommit,
    /// At once: it changes nothing here.
    AtOnce,
}

/// Messages that were delivered and not acknowledged.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    owed: VecDeque<(Receipt, Due)>,
}

impl Ledger {
    pub(super) fn len(&self) -> usize {
        self.owed.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.owed.is_empty()
    }

    pub(super) fn owe(&mut self, receipt: Receipt, due: Due) {
        self.owed.push_back((receipt, due));
    }

    /// `committed` more messages are on disk, the oldest first: every receipt that may go out now.
    pub(super) fn settle(&mut self, mut committed: u64, mut each: impl FnMut(Receipt)) {
        while let Some((receipt, due)) = self.owed.front().copied() {
            match due {
                Due::AtOnce => {}
                Due::AfterCommit if committed == 0 => break,
                Due::AfterCommit => committed -= 1,
            }
            self.owed.pop_front();
            each(receipt);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(dues: &str) -> Ledger {
        let mut ledger = Ledger::default();
        for (index, due) in dues.chars().enumerate() {
            let id = u16::try_from(index).expect("a short test");
            let qos = Qos::AtLeastOnce;
            let due = if due == 'c' {
                Due::AfterCommit
            } else {
                Due::AtOnce
            };
            ledger.owe(Receipt { qos, id }, due);
        }
        ledger
    }

    fn settle(ledger: &mut Ledger, committed: u64) -> Vec<u16> {
        let mut out = Vec::new();
        ledger.settle(committed, |receipt| out.push(receipt.id));
        out
    }

    #[test]
    fn nothing_is_acknowledged_before_its_commit_or_out_of_order() {
        let mut ledger = ledger("c.cc.");
        assert_eq!(settle(&mut ledger, 0), [0_u16; 0]);
        assert_eq!(settle(&mut ledger, 1), [0, 1]);
        assert_eq!(settle(&mut ledger, 2), [2, 3, 4]);
        assert!(ledger.is_empty());
    }

    #[test]
    fn what_changes_nothing_waits_for_nothing_but_its_turn() {
        let mut ledger = ledger("..c.");
        assert_eq!(settle(&mut ledger, 0), [0, 1]);
        assert_eq!(settle(&mut ledger, 1), [2, 3]);
    }
}
