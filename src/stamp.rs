//! Moments as the server stores and compares them: `2026-03-01 12:04:31.207Z`.
//!
//! Each event carries one, and each line of NDJSON begins with its like, so they are read and
//! written by hand.

use jiff::Timestamp;

const DAY: i64 = 86_400_000;

/// The server's stamp in milliseconds since 1970; any other form that says a moment is read, too.
pub(crate) fn millis(stamp: &str) -> Option<i64> {
    usual(stamp).or_else(|| stamp.parse::<Timestamp>().ok().map(Timestamp::as_millisecond))
}

/// Reads the form that the server writes.
fn usual(stamp: &str) -> Option<i64> {
    const FORM: &[u8; 24] = b"0000-00-00 00:00:00.000Z";
    let mut text: [u8; 24] = stamp.as_bytes().try_into().ok()?;
    let mut wrong = false;
    for (byte, form) in text.iter_mut().zip(FORM) {
        // What is left of a digit is its value, and nothing of a mark.
        *byte ^= form;
        wrong |= *byte > if *form == b'0' { 9 } else { 0 };
    }
    if wrong {
        return None;
    }
    let two = |at: usize| i64::from(text[at]) * 10 + i64::from(text[at + 1]);
    let (year, month, day) = (two(0) * 100 + two(2), two(5), two(8));
    let (hour, minute, second) = (two(11), two(14), two(17));
    let thousandths = two(20) * 10 + i64::from(text[22]);
    // What is rare or wrong is for somebody who knows the calendar.
    let longest = if month == 2 { 28 } else { 30 };
    let is_date = year < 9999 && (1..=12).contains(&month) && (1..=longest).contains(&day);
    if !is_date || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_since_1970(year, month, day);
    Some(days * DAY + ((hour * 60 + minute) * 60 + second) * 1000 + thousandths)
}

/// Days of the Gregorian calendar. A year that begins in March ends with its leap day.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

/// Writes `2026-03-01T12:04:31.207Z`; `None` before 1970.
#[cfg(feature = "cli")]
pub(crate) fn rfc3339(time: Timestamp) -> Option<[u8; 24]> {
    let millis = u64::try_from(time.as_millisecond()).ok().filter(|_| time >= Timestamp::UNIX_EPOCH)?;
    let days = u32::try_from(millis / DAY.unsigned_abs()).ok()? + 719_468;
    let millis = u32::try_from(millis % DAY.unsigned_abs()).ok()?;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year_of_era + later;
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let mut two = |at: usize, number: u32| {
        text[at] = b'0' + (number / 10 % 10) as u8;
        text[at + 1] = b'0' + (number % 10) as u8;
    };
    two(0, year / 100);
    two(2, year);
    two(5, month);
    two(8, day);
    two(11, millis / 3_600_000);
    two(14, millis / 60_000 % 60);
    two(17, millis / 1000 % 60);
    two(20, millis / 10 % 100);
    text[22] = b'0' + (millis % 10) as u8;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_jiff(stamp: &str) -> Option<i64> {
        stamp.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
    }

    #[test]
    fn stamps() {
        for (stamp, is_usual) in [
            ("2026-03-01 12:04:31.207Z", true),
            ("1970-01-01 00:00:00.000Z", true),
            ("0000-01-01 00:00:00.000Z", true),
            ("0000-03-01 00:00:00.001Z", true),
            ("1900-02-28 23:59:59.999Z", true),
            ("9998-12-30 23:59:59.999Z", true),
            ("9999-12-30 23:59:59.999Z", false),
            ("2024-02-29 00:00:00.000Z", false),
            ("2023-02-29 00:00:00.000Z", false),
            ("2026-12-31 00:00:00.000Z", false),
            ("2026-04-31 00:00:00.000Z", false),
            ("2026-00-01 00:00:00.000Z", false),
            ("2026-13-01 00:00:00.000Z", false),
            ("2026-01-00 00:00:00.000Z", false),
            ("2026-01-01 24:00:00.000Z", false),
            ("2026-01-01 00:60:00.000Z", false),
            ("2026-01-01 00:00:60.000Z", false),
            ("2026-01-01T00:00:00.000Z", false),
            ("2026-01-01 00:00:00.000+", false),
            ("2026-01-01 00:00:00.0000", false),
            ("2026-01-01 0:00:00.0000Z", false),
            ("2026-01-0: 00:00:00.000Z", false),
            ("2026-01-01 00:00:00Z", false),
            ("2026-01-01 01:00:00.123456+01:00", false),
            ("yesterday", false),
            ("", false),
        ] {
            assert_eq!(usual(stamp).is_some(), is_usual, "{stamp}");
            assert_eq!(millis(stamp), by_jiff(stamp), "{stamp}");
        }
    }

    proptest! {
        #[test]
        fn any_moment_is_read_as_jiff_reads_it(at in -62_167_219_200_000_i64..253_402_207_200_000) {
            let time = Timestamp::from_millisecond(at).unwrap();
            prop_assert_eq!(millis(&crate::filter::server_time(time)), Some(at));
        }

        #[test]
        fn any_text_is_read_as_jiff_reads_it(text in "[0-9]{4}-[01][0-9]-[0-3][0-9][ T][0-2][0-9]:[0-6][0-9]:[0-6][0-9]\\.[0-9]{3}[Zz0]") {
            prop_assert_eq!(millis(&text), by_jiff(&text));
        }

        #[cfg(feature = "cli")]
        #[test]
        fn any_moment_is_written_as_jiff_writes_it(at in -62_167_219_200_000_000_000_i128..253_402_207_200_000_000_000) {
            let time = Timestamp::from_nanosecond(at).unwrap();
            let text = rfc3339(time).map(|text| String::from_utf8(text.to_vec()).unwrap());
            let at = jiff::tz::TimeZone::UTC.to_datetime(time);
            let expected = (time >= Timestamp::UNIX_EPOCH).then(|| at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string());
            prop_assert_eq!(text, expected);
        }
    }
}
