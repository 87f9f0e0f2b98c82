//! The seal: folds the log's tail into blocks and rows and cuts the log, in one transaction.
//!
//! What it finds in the log is the truth; what it is told beside that (days, rests, states of
//! sensors) was made from it. A crash before the commit changes nothing: the log is still there.

use std::collections::BTreeMap;

use engine::{Day, SensorId};
use redb::{ReadableTable, Table, WriteTransaction};

use super::block::{self, Entry};
use super::error::{Fault, StoreError};
use super::forget;
use super::houses::{self, HousesSealed};
use super::late::{Exempt, late_rows};
use super::rows::{self, SealRow};
use super::scan::{self, entry};
use super::tables::{
    BALANCES, BLOCKS, Bytes, DAYS, LATE, LETTERS, LOG, META, META_CHECKPOINT, META_WAITING, RESTS,
    SEALS, SENSORS,
};
use super::types::{Checkpoint, Dropped, LateRow, Letter, Seal, Sealed, SensorState, Waiting};
use super::view::unsealed;
use super::{Options, Store};

/// What the log's tail holds, sorted out.
#[derive(Default)]
struct Folded {
    days: BTreeMap<(SensorId, Day), Vec<Entry>>,
    late: Vec<LateRow>,
    letters: Vec<Letter>,
    exempt: Exempt,
    sensors: Vec<SensorState>,
    balances: Vec<(u32, String)>,
    readings: u64,
    /// What the log says of readings that wait: those it brought, and which are done.
    waiting: Vec<Waiting>,
    waited_to: u64,
    /// As of the last group: since when the clock is doubted, and how many wait.
    doubt: Option<(Option<u64>, u64)>,
}

impl Store {
    /// Folds everything committed since the last seal into blocks and rows, writes what `seal`
    /// brings, and cuts the log. Readers never see half of it. Clears what was announced.
    ///
    /// # Errors
    /// As those of [`commit`](Self::commit): the store is to be opened again.
    pub fn seal(&mut self, seal: Seal<'_>) -> Result<Sealed, StoreError> {
        self.seal_with(seal, HousesSealed::default())
    }

    /// The same, and keeps houses.
    ///
    /// # Errors
    /// As those of [`seal`](Self::seal).
    pub fn seal_with(
        &mut self,
        seal: Seal<'_>,
        houses: HousesSealed<'_>,
    ) -> Result<Sealed, StoreError> {
        if self.failed.is_some() {
            return Err(StoreError::MustReopen);
        }
        let checkpoint = Checkpoint {
            seal: self.known.checkpoint.seal + 1,
            next_seq: self.known.next_seq,
            counters: self.known.counters,
            site_time_ms: self.known.site_time_ms,
            ..self.known.checkpoint.clone()
        };
        let first_seq = self.known.checkpoint.next_seq;
        let options = &self.options;
        let written = self.shared.with("seal the log", |open| {
            let mut txn = open.database.begin_write()?;
            // Opening after a crash need not read the whole file to find the free pages.
            txn.set_quick_repair(true);
            let written = write(&txn, seal, first_seq, checkpoint, options)?;
            houses::keep(&txn, houses)?;
            txn.commit()?;
            Ok(written)
        });
        self.failed = written.as_ref().err().map(StoreError::failure);
        let (checkpoint, sealed) = written?;
        self.came_to_something();
        self.shared.overlay().clear();
        self.known.checkpoint = checkpoint;
        self.known.tail = super::Tail::default();
        Ok(sealed)
    }
}

fn write(
    txn: &WriteTransaction,
    seal: Seal<'_>,
    first_seq: u64,
    mut checkpoint: Checkpoint,
    options: &Options,
) -> Result<(Checkpoint, Sealed), Fault> {
    let folded = fold(txn, seal.day_of)?;
    let mut sealed = Sealed {
        seal: checkpoint.seal,
        readings: folded.readings,
        blocks: 0,
        block_bytes: 0,
        dropped_blocks: 0,
    };
    let touched: Vec<(SensorId, Day)> = folded.days.keys().copied().collect();
    write_blocks(txn, folded.days, &mut sealed)?;
    write_rows(txn, &seal, folded.sensors, folded.balances)?;
    write_late(txn, folded.late, &folded.exempt)?;
    write_letters(txn, &folded.letters)?;
    if let Some(doubt) = folded.doubt {
        (checkpoint.doubt_from, checkpoint.waits) = doubt;
    }
    write_waiting(txn, folded.waiting, folded.waited_to)?;
    forget(txn, seal.forget_before_ms, options, &mut checkpoint.dropped)?;
    let row = SealRow {
        first_seq,
        next_seq: checkpoint.next_seq,
        newest_day: touched
            .iter()
            .map(|(_, day)| day.number())
            .max()
            .unwrap_or(i32::MIN),
        touched,
    };
    txn.open_table(SEALS)?
        .insert(checkpoint.seal, rows::pack_seal(&row).as_slice())?;
    if let Some(day) = seal.drop_before
        && checkpoint.dropped_before.is_none_or(|before| before < day)
    {
        sealed.dropped_blocks = drop_before(txn, day, &seal)?;
        checkpoint.dropped_before = Some(day);
    }
    txn.delete_table(LOG)?;
    txn.open_table(LOG)?;
    txn.open_table(META)?.insert(
        META_CHECKPOINT,
        rows::pack_checkpoint(&checkpoint).as_slice(),
    )?;
    Ok((checkpoint, sealed))
}

