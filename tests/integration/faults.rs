//! The connection broken in every phase; what is told of it, and that it comes back whole.

use std::time::Duration;

use bosbase_watch::{Cause, Deletes, ErrorKind, Event, Realtime, Topic};
use serde_json::json;

use crate::kit::*;
use crate::support::fake::*;

const SHORT: Duration = Duration::from_millis(250);
const AT_ONCE: Duration = Duration::from_millis(5);

fn posts() -> Topic {
    Topic::collection("posts")
}

/// What a first subscription fails with.
async fn first_error(fake: &Fake, connect_timeout: Duration) -> bosbase_watch::Error {
    let realtime = client_within(fake, connect_timeout).realtime();
    soon(realtime.subscribe(posts())).await.expect_err("nothing good can come of it")
}

// ---------------------------------------------------------------------------------------------
// Before the feed stands

#[tokio::test]
async fn refused() {
    let fake = Script::new().refused_until("never").start();
    let error = first_error(&fake, SOON).await;
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(error.to_string(), format!("nothing listens at {}: connection refused", fake.address()));
    assert!(error.is_transient());
}

#[tokio::test]
async fn the_request_is_not_answered() {
    let fake = Script::new().then(FEED, stall()).start();
    let error = first_error(&fake, SHORT).await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.to_string(), format!("{} did not take the connection within 0.25 s", fake.address()));
    soon(fake.closed(FEED)).await;
}

#[tokio::test]
async fn the_stream_never_says_pb_connect() {
    let fake = Script::new().then(FEED, stream().bytes(":\n\n")).start();
    let error = first_error(&fake, SHORT).await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(
        error.to_string(),
        format!("{} did not name the connection (is a proxy holding the stream back?) within 0.25 s", fake.address())
    );
    soon(fake.closed(FEED)).await;
}

#[tokio::test]
async fn the_topics_are_never_acknowledged() {
    let fake = Script::new().then(FEED, stream().connect()).then(SUBMIT, stall()).start();
    let realtime = client_within(&fake, SHORT).realtime();
    let within = tokio::time::timeout(Duration::from_secs(3), realtime.subscribe(posts())).await;
    let error = within.expect("the limit spans the whole handshake").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    soon(fake.closed(FEED)).await;
}

#[tokio::test]
async fn the_connection_ends_before_an_answer() {
    let half_a_head = || raw("HTTP/1.1 200 OK\r\nContent-Ty");
    let cases: [(&str, Script); 7] = [
        ("closed when accepted", Script::new().on_connect(close())),
        ("reset when accepted", Script::new().on_connect(reset())),
        ("closed after the request", Script::new().then(FEED, close())),
        ("reset after the request", Script::new().then(FEED, reset())),
        ("closed in the head", Script::new().then(FEED, half_a_head().close())),
        ("reset in the head", Script::new().then(FEED, half_a_head().reset())),
        ("another protocol", Script::new().on_connect(raw("SSH-2.0-OpenSSH_9.6\r\n").close())),
    ];
    for (what, script) in cases {
        let fake = script.start();
        let error = first_error(&fake, SOON).await;
        assert_eq!(error.kind(), ErrorKind::Network, "{what}: {error}");
        assert!(error.to_string().contains(&fake.address().to_string()), "{what}: {error}");
    }
}

#[tokio::test]
async fn the_stream_ends_before_pb_connect() {
    for (what, reply, kind) in [
        ("a clean end", stream().end(), ErrorKind::Closed),
        ("half of it", stream().bytes("id:abc\nevent:PB_CONNECT\ndata:{\"clie").end(), ErrorKind::Network),
        ("a close", stream().close(), ErrorKind::Network),
        ("a reset", stream().reset(), ErrorKind::Network),
    ] {
        let fake = Script::new().then(FEED, reply).start();
        let error = first_error(&fake, SOON).await;
        assert_eq!(error.kind(), kind, "{what}: {error}");
    }
}

