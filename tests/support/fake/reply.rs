//! What the server answers: builders that read like the fault they play.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::frame::{Data, error_body, head, http_date};
use super::request::Request;
use super::script::Matcher;

/// An answer, or the refusal of one.
#[derive(Clone, Debug)]
pub(crate) struct Reply(Kind);

#[derive(Clone)]
enum Kind {
    Plain(Plain),
    Stream(Stream),
    /// Depends on the request.
    Answer(Arc<dyn Fn(&Request) -> Reply + Send + Sync>),
    /// 204 for a client that has a stream here, 404 for any other.
    Subscribed,
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(plain) => plain.fmt(f),
            Self::Stream(stream) => stream.fmt(f),
            Self::Answer(_) => f.write_str("Answer"),
            Self::Subscribed => f.write_str("Subscribed"),
        }
    }
}

impl From<Plain> for Reply {
    fn from(plain: Plain) -> Self {
        Self(Kind::Plain(plain))
    }
}

impl From<Stream> for Reply {
    fn from(stream: Stream) -> Self {
        Self(Kind::Stream(stream))
    }
}

impl Reply {
    /// What is to be done, now that the request is known. `is_client` knows the open streams.
    pub(super) fn performance(self, request: Option<&Request>, is_client: &dyn Fn(&str) -> bool) -> Performance {
        match (self.0, request) {
            (Kind::Plain(plain), _) => plain.performance(request),
            (Kind::Stream(stream), _) => stream.performance(),
            (Kind::Answer(answer), Some(request)) => answer(request).performance(Some(request), is_client),
            (Kind::Subscribed, Some(request)) => {
                let known = request.subscriptions().is_some_and(|(id, _)| is_client(&id));
                let reply = if known { no_content() } else { error(404, "Missing or invalid client id.") };
                reply.performance(Some(request))
            }
            (Kind::Answer(_) | Kind::Subscribed, None) => raw("").close().performance(),
        }
    }

    /// The gates that it waits for; `None` if only the request will show.
    pub(super) fn gates(&self) -> Option<Vec<String>> {
        let acts = match &self.0 {
            Kind::Plain(plain) => &plain.before,
            Kind::Stream(stream) => &stream.acts,
            Kind::Answer(_) => return None,
            Kind::Subscribed => return Some(Vec::new()),
        };
        let gate = |act: &Act| match act {
            Act::Await(Cue::Gate(gate)) | Act::Refuse(Until::Gate(gate)) => Some(gate.clone()),
            _ => None,
        };
        Some(acts.iter().filter_map(gate).collect())
    }
}

/// A reply as the list of things to do on the socket.
pub(super) struct Performance {
    /// The status, if one is sent at all.
    pub(super) status: Option<u16>,
    pub(super) chunked: bool,
    pub(super) acts: Vec<Act>,
    pub(super) end: End,
}

#[derive(Clone, Debug)]
pub(super) enum Act {
    Await(Cue),
    Refuse(Until),
    /// Onto the socket as they are, whatever the transfer encoding.
    Head(Vec<u8>),
    /// Through the transfer encoding, at the pace that is set.
    Send(Source),
    /// `data:` and then so many `x`, with no end of line.
    HugeLine(usize),
    /// The same block, so many times.
    Repeat(Vec<u8>, usize),
    Pace(Pace),
    Connect(Option<String>),
}

