//! What the fake does on the wire, and when it complains, seen with a client of bare TCP.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Wake};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::*;

const SOON: Duration = Duration::from_secs(5);
const FEED: &str = "GET /api/realtime";

/// A connection to the fake.
struct Peer(BufReader<TcpStream>);

/// An answer's status, headers and body.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Peer {
    fn connect(fake: &Fake) -> Self {
        let socket = TcpStream::connect(fake.address()).expect("a connection");
        socket.set_read_timeout(Some(SOON)).expect("a timeout");
        Self(BufReader::new(socket))
    }

    fn write(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).expect("to write");
    }

    /// Sends a request and leaves the answer alone.
    fn send(&mut self, line: &str, body: &str) {
        self.write(&format!("{line} HTTP/1.1\r\nHost: fake\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line");
        line
    }

    fn head(&mut self) -> (u16, String) {
        let mut head = self.line();
        while !head.ends_with("\r\n\r\n") {
            let line = self.line();
            assert!(!line.is_empty(), "the head ends early: {head:?}");
            head.push_str(&line);
        }
        let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
        (status, head)
    }

    fn ask(&mut self, line: &str, body: &str) -> Answer {
        self.send(line, body);
        let (status, head) = self.head();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let length: usize = length.map_or(0, |length| length.parse().expect("a number"));
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).expect("a body");
        Answer { status, head, body: String::from_utf8(body).expect("text") }
    }

    /// The next chunk of a chunked body; empty for the last one.
    fn chunk(&mut self) -> Vec<u8> {
        let line = self.line();
        let length = usize::from_str_radix(line.trim_end(), 16);
        let length = length.unwrap_or_else(|_| panic!("not the length of a chunk: {line:?}"));
        let mut chunk = vec![0; length + 2];
        self.0.read_exact(&mut chunk).expect("a whole chunk");
        assert!(chunk.ends_with(b"\r\n"));
        chunk.truncate(length);
        chunk
    }

    fn text(&mut self) -> String {
        String::from_utf8(self.chunk()).expect("text")
    }

    /// Opens a feed, reads its `PB_CONNECT`, and returns the client id.
    fn open_feed(&mut self) -> String {
        self.send(FEED, "");
        let (status, head) = self.head();
        assert_eq!(status, 200);
        assert!(head.contains("\r\nContent-Type: text/event-stream\r\n"), "{head}");
        let frame = self.text();
        let id = frame.strip_prefix("id:").and_then(|rest| rest.split('\n').next());
        let id = id.expect("an id").to_owned();
        assert_eq!(frame, format!("id:{id}\nevent:PB_CONNECT\ndata:{{\"clientId\":\"{id}\"}}\n\n"));
        id
    }

    /// The bytes until the end of the connection, and how it ended.
    fn rest(&mut self) -> (Vec<u8>, Result<(), ErrorKind>) {
        let mut bytes = Vec::new();
        let end = self.0.read_to_end(&mut bytes);
        (bytes, end.map(|_| ()).map_err(|error| error.kind()))
    }
}

fn subscribe(fake: &Fake, id: &str, keys: &[&str]) -> u16 {
    let body = json!({ "clientId": id, "subscriptions": keys }).to_string();
    Peer::connect(fake).ask("POST /api/realtime", &body).status
}

/// What the fake says when it is finished.
fn complaint(fake: Fake) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| fake.finish())).expect_err("a complaint");
    *panic.downcast::<String>().expect("text")
}

// ---------------------------------------------------------------------------------------------
// Plain answers