#[tokio::test]
async fn something_else_answers() {
    for (what, reply, says) in [
        ("a web page", html(200, "<html>It works!</html>").into(), "is not an event stream"),
        ("another API", ok(json!({ "hello": "world" })).into(), "is not an event stream"),
        ("nothing", no_content().into(), "is not an event stream"),
        ("another feed", stream().event("hello", "{}").into(), "does not begin with PB_CONNECT"),
        ("a feed without names", stream().bytes("data:{}\n\n").into(), "does not begin with PB_CONNECT"),
        ("no id", stream().bytes("event:PB_CONNECT\ndata:{}\n\n").into(), "does not name the connection"),
    ] {
        let reply: Reply = reply;
        let fake = Script::new().then(FEED, reply).start();
        let error = first_error(&fake, SOON).await;
        assert_eq!(error.kind(), ErrorKind::NotBosBase, "{what}: {error}");
        assert_eq!(error.to_string(), format!("what {} sends at /api/realtime {says}", fake.url()), "{what}");
        soon(fake.closed(FEED)).await;
    }
}

#[tokio::test]
async fn the_id_may_stand_in_the_frame_alone() {
    let hello = stream().connect_as("me").bytes("");
    let fake = Script::new().then(FEED, hello).then(SUBMIT, subscribed()).start();
    soon(client(&fake).realtime().subscribe(posts())).await.unwrap();
    let fake = Script::new()
        .then(FEED, stream().bytes("id:me\nevent:PB_CONNECT\ndata:hello\n\n"))
        .then(SUBMIT, no_content())
        .start();
    soon(client(&fake).realtime().subscribe(posts())).await.unwrap();
    assert_eq!(client_id(&fake.requests_to(SUBMIT)[0]), "me");
}

#[tokio::test]
async fn statuses_on_the_get() {
    for (reply, kind, retry_after) in refusals() {
        let fake = Script::new().then(FEED, reply.clone()).start();
        let error = first_error(&fake, SOON).await;
        assert_eq!((error.kind(), error.retry_after()), (kind, retry_after), "{reply:?}: {error}");
        assert!(!error.to_string().contains('<'), "{error}");
    }
}

#[tokio::test]
async fn statuses_on_the_post() {
    for (reply, kind, retry_after) in refusals() {
        let fake = Script::new().then(FEED, stream().connect()).then(SUBMIT, reply.clone()).start();
        let error = first_error(&fake, SOON).await;
        assert_eq!((error.kind(), error.retry_after()), (kind, retry_after), "{reply:?}: {error}");
        soon(fake.closed(FEED)).await;
    }
}

fn refusals() -> Vec<(Plain, ErrorKind, Option<Duration>)> {
    let rate_limited = || error(429, "Too Many Requests.");
    vec![
        (error(400, "Something went wrong."), ErrorKind::BadRequest, None),
        (error(401, "The request requires valid record authorization token."), ErrorKind::Unauthorized, None),
        (error(403, "You are not allowed to perform this request."), ErrorKind::Forbidden, None),
        (rate_limited(), ErrorKind::RateLimited, None),
        (rate_limited().header("Retry-After", "7"), ErrorKind::RateLimited, Some(Duration::from_secs(7))),
        (rate_limited().header("Retry-After", "soon"), ErrorKind::RateLimited, None),
        (error(500, "Something went wrong while processing your request."), ErrorKind::Server, None),
        (html(502, "<html>Bad Gateway</html>"), ErrorKind::Server, None),
        (html(503, "<html>").header("Retry-After", "2"), ErrorKind::Server, Some(Duration::from_secs(2))),
        (status(418), ErrorKind::Status, None),
    ]
}

#[tokio::test]
async fn a_redirect_is_named_and_not_followed() {
    let elsewhere = Script::new().start();
    for code in [301, 302, 307, 308] {
        let target = format!("{}/api/realtime?secret=1", elsewhere.url());
        let token = token_for(1_000_000);
        let on_get = Script::new().then(FEED, redirect(code, &target));
        let on_post = Script::new().then(FEED, stream().connect()).then(SUBMIT, redirect(code, &target));
        for script in [on_get, on_post] {
            let fake = with_ann(script, &token).start();
            let client = client(&fake);
            client.auth().save(token.clone().into(), None);
            let error = soon(client.realtime().subscribe(posts())).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotBosBase);
            assert_eq!(
                error.to_string(),
                format!(
                    "{} redirects to {}: redirects are not followed, since the token must not go elsewhere",
                    fake.url(),
                    elsewhere.url()
                )
            );
            assert_eq!(fake.requests_to(FEED)[0].header("authorization"), Some(token.as_str()));
        }
    }
    assert!(elsewhere.requests().is_empty());
}

