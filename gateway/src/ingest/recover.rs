//! The writer's way through an outage of the store: refuse, mend, go on.
//!
//! While it lasts nothing is judged and nothing is written for publishers; readers go on. What comes
//! in is refused a few times a second, so that clients that come back at once cost little.

use super::outage::{Outage, Stage, Standing};
use super::{
    Command, Event, Intake, Observer, Order, Outcome, Refusal, Site, SiteError, TICK, Writer, next,
};
use crate::alert::Written;
use crate::broker::Submission;
use crate::causes::in_words;
use crate::source::Verdict;
use crate::store::{Failure, Regained, Reopened, StoreError, Tended};
use std::sync::Arc;
use std::time::Duration;

/// How often what came in is refused: whoever comes back at once comes back so often.
const REFUSE_EVERY: Duration = Duration::from_millis(200);
/// How often the room on the disk, and what lies beside the store, is looked at.
const LOOK_EVERY_MS: u64 = 60_000;
/// Damage met so often, without a seal in between, is no accident of the memory.
const DAMAGE_IS_REAL: u32 = 2;

/// What an attempt to end an outage came to.
enum Mended {
    /// Readings are taken again.
    Yes,
    /// There is no room yet.
    NoRoom { needed_bytes: u64 },
}

impl<O: Observer> Writer<O> {
    /// After a failure the disk is asked what it holds; nothing is taken until it is known.
    pub(super) fn fail(&mut self, error: &StoreError, what: &str) {
        tracing::error!(error = error as &dyn std::error::Error, "{what}");
        self.stats.failed();
        self.strikes = self.strikes.saturating_add(1);
        let failure = error.failure();
        self.note_damage(failure, error);
        self.alerts.lost();
        let now_ms = self.clock.monotonic_ms();
        self.outage = Some(Outage::begin(failure, self.strikes, now_ms));
        self.mend();
    }

    fn note_damage(&mut self, failure: Failure, error: &dyn std::error::Error) {
        match failure {
            Failure::Damaged => {
                self.damage_met += 1;
                if self.damage_met >= DAMAGE_IS_REAL {
                    self.unusable = Some(in_words(error));
                }
            }
            Failure::DiskFull | Failure::Otherwise => {}
        }
    }

    /// One turn of an outage: refuses what came in, tries to go on.
    pub(super) fn sit_out(
        &mut self,
        runtime: &tokio::runtime::Runtime,
        intake: &mut Intake,
    ) -> super::Turn {
        let now_ms = self.clock.monotonic_ms();
        let wait_ms = self.outage.as_ref().map_or(0, |o| o.wait_ms(now_ms));
        let wait = TICK.min(Duration::from_millis(wait_ms));
        match runtime.block_on(next(intake, wait)) {
            Event::Submission(first) => {
                std::thread::sleep(REFUSE_EVERY);
                self.refuse(first, intake);
            }
            Event::Command(command) => self.refuse_order(command),
            Event::Passed => {}
            Event::Over => return super::Turn::Over,
        }
        self.mend();
        if self.outage.is_some() {
            self.say_from_memory();
        }
        super::Turn::Done
    }

    fn refuse(&self, first: Submission<Verdict>, intake: &mut Intake) {
        let mut refused = vec![first];
        while let Ok(more) = intake.submissions.try_recv() {
            refused.push(more);
        }
        self.disappoint(refused);
    }

    fn refuse_order(&mut self, command: Command) {
        let is_answer = match &command.order {
            Order::Alert { .. } => true,
            Order::Correct { .. }
            | Order::AcceptLate { .. }
            | Order::Users(_)
            | Order::Mean { .. }
            | Order::Sent { .. } => false,
        };
        if is_answer {
            // Kept in mind, and written when there is room.
            let heeded = self.alerts.heed(&command.order, self.clock.wall_ms());
            let written = self.alerts.written();
            self.alerts.show(&written);
            self.show(&written);
            let heeded = heeded.map(|()| Outcome::default());
            command.answer(heeded.map_err(Refusal::Alert));
            return;
        }
        let why = self.standing.refusal().unwrap_or_default();
        command.answer(Err(Refusal::Outage(why)));
    }

    /// What is wrong with the store reaches people though nothing can be written.
    fn say_from_memory(&mut self) {
        self.alerts.look_at(&self.clock);
        if let Some(written) = self.alerts.go_on_in_memory(self.clock.wall_ms()) {
            self.show(&written);
        }
    }

    fn show(&mut self, written: &Written) {
        let news = self.board.news(written);
        for submission in self.board.compose(&news, &self.fanout) {
            self.fanout.committed(submission);
        }
        self.observer.alerts(&news.alerts);
        self.board.said(news);
    }