fn fold(
    txn: &WriteTransaction,
    day_of: &dyn Fn(SensorId, engine::EventTime) -> Day,
) -> Result<Folded, Fault> {
    let mut folded = Folded::default();
    scan::groups(&txn.open_table(LOG)?, |mut group| {
        folded.exempt.take(&group);
        folded.late.extend(late_rows(&group));
        folded.readings += group.readings.len() as u64;
        folded.waiting.append(&mut group.doubt.waiting);
        folded.waited_to = folded.waited_to.max(group.doubt.waited_to.unwrap_or(0));
        folded.doubt = Some((group.doubt.from, group.doubt.waits));
        for reading in group.readings.iter().filter(|r| r.fate.decides()) {
            let day = day_of(reading.sensor, reading.time);
            let entries = folded.days.entry((reading.sensor, day)).or_default();
            entries.push(entry(reading));
        }
        folded.letters.append(&mut group.letters);
        let sensors = group.new_sensors.into_iter();
        folded
            .sensors
            .extend(sensors.map(|(id, name)| unsealed(id, name)));
        let balances = group.new_balances.into_iter();
        folded
            .balances
            .extend(balances.map(|(id, name)| (id.0, name)));
    })?;
    Ok(folded)
}

/// One block a sensor and day; a last block that is not full goes into it.
fn write_blocks(
    txn: &WriteTransaction,
    days: BTreeMap<(SensorId, Day), Vec<Entry>>,
    sealed: &mut Sealed,
) -> Result<(), Fault> {
    let mut table = txn.open_table(BLOCKS)?;
    let mut packed = Vec::new();
    for ((sensor, day), mut entries) in days {
        let (sensor, day) = (sensor.0, day.number());
        let mut merged = None;
        if let Some(last) = table
            .range((sensor, day, 0)..=(sensor, day, u64::MAX))?
            .next_back()
        {
            let (key, value) = last?;
            let (key, value) = (key.value(), value.value());
            let span = block::peek(value).map_err(Fault::damaged("blocks", key))?;
            if span.count < block::FULL {
                entries.extend(block::unpack(value).map_err(Fault::damaged("blocks", key))?);
                merged = Some(key);
            }
        }
        if let Some(key) = merged {
            table.remove(key)?;
        }
        block::pack(&mut packed, &mut entries);
        table.insert((sensor, day, sealed.seal), packed.as_slice())?;
        sealed.blocks += 1;
        sealed.block_bytes += packed.len() as u64;
    }
    Ok(())
}

fn write_rows(
    txn: &WriteTransaction,
    seal: &Seal<'_>,
    new_sensors: Vec<SensorState>,
    new_balances: Vec<(u32, String)>,
) -> Result<(), Fault> {
    let mut sensors = txn.open_table(SENSORS)?;
    for sensor in new_sensors.iter().chain(&seal.sensors) {
        sensors.insert(sensor.id.0, rows::pack_sensor(sensor).as_slice())?;
    }
    let mut balances = txn.open_table(BALANCES)?;
    for (id, name) in new_balances {
        balances.insert(id, rows::pack_name(&name).as_slice())?;
    }
    let mut days = txn.open_table(DAYS)?;
    for (sensor, day, row) in &seal.days {
        days.insert((sensor.0, day.number()), rows::pack_day(row).as_slice())?;
    }
    let mut rests = txn.open_table(RESTS)?;
    for (balance, day, row) in &seal.rests {
        rests.insert((balance.0, day.number()), rows::pack_rest(row).as_slice())?;
    }
    Ok(())
}

