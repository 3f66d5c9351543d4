//! A server of nothing but a feed, as fast as the machine allows: it names the
//! connection, takes the topics, and sends events until there have been enough.

use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// As long as the ids of the real server.
const CLIENT_ID: &str = "bench0000000000000000000000000000000feed";

/// The topic where the client does not name one (curl).
const DEFAULT_TOPIC: &str = "posts/*";

/// So many records are changed in turn.
const RECORDS: u64 = 1000;

/// What is sent.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) events: u64,
    /// How many events a chunk of the HTTP body holds; each chunk is one write.
    pub(crate) per_chunk: u64,
    /// How long an event's payload is.
    pub(crate) bytes: usize,
    /// So many a second; as fast as it goes where there is no rate.
    pub(crate) rate: Option<u64>,
    /// Messages of a custom topic instead of records.
    pub(crate) messages: bool,
    /// Records that do not say when they were changed: nothing of them can be read again, or be late.
    pub(crate) unstamped: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self { events: 300_000, per_chunk: 1, bytes: 550, rate: None, messages: false, unstamped: false }
    }
}

/// What happened, and when.
#[derive(Debug, Default, Clone)]
pub(crate) struct Times {
    /// The topics were taken: the first event follows at once.
    pub(crate) go: Option<Instant>,
    /// When each event was sent, where there is a rate.
    pub(crate) sent: Vec<Instant>,
}

pub(crate) struct Feed {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    plan: Plan,
    topics: Mutex<Option<Vec<String>>>,
    told: Condvar,
    times: Mutex<Times>,
}

impl Feed {
    pub(crate) fn start(plan: Plan) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared { plan, topics: Mutex::default(), told: Condvar::new(), times: Mutex::default() });
        let server = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = Arc::clone(&server);
                // A client that leaves is no error.
                thread::spawn(move || server.serve(stream));
            }
        });
        Ok(Self { port, shared })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn times(&self) -> Times {
        lock(&self.shared.times).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut out = stream;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let (mut length, mut header) = (0, String::new());
            loop {
                header.clear();
                if reader.read_line(&mut header)? == 0 {
                    return Ok(());
                }
                match header.trim_end().split_once(':') {
                    Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                        length = value.trim().parse().unwrap_or(0);
                    }
                    Some(_) => {}
                    None => break,
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            let date = jiff::fmt::rfc2822::DateTimePrinter::new()
                .timestamp_to_rfc9110_string(&Timestamp::now())
                .unwrap_or_default();
            if line.starts_with("GET /api/realtime") {
                return self.feed(&mut out, &date, line.contains("?go"));
            }
            let answer = if line.starts_with("POST /api/realtime") {
                self.subscribe(&body);
                format!("HTTP/1.1 204 No Content\r\nDate: {date}\r\n\r\n")
            } else {
                let json = if line.contains("/records") {
                    r#"{"items":[],"page":1,"perPage":1,"totalItems":-1,"totalPages":-1}"#
                } else {
                    r#"{"code":200,"data":{},"message":"API is healthy."}"#
                };
                format!(
                    "HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
                    json.len()
                )
            };
            out.write_all(answer.as_bytes())?;
        }
    }

    fn subscribe(&self, body: &[u8]) {
        let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let topics = body["subscriptions"].as_array().into_iter().flatten();
        let topics: Vec<_> = topics.filter_map(|topic| topic.as_str().map(str::to_owned)).collect();
        if !topics.is_empty() {
            *lock(&self.topics) = Some(topics);
            self.told.notify_all();
        }
    }

    fn feed(&self, out: &mut TcpStream, date: &str, go: bool) -> io::Result<()> {
        write!(
            out,
            "HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n"
        )?;
        let hello = format!("id:{CLIENT_ID}\nevent:PB_CONNECT\ndata:{{\"clientId\":\"{CLIENT_ID}\"}}\n\n");
        write!(out, "{:x}\r\n{hello}\r\n", hello.len())?;
        let topics = if go {
            vec![DEFAULT_TOPIC.to_owned()]
        } else {
            let mut topics = lock(&self.topics);
            loop {
                if let Some(topics) = topics.take() {
                    break topics;
                }
                topics = self.told.wait(topics).unwrap_or_else(PoisonError::into_inner);
            }
        };
        lock(&self.times).go = Some(Instant::now());
        self.send(out, &topics)?;
        out.write_all(b"0\r\n\r\n")?;
        if !go {
            // The client has its events when it has had enough.
            let _ = out.set_read_timeout(Some(Duration::from_mins(1)));
            let _ = out.read(&mut [0]);
        }
        Ok(())
    }

    fn send(&self, out: &mut TcpStream, topics: &[String]) -> io::Result<()> {
        let plan = &self.plan;
        let mut events: Vec<Event> = topics.iter().map(|topic| Event::new(topic, plan)).collect();
        let start = Instant::now();
        // In the past, one a millisecond, so that each is newer than the one before.
        let count = i64::try_from(plan.events).unwrap_or(i64::MAX);
        let first = Timestamp::now() - SignedDuration::from_millis(count);
        let (mut number, mut chunk, mut sent) = (0, Vec::new(), Vec::new());
        let mut framed = Vec::new();
        while number < plan.events {
            chunk.clear();
            for _ in 0..plan.per_chunk.min(plan.events - number) {
                let at = usize::try_from(number).unwrap_or(0) % events.len();
                let stamp = first + SignedDuration::from_millis(i64::try_from(number).unwrap_or(0));
                chunk.extend_from_slice(events[at].at(number, stamp));
                number += 1;
            }
            framed.clear();
            write!(framed, "{:x}\r\n", chunk.len())?;
            framed.extend_from_slice(&chunk);
            framed.extend_from_slice(b"\r\n");
            if let Some(rate) = plan.rate {
                let due = start + Duration::from_secs_f64(number as f64 / rate as f64);
                thread::sleep(due.saturating_duration_since(Instant::now()));
                sent.extend(std::iter::repeat_n(Instant::now(), usize::try_from(plan.per_chunk).unwrap_or(1)));
            }
            out.write_all(&framed)?;
        }
        lock(&self.times).sent = sent;
        Ok(())
    }
}