// ---------------------------------------------------------------------------------------------
// Retries before it was ever live

#[tokio::test]
async fn a_first_failure_is_final_by_default() {
    let fake = Script::new().then(FEED, error(503, "Try later.")).start();
    let mut feed = client(&fake).realtime().watch([posts()]).unwrap();
    let events = rest(&mut feed).await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].as_ref().unwrap_err().kind(), ErrorKind::Server);
}

#[tokio::test]
async fn retries_are_counted_and_told() {
    let fake = Script::new().times(3, FEED, error(503, "Try later.")).start();
    let realtime = plain(&fake).max_retries(2).build();
    let mut feed = realtime.watch([posts(), Topic::custom("jobs/finished")]).unwrap();
    let mut events = rest(&mut feed).await;
    let error = events.pop().unwrap().unwrap_err();
    assert_eq!(error.status(), Some(503));
    let attempts: Vec<_> = events
        .into_iter()
        .map(|event| match event.unwrap() {
            Event::Disconnected(lost) => (lost.attempt, lost.cause, lost.topics, lost.retry.is_some()),
            other => panic!("{other:?}"),
        })
        .collect();
    let topics = || vec!["posts/*".to_owned(), "jobs/finished".to_owned()];
    assert_eq!(attempts, [(1, Cause::Http, topics(), true), (2, Cause::Http, topics(), true)]);
    fake.finish();
}

#[tokio::test]
async fn a_retry_that_succeeds() {
    let fake = Script::new()
        .then(FEED, reset())
        .then(FEED, stream().connect())
        .then(SUBMIT, error(500, "Not yet."))
        .then(FEED, stream().connect().event(key_of("posts/*"), created("r1")))
        .then(SUBMIT, subscribed())
        .start();
    let realtime = plain(&fake).max_retries(2).build();
    let mut feed = realtime.watch([posts()]).unwrap();
    let events = up_to(&mut feed, is_data).await;
    // It was never live before: nothing can have been missed.
    assert_eq!(
        story(&events),
        ["disconnected", "connected", "disconnected", "connected", "subscribed", "live", "create r1"]
    );
}

#[tokio::test]
async fn the_rate_limit_is_obeyed() {
    for (reply, at_least) in [
        (error(429, "Too Many Requests.").header("Retry-After", "60"), 60),
        (error(429, "Too Many Requests."), 3), // its window is seconds long, and it does not say so
        (error(503, "Maintenance.").header("Retry-After", "60"), 60),
    ] {
        let fake = Script::new().then(FEED, reply).start();
        let realtime = plain(&fake).max_retries(1).build();
        let mut feed = realtime.watch([posts()]).unwrap();
        let Event::Disconnected(lost) = next(&mut feed).await else { panic!() };
        assert!(lost.retry.unwrap() >= Duration::from_secs(at_least), "{lost:?}");
    }
}

#[tokio::test]
async fn a_client_id_that_another_node_does_not_know() {
    let unknown = || error(404, "Missing or invalid client id.");
    let fake = Script::new().then(FEED, stream().connect()).then(SUBMIT, unknown()).then(SUBMIT, subscribed()).start();
    let realtime = plain(&fake).build();
    soon(realtime.subscribe(posts())).await.unwrap();
    // The connection stays: the next request may reach its node.
    let ids: Vec<_> = fake.requests_to(SUBMIT).iter().map(client_id).collect();
    assert_eq!(ids, [&fake.client_ids()[0][..]; 2]);
}

#[tokio::test]
async fn a_client_id_that_nobody_ever_knows() {
    let fake = Script::new()
        .always(FEED, stream().connect())
        .always(SUBMIT, error(404, "Missing or invalid client id."))
        .start();
    let realtime = plain(&fake).build();
    let error = soon(realtime.subscribe(posts())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongNode);
    // Six connections, and eight tries for each.
    assert_eq!(fake.requests_to(SUBMIT).len(), 48);
}

// ---------------------------------------------------------------------------------------------
// Lost while live

/// Two topics, one with options.
fn two() -> [Topic; 2] {
    [posts().filter("status = 'open'").expand("author"), Topic::custom("jobs/finished")]
}

