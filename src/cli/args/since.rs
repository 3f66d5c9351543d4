//! `--since`: a moment, or how long ago.

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ZonedDateTime};

/// From when on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Since {
    /// A moment, by whichever clock: they mean the same.
    At(Timestamp),
    /// So long ago, by the server's clock.
    Ago(SpanAgo),
}

/// A span that is not negative.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SpanAgo(Span);

impl PartialEq for SpanAgo {
    fn eq(&self, other: &Self) -> bool {
        self.0.fieldwise() == other.0.fieldwise()
    }
}

impl Since {
    /// The moment, where it is `now`.
    pub(crate) fn moment(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::At(at) => Some(*at),
            // A day is one of the calendar here.
            Self::Ago(SpanAgo(span)) => {
                now.to_zoned_datetime(TimeZone::system()).checked_sub(*span).ok().map(|at| at.timestamp())
            }
        }
    }
}

/// `2026-03-01T12:00:00Z`, `2026-03-01`, `12:00`, `90m`, `2d`.
pub(crate) fn since(text: &str) -> Result<Since, String> {
    read(text, &ZonedDateTime::now())
}

fn read(text: &str, now: &ZonedDateTime) -> Result<Since, String> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("the unit is missing: {text}m, {text}h or {text}d?"));
    }
    let zoned = |at: DateTime| at.to_zoned_datetime(now.time_zone().clone()).map(|at| at.timestamp());
    let moment = (text.parse::<Timestamp>().ok())
        .or_else(|| text.parse::<ZonedDateTime>().ok().map(|at| at.timestamp()))
        .or_else(|| text.parse::<DateTime>().ok().and_then(|at| zoned(at).ok()))
        .or_else(|| text.parse::<Time>().ok().and_then(|at| zoned(now.date().to_datetime(at)).ok()));
    if let Some(moment) = moment {
        if moment > now.timestamp() + jiff::SignedDuration::from_mins(5) {
            return Err("that is still to come".to_owned());
        }
        return Ok(Since::At(moment));
    }
    let span: Span = text.parse().map_err(|_| {
        "not a time such as 2026-03-01, 2026-03-01T12:00:00Z or 12:00, nor a duration such as 90m or 2d".to_owned()
    })?;
    if span.is_negative() {
        return Err("that is still to come".to_owned());
    }
    let ago = Since::Ago(SpanAgo(span));
    if ago.moment(now.timestamp()).is_none() {
        return Err("that is too long ago".to_owned());
    }
    Ok(ago)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_people_write_them() {
        let now: ZonedDateTime = "2026-03-01T15:00:00+01:00[+01:00]".parse().unwrap();
        let at = |text: &str| match read(text, &now) {
            Ok(Since::At(at)) => at.to_string(),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(at("2026-03-01T12:00:00Z"), "2026-03-01T12:00:00Z");
        assert_eq!(at("2026-03-01 12:00:00.5Z"), "2026-03-01T12:00:00.5Z");
        assert_eq!(at("2026-03-01T12:00:00-02:00"), "2026-03-01T14:00:00Z");
        assert_eq!(at("2026-03-01T12:00"), "2026-03-01T11:00:00Z");
        assert_eq!(at("2026-02-28 23:59:59"), "2026-02-28T22:59:59Z");
        assert_eq!(at("2026-03-01"), "2026-02-28T23:00:00Z");
        assert_eq!(at("12:00"), "2026-03-01T11:00:00Z");
    }

    #[test]
    fn durations_go_back_from_the_servers_now() {
        let now: ZonedDateTime = "2026-03-01T15:00:00+00:00[UTC]".parse().unwrap();
        for (text, expected) in [
            ("90m", "2026-03-01T13:30:00Z"),
            ("1h30m", "2026-03-01T13:30:00Z"),
            ("2d", "2026-02-27T15:00:00Z"),
            ("1w", "2026-02-22T15:00:00Z"),
            ("0s", "2026-03-01T15:00:00Z"),
            ("2 hours ago", ""),
        ] {
            match (read(text, &now), expected) {
                (Err(_), "") => {}
                (Ok(since), _) => assert_eq!(since.moment(now.timestamp()).unwrap().to_string(), expected, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_moment_is_said() {
        let now: ZonedDateTime = "2026-03-01T15:00:00+00:00[UTC]".parse().unwrap();
        let wrong = |text: &str| read(text, &now).unwrap_err();
        assert_eq!(wrong("90"), "the unit is missing: 90m, 90h or 90d?");
        assert_eq!(wrong("16:00"), "that is still to come");
        assert_eq!(wrong("2027-01-01"), "that is still to come");
        assert!(
            wrong("soon").contains("2d") && wrong("").contains("90m") && wrong("2026-02-30").contains("not a time")
        );
    }
}
