//! Times and durations as they are written.

use std::cell::Cell;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::stamp;

thread_local! {
    /// What was written last: the events that come at once have the same time.
    static LAST: Cell<(Timestamp, [u8; 24])> = const { Cell::new((Timestamp::UNIX_EPOCH, *b"1970-01-01T00:00:00.000Z")) };
}

/// Appends `2026-03-01T12:04:31.207Z`: always three decimals, always UTC.
pub(super) fn rfc3339(out: &mut Vec<u8>, time: Timestamp) {
    let (last, text) = LAST.get();
    if last == time {
        return out.extend_from_slice(&text);
    }
    if let Some(text) = stamp::rfc3339(time) {
        LAST.set((time, text));
        return out.extend_from_slice(&text);
    }
    let at = TimeZone::UTC.to_datetime(time);
    date(out, at);
    clock(out, at);
    millis(out, at);
    out.push(b'Z');
}

/// What `--time` makes of the time of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Times {
    /// By the clock of a time zone.
    #[default]
    Clock,
    /// How long after the one before.
    Delta,
    None,
}

/// Appends `2026-03-01T13:04:31.207+01:00`; in UTC as [`rfc3339`] has it.
pub(super) fn rfc3339_in(out: &mut Vec<u8>, time: Timestamp, zone: &TimeZone) {
    let offset = zone.to_offset(time);
    if *zone == TimeZone::UTC {
        return rfc3339(out, time);
    }
    let at = offset.to_datetime(time);
    date(out, at);
    clock(out, at);
    millis(out, at);
    let minutes = offset.seconds() / 60;
    out.push(if minutes < 0 { b'-' } else { b'+' });
    digits::<2>(out, u16::try_from(minutes.unsigned_abs() / 60).unwrap_or_default());
    out.push(b':');
    digits::<2>(out, u16::try_from(minutes.unsigned_abs() % 60).unwrap_or_default());
}

/// `+0.004s`, as long after the one before; the first comes at once.
pub(super) fn delta(time: Timestamp, before: Option<Timestamp>) -> String {
    let millis = before.map_or(0, |before| time.as_millisecond().saturating_sub(before.as_millisecond()));
    let sign = if millis < 0 { '-' } else { '+' };
    format!("{sign}{}.{:03}s", millis.unsigned_abs() / 1000, millis.unsigned_abs() % 1000)
}

fn date(out: &mut Vec<u8>, at: DateTime) {
    digits::<4>(out, at.year().unsigned_abs());
    out.push(b'-');
    digits::<2>(out, at.month().unsigned_abs());
    out.push(b'-');
    digits::<2>(out, at.day().unsigned_abs());
    out.push(b'T');
}

/// Appends `12:04:31`.
pub(super) fn clock(out: &mut Vec<u8>, at: DateTime) {
    digits::<2>(out, at.hour().unsigned_abs());
    out.push(b':');
    digits::<2>(out, at.minute().unsigned_abs());
    out.push(b':');
    digits::<2>(out, at.second().unsigned_abs());
}

/// Appends `.207`.
pub(super) fn millis(out: &mut Vec<u8>, at: DateTime) {
    out.push(b'.');
    digits::<3>(out, at.millisecond().unsigned_abs());
}

/// By hand: an event is little more than its time and a copy of its bytes.
fn digits<const N: usize>(out: &mut Vec<u8>, number: impl Into<u16>) {
    let mut number = number.into();
    let mut text = [b'0'; N];
    for digit in text.iter_mut().rev() {
        *digit += u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
    out.extend_from_slice(&text);
}

/// `40ms`, `4.1s`, `14m05s`, `2h03m`, `3d04h`; what is zero at the end is left out.
pub(super) fn duration(time: Duration) -> String {
    let tenths = (time.as_millis() + 50) / 100;
    if tenths == 0 && !time.is_zero() {
        return format!("{}ms", time.as_millis().max(1));
    }
    if tenths < 600 {
        return match (tenths / 10, tenths % 10) {
            (seconds, 0) => format!("{seconds}s"),
            (seconds, tenth) => format!("{seconds}.{tenth}s"),
        };
    }
    let seconds = (time.as_millis() + 500) / 1000;
    let (large, small, units) = match seconds {
        ..3600 => (seconds / 60, seconds % 60, ["m", "s"]),
        3600..86_400 => (seconds / 3600, seconds % 3600 / 60, ["h", "m"]),
        _ => (seconds / 86_400, seconds % 86_400 / 3600, ["d", "h"]),
    };
    match small {
        0 => format!("{large}{}", units[0]),
        _ => format!("{large}{}{small:02}{}", units[0], units[1]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (time, written) in [
            ("2026-03-01T12:04:31.207999Z", "2026-03-01T12:04:31.207Z"),
            ("2026-12-31T23:59:59Z", "2026-12-31T23:59:59.000Z"),
            ("1970-01-01T00:00:00.05Z", "1970-01-01T00:00:00.050Z"),
        ] {
            let mut out = Vec::new();
            rfc3339(&mut out, time.parse().unwrap());
            assert_eq!(String::from_utf8(out).unwrap(), written);
        }
    }

    #[test]
    fn times_elsewhere() {
        let time: Timestamp = "2026-03-01T23:04:31.207Z".parse().unwrap();
        for (zone, written) in [
            (TimeZone::UTC, "2026-03-01T23:04:31.207Z"),
            (TimeZone::fixed(jiff::tz::offset(2)), "2026-03-02T01:04:31.207+02:00"),
            (TimeZone::fixed(-jiff::tz::offset(3)), "2026-03-01T20:04:31.207-03:00"),
        ] {
            let mut out = Vec::new();
            rfc3339_in(&mut out, time, &zone);
            assert_eq!(String::from_utf8(out).unwrap(), written);
        }
        let before = |millis| Some(Timestamp::from_millisecond(time.as_millisecond() - millis).unwrap());
        assert_eq!(delta(time, None), "+0.000s");
        assert_eq!((delta(time, before(61_004)), delta(time, before(-5))), ("+61.004s".into(), "-0.005s".into()));
    }

    #[test]
    fn durations() {
        for (millis, written) in [
            (0, "0s"),
            (40, "40ms"),
            (50, "0.1s"),
            (1200, "1.2s"),
            (4100, "4.1s"),
            (30_000, "30s"),
            (59_949, "59.9s"),
            (59_950, "1m"),
            (300_000, "5m"),
            (845_000, "14m05s"),
            (3_599_600, "1h"),
            (7_380_000, "2h03m"),
            (86_400_000, "1d"),
            (273_600_000, "3d04h"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), written, "{millis}");
        }
        assert_eq!(duration(Duration::from_nanos(1)), "1ms");
    }
}
