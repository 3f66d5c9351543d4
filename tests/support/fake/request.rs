//! What a client asked: reading it off the socket, and looking at it afterwards.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

/// A head longer than this is no request of ours.
const LONGEST_HEAD: u64 = 1 << 20;

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Place in the order of arrival, over all connections, from 0.
    pub(crate) number: usize,
    /// Which TCP connection carried it; equal numbers mean keep-alive.
    pub(crate) connection: usize,
    pub(crate) method: String,
    /// Without the query, still percent-encoded.
    pub(crate) path: String,
    /// Without the `?`, still percent-encoded; empty if there was none.
    pub(crate) query: String,
    /// In their order, names as they were sent.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// When the last byte of it had been read.
    pub(crate) at: Instant,
}

impl Request {
    /// The first header of that name, in any case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The first query parameter of that name, decoded.
    pub(crate) fn param(&self, name: &str) -> Option<String> {
        query_pairs(&self.query).into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, `null` if it is none.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Path and query as they stood in the request line.
    pub(crate) fn target(&self) -> String {
        if self.query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, self.query) }
    }

    /// What `POST /api/realtime` carries: the client id and its set of keys.
    pub(super) fn subscriptions(&self) -> Option<(String, Vec<String>)> {
        if self.method != "POST" || !self.path.ends_with("/api/realtime") {
            return None;
        }
        let body = self.json();
        let keys = body["subscriptions"]
            .as_array()
            .map_or_else(Vec::new, |keys| keys.iter().filter_map(|key| Some(key.as_str()?.to_owned())).collect());
        Some((body["clientId"].as_str()?.to_owned(), keys))
    }

    pub(super) fn wants_close(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// Reads one request; `None` when the client left before it was complete.
///
/// An error is a client that speaks something else than the part of HTTP/1.1 that we know.
pub(super) fn read(reader: &mut BufReader<&TcpStream>, connection: usize) -> Result<Option<Request>, String> {
    let Some(line) = read_line(reader)? else {
        return Ok(None);
    };
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some("HTTP/1.1"), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(format!("not an HTTP/1.1 request line: {line:?}"));
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        number: 0, // given when it is recorded
        connection,
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        at: Instant::now(),
    };
    loop {
        let Some(line) = read_line(reader)? else {
            return Ok(None);
        };
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| format!("not a header line: {line:?}"))?;
        request.headers.push((name.to_owned(), value.trim().to_owned()));
    }
    if request.header("transfer-encoding").is_some() {
        return Err(format!("{method} {target}: the fake reads no chunked request bodies"));
    }
    let length = request.header("content-length").unwrap_or("0");
    let length = length.parse().map_err(|_| format!("not a content-length: {length:?}"))?;
    if request.header("expect").is_some_and(|it| it.eq_ignore_ascii_case("100-continue")) {
        let mut socket: &TcpStream = reader.get_ref();
        // A client that has left is noticed by the read that follows.
        let _ = socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
    }
    request.body.resize(length, 0);
    if reader.read_exact(&mut request.body).is_err() {
        return Ok(None);
    }
    request.at = Instant::now();
    Ok(Some(request))
}

/// One line without its CRLF; `None` when the connection ended first.
fn read_line(reader: &mut BufReader<&TcpStream>) -> Result<Option<String>, String> {
    let mut line = Vec::new();
    let read: io::Result<usize> = reader.take(LONGEST_HEAD).read_until(b'\n', &mut line);
    match read {
        Ok(_) if line.ends_with(b"\n") => {
            line.pop();
            if line.ends_with(b"\r") {
                line.pop();
            }
            String::from_utf8(line).map(Some).map_err(|bad| {
                let start: Vec<u8> = bad.into_bytes().into_iter().take(40).collect();
                format!("not HTTP: {}", start.escape_ascii())
            })
        }
        Ok(length) if length as u64 == LONGEST_HEAD => Err("a line of the head is endless".into()),
        Ok(_) | Err(_) => Ok(None),
    }
}

/// The pairs of a query, percent-decoded.
pub(super) fn query_pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decoded(name), percent_decoded(value))
        })
        .collect()
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escape = tail.first_chunk::<2>().filter(|_| *first == b'%');
        let escaped = escape.and_then(|hex| str::from_utf8(hex).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(match (escaped, first) {
            (Some(byte), _) => byte,
            (None, b'+') => b' ',
            (None, byte) => *byte,
        });
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