/// The frame of an event, of which only the numbers change.
struct Event {
    frame: Vec<u8>,
    id: Vec<usize>,
    number: usize,
    updated: Option<usize>,
}

/// Where a number stands, until the number is known.
const ID: &str = "r00000000000000";
const NUMBER: &str = "0000000000";
const UPDATED: &str = "2026-01-01 00:00:00.000Z";

impl Event {
    fn new(topic: &str, plan: &Plan) -> Self {
        let fixed = if plan.messages {
            format!(r#"{{"id":"{ID}","title":"post {NUMBER}","body":""}}"#)
        } else {
            let record = format!(
                r#"{{"collectionId":"pbc_1125843985","collectionName":"posts","created":"2026-01-01 00:00:00.000Z","id":"{ID}","stars":4,"status":"published","tags":["a","b"],"title":"post {NUMBER}","updated":"{UPDATED}","author":"u1v2w3x4y5z6a7b","body":""}}"#
            );
            let record = if plan.unstamped { record.replace(r#""updated":"#, r#""changed":"#) } else { record };
            format!(r#"{{"record":{record},"action":"update"}}"#)
        };
        let text = "Lorem ipsum dolor sit amet, consectetur. ";
        let body: String = text.chars().cycle().take(plan.bytes.saturating_sub(fixed.len())).collect();
        let data = fixed.replace(r#""body":"""#, &format!(r#""body":"{body}""#));
        let frame = format!("id:{CLIENT_ID}\nevent:{topic}\ndata:{data}\n\n");
        let find = |what: &str| frame.find(what);
        Self {
            id: frame.match_indices(ID).map(|(at, _)| at + 5).collect(),
            number: find(&format!("post {NUMBER}")).unwrap_or_default() + 5,
            updated: find(&format!(r#""updated":"{UPDATED}"#)).map(|at| at + r#""updated":""#.len()),
            frame: frame.into_bytes(),
        }
    }

    fn at(&mut self, number: u64, stamp: Timestamp) -> &[u8] {
        for at in &self.id {
            digits(&mut self.frame[*at..*at + 10], number % RECORDS);
        }
        digits(&mut self.frame[self.number..self.number + 10], number);
        if let Some(at) = self.updated {
            let stamp = stamp.strftime("%Y-%m-%d %H:%M:%S.%3fZ").to_string();
            self.frame[at..at + stamp.len()].copy_from_slice(stamp.as_bytes());
        }
        &self.frame
    }
}

fn digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}