impl Act {
    /// Whether it depends on something that may not come.
    pub(super) fn waits(&self) -> bool {
        match self {
            Self::Await(_) => true,
            Self::Send(Source::Event { to, .. }) => !matches!(to, Target::Name(_)),
            _ => false,
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Await(Cue::Gate(gate)) => write!(f, "the wait for the gate {gate:?}"),
            Self::Await(Cue::Request(on)) => write!(f, "the wait for {on}"),
            Self::Refuse(_) => f.write_str("the refusal of connects"),
            Self::Head(_) => f.write_str("its head"),
            Self::Send(source) => source.fmt(f),
            Self::Repeat(bytes, times) => write!(f, "{} bytes, {times} times", bytes.len()),
            Self::HugeLine(bytes) => write!(f, "a line of {bytes} bytes"),
            Self::Pace(_) => f.write_str("a change of pace"),
            Self::Connect(_) => f.write_str("PB_CONNECT"),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Cue {
    Gate(String),
    /// A request that came after the one which is being answered.
    Request(Matcher),
}

/// For how long connects are refused.
#[derive(Clone, Debug)]
pub(super) enum Until {
    Gate(String),
    Passed(Duration),
    Told,
}

#[derive(Clone)]
pub(super) enum Source {
    Bytes(Vec<u8>),
    Event { to: Target, data: Data, half: bool },
    Made(Maker),
}

type Maker = Arc<dyn Fn(&Client) -> Vec<u8> + Send + Sync>;

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({self})")
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Event { to, half, .. } => {
                f.write_str(if *half { "half an event" } else { "the event" })?;
                match to {
                    Target::Name(name) => write!(f, " {name:?}"),
                    Target::Subscribed(topic) | Target::Posted(topic) => {
                        write!(f, " for the subscription to {topic:?}")
                    }
                }
            }
            Self::Made(_) => f.write_str("bytes made for the client"),
        }
    }
}

/// How bytes are handed to the network.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// In pieces of so many bytes, one write each; 0 for all at once.
    pub(super) piece: usize,
    /// Between two pieces.
    pub(super) pause: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The body is complete, the connection lives on.
    Complete,
    /// Nothing more, until the client leaves or the test ends.
    Hold,
    /// What [`Fake::emit`](super::Fake::emit) and its like ask for, until the client leaves.
    Live,
    /// FIN, with the body unfinished.
    Close,
    /// RST.
    Reset,
}

/// The client at the other end of a stream, for bytes that are made for it.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) id: String,
    /// The keys of its last accepted subscription.
    pub(crate) keys: Vec<String>,
}

/// To whom an event is addressed; see [`key_of`].
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// To this very name.
    Name(String),
    /// To each key of this topic in the client's accepted and answered subscription.
    Subscribed(String),
    /// To each key of this topic in the client's last POST, answered or not.
    Posted(String),
}

impl From<&str> for Target {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

/// The event goes to the key (one frame for each, if there are several) which the client
/// subscribed to for this topic, with its options as the client encoded them. Waits until the
/// subscription has been answered.
pub(crate) fn key_of(topic: &str) -> Target {
    Target::Subscribed(topic.to_owned())
}

/// Like [`key_of`], without waiting for the answer to the POST: an event that overtakes its 204.
pub(crate) fn early_key_of(topic: &str) -> Target {
    Target::Posted(topic.to_owned())
}

/// Whether this key, options and all, is a subscription to this topic.
pub(super) fn is_key_of(key: &str, topic: &str) -> bool {
    key.split_once('?').map_or(key, |(start, _)| start) == topic
}

// ---------------------------------------------------------------------------------------------
// No answer

/// The request is read, and nothing ever comes back.
pub(crate) fn stall() -> Reply {
    raw("").hold().into()
}

/// The connection is closed in place of an answer.
pub(crate) fn close() -> Reply {
    raw("").close().into()
}

/// The connection is reset in place of an answer.
pub(crate) fn reset() -> Reply {
    raw("").reset().into()
}

// ---------------------------------------------------------------------------------------------
// Plain answers

/// An answer of known length. A header that is set replaces the usual one of that name (`Date`,
/// `Content-Length`, …); set to `""` it is left out.
#[derive(Clone, Debug)]
pub(crate) struct Plain {
    before: Vec<Act>,
    status: u16,
    headers: Vec<(String, String)>,
    body: Body,
    cut: Option<usize>,
    pace: Pace,
    end: End,
}

#[derive(Clone, Debug)]
enum Body {
    Bytes(Vec<u8>),
    /// The items of a list; page and perPage as they were asked for.
    Page(Vec<Value>),
}

/// A status with an empty body.
pub(crate) fn status(status: u16) -> Plain {
    Plain {
        before: Vec::new(),
        status,
        headers: Vec::new(),
        body: Body::Bytes(Vec::new()),
        cut: None,
        pace: Pace::default(),
        end: End::Complete,
    }
}

/// 200 and JSON.
pub(crate) fn ok(body: Value) -> Plain {
    status(200).json(body)
}

/// 204, as a subscription is answered: whoever asks. See [`subscribed`].
pub(crate) fn no_content() -> Plain {
    status(204)
}

/// The server's error form, `{"data":{},"message":"…","status":N}`.
pub(crate) fn error(code: u16, message: &str) -> Plain {
    error_with(code, message, json!({}))
}

/// The server's error form with details in `data`.
pub(crate) fn error_with(code: u16, message: &str, data: Value) -> Plain {
    status(code).json(error_body(code, message, data))
}

/// A page for people, as proxies and strangers send it.
pub(crate) fn html(code: u16, text: &str) -> Plain {
    status(code).header("Content-Type", "text/html; charset=utf-8").body(text)
}

/// 301, 302, 307, 308 to an address, absolute or relative.
pub(crate) fn redirect(code: u16, location: &str) -> Plain {
    status(code).header("Location", location)
}

/// A page of a records list with these items: `page` and `perPage` echo the request, the totals
/// count the items, or are -1 where the request says `skipTotal`.
pub(crate) fn page(items: impl IntoIterator<Item = Value>) -> Plain {
    let mut plain = status(200).header("Content-Type", "application/json");
    plain.body = Body::Page(items.into_iter().collect());
    plain
}

/// 204 for a client that has a stream open here, otherwise the 404 of the real server.
pub(crate) fn subscribed() -> Reply {
    Reply(Kind::Subscribed)
}

/// An answer that depends on the request.
pub(crate) fn answer<R: Into<Reply>>(make: impl Fn(&Request) -> R + Send + Sync + 'static) -> Reply {
    Reply(Kind::Answer(Arc::new(move |request| make(request).into())))
}

impl Plain {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        set(&mut self.headers, name, value);
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Data>) -> Self {
        self.body = Body::Bytes(body.into().0);
        self
    }