#[tokio::test]
async fn half_an_event_is_never_delivered() {
    let half = || {
        stream()
            .connect()
            .event(key_of("posts/*"), created("r1"))
            .half_event(key_of("posts/*"), record("create", json!({ "id": "r2", "text": "x".repeat(100) })))
    };
    let almost = || {
        // Complete but for the empty line, which makes it an event.
        stream().connect().event(key_of("posts/*"), created("r1")).bytes_for(|client| {
            let mut frame = frame(&client.id, &client.keys[0], created("r2"));
            frame.pop();
            frame
        })
    };
    for ending in [half().end(), half().close(), half().reset(), almost().end(), almost().close()] {
        let fake = Script::new()
            .then(FEED, ending.clone())
            .then(SUBMIT, subscribed())
            .then(FEED, stream().connect().event(key_of("posts/*"), created("r3")))
            .then(SUBMIT, subscribed())
            .start();
        let mut feed = plain(&fake).build().watch([posts()]).unwrap();
        let events = up_to(&mut feed, |event| word(event) == "create r3").await;
        assert_eq!(
            story(&events),
            [
                "connected",
                "subscribed",
                "live",
                "create r1",
                "disconnected", //
                "connected",
                "subscribed",
                "gap",
                "live",
                "create r3",
            ],
            "{ending:?}"
        );
        fake.finish();
    }
}

#[tokio::test]
async fn a_clean_end_after_a_while_is_routine() {
    // A connection that has lived for more than a second is reopened at once.
    let life = "about a second of silence\n";
    let quiet = stream()
        .connect()
        .wait_for(SUBMIT)
        .one_byte_every(Duration::from_millis(1300) / (life.len() as u32 + 1))
        .bytes(format!(":{life}"));
    let fake = Script::new()
        .then(FEED, quiet.end())
        .then(SUBMIT, subscribed())
        .then(FEED, stream().connect().event(key_of("jobs/finished"), "{}"))
        .then(SUBMIT, subscribed())
        .start();
    let mut feed = plain(&fake).build().watch(two()).unwrap();
    let events = up_to(&mut feed, is_data).await;
    let lost = events.iter().find_map(|event| if let Event::Disconnected(lost) = event { Some(lost) } else { None });
    let lost = lost.expect("told");
    assert_eq!(lost.retry, Some(Duration::ZERO));
    assert_eq!((lost.cause, lost.detail.as_str()), (Cause::Closed, "the server closed the connection"));
    assert_eq!(lost.topics, ["posts/*", "jobs/finished"]);
    resubscribed_the_same(&fake);
}

#[tokio::test]
async fn a_reset_is_waited_out_and_subscribed_again() {
    for ending in [stream().connect().wait("go").reset(), stream().connect().wait("go").close()] {
        let fake = Script::new()
            .then(FEED, ending)
            .then(SUBMIT, subscribed())
            .then(FEED, stream().connect().event(key_of("jobs/finished"), "{}"))
            .then(SUBMIT, subscribed())
            .start();
        // Here with the waiting of a stock client.
        let realtime = Realtime::builder(&client(&fake)).catch_up(false).build();
        let mut feed = soon(realtime.subscribe_all(two())).await.unwrap();
        fake.open("go");
        let events = up_to(&mut feed, is_data).await;
        assert_eq!(
            story(&events),
            [
                "connected",
                "subscribed",
                "live",
                "disconnected", //
                "connected",
                "subscribed",
                "gap",
                "live",
                "message {}"
            ]
        );
        let Event::Disconnected(lost) = &events[3] else { panic!() };
        assert_eq!(lost.topics, ["posts/*", "jobs/finished"]);
        assert_eq!((lost.cause, lost.attempt), (Cause::Reset, 1));
        assert!(lost.retry.unwrap() > Duration::ZERO);
        let Event::Gap(gap) = &events[6] else { panic!() };
        assert_eq!(gap.unfilled, ["posts/*", "jobs/finished"]);
        assert!(gap.filled.is_empty() && gap.replayed == 0 && gap.deletes == Deletes::Unknown);
        // From the last sign of life, by the server's clock, which is heard to the second.
        let before = lost.time.duration_since(gap.from);
        assert!(gap.from <= gap.to && (0..2000).contains(&before.as_millis()), "{gap:?}");
        let (Event::Connected(first), Event::Connected(second)) = (&events[0], &events[4]) else { panic!() };
        assert_eq!([first.client_id.expose(), second.client_id.expose()], fake.client_ids()[..]);
        assert_eq!(first.url, fake.url());
        let Event::Subscribed(subscribed) = &events[5] else { panic!() };
        assert_eq!((subscribed.topics.as_slice(), &subscribed.auth), (&lost.topics[..], &None));
        resubscribed_the_same(&fake);
        fake.finish();
    }
}

