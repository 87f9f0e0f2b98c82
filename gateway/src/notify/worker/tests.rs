//! The worker in virtual time, against a receiver that does as it is told and an outbox in memory.

use super::*;
use crate::alert::What;
use crate::clock::ManualClock;
use crate::notify::answer::{Blame, Taken};
use crate::notify::rounds::{EXPIRY_MS, FAILING_AFTER, GROUP_FOR, LONGEST_PAUSE};
use crate::notify::sample::{house, leak, notice};
use std::collections::VecDeque;
use std::sync::Mutex;
use tokio::sync::Notify;

const NOW_MS: i64 = 1_795_478_400_000;

#[derive(Debug, thiserror::Error)]
#[error("the disk is full")]
struct DiskFull;

#[derive(Default)]
struct Memory {
    notices: Mutex<BTreeMap<u64, Notice>>,
    meant: Mutex<Vec<u64>>,
    came: Notify,
    is_full: std::sync::atomic::AtomicBool,
}

impl Memory {
    fn put(&self, seq: u64) {
        let mut notice = notice(What::Fired, leak());
        notice.seq = seq;
        notice.alert.notices = u32::try_from(seq).expect("a small number");
        self.notices.lock().expect("no panic").insert(seq, notice);
        self.came.notify_waiters();
    }

    fn left(&self) -> usize {
        self.notices.lock().expect("no panic").len()
    }
}

impl Outbox for Memory {
    type Error = DiskFull;

    fn waiting(&self, _: &str, most: usize) -> Result<Vec<Notice>, DiskFull> {
        let notices = self.notices.lock().expect("no panic");
        Ok(notices.values().take(most).cloned().collect())
    }

    fn meant(&self, _: &str) -> Result<Vec<u64>, DiskFull> {
        Ok(self.meant.lock().expect("no panic").clone())
    }

    async fn mean(&self, _: &str, seqs: &[u64]) -> Result<(), DiskFull> {
        *self.meant.lock().expect("no panic") = seqs.to_vec();
        Ok(())
    }

    async fn sent(&self, _: &str, seqs: &[u64]) -> Result<(), DiskFull> {
        if self.is_full.load(Ordering::Relaxed) {
            return Err(DiskFull);
        }
        let mut notices = self.notices.lock().expect("no panic");
        notices.retain(|seq, _| !seqs.contains(seq));
        Ok(())
    }

    async fn more(&self) {
        self.came.notified().await;
    }
}

/// What was carried, when, and what comes of the next tries; when there is nothing more it takes all.
#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    tries: Vec<(Instant, String)>,
    failures: VecDeque<Failure>,
    fails_always: bool,
    takes: Duration,
}

impl Receiver {
    fn seconds(&self, since: Instant) -> Vec<u64> {
        let seen = self.0.lock().expect("no panic");
        let after = |(at, _): &(Instant, String)| at.duration_since(since).as_secs();
        seen.tries.iter().map(after).collect()
    }

    fn keys(&self) -> Vec<String> {
        let seen = self.0.lock().expect("no panic");
        seen.tries.iter().map(|(_, key)| key.clone()).collect()
    }
}

fn refused(blame: Blame, taken: Taken) -> Failure {
    Failure {
        text: "it says no".to_owned(),
        blame,
        taken,
    }
}

impl Carrier for Receiver {
    async fn carry(&self, bundle: &Bundle) -> Result<Reply, Failure> {
        let (failure, takes) = {
            let mut seen = self.0.lock().expect("no panic");
            seen.tries.push((Instant::now(), bundle.key().to_owned()));
            let always = seen
                .fails_always
                .then(|| refused(Blame::Passing, Taken::No));
            (seen.failures.pop_front().or(always), seen.takes)
        };
        sleep(takes).await;
        match failure {
            Some(failure) => Err(failure),
            None => Ok(Reply {
                words: "200 OK".to_owned(),
            }),
        }
    }
}

struct Scene {
    outbox: Arc<Memory>,
    receiver: Receiver,
    hand: ManualClock,
    turns: Arc<Mutex<Vec<Option<Failing>>>>,
    counted: Arc<Counted>,
    stop: watch::Sender<bool>,
    began: Instant,
}

fn scene() -> Scene {
    on(Arc::new(Memory::default()))
}

/// A worker on an outbox that another may have left.
fn on(outbox: Arc<Memory>) -> Scene {
    let (clock, hand) = Clock::manual(NOW_MS);
    let turns: Arc<Mutex<Vec<Option<Failing>>>> = Arc::default();
    let told = Arc::clone(&turns);
    let receiver = Receiver::default();
    let counted = Arc::new(Counted::default());
    let worker = Worker {
        name: "phone".to_owned(),
        outbox: Arc::clone(&outbox),
        carrier: receiver.clone(),
        seams: Seams {
            clock,
            house: house(),
            days: None,
            turned: Arc::new(move |_, failing| told.lock().expect("no panic").push(failing)),
            tally: Tally::default(),
            seed: 1,
        },
        rounds: Rounds::default(),
        unnoted: BTreeSet::new(),
        meant: None,
        dice: StdRng::seed_from_u64(1),
        counted: Arc::clone(&counted),
    };
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(worker.run(stopping));
    Scene {
        outbox,
        receiver,
        hand,
        turns,
        counted,
        stop,
        began: Instant::now(),
    }
}