#[test]
fn answers_in_order_over_one_connection() {
    let fake = Script::new()
        .then("GET /one", ok(json!({ "n": 1 })).header("X-Is", "there").header("Date", ""))
        .then("POST /two", error(403, "No."))
        .then("GET /three", html(200, "<h1>Hi</h1>"))
        .then("GET /four", redirect(307, "/else"))
        .then("GET /five", no_content())
        .start();
    let mut peer = Peer::connect(&fake);
    let one = peer.ask("GET /one", "");
    assert_eq!((one.status, one.body.as_str()), (200, r#"{"n":1}"#));
    assert!(one.head.contains("\r\nX-Is: there\r\n") && !one.head.contains("Date"), "{}", one.head);
    let two = peer.ask("POST /two", "x");
    assert_eq!((two.status, two.body.as_str()), (403, r#"{"data":{},"message":"No.","status":403}"#));
    let three = peer.ask("GET /three", "");
    assert!(three.head.contains("text/html") && three.head.contains("\r\nDate: "));
    assert_eq!(three.body, "<h1>Hi</h1>");
    let four = peer.ask("GET /four", "");
    assert!(four.status == 307 && four.head.contains("\r\nLocation: /else\r\n"));
    let five = peer.ask("GET /five", "");
    assert!(five.status == 204 && !five.head.contains("Content-Length"));
    assert!(fake.requests().iter().all(|request| request.connection == 0));
    fake.finish();
}

#[test]
fn records_requests() {
    let fake = Script::new().always("* /", status(200)).start();
    let mut peer = Peer::connect(&fake);
    peer.write("POST /a/b?x=1%202&y HTTP/1.1\r\nX-Two: b\r\nContent-Length: 7\r\n\r\n{\"a\":1}");
    let request = fake.wait_for_request("POST /a", SOON);
    assert_eq!((request.path.as_str(), request.query.as_str()), ("/a/b", "x=1%202&y"));
    assert_eq!(request.header("x-two"), Some("b"));
    assert_eq!(request.param("x").as_deref(), Some("1 2"));
    assert_eq!(request.json(), json!({ "a": 1 }));
    peer.head();
    peer.send("GET /a", "");
    let requests = fake.wait_for_requests(2, "* /a", SOON);
    assert!(requests[0].at <= requests[1].at);
    assert_eq!(fake.requests_to("GET /a").len(), 1);
}

#[test]
fn pages_echo_what_was_asked() {
    let list = "GET /api/collections/posts/records";
    let fake = Script::new().always(list, page([json!({ "id": "a" })])).start();
    let mut peer = Peer::connect(&fake);
    let body = |answer: Answer| serde_json::from_str::<Value>(&answer.body).expect("JSON");
    assert_eq!(
        body(peer.ask(list, "")),
        json!({ "items": [{ "id": "a" }], "page": 1, "perPage": 30, "totalItems": 1, "totalPages": 1 })
    );
    assert_eq!(
        body(peer.ask(&format!("{list}?page=2&perPage=5000&skipTotal=1"), "")),
        json!({
            "items": [{ "id": "a" }], "page": 2, "perPage": 1000,
            "totalItems": -1, "totalPages": -1,
        })
    );
}

#[test]
fn matches_segments_queries_and_conditions() {
    let fake = Script::new()
        .always("GET /", status(404))
        .always("GET /api/collections/*/records", status(201))
        .always("GET /api/collections/*/records?page=2", status(202))
        .always(on("GET /api/x").with_header("authorization", "t"), status(203))
        .always(on("GET /api/y").when(|request| request.query.is_empty()), status(206))
        .start();
    let mut peer = Peer::connect(&fake);
    for (target, status) in [
        ("/api/collections/posts/records", 201),
        ("/api/collections/posts/recordsx", 404),
        ("/api/collections/posts/records/r1", 201),
        ("/api/collections/posts/records?a=b&page=2", 202),
        ("/api/collections/posts/records?page=22", 201),
        ("/api/x", 404),
        ("/api/y?z", 404),
        ("/api/y", 206),
    ] {
        assert_eq!(peer.ask(&format!("GET {target}"), "").status, status, "{target}");
    }
    peer.write("GET /api/x HTTP/1.1\r\nAuthorization: t\r\n\r\n");
    assert_eq!(peer.head().0, 203);
}

#[test]
fn an_answer_may_depend_on_the_request() {
    let fake = Script::new().then("GET /echo", answer(|request| ok(json!({ "q": request.query })))).start();
    assert_eq!(Peer::connect(&fake).ask("GET /echo?hi", "").body, r#"{"q":"hi"}"#);
}

#[test]
fn a_cut_body_promises_more() {
    let fake = Script::new().then("GET /", status(200).body("0123456789").cut_after(4).close()).start();
    let mut peer = Peer::connect(&fake);
    peer.send("GET /", "");
    assert!(peer.head().1.contains("Content-Length: 10\r\n"));
    assert_eq!(peer.rest(), (b"0123".to_vec(), Ok(())));
}

#[test]
fn the_date_is_a_date() {
    let at = |seconds| http_date(UNIX_EPOCH + Duration::from_secs(seconds));
    assert_eq!(at(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_eq!(at(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(at(951_827_696), "Tue, 29 Feb 2000 12:34:56 GMT");
    assert_eq!(at(4_107_542_399), "Sun, 28 Feb 2100 23:59:59 GMT");
    assert_eq!(at(4_107_542_400), "Mon, 01 Mar 2100 00:00:00 GMT");
    assert_eq!(http_date(SystemTime::now()).len(), at(0).len());
}

// ---------------------------------------------------------------------------------------------
// No answer

#[test]
fn stalls() {
    let fake = Script::new().then("GET /", stall()).start();
    let mut peer = Peer::connect(&fake);
    peer.send("GET /", "");
    fake.wait_for_request("GET /", SOON);
    let timeout = Some(Duration::from_millis(100));
    peer.0.get_ref().set_read_timeout(timeout).expect("a timeout");
    assert!(matches!(peer.rest().1, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)));
    fake.finish();
}

#[test]
fn closes_and_resets_in_place_of_an_answer() {
    let fake = Script::new().then("GET /a", close()).then("GET /b", reset()).start();
    let mut peer = Peer::connect(&fake);
    peer.send("GET /a", "");
    assert_eq!(peer.rest(), (Vec::new(), Ok(())));
    let mut peer = Peer::connect(&fake);
    peer.send("GET /b", "");
    assert_eq!(peer.rest(), (Vec::new(), Err(ErrorKind::ConnectionReset)));
}

#[test]
fn greets_connections_before_a_byte_is_read() {
    let fake = Script::new()
        .on_connect(close())
        .on_connect(reset())
        .on_connect(raw("SSH-2.0-OpenSSH_9.9\r\n").close())
        .on_connect(stall())
        .then("GET /", status(200))
        .start();
    assert_eq!(Peer::connect(&fake).rest(), (Vec::new(), Ok(())));
    assert_eq!(Peer::connect(&fake).rest().1, Err(ErrorKind::ConnectionReset));
    assert_eq!(Peer::connect(&fake).rest(), (b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(), Ok(())));
    let mut stalled = Peer::connect(&fake);
    stalled.send("GET /never/read", "");
    assert_eq!(Peer::connect(&fake).ask("GET /", "").status, 200);
    fake.finish();
    assert!(stalled.rest().0.is_empty());
}

#[test]
fn refuses_and_listens_again_on_the_same_port() {
    let fake = Script::new().always("GET /", status(200)).start();
    let mut idle = Peer::connect(&fake);
    assert_eq!(idle.ask("GET /", "").status, 200);
    for _ in 0..20 {
        fake.refuse();
        let refused = TcpStream::connect(fake.address()).expect_err("a refusal");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        fake.listen_again();
        assert_eq!(Peer::connect(&fake).ask("GET /", "").status, 200);
    }
    assert_eq!(idle.rest(), (Vec::new(), Ok(())), "idle connections were closed");
}

#[test]
fn refuses_as_part_of_the_script() {
    let fake = Script::new()
        .refused_until("up")
        .then("GET /a", error(503, "Going down.").refuse_until("up again"))
        .then("GET /b", raw("").refuse_for(Duration::from_millis(50)).close())
        .then("GET /c", status(200))
        .start();
    let refused = || {
        let end = TcpStream::connect(fake.address());
        end.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    };
    assert!(refused());
    fake.open("up");
    // The gate lets somebody else act: a connect is what shows it.
    let mut peer = loop {
        if !refused() {
            break Peer::connect(&fake);
        }
    };
    assert_eq!(peer.ask("GET /a", "").status, 503);
    assert!(refused(), "from the moment that the answer was there");
    assert_eq!(peer.rest(), (Vec::new(), Ok(())));
    fake.open("up again");
    while refused() {}
    let mut peer = Peer::connect(&fake);
    let start = Instant::now();
    peer.send("GET /b", "");
    assert_eq!(peer.rest(), (Vec::new(), Ok(())));
    while refused() {}
    assert!(start.elapsed() >= Duration::from_millis(50));
    assert_eq!(Peer::connect(&fake).ask("GET /c", "").status, 200);
    fake.finish();
}

// ---------------------------------------------------------------------------------------------
// Streams

#[test]
fn connects_with_an_id_of_40_characters_or_a_given_one() {
    let fake = Script::new().times(2, FEED, stream().connect()).then(FEED, stream().connect_as("abc").end()).start();
    let (mut one, mut two, mut three) = (Peer::connect(&fake), Peer::connect(&fake), Peer::connect(&fake));
    let ids = [one.open_feed(), two.open_feed(), three.open_feed()];
    assert!(ids[0] != ids[1] && ids[0].len() == 40 && ids[1].len() == 40);
    assert_eq!(ids[2], "abc");
    assert_eq!(fake.client_ids(), ids);
    assert_eq!(three.chunk(), b"", "the body ends as it should");
    three.send("GET /again", "");
    assert_eq!(three.head().0, 599, "and the connection lives on");
    assert!(complaint(fake).contains("GET /again was not expected, but nothing more"));
}

#[test]
fn addresses_events_to_the_keys_of_the_client() {
    let data = || record("create", json!({ "id": "r1" }));
    let fake = Script::new()
        .then(FEED, stream().connect().event(key_of("posts/*"), data()).event("jobs", "{}"))
        .always("POST /api/realtime", subscribed())
        .start();
    let mut peer = Peer::connect(&fake);
    let id = peer.open_feed();
    let keys = ["posts/*?options=%7B%22a%22%7D", "posts/r1", "posts/*"];
    assert_eq!(subscribe(&fake, &id, &keys), 204);
    let json = r#"{"action":"create","record":{"id":"r1"}}"#;
    assert_eq!(peer.text(), format!("id:{id}\nevent:{}\ndata:{json}\n\n", keys[0]));
    assert_eq!(peer.text(), format!("id:{id}\nevent:posts/*\ndata:{json}\n\n"));
    assert_eq!(peer.text(), format!("id:{id}\nevent:jobs\ndata:{{}}\n\n"));
    assert_eq!(fake.subscriptions(&id), keys);
    fake.finish();
}

#[test]
fn a_refused_post_leaves_the_subscriptions_as_they_were() {
    let fake =
        healthy_feed().then("POST /api/realtime", subscribed()).then("POST /api/realtime", error(403, "No.")).start();
    let id = Peer::connect(&fake).open_feed();
    fake.wait_until_closed(FEED, SOON);
    assert_eq!(subscribe(&fake, &id, &["a"]), 404, "that stream has ended");
    let mut peer = Peer::connect(&fake);
    let id = peer.open_feed();
    assert_eq!(subscribe(&fake, &id, &["b"]), 403);
    assert_eq!(fake.subscriptions(&id), [""; 0]);
    assert_eq!(subscribe(&fake, &id, &["c", "d"]), 204);
    assert_eq!(fake.subscriptions(&id), ["c", "d"]);
    assert_eq!(subscribe(&fake, &id, &[]), 204);
    assert_eq!(fake.subscriptions(&id), [""; 0]);
}

#[test]
fn an_event_may_overtake_the_204() {
    let fake = Script::new()
        .then(FEED, stream().connect().event(early_key_of("t"), "early").wait("late").end())
        .then("POST /api/realtime", no_content().after_gate("answer"))
        .start();
    let mut peer = Peer::connect(&fake);
    let id = peer.open_feed();
    thread::scope(|scope| {
        let post = scope.spawn(|| subscribe(&fake, &id, &["t?x"]));
        assert!(peer.text().contains("event:t?x\ndata:early\n"));
        assert!(!post.is_finished());
        fake.open("answer");
        assert_eq!(post.join().expect("an answer"), 204);
    });
    fake.open("late");
    assert_eq!(peer.chunk(), b"");
}

#[test]
fn streams_in_pieces_and_byte_by_byte() {
    let pause = Duration::from_millis(20);
    let fake = Script::new()
        .then(FEED, stream().in_pieces_of(3).bytes("abcdefg").at_once().bytes("hijkl").end())
        .then(FEED, stream().one_byte_every(pause).bytes("xyz").end())
        .start();
    let mut peer = Peer::connect(&fake);
    peer.send(FEED, "");
    peer.head();
    let pieces: Vec<_> = (0..5).map(|_| peer.text()).collect();
    assert_eq!(pieces, ["abc", "def", "g", "hijkl", ""]);
    peer.send(FEED, "");
    let start = Instant::now();
    peer.head();
    let pieces: Vec<_> = (0..4).map(|_| peer.text()).collect();
    assert_eq!(pieces, ["x", "y", "z", ""]);
    assert!(start.elapsed() >= 2 * pause);
}

#[test]
fn half_an_event_ends_cleanly_abruptly_or_by_reset() {
    let half = || stream().half_event("t", "0123456789");
    let fake = Script::new().then(FEED, half().end()).then(FEED, half().close()).then(FEED, half().reset()).start();
    let mut peer = Peer::connect(&fake);
    for end in ["clean", "abrupt"] {
        peer.send(FEED, "");
        peer.head();
        assert_eq!(peer.text(), "id:\nevent:t\ndata:01234");
        if end == "clean" {
            assert_eq!(peer.chunk(), b"");
        }
    }
    assert_eq!(peer.rest(), (Vec::new(), Ok(())));
    let mut peer = Peer::connect(&fake);
    peer.send(FEED, "");
    peer.head();
    assert_eq!(peer.text(), "id:\nevent:t\ndata:01234");
    assert_eq!(peer.rest(), (Vec::new(), Err(ErrorKind::ConnectionReset)));
}

#[test]
fn sends_junk_and_huge_lines() {
    let fake = Script::new()
        .then(FEED, stream().event("t", b"\xff\xfe").huge_line(10_000_000).close())
        .then(FEED, raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort").close())
        .then(FEED, stream().huge_line(usize::MAX))
        .start();
    let mut peer = Peer::connect(&fake);
    peer.send(FEED, "");
    peer.head();
    assert_eq!(peer.chunk(), b"id:\nevent:t\ndata:\xff\xfe\n\n");
    assert_eq!(peer.text(), "data:");
    let mut length = 0;
    while length < 10_000_000 {
        let chunk = peer.chunk();
        assert!(chunk.iter().all(|byte| *byte == b'x'));
        length += chunk.len();
    }
    assert_eq!(length, 10_000_000);
    assert_eq!(peer.rest(), (Vec::new(), Ok(())));
    let mut peer = Peer::connect(&fake);
    peer.send(FEED, "");
    assert!(peer.rest().0.ends_with(b"\r\n\r\nshort"));
    let mut peer = Peer::connect(&fake);
    peer.send(FEED, "");
    peer.head();
    drop(peer); // who leaves in the middle of an endless line has had enough
    fake.finish();
}

#[test]
fn waits_for_gates_and_for_other_requests() {
    let fake = Script::new()
        .then("GET /one", stream().wait_for("GET /two").bytes("two").wait("go").bytes("go").end())
        .then("GET /two", ok(json!(2)).after_request("GET /three"))
        .then("GET /three", status(200))
        .start();
    let (mut one, mut two) = (Peer::connect(&fake), Peer::connect(&fake));
    one.send("GET /one", "");
    one.head();
    two.send("GET /two", "");
    assert_eq!(one.text(), "two");
    assert_eq!(Peer::connect(&fake).ask("GET /three", "").status, 200);
    assert_eq!(two.head().0, 200);
    fake.open("go");
    assert_eq!(one.text(), "go");
}

#[test]
fn bytes_can_be_made_for_the_client() {
    let fake = Script::new().then(FEED, stream().connect().bytes_for(|client| frame("other", &client.id, "x"))).start();
    let mut peer = Peer::connect(&fake);
    let id = peer.open_feed();
    assert_eq!(peer.text(), format!("id:other\nevent:{id}\ndata:x\n\n"));
}

#[test]
fn a_healthy_feed_is_driven_by_the_test() {
    let fake = healthy_feed().start();
    let mut plain = Peer::connect(&fake);
    let health = plain.ask("GET /api/health", "");
    assert_eq!(health.body, r#"{"code":200,"message":"API is healthy.","data":{}}"#);
    let list = plain.ask("GET /api/collections/posts/records?perPage=1", "");
    assert!(list.body.contains(r#""items":[]"#));
    assert_eq!(plain.ask("GET /api/collections/posts/records/r1", "").status, 404);
    for end in 0..3 {
        let mut peer = Peer::connect(&fake);
        let id = peer.open_feed();
        assert_eq!(subscribe(&fake, &id, &["posts/*?q", "jobs"]), 204);
        let client = fake.wait_for_subscription("posts/*", SOON);
        assert_eq!((client.id.as_str(), client.keys.len()), (id.as_str(), 2));
        assert_eq!(fake.emit("posts/*", record("delete", json!({}))), 1);
        assert!(peer.text().starts_with(&format!("id:{id}\nevent:posts/*?q\ndata:{{\"action\"")));
        fake.emit_bytes(": a comment\n");
        assert_eq!(peer.text(), ": a comment\n");
        match end {
            0 => {
                fake.end_streams();
                assert_eq!(peer.chunk(), b"");
            }
            1 => {
                fake.close_streams();
                assert_eq!(peer.rest(), (Vec::new(), Ok(())));
            }
            _ => {
                fake.reset_streams();
                assert_eq!(peer.rest().1, Err(ErrorKind::ConnectionReset));
            }
        }
    }
    fake.finish();
}

#[test]
fn notices_that_the_client_leaves() {
    let fake = healthy_feed().then(FEED, stream().connect()).start();
    let (mut one, mut two) = (Peer::connect(&fake), Peer::connect(&fake));
    one.open_feed();
    let id = two.open_feed();
    drop(one);
    let soon = Duration::from_millis(50);
    let wait = || fake.wait_until_closed(FEED, soon);
    assert!(catch_unwind(AssertUnwindSafe(wait)).is_err(), "one of two is open");
    drop(two);
    fake.wait_until_closed(FEED, SOON);
    assert_eq!(subscribe(&fake, &id, &["a"]), 404);
}

#[test]
fn tasks_can_wait_too() {
    struct Thread(thread::Thread);
    impl Wake for Thread {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let waker = Arc::new(Thread(thread::current())).into();
        let mut future = pin!(future);
        loop {
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(output) => return output,
                Poll::Pending => thread::park(),
            }
        }
    }
    let fake = healthy_feed().start();
    thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut peer = Peer::connect(&fake);
            let id = peer.open_feed();
            subscribe(&fake, &id, &["t"]);
            assert!(peer.text().contains("event:t\n"));
        });
        assert_eq!(block_on(fake.asked(FEED)).path, "/api/realtime");
        assert_eq!(block_on(fake.asked_times(2, "* /api/realtime")).len(), 2);
        assert_eq!(block_on(fake.subscribed_to("t")).keys, ["t"]);
        fake.emit("t", "x");
        block_on(fake.closed(FEED));
        client.join().expect("no failure");
    });
}

#[test]
fn cut_connections_end_whatever_was_played() {
    let fake = Script::new().then(FEED, stream().connect().wait("never")).start();
    let mut peer = Peer::connect(&fake);
    peer.open_feed();
    fake.cut_connections();
    assert_eq!(peer.rest(), (Vec::new(), Ok(())));
    fake.finish();
}

// ---------------------------------------------------------------------------------------------
// Complaints

#[test]
fn complains_about_what_was_not_asked() {
    let fake = Script::new().then("GET /a", status(200)).then("GET /b", status(200)).start();
    assert_eq!(Peer::connect(&fake).ask("GET /a", "").status, 200);
    let complaint = complaint(fake);
    assert!(complaint.contains("step 2, GET /b: never came"), "{complaint}");
    assert!(complaint.contains("connection 0  GET /a"), "{complaint}");
}

#[test]
fn complains_about_what_was_not_expected() {
    let fake = Script::new().then("GET /a", status(200)).also("GET /b", status(201)).start();
    let mut peer = Peer::connect(&fake);
    assert_eq!(peer.ask("GET /c?d", "").status, 599);
    assert_eq!(peer.ask("GET /b", "").status, 201, "in any order");
    assert_eq!(peer.ask("GET /a", "").status, 200);
    let complaint = complaint(fake);
    assert!(complaint.contains("GET /c?d was not expected, but GET /a or GET /b"), "{complaint}");
}

#[test]
fn complains_about_what_was_not_played() {
    let fake = Script::new()
        .then(FEED, stream().connect().wait("gate").bytes("x"))
        .then(FEED, stream().connect().event(key_of("a/*"), "x"))
        .start();
    let (mut leaves, mut stays) = (Peer::connect(&fake), Peer::connect(&fake));
    leaves.open_feed();
    stays.open_feed();
    drop(leaves);
    let complaint = complaint(fake);
    let lines = [
        r#"step 1, GET /api/realtime: the client left while the reply was at the wait for the gate "gate""#,
        r#"step 2, GET /api/realtime: when the test ended, the reply was still at the event for the subscription to "a/*""#,
    ];
    assert!(lines.iter().all(|line| complaint.contains(line)), "{complaint}");
}

#[test]
fn complains_about_strangers_who_do_not_speak_http() {
    let fake = healthy_feed().start();
    let mut peer = Peer::connect(&fake);
    peer.write("\u{16}\u{3}\u{1}\n");
    assert_eq!(peer.rest().0, b"");
    assert!(complaint(fake).contains("not an HTTP/1.1 request line"));
}

#[test]
fn complains_when_it_is_dropped_but_not_twice() {
    let dropped = catch_unwind(|| drop(Script::new().then("GET /a", status(200)).start()));
    assert!(dropped.is_err());
    let start = Instant::now();
    let failing = catch_unwind(|| {
        let _fake = Script::new().then("GET /a", status(200)).start();
        panic!("the test's own failure");
    });
    let failure = failing.expect_err("a failure");
    assert_eq!(failure.downcast_ref(), Some(&"the test's own failure"));
    assert!(start.elapsed() < GRACE, "a failing test does not wait");
}

#[test]
fn complains_when_an_answer_panics() {
    let fake = Script::new().then("GET /", answer(|_| -> Reply { panic!("an assertion of the test") })).start();
    let mut peer = Peer::connect(&fake);
    peer.send("GET /", "");
    assert_eq!(peer.rest().0, b"", "and does not leave the client waiting");
    assert!(complaint(fake).contains("one of its own threads panicked"));
}

#[test]
fn knows_its_gates() {
    let fake = Script::new().always("GET /", status(200).after_gate("a")).start();
    fake.open("a");
    assert!(catch_unwind(AssertUnwindSafe(|| fake.open("b"))).is_err());
}

#[test]
fn nothing_is_left_behind() {
    let fake = healthy_feed().then("GET /x", stream().one_byte_every(SOON).bytes("ab")).start();
    let address = fake.address();
    let world = Arc::downgrade(&fake.world);
    let mut peers: Vec<_> = (0..4).map(|_| Peer::connect(&fake)).collect();
    peers[0].open_feed();
    peers[1].send("GET /x", "");
    peers[2].write("GET /half/a/request HT");
    fake.wait_for_request("GET /x", SOON);
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        // Its script is not played out, as "b" would come in 5 s.
        let report = catch_unwind(AssertUnwindSafe(|| fake.finish()));
        done.send(report.is_err()).expect("a listener");
    });
    assert!(ended.recv_timeout(SOON).expect("an end"));
    assert!(world.upgrade().is_none(), "every thread has let go of the world");
    // Nobody listens there any more, unless the port is another test's by now.
    if let Err(refused) = TcpStream::connect(address) {
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
    for mut peer in peers {
        // By FIN or by RST, as it comes; what counts is that there is an end.
        assert!(!matches!(peer.rest().1, Err(ErrorKind::WouldBlock)));
    }
}