fn resubscribed_the_same(fake: &Fake) {
    let posts = fake.requests_to(SUBMIT);
    assert_eq!(posts.iter().map(client_id).collect::<Vec<_>>(), fake.client_ids());
    assert_eq!(posts.len(), 2);
    let first = keys(&posts[0]);
    assert!(first[0].starts_with("posts/*?options=") && first[1] == "jobs/finished", "{first:?}");
    assert_eq!(keys(&posts[1]), first);
}

#[tokio::test]
async fn an_outage_with_many_failures() {
    let fake = Script::new()
        .then(FEED, stream().connect().live())
        .then(SUBMIT, subscribed())
        .then(FEED, html(502, "<html>Bad Gateway</html>"))
        .then(FEED, html(200, "<html>Maintenance</html>")) // what a proxy says without its server
        .then(FEED, error(403, "Blocked."))
        .then(FEED, redirect(302, "https://maintenance.example.com/"))
        .then(FEED, stream().connect())
        .then(SUBMIT, error(500, "Something went wrong."))
        .then(FEED, stream().connect())
        .then(SUBMIT, reset())
        .then(FEED, stream().connect().event(key_of("posts/*"), created("r1")))
        .then(SUBMIT, subscribed())
        .start();
    let realtime = plain(&fake).build();
    let mut feed = soon(realtime.subscribe(posts())).await.unwrap();
    fake.reset_streams();
    let events = up_to(&mut feed, is_data).await;
    let attempts = events.iter().filter_map(|event| match event {
        Event::Disconnected(lost) => Some((lost.attempt, lost.cause.as_str())),
        _ => None,
    });
    assert_eq!(
        attempts.collect::<Vec<_>>(),
        [(1, "reset"), (2, "http"), (3, "http"), (4, "http"), (5, "http"), (6, "http"), (7, "reset")]
    );
    // One outage, one gap, however often it was tried.
    let gaps: Vec<_> = events.iter().filter(|event| matches!(event, Event::Gap(_))).collect();
    let [Event::Gap(gap)] = gaps[..] else { panic!("{gaps:?}") };
    let Some(Event::Disconnected(first)) = events.iter().find(|event| is_lost(event)) else { panic!() };
    assert!(gap.from <= first.time, "the gap begins when it was lost: {gap:?} {first:?}");
    fake.finish();
}

#[tokio::test]
async fn what_was_missed_is_read_again_before_it_is_live() {
    let missed = json!({
        "id": "missed000000000", "created": "2020-01-01 00:00:00.000Z", "updated": "2099-01-01 00:00:00.000Z",
    });
    let fake = Script::new()
        .then(FEED, stream().connect().live())
        .then(SUBMIT, subscribed())
        .then(FEED, stream().connect().live())
        .then(SUBMIT, subscribed())
        .then("GET /api/collections/posts/records", page([missed]))
        .start();
    let realtime = Realtime::builder(&client(&fake)).max_backoff(AT_ONCE).build();
    let mut feed = soon(realtime.subscribe_all([posts(), Topic::custom("jobs/finished")])).await.unwrap();
    up_to(&mut feed, is_live).await;
    fake.reset_streams();
    let events = up_to(&mut feed, is_live).await;
    assert_eq!(story(&events), ["disconnected", "connected", "subscribed", "update missed000000000", "gap", "live"]);
    let (Event::Record(replayed), Event::Gap(gap)) = (&events[3], &events[4]) else { panic!() };
    assert!(replayed.is_replayed());
    assert_eq!(
        (gap.filled.as_slice(), gap.unfilled.as_slice()),
        (&["posts/*".into()][..], &["jobs/finished".into()][..])
    );
    assert_eq!(gap.replayed, 1);
    fake.finish();
}

