//! Dates as JavaScript reads and writes them (ECMA-262, "Date Time String Format").
//!
//! A date is a count of milliseconds, so that all there is to do is the proleptic Gregorian calendar
//! over JavaScript's own range of years, which calendar crates do not have; the day arithmetic is
//! Howard Hinnant's `days_from_civil` and its inverse.

use std::io::Write;

const MS_PER_DAY: i64 = 86_400_000;
/// JavaScript's dates reach this many milliseconds from the epoch, both ways.
const MAX_MS: f64 = 8.64e15;

/// Appends `2024-01-05T20:07:27.955Z`; `false`, and nothing appended, for an invalid date.
pub fn write_iso(ms: f64, out: &mut Vec<u8>) -> bool {
    if ms.is_nan() || ms.abs() > MAX_MS {
        return false;
    }
    let ms = ms as i64;
    let (year, month, day) = civil_from_days(ms.div_euclid(MS_PER_DAY));
    let time = ms.rem_euclid(MS_PER_DAY);
    let written = match year {
        0..=9999 => write!(out, "{year:04}"),
        _ => write!(out, "{}{:06}", if year < 0 { '-' } else { '+' }, year.abs()),
    };
    let (hour, minute, second) = (time / 3_600_000, time / 60_000 % 60, time / 1000 % 60);
    written
        .and_then(|()| {
            let milli = time % 1000;
            write!(out, "-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
        })
        .is_ok()
}

/// What [`write_iso`] appends, as a string of its own.
pub fn to_iso(ms: f64) -> Option<String> {
    let mut out = Vec::with_capacity(24);
    write_iso(ms, &mut out).then(|| String::from_utf8_lossy(&out).into_owned())
}

/// Reads `2024`, `2024-01`, `2024-01-05` or one of them with `T20:07`, `T20:07:27`, `T20:07:27.955`
/// and perhaps `Z` or `+02:00`. Without a zone it is UTC (`spec/harper-rest.md` section 3.4).
pub fn parse_iso(text: &str) -> Option<f64> {
    let mut scan = Scan(text.as_bytes());
    let year = match scan.0.first()? {
        sign @ (b'+' | b'-') => {
            scan.0 = &scan.0[1..];
            let year = scan.digits(6)?;
            if *sign == b'-' { -year } else { year }
        }
        _ => scan.digits(4)?,
    };
    let month = if scan.eat(b'-') { scan.digits(2)? } else { 1 };
    let day = if text.len() > 7 && scan.eat(b'-') { scan.digits(2)? } else { 1 };
    if !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
        return None;
    }
    let mut ms = (days_from_civil(year, month, day) * MS_PER_DAY) as f64;
    if scan.eat(b'T') || scan.eat(b' ') {
        ms += scan.time()?;
        ms -= scan.zone()?;
    }
    (scan.0.is_empty() && ms.abs() <= MAX_MS).then_some(ms)
}

/// The bytes that are still to be read.
struct Scan<'a>(&'a [u8]);

impl Scan<'_> {
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.0.first() == Some(&byte);
        if found {
            self.0 = &self.0[1..];
        }
        found
    }

    /// Exactly `count` decimal digits.
    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        let value = digits.iter().try_fold(0, |value, byte| {
            byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0'))
        })?;
        self.0 = rest;
        Some(value)
    }

    /// `20:07`, `20:07:27` or `20:07:27.955` in milliseconds. Digits after the third of the fraction
    /// are read and dropped, as JavaScript does.
    fn time(&mut self) -> Option<f64> {
        let hour = self.digits(2)?;
        self.eat(b':').then_some(())?;
        let minute = self.digits(2)?;
        let second = if self.eat(b':') { self.digits(2)? } else { 0 };
        let mut milli = 0;
        if self.eat(b'.') || self.eat(b',') {
            let len = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (fraction, rest) = self.0.split_at(len);
            let mut padded = fraction.iter().copied().chain(std::iter::repeat(b'0'));
            milli = padded.by_ref().take(3).fold(0, |ms, byte| ms * 10 + i64::from(byte - b'0'));
            self.0 = rest;
            (len > 0).then_some(())?;
        }
        let end_of_day = hour == 24 && minute == 0 && second == 0 && milli == 0;
        ((hour < 24 || end_of_day) && minute < 60 && second < 60)
            .then_some((((hour * 60 + minute) * 60 + second) * 1000 + milli) as f64)
    }

    /// What to subtract to get UTC, in milliseconds.
    fn zone(&mut self) -> Option<f64> {
        if self.0.is_empty() || self.eat(b'Z') || self.eat(b'z') {
            return Some(0.0);
        }
        let sign = if self.eat(b'+') { 1 } else { self.eat(b'-').then_some(-1)? };
        let hours = self.digits(2)?;
        self.eat(b':');
        let minutes = self.digits(2)?;
        (hours < 24 && minutes < 60).then_some((sign * (hours * 60 + minutes) * 60_000) as f64)
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01. Years begin in March here, so that the leap day is the last of a year.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a count of days from 1970-01-01.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn writes_as_javascript_does() {
        for (ms, text) in [
            (0.0, "1970-01-01T00:00:00.000Z"),
            (1_704_485_247_955.0, "2024-01-05T20:07:27.955Z"),
            (1_704_485_247_955.75, "2024-01-05T20:07:27.955Z"),
            (-1.0, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000.0, "2000-02-29T00:00:00.000Z"),
            (-62_198_755_200_000.0, "-000001-01-01T00:00:00.000Z"),
            (8.64e15, "+275760-09-13T00:00:00.000Z"),
            (-8.64e15, "-271821-04-20T00:00:00.000Z"),
        ] {
            assert_eq!(to_iso(ms).as_deref(), Some(text));
        }
        for invalid in [f64::NAN, f64::INFINITY, 8.64e15 + 1.0] {
            assert_eq!(to_iso(invalid), None);
        }
    }

    #[test]
    fn reads_iso_dates() {
        for (text, ms) in [
            ("1970", 0.0),
            ("1970-02", 2_678_400_000.0),
            ("2024-01-05", 1_704_412_800_000.0),
            ("2024-01-05T20:07", 1_704_485_220_000.0),
            ("2024-01-05T20:07:27.955", 1_704_485_247_955.0),
            ("2024-01-05T20:07:27.955Z", 1_704_485_247_955.0),
            ("2024-01-05T22:07:27.9559+02:00", 1_704_485_247_955.0),
            ("2024-01-05T19:37:27.955-0030", 1_704_485_247_955.0),
            ("2024-01-05T24:00:00Z", 1_704_499_200_000.0),
        ] {
            assert_eq!(parse_iso(text), Some(ms), "{text}");
        }
        for text in [
            "",
            "-",
            "24",
            "2024-13",
            "2023-02-29",
            "2024-01-05T",
            "2024-01-05T25:00",
            "2024-01-05T20:07:27.Z",
            "2024-01-05T20:07Zx",
            "2024-01-05x",
            "hello",
            "2024é01",
        ] {
            assert_eq!(parse_iso(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn writing_then_reading_is_the_identity(ms in -8_640_000_000_000_000i64..=8_640_000_000_000_000) {
            let text = to_iso(ms as f64).expect("within range");
            prop_assert_eq!(parse_iso(&text), Some(ms as f64));
        }

        #[test]
        fn reading_never_panics(text in "[-+0-9T:.Z ]{0,32}") {
            let _ = parse_iso(&text);
        }
    }
}