async fn pass(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn the_first_notice_goes_at_once_and_those_within_30_s_of_it_go_as_one() {
    let scene = scene();
    pass(5).await;
    scene.outbox.put(1);
    for seq in 2..6 {
        pass(7).await;
        scene.outbox.put(seq);
    }
    pass(100).await;
    assert_eq!(
        scene.receiver.seconds(scene.began),
        [5, 5 + GROUP_FOR.as_secs()]
    );
    assert_eq!((scene.outbox.left(), scene.counted.sent()), (0, 5));
}

/// What the first worker sent, and what one that starts where it was stopped by force sends within a second.
async fn stopped_by_force_while_sending(first: &[u64], then: &[u64]) -> (Vec<String>, Vec<String>) {
    let killed = scene();
    for seq in first {
        killed.outbox.put(*seq);
    }
    // Its last message hangs.
    pass(1).await;
    killed.receiver.0.lock().expect("no panic").takes = Duration::from_secs(1 << 30);
    for seq in then {
        killed.outbox.put(*seq);
    }
    pass(100).await;
    killed.outbox.put(100);
    let scene = on(Arc::clone(&killed.outbox));
    pass(1).await;
    (killed.receiver.keys(), scene.receiver.keys())
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_on_its_way_when_the_power_failed_is_the_same_one_after_it() {
    let (before, after) = stopped_by_force_while_sending(&[1], &[2, 3]).await;
    assert_eq!((before.len(), after.len()), (2, 2), "{before:?} {after:?}");
    assert_eq!(before[1], after[0], "the two go together");
    let (before, after) = stopped_by_force_while_sending(&[], &[1]).await;
    assert_eq!((before.len(), after.len()), (1, 2), "{before:?} {after:?}");
    assert_eq!(
        before[0], after[0],
        "the one goes alone, of which nobody said anything"
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_not_taken_is_tried_again_under_the_same_key_until_it_is() {
    let scene = scene();
    let failures = [
        refused(Blame::Passing, Taken::Perhaps),
        refused(Blame::Busy(Duration::from_secs(40)), Taken::No),
        refused(Blame::Settings, Taken::No),
    ];
    scene.receiver.0.lock().expect("no panic").failures = VecDeque::from(failures);
    scene.outbox.put(1);
    pass(2000).await;
    let tries = scene.receiver.seconds(scene.began);
    assert_eq!(tries.len(), 4, "{tries:?}");
    assert!(tries[2] - tries[1] >= 39, "{tries:?}");
    assert!(
        tries[3] - tries[2] >= LONGEST_PAUSE.as_secs() - 1,
        "{tries:?}"
    );
    let keys: BTreeSet<String> = scene.receiver.keys().into_iter().collect();
    assert_eq!(keys.len(), 1, "{keys:?}");
    assert_eq!((scene.outbox.left(), scene.counted.failed()), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn a_notice_that_nobody_takes_is_given_up_after_a_day_and_counted() {
    let scene = scene();
    scene.receiver.0.lock().expect("no panic").fails_always = true;
    scene.outbox.put(1);
    pass(10).await;
    assert_eq!(scene.outbox.left(), 1);
    scene
        .hand
        .advance(u32::try_from(EXPIRY_MS + 1).expect("a day"));
    pass(2 * LONGEST_PAUSE.as_secs()).await;
    assert_eq!((scene.outbox.left(), scene.counted.expired()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_fails_for_an_hour_is_told_of_and_so_is_its_return() {
    let scene = scene();
    scene.receiver.0.lock().expect("no panic").fails_always = true;
    scene.outbox.put(1);
    pass(FAILING_AFTER.as_secs() - 1).await;
    assert_eq!(*scene.turns.lock().expect("no panic"), []);
    pass(LONGEST_PAUSE.as_secs()).await;
    let turns = scene.turns.lock().expect("no panic").clone();
    let [Some(failing)] = &*turns else {
        panic!("{turns:?} is one failure");
    };
    assert_eq!(failing.text, "it says no");
    scene.receiver.0.lock().expect("no panic").fails_always = false;
    pass(LONGEST_PAUSE.as_secs()).await;
    assert_eq!(scene.turns.lock().expect("no panic").last(), Some(&None));
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_neither_stops_alerts_nor_repeats_them() {
    let scene = scene();
    scene.outbox.is_full.store(true, Ordering::Relaxed);
    scene.outbox.put(1);
    pass(300).await;
    scene.outbox.put(2);
    pass(300).await;
    assert_eq!(scene.receiver.keys().len(), 2);
    scene.outbox.is_full.store(false, Ordering::Relaxed);
    pass(300).await;
    assert_eq!((scene.outbox.left(), scene.receiver.keys().len()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_stopped_ends_what_it_sends_and_begins_nothing() {
    let scene = scene();
    scene.receiver.0.lock().expect("no panic").takes = Duration::from_secs(10);
    scene.outbox.put(1);
    pass(1).await;
    scene.stop.send_replace(true);
    scene.outbox.put(2);
    pass(100).await;
    assert_eq!((scene.outbox.left(), scene.receiver.keys().len()), (1, 1));
}
