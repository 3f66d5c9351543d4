//! Times and durations as they are written.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Appends `2026-03-01T12:04:31.207Z`: always three decimals, always UTC.
pub(super) fn rfc3339(out: &mut Vec<u8>, time: Timestamp) {
    let at = TimeZone::UTC.to_datetime(time);
    digits::<4>(out, at.year().unsigned_abs());
    out.push(b'-');
    digits::<2>(out, at.month().unsigned_abs());
    out.push(b'-');
    digits::<2>(out, at.day().unsigned_abs());
    out.push(b'T');
    clock(out, at);
    millis(out, at);
    out.push(b'Z');
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