    /// Tries to end the outage, if it is time to.
    fn mend(&mut self) {
        // A site that is opened anew sees no jump of the clock before that.
        self.site.look_at(&self.clock);
        let now_ms = self.clock.monotonic_ms();
        if self.outage.as_ref().is_none_or(|o| o.wait_ms(now_ms) > 0) {
            return;
        }
        let standing = match self.try_to_mend() {
            Ok(Mended::Yes) => {
                self.outage = None;
                self.site.listen();
                tracing::info!("the store is open again: readings are taken");
                Standing::Taking(self.level)
            }
            Ok(Mended::NoRoom { needed_bytes }) => Standing::Full { needed_bytes },
            Err(error) => {
                if let SiteError::Store(error) = &error {
                    self.note_damage(error.failure(), error);
                }
                Standing::Failing(in_words(&error))
            }
        };
        if let Some(outage) = &mut self.outage {
            outage.wait(now_ms);
        }
        self.stand(standing);
    }

    /// Goes through the stages as far as they lead.
    fn try_to_mend(&mut self) -> Result<Mended, SiteError> {
        while let Some(outage) = &mut self.outage {
            match outage.stage {
                Stage::Reopen => {
                    let reopened = self.store.reopen()?;
                    let config = Arc::clone(&self.config);
                    self.site = Site::open(&mut self.store, config, &self.clock)?;
                    self.alerts
                        .read(&self.store.view(), &self.site, self.clock.wall_ms())?;
                    match reopened {
                        Reopened::ReadOnly => {
                            outage.failure = Failure::DiskFull;
                            outage.stage = Stage::AwaitRoom;
                        }
                        Reopened::Whole => {
                            if outage.opened().is_none() {
                                return Ok(Mended::Yes);
                            }
                        }
                    }
                }
                Stage::MakeRoom => {
                    outage.made_room = true;
                    outage.stage = Stage::AwaitRoom;
                    if self.make_room() == MadeRoom::InTheFile {
                        return Ok(Mended::Yes);
                    }
                }
                Stage::AwaitRoom => match self.store.regain_room()? {
                    Regained::NotYet { needed_bytes, .. } => {
                        return Ok(Mended::NoRoom { needed_bytes });
                    }
                    Regained::Room if self.store.failed().is_none() => return Ok(Mended::Yes),
                    Regained::Room => {
                        outage.made_room = true;
                        outage.stage = Stage::Reopen;
                    }
                },
            }
        }
        Ok(Mended::Yes)
    }

    /// Folds the log, which makes it smaller, and lets retention remove what is old. The ballast
    /// went overboard for this.
    fn make_room(&mut self) -> MadeRoom {
        match self.seal_now() {
            Ok(sealed) if sealed.dropped_blocks > 0 => MadeRoom::InTheFile,
            Ok(_) => MadeRoom::Perhaps,
            Err(error) => {
                // The log is still there: it is folded when there is room.
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "no room even to seal"
                );
                if let Some(outage) = &mut self.outage {
                    outage.stage = Stage::Reopen;
                }
                MadeRoom::Perhaps
            }
        }
    }

    /// Says how things stand, if that is news.
    fn stand(&mut self, standing: Standing) {
        if self.standing == standing {
            return;
        }
        if let Some(refusal) = standing.refusal() {
            tracing::error!("{refusal}");
        }
        self.standing = standing;
        self.alerts
            .set_standing(&self.standing, self.clock.wall_ms());
        if self.outage.is_some() {
            self.say_from_memory();
        }
        self.observer.standing(&self.standing);
    }

    /// Looks at the disk, every minute: how much room it has, whether there is any for the
    /// ballast; whether damaged files are still there.
    pub(super) fn look_around(&mut self) {
        let now_ms = self.clock.monotonic_ms();
        if self.look_at_ms > now_ms {
            return;
        }
        self.look_at_ms = now_ms.saturating_add(LOOK_EVERY_MS);
        self.look_at_room();
        let backups = &self.config.store.backups;
        match self
            .store
            .tend_incidents(backups, None, self.clock.wall_ms())
        {
            Ok(Tended::Unchanged) => {}
            Ok(Tended::Changed(incidents)) => self.alerts.set_files(&incidents),
            Err(error) => self.fail(&error, "what lies beside the store could not be looked at"),
        }
    }

    fn look_at_room(&mut self) {
        let Some(room) = self.store.view().room() else {
            return;
        };
        let level = room.level(self.level);
        if level > self.level {
            tracing::warn!(
                free_mib = room.free_bytes >> 20,
                "the disk of the store is getting full: when it is, readings are refused; delete \
                 something there, or give it a shorter [store] retain_readings"
            );
        } else if level < self.level {
            tracing::info!(
                free_mib = room.free_bytes >> 20,
                "the disk of the store has more room again"
            );
        }
        self.level = level;
        self.stand(Standing::Taking(level));
        if let Err(error) = self.store.regain_room() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the store does without room beside it for a full disk"
            );
        }
    }
}

/// What a seal on a full disk brought.
#[derive(Clone, Copy, PartialEq, Eq)]
enum MadeRoom {
    /// Retention has freed pages: commits fit where they were.
    InTheFile,
    /// Nobody knows; the disk does.
    Perhaps,
}