    pub(crate) fn json(self, body: Value) -> Self {
        self.header("Content-Type", "application/json").body(body)
    }

    /// Answers only when the test opens the gate.
    pub(crate) fn after_gate(mut self, gate: &str) -> Self {
        self.before.push(Act::Await(Cue::Gate(gate.to_owned())));
        self
    }

    /// Answers only when another such request has come.
    pub(crate) fn after_request(mut self, on: impl Into<Matcher>) -> Self {
        self.before.push(Act::Await(Cue::Request(on.into())));
        self
    }

    /// When the client has this answer, connects are refused, until the gate opens.
    pub(crate) fn refuse_until(mut self, gate: &str) -> Self {
        self.before.push(Act::Refuse(Until::Gate(gate.to_owned())));
        self.closing()
    }

    /// When the client has this answer, connects are refused for so long.
    pub(crate) fn refuse_for(mut self, time: Duration) -> Self {
        self.before.push(Act::Refuse(Until::Passed(time)));
        self.closing()
    }

    /// Says `Connection: close`, and does so.
    pub(crate) fn closing(self) -> Self {
        self.header("Connection", "close").close()
    }

    /// Of the body only the first bytes are sent, under a head that promises all of it. To be
    /// followed by `close`, `reset` or `stall`.
    pub(crate) fn cut_after(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    /// The body trickles.
    pub(crate) fn one_byte_every(mut self, pause: Duration) -> Self {
        self.pace = Pace { piece: 1, pause };
        self
    }

    /// Closes the connection behind the body.
    pub(crate) fn close(mut self) -> Self {
        self.end = End::Close;
        self
    }

    /// Resets the connection behind the body.
    pub(crate) fn reset(mut self) -> Self {
        self.end = End::Reset;
        self
    }

    /// Says nothing more behind the body, and serves no further request on this connection.
    pub(crate) fn stall(mut self) -> Self {
        self.end = End::Hold;
        self
    }

    fn performance(self, request: Option<&Request>) -> Performance {
        let mut body = match self.body {
            Body::Bytes(bytes) => bytes,
            Body::Page(items) => page_body(&items, request).to_string().into_bytes(),
        };
        let length = (self.status != 204).then_some(body.len());
        let head = full_head(self.status, self.headers, length);
        if request.is_some_and(|request| request.method == "HEAD") {
            body.clear();
        }
        body.truncate(self.cut.unwrap_or(usize::MAX));
        let mut acts = self.before;
        if self.pace.piece == 0 {
            // In one write, as servers do with short answers.
            acts.push(Act::Head([head, body].concat()));
        } else {
            acts.push(Act::Head(head));
            acts.push(Act::Pace(self.pace));
            acts.push(Act::Send(Source::Bytes(body)));
        }
        Performance { status: Some(self.status), chunked: false, acts, end: self.end }
    }
}

fn page_body(items: &[Value], request: Option<&Request>) -> Value {
    let param = |name: &str| request.and_then(|request| request.param(name));
    let number = |name: &str, default: usize| {
        param(name).and_then(|text| text.parse().ok()).filter(|it| *it > 0).unwrap_or(default)
    };
    let per_page = number("perPage", 30).min(1000);
    let skip = matches!(param("skipTotal").as_deref(), Some("1" | "true"));
    let (total, pages) =
        if skip { (json!(-1), json!(-1)) } else { (json!(items.len()), json!(items.len().div_ceil(per_page))) };
    json!({
        "items": items, "page": number("page", 1), "perPage": per_page,
        "totalItems": total, "totalPages": pages,
    })
}

// ---------------------------------------------------------------------------------------------
// Streams

/// An answer that is played act by act. Without another ending it holds: silence until the client
/// leaves.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    /// `None` for bytes without HTTP.
    headers: Option<Vec<(String, String)>>,
    acts: Vec<Act>,
    end: End,
}