fn write_late(txn: &WriteTransaction, late: Vec<LateRow>, exempt: &Exempt) -> Result<(), Fault> {
    let mut table = txn.open_table(LATE)?;
    for row in late {
        table.insert(row.seq, rows::pack_late(&row).as_slice())?;
    }
    if exempt.is_empty() {
        return Ok(());
    }
    let mut accepted = Vec::new();
    scan::late_of(&table, |row| {
        if !row.accepted && exempt.accepts(&row) {
            accepted.push(LateRow {
                accepted: true,
                ..row
            });
        }
    })?;
    for row in accepted {
        table.insert(row.seq, rows::pack_late(&row).as_slice())?;
    }
    Ok(())
}

/// Carries what still waits over the end of the log.
fn write_waiting(txn: &WriteTransaction, more: Vec<Waiting>, waited_to: u64) -> Result<(), Fault> {
    let mut meta = txn.open_table(META)?;
    let kept = meta.get(META_WAITING)?.map(|value| {
        rows::unpack_waiting(value.value()).map_err(Fault::damaged("meta", META_WAITING))
    });
    if kept.is_none() && more.is_empty() {
        return Ok(());
    }
    let mut waiting = kept.transpose()?.unwrap_or_default();
    waiting.extend(more);
    waiting.retain(|reading| reading.seq >= waited_to);
    if waiting.is_empty() {
        meta.remove(META_WAITING)?;
    } else {
        meta.insert(META_WAITING, rows::pack_waiting(&waiting).as_slice())?;
    }
    Ok(())
}

fn write_letters(txn: &WriteTransaction, letters: &[Letter]) -> Result<(), Fault> {
    let mut table = txn.open_table(LETTERS)?;
    for letter in letters {
        table.insert(letter.seq, rows::pack_letter(letter).as_slice())?;
    }
    Ok(())
}

/// The caps and the age of what was set aside or refused.
fn forget(
    txn: &WriteTransaction,
    before_ms: Option<i64>,
    options: &Options,
    dropped: &mut Dropped,
) -> Result<(), Fault> {
    let (mut late, mut letters) = (txn.open_table(LATE)?, txn.open_table(LETTERS)?);
    dropped.late += forget::beyond(&mut late, options.late_cap)?;
    dropped.letters += forget::beyond(&mut letters, options.letter_cap)?;
    if let Some(before_ms) = before_ms {
        dropped.late += forget::before(&mut late, before_ms, |seq, value| {
            let row = rows::unpack_late(seq, value).map_err(Fault::damaged("late", seq))?;
            Ok(row.arrived_ms)
        })?;
        dropped.letters += forget::before(&mut letters, before_ms, |seq, value| {
            let letter = rows::unpack_letter(seq, value).map_err(Fault::damaged("letters", seq))?;
            Ok(letter.arrived_ms)
        })?;
    }
    Ok(())
}

/// Retention: removes the readings of days before `day`, and keeps what was made of them; says how
/// many blocks.
fn drop_before(txn: &WriteTransaction, day: Day, seal: &Seal<'_>) -> Result<u64, Fault> {
    let mut dropped = 0;
    let mut oldest = day.number();
    let mut blocks = txn.open_table(BLOCKS)?;
    for sensor in ids(&txn.open_table(SENSORS)?)? {
        let before = (seal.kept_from)(SensorId(sensor), day).number();
        oldest = oldest.min(before);
        blocks.retain_in((sensor, i32::MIN, 0)..(sensor, before, 0), |_, _| {
            dropped += 1;
            false
        })?;
    }
    let mut late = txn.open_table(LATE)?;
    let mut old = Vec::new();
    scan::late_of(&late, |row| {
        if (seal.day_of)(row.sensor, row.time) < (seal.kept_from)(row.sensor, day) {
            old.push(row.seq);
        }
    })?;
    for seq in old {
        late.remove(seq)?;
    }
    let mut seals = txn.open_table(SEALS)?;
    let mut old = Vec::new();
    for entry in seals.range::<u64>(..)? {
        let (seal, value) = entry?;
        let seal = seal.value();
        let row = rows::unpack_seal(value.value()).map_err(Fault::damaged("seals", seal))?;
        if row.newest_day < oldest {
            old.push(seal);
        }
    }
    for seal in old {
        seals.remove(seal)?;
    }
    Ok(dropped)
}

/// The numbers that are keys of `table`.
fn ids(table: &Table<'_, u32, Bytes>) -> Result<Vec<u32>, Fault> {
    table
        .range::<u32>(..)?
        .map(|entry| Ok(entry?.0.value()))
        .collect()
}
