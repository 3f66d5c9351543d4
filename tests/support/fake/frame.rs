//! Bytes as the server writes them: events, chunks, heads, dates.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// The data of an event, or a body: text, JSON, or bytes that are neither.
#[derive(Clone, Debug)]
pub(crate) struct Data(pub(super) Vec<u8>);

impl From<&str> for Data {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<String> for Data {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl From<Value> for Data {
    fn from(value: Value) -> Self {
        Self(value.to_string().into_bytes())
    }
}

impl From<Vec<u8>> for Data {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Data {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl<const N: usize> From<&[u8; N]> for Data {
    fn from(bytes: &[u8; N]) -> Self {
        Self(bytes.to_vec())
    }
}

/// An event in the server's exact form: no space after the colons, one `data:` line, LF.
pub(crate) fn frame(id: &str, event: &str, data: impl Into<Data>) -> Vec<u8> {
    let mut bytes = format!("id:{id}\nevent:{event}\ndata:").into_bytes();
    bytes.extend(data.into().0);
    bytes.extend(b"\n\n");
    bytes
}

/// The first frame of every stream.
pub(crate) fn connect_frame(id: &str) -> Vec<u8> {
    frame(id, "PB_CONNECT", json!({ "clientId": id }))
}

/// The data of a record event: `record("create", json!({"id": "r1"}))`.
pub(crate) fn record(action: &str, record: Value) -> Value {
    let mut event = json!({ "action": action });
    event["record"] = record;
    event
}

/// The body of every error: `{"data":{},"message":"…","status":N}`.
pub(crate) fn error_body(status: u16, message: &str, data: Value) -> Value {
    let mut body = json!({ "data": {}, "message": message, "status": status });
    body["data"] = data;
    body
}

/// One chunk of the chunked transfer encoding. Empty input stays empty: `0` would end the body.
pub(super) fn chunk(bytes: &[u8]) -> Vec<u8> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend(bytes);
    chunk.extend(b"\r\n");
    chunk
}

/// The status line and the headers, down to the empty line.
pub(super) fn head(status: u16, headers: &[(String, String)]) -> Vec<u8> {
    let reason = match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Scripted",
    };
    let mut head = format!("HTTP/1.1 {status} {reason}\r\n");
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// The time as the `Date` header writes it: `Mon, 23 Nov 2026 20:50:09 GMT`.
pub(crate) fn http_date(time: SystemTime) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days to date in the Gregorian calendar, after Howard Hinnant's `civil_from_days`: years
    // that begin in March, in cycles of 400.
    let shifted = days + 719_468;
    let (cycle, day_of_cycle) = (shifted / 146_097, shifted % 146_097);
    let year_of_cycle = (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 2 } else { month_from_march - 10 };
    let year = cycle * 400 + year_of_cycle + u64::from(month < 2);
    let at = |names: &[&'static str], index: u64| {
        usize::try_from(index).ok().and_then(|index| names.get(index).copied()).unwrap_or("???")
    };
    format!(
        "{}, {day:02} {} {year} {:02}:{:02}:{:02} GMT",
        at(&DAYS, days % 7),
        at(&MONTHS, month),
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}