#[tokio::test]
async fn refused_while_the_server_restarts() {
    let fake = healthy_feed().start();
    let realtime = plain(&fake).build();
    let mut feed = soon(realtime.subscribe(posts())).await.unwrap();
    fake.refuse();
    fake.reset_streams();
    let refused = |event: &Event| matches!(event, Event::Disconnected(lost) if lost.detail.contains("refused"));
    up_to(&mut feed, refused).await;
    fake.listen_again();
    up_to(&mut feed, is_live).await;
    fake.emit("posts/*", created("r1"));
    up_to(&mut feed, is_data).await;
}

#[tokio::test]
async fn the_login_is_refused_when_it_comes_back() {
    let token = token_for(1_000_000);
    let script = Script::new()
        .then(FEED, stream().connect().live())
        .then(SUBMIT, subscribed())
        .then(FEED, error(401, "The request requires valid record authorization token."));
    let fake = with_ann(script, &token).start();
    let client = client(&fake);
    client.auth().save(token.into(), None);
    let realtime = Realtime::builder(&client).max_backoff(AT_ONCE).catch_up(false).build();
    let mut feed = soon(realtime.subscribe(posts())).await.unwrap();
    fake.reset_streams();
    let mut events = rest(&mut feed).await;
    assert_eq!(events.pop().unwrap().unwrap_err().kind(), ErrorKind::Unauthorized);
    let error = realtime.subscribe(posts()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    fake.finish();
}

#[tokio::test]
async fn without_reconnect_the_loss_is_told_and_final() {
    let fake = Script::new().then(FEED, stream().connect().live()).then(SUBMIT, subscribed()).start();
    let realtime = plain(&fake).reconnect(false).build();
    let mut feed = soon(realtime.subscribe_all(two())).await.unwrap();
    up_to(&mut feed, is_live).await;
    fake.reset_streams();
    let mut events = rest(&mut feed).await;
    let error = events.pop().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    // The topics that were active are told here, too.
    let Some(Ok(Event::Disconnected(lost))) = events.pop() else { panic!("no `disconnected` before the error") };
    assert_eq!(lost.topics, ["posts/*", "jobs/finished"]);
    assert_eq!(lost.retry, None);
    fake.finish();
}

// ---------------------------------------------------------------------------------------------
// What is told

#[tokio::test]
async fn closed_on_purpose_is_told_once_and_without_topics() {
    let fake = healthy_feed().start();
    let realtime = client(&fake).realtime();
    let mut monitor = realtime.connection_events().unwrap();
    let mut feed = soon(realtime.subscribe(posts())).await.unwrap();
    assert_eq!(soon(realtime.unsubscribe_all()).await, 1);
    soon(fake.closed(FEED)).await;
    // A second life shows where the first one ended.
    let again = soon(realtime.subscribe(posts())).await.unwrap();
    let mut told = up_to(&mut monitor, is_live).await;
    told.extend(up_to(&mut monitor, is_live).await);
    assert_eq!(story(&told), ["connected", "subscribed", "live", "disconnected", "connected", "subscribed", "live"]);
    let Event::Disconnected(closed) = &told[3] else { panic!() };
    assert!(closed.topics.is_empty() && closed.retry.is_none());
    // Whoever was unsubscribed hears of it, too.
    let last = rest(&mut feed).await;
    let Some(Ok(Event::Disconnected(closed))) = last.last() else { panic!("{last:?}") };
    assert!(closed.topics.is_empty());
    drop(again);
}

#[tokio::test]
async fn connection_events_alone_open_nothing() {
    let fake = Script::new().start();
    let realtime = client(&fake).realtime();
    let monitor = realtime.connection_events().unwrap();
    assert_eq!(soon(realtime.unsubscribe_all()).await, 0);
    drop(monitor);
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn an_event_that_overtakes_its_acknowledgement() {
    let fake = Script::new()
        .then(FEED, stream().connect().event(early_key_of("posts/*"), created("r1")).wait("never"))
        .then(SUBMIT, no_content().after_gate("acknowledge"))
        .start();
    let mut feed = plain(&fake).build().watch([posts()]).unwrap();
    let events = up_to(&mut feed, is_data).await;
    assert_eq!(story(&events), ["connected", "create r1"]);
    fake.open("acknowledge");
    let events = up_to(&mut feed, is_live).await;
    assert_eq!(story(&events), ["subscribed", "live"]);
    fake.open("never");
}
