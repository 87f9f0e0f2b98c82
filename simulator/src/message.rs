//! A reading, and the message that carries it:
//! `{"name":"TH1","timestamp":"2020-01-01 01:15:00","value":28.41}`.
//!
//! Written byte by byte into a buffer that the caller reuses: a load run makes hundreds of thousands
//! a second.

use std::sync::Arc;

use crate::DAY_MS;
use crate::fleet::Fleet;
use crate::sensor::Sensor;

/// One reading on its way; the compact form of a [`Message`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// When it is sent, in simulated ms UTC. Readings come in this order.
    pub at_ms: i64,
    /// When it was measured, in ms UTC: the message's timestamp.
    pub time_ms: i64,
    /// Its home, from 0.
    pub home: u32,
    /// Its sensor.
    pub sensor: Sensor,
    /// Its value in hundredths of the sensor's unit.
    pub hundredths: i64,
}

/// One MQTT message of the simulated home.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// When it is sent, in simulated ms UTC. Messages come in this order.
    pub at_ms: i64,
    /// When it was measured, in ms UTC.
    pub time_ms: i64,
    /// The sensor's full name, `TH1` or `h0001/TH1`.
    pub name: Arc<str>,
    /// Where it is published.
    pub topic: Arc<str>,
    /// The value, in the sensor's unit.
    pub value: f64,
    /// The JSON payload.
    pub payload: String,
}

impl Reading {
    /// The value in the sensor's unit: the double nearest to the decimal in the payload.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "hundredths stay far below 2^53: a meter gains 6 million a day"
    )]
    pub fn value(&self) -> f64 {
        self.hundredths as f64 / 100.0
    }

    /// Appends the JSON payload.
    pub fn write_payload(&self, fleet: &Fleet, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"name\":\"");
        out.extend_from_slice(fleet.label(self.home, self.sensor).name.as_bytes());
        out.extend_from_slice(b"\",\"timestamp\":\"");
        write_time(self.time_ms, out);
        out.extend_from_slice(b"\",\"value\":");
        write_hundredths(self.hundredths, out);
        out.push(b'}');
    }

    /// The message that carries it.
    #[must_use]
    pub fn message(&self, fleet: &Fleet) -> Message {
        let label = fleet.label(self.home, self.sensor);
        let mut payload = Vec::with_capacity(80);
        self.write_payload(fleet, &mut payload);
        Message {
            at_ms: self.at_ms,
            time_ms: self.time_ms,
            name: Arc::clone(&label.name),
            topic: Arc::clone(&label.topic),
            value: self.value(),
            payload: String::from_utf8(payload).expect("names, digits and ASCII punctuation"),
        }
    }
}

/// Appends `2020-01-01 01:15:00`, UTC.
fn write_time(ms: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil(ms.div_euclid(DAY_MS));
    let second = ms.rem_euclid(DAY_MS) / 1000;
    write_two(year / 100, out);
    write_two(year % 100, out);
    for (separator, number) in [
        (b'-', month),
        (b'-', day),
        (b' ', second / 3600),
        (b':', second / 60 % 60),
        (b':', second % 60),
    ] {
        out.push(separator);
        write_two(number, out);
    }
}

fn write_two(number: i64, out: &mut Vec<u8>) {
    let digit = |n: i64| b'0' + u8::try_from(n % 10).expect("one decimal digit of a date or time");
    out.extend_from_slice(&[digit(number / 10), digit(number)]);
}

/// Year, month and day of a day number since 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level
/// Date Algorithms": `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Appends a decimal without needless zeros: `28.41`, `0.5`, `1`.
fn write_hundredths(hundredths: i64, out: &mut Vec<u8>) {
    if hundredths < 0 {
        out.push(b'-');
    }
    let magnitude = hundredths.unsigned_abs();
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    let mut whole = magnitude / 100;
    loop {
        start -= 1;
        digits[start] = digit(whole);
        whole /= 10;
        if whole == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
    let (tenth, hundredth) = (magnitude / 10 % 10, magnitude % 10);
    if tenth != 0 || hundredth != 0 {
        out.extend_from_slice(&[b'.', digit(tenth)]);
        if hundredth != 0 {
            out.push(digit(hundredth));
        }
    }
}

fn digit(number: u64) -> u8 {
    b'0' + u8::try_from(number % 10).expect("a remainder of ten")
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    fn decimal(hundredths: i64) -> String {
        let mut out = Vec::new();
        write_hundredths(hundredths, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn decimals_carry_no_needless_zeros() {
        let written = [0, 100, 2000, 2841, 2840, 5, -5, 6_390_130].map(decimal);
        assert_eq!(
            written,
            ["0", "1", "20", "28.41", "28.4", "0.05", "-0.05", "63901.3"]
        );
    }

    #[test]
    fn the_payload_is_the_seeds() {
        let reading = Reading {
            at_ms: 1_577_841_300_000,
            time_ms: 1_577_841_300_000,
            home: 0,
            sensor: Sensor::Th1,
            hundredths: 2841,
        };
        assert_eq!(
            reading.message(&Fleet::new(1)).payload,
            r#"{"name":"TH1","timestamp":"2020-01-01 01:15:00","value":28.41}"#
        );
    }

    proptest! {
        #[test]
        fn timestamps_agree_with_chrono(seconds in 946_684_800_i64..4_102_444_800) {
            let mut out = Vec::new();
            write_time(seconds * 1000, &mut out);
            let expected = DateTime::from_timestamp(seconds, 0).unwrap().format("%Y-%m-%d %H:%M:%S");
            prop_assert_eq!(String::from_utf8(out).unwrap(), expected.to_string());
        }

        #[test]
        fn a_decimal_reads_back_as_the_value(hundredths in -1_000_000_000_i64..1_000_000_000) {
            let reading = Reading { at_ms: 0, time_ms: 0, home: 0, sensor: Sensor::Th1, hundredths };
            prop_assert_eq!(decimal(hundredths).parse::<f64>().unwrap().to_bits() << 1, reading.value().to_bits() << 1);
        }
    }
}