/// 200 `text/event-stream`, chunked, with the headers of the real server. Each act that sends
/// bytes sends them as one chunk in one write, unless it is told [`in_pieces_of`].
///
/// [`in_pieces_of`]: Stream::in_pieces_of
pub(crate) fn stream() -> Stream {
    let headers = [
        ("Cache-Control", "no-store"),
        ("Content-Type", "text/event-stream"),
        ("X-Accel-Buffering", "no"),
        ("Transfer-Encoding", "chunked"),
    ];
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    Stream { headers: Some(headers.into_iter().map(owned).collect()), acts: Vec::new(), end: End::Hold }
}

/// Bytes onto the socket and no HTTP but what they spell, for answers no server should give.
pub(crate) fn raw(bytes: impl Into<Data>) -> Stream {
    Stream { headers: None, acts: Vec::new(), end: End::Hold }.bytes(bytes)
}

impl Stream {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        if let Some(headers) = &mut self.headers {
            set(headers, name, value);
        }
        self
    }

    /// `PB_CONNECT` with a client id of 40 characters, another for each stream.
    pub(crate) fn connect(self) -> Self {
        self.act(Act::Connect(None))
    }

    /// `PB_CONNECT` with this client id.
    pub(crate) fn connect_as(self, id: &str) -> Self {
        self.act(Act::Connect(Some(id.to_owned())))
    }

    /// An event: to a name as it stands, or to [`key_of`] a topic.
    pub(crate) fn event(self, to: impl Into<Target>, data: impl Into<Data>) -> Self {
        self.act(Act::Send(Source::Event { to: to.into(), data: data.into(), half: false }))
    }

    /// An event that stops in the middle of its data. What comes next is up to the next act:
    /// `end` for a clean end of the body, `close` for a lost connection, `reset`, or silence.
    pub(crate) fn half_event(self, to: impl Into<Target>, data: impl Into<Data>) -> Self {
        self.act(Act::Send(Source::Event { to: to.into(), data: data.into(), half: true }))
    }

    /// Any bytes: comments, other line ends, an id that changes, junk.
    pub(crate) fn bytes(self, bytes: impl Into<Data>) -> Self {
        self.act(Act::Send(Source::Bytes(bytes.into().0)))
    }

    /// Bytes that depend on the client id and its subscriptions.
    pub(crate) fn bytes_for(self, make: impl Fn(&Client) -> Vec<u8> + Send + Sync + 'static) -> Self {
        self.act(Act::Send(Source::Made(Arc::new(make))))
    }

    /// `data:` and so many bytes of a line that does not end. Takes no memory here.
    pub(crate) fn huge_line(self, bytes: usize) -> Self {
        self.act(Act::HugeLine(bytes))
    }

    /// The same bytes so many times, a chunk each. Takes the memory of one.
    pub(crate) fn repeat(self, bytes: impl Into<Data>, times: usize) -> Self {
        self.act(Act::Repeat(bytes.into().0, times))
    }

    /// From here on bytes go in chunks of this size, one write each.
    pub(crate) fn in_pieces_of(self, bytes: usize) -> Self {
        self.act(Act::Pace(Pace { piece: bytes, pause: Duration::ZERO }))
    }

    /// From here on bytes go one by one with this pause between them.
    pub(crate) fn one_byte_every(self, pause: Duration) -> Self {
        self.act(Act::Pace(Pace { piece: 1, pause }))
    }

    /// From here on bytes go at once again.
    pub(crate) fn at_once(self) -> Self {
        self.act(Act::Pace(Pace::default()))
    }

    /// Goes on when the test opens the gate.
    pub(crate) fn wait(self, gate: &str) -> Self {
        self.act(Act::Await(Cue::Gate(gate.to_owned())))
    }

    /// Goes on when such a request has come, after the one that is answered here.
    pub(crate) fn wait_for(self, on: impl Into<Matcher>) -> Self {
        self.act(Act::Await(Cue::Request(on.into())))
    }

    /// Stops listening, so that connects are refused until the gate opens. Idle connections are
    /// closed; this one and others that are being answered go on.
    pub(crate) fn refuse_until(self, gate: &str) -> Self {
        self.act(Act::Refuse(Until::Gate(gate.to_owned())))
    }

    /// Stops listening for so long.
    pub(crate) fn refuse_for(self, time: Duration) -> Self {
        self.act(Act::Refuse(Until::Passed(time)))
    }

    /// Ends the body as it should end, and keeps the connection.
    pub(crate) fn end(mut self) -> Self {
        self.end = End::Complete;
        self
    }

    /// Closes the connection without the final chunk.
    pub(crate) fn close(mut self) -> Self {
        self.end = End::Close;
        self
    }

    /// Resets the connection.
    pub(crate) fn reset(mut self) -> Self {
        self.end = End::Reset;
        self
    }

    /// Says nothing more until the client leaves; what happens without another ending.
    pub(crate) fn hold(mut self) -> Self {
        self.end = End::Hold;
        self
    }

    /// From here on driven by the test: `emit`, `end_streams`, `close_streams`, `reset_streams`.
    pub(crate) fn live(mut self) -> Self {
        self.end = End::Live;
        self
    }

    fn act(mut self, act: Act) -> Self {
        self.acts.push(act);
        self
    }

    fn performance(self) -> Performance {
        let chunked = self.headers.as_ref().is_some_and(|headers| {
            headers.iter().any(|(name, value)| is_name(name, "transfer-encoding") && !value.is_empty())
        });
        let status = self.headers.is_some().then_some(200);
        let opening = self.headers.map(|headers| Act::Head(full_head(200, headers, None)));
        let acts = opening.into_iter().chain(self.acts).collect();
        Performance { status, chunked, acts, end: self.end }
    }
}

fn is_name(name: &str, lower: &str) -> bool {
    name.eq_ignore_ascii_case(lower)
}

fn set(headers: &mut Vec<(String, String)>, name: &str, value: &str) {
    headers.retain(|(known, _)| !is_name(known, name));
    headers.push((name.to_owned(), value.to_owned()));
}

/// The head as it is sent: what was not set is added, what was set to nothing is left out.
fn full_head(code: u16, mut headers: Vec<(String, String)>, length: Option<usize>) -> Vec<u8> {
    let mut add = |name: &str, value: String| {
        if !headers.iter().any(|(known, _)| is_name(known, name)) {
            headers.push((name.to_owned(), value));
        }
    };
    add("Date", http_date(SystemTime::now()));
    if let Some(length) = length {
        add("Content-Length", length.to_string());
    }
    headers.retain(|(_, value)| !value.is_empty());
    head(code, &headers)
}
