//! Unsubscribing: the server is told, the stream ends, the others go on.

use bosbase_watch::{ErrorKind, Event, Subscription, Topic};

use crate::kit::*;
use crate::support::fake::*;

const ID: &str = "9f3k2m1x0abcdef";

fn jobs() -> Topic {
    Topic::custom("jobs/finished")
}

/// Nothing but what happens to the connection is left, and then the end.
async fn ends(mut feed: Subscription) {
    for event in rest(&mut feed).await {
        assert!(!is_data(&event.unwrap()));
    }
}

async fn takes(feed: &mut Subscription, expected: &str) {
    let events = up_to(feed, is_data).await;
    assert_eq!(word(events.last().unwrap()), expected);
}

async fn submitted(fake: &Fake, count: usize) -> Vec<String> {
    keys(&soon(fake.asked_times(count, SUBMIT)).await[count - 1])
}

#[tokio::test]
async fn by_name() {
    let fake = healthy_feed().start();
    let realtime = client(&fake).realtime();
    let filtered = soon(realtime.subscribe(Topic::collection("posts").filter("a = 1"))).await.unwrap();
    let mut mixed = soon(realtime.subscribe_all([Topic::collection("posts"), jobs()])).await.unwrap();
    assert_eq!(soon(realtime.unsubscribe("posts")).await, 0, "a name is a whole name");
    // Whatever the options, in whichever subscription.
    assert_eq!(soon(realtime.unsubscribe("posts/*")).await, 2);
    assert_eq!(fake.subscriptions(&fake.client_ids()[0]), ["jobs/finished"]);
    ends(filtered).await;
    fake.emit("jobs/finished", "1");
    takes(&mut mixed, "message 1").await;
    assert_eq!(fake.requests_to(FEED).len(), 1);
}

#[tokio::test]
async fn by_prefix() {
    let fake = healthy_feed().start();
    let realtime = client(&fake).realtime();
    let all = [
        Topic::collection("posts"),
        Topic::record("posts", ID),
        Topic::collection("posts_archive"),
        Topic::custom("posts"),
        Topic::custom("postscript"),
    ];
    let mut feed = soon(realtime.subscribe_all(all)).await.unwrap();
    assert_eq!(soon(realtime.unsubscribe_prefix("posts")).await, 3);
    assert_eq!(submitted(&fake, 2).await, ["posts_archive/*", "postscript"]);
    fake.emit("posts_archive/*", created("r1"));
    takes(&mut feed, "create r1").await;
    assert_eq!(soon(realtime.unsubscribe_prefix("posts_archive/")).await, 1);
    assert_eq!(submitted(&fake, 3).await, ["postscript"]);
}

#[tokio::test]
async fn by_dropping_the_handle() {
    let fake = healthy_feed().start();
    let realtime = client(&fake).realtime();
    let posts = soon(realtime.subscribe(Topic::collection("posts"))).await.unwrap();
    let mut first = soon(realtime.subscribe(jobs())).await.unwrap();
    let second = soon(realtime.subscribe(jobs())).await.unwrap();
    drop(posts);
    soon(fake.asked(on(SUBMIT).when(|request| keys(request) == ["jobs/finished"]))).await;
    // One of two that listen to the same topic goes: the topic stays.
    second.unsubscribe();
    fake.emit("jobs/finished", "1");
    takes(&mut first, "message 1").await;
    drop(first);
    soon(fake.closed(FEED)).await;
}

#[tokio::test]
async fn everything() {
    let fake = healthy_feed().start();
    let realtime = client(&fake).realtime();
    let posts = soon(realtime.subscribe(Topic::collection("posts"))).await.unwrap();
    let both = soon(realtime.subscribe_all([Topic::collection("comments"), jobs()])).await.unwrap();
    assert_eq!(soon(realtime.unsubscribe_all()).await, 3);
    soon(fake.closed(FEED)).await;
    ends(posts).await;
    ends(both).await;
    assert_eq!(soon(realtime.unsubscribe_all()).await, 0);
    // The handle is as good as new.
    let mut again = soon(realtime.subscribe(jobs())).await.unwrap();
    fake.emit("jobs/finished", "2");
    takes(&mut again, "message 2").await;
    assert_eq!(fake.client_ids().len(), 2);
}

#[tokio::test]
async fn the_last_name_closes_the_connection() {
    let fake = healthy_feed().start();
    let realtime = client(&fake).realtime();
    let feed = soon(realtime.subscribe(jobs())).await.unwrap();
    assert_eq!(soon(realtime.unsubscribe("jobs/finished")).await, 1);
    soon(fake.closed(FEED)).await;
    // Nothing but the end: an empty set is not sent, the connection goes with it.
    assert_eq!(fake.requests_to(SUBMIT).len(), 1);
    ends(feed).await;
}

#[tokio::test]
async fn dropping_every_handle_closes_the_connection() {
    let fake = healthy_feed().start();
    {
        let realtime = client(&fake).realtime();
        let _feed = soon(realtime.subscribe(jobs())).await.unwrap();
    }
    soon(fake.closed(FEED)).await;
}

#[tokio::test]
async fn while_the_connection_is_being_opened() {
    let fake = Script::new().then(FEED, stall()).start();
    let realtime = client(&fake).realtime();
    let feed = realtime.watch([jobs()]).unwrap();
    soon(fake.asked(FEED)).await;
    assert_eq!(soon(realtime.unsubscribe("jobs/finished")).await, 1);
    soon(fake.closed(FEED)).await;
    ends(feed).await;
}

#[tokio::test]
async fn a_subscribe_that_is_given_up_on() {
    let fake = Script::new()
        .then(FEED, stream().connect().live())
        .then(SUBMIT, subscribed())
        .then(SUBMIT, stall())
        .always(SUBMIT, subscribed())
        .start();
    let realtime = client(&fake).realtime();
    let mut posts = soon(realtime.subscribe(Topic::collection("posts"))).await.unwrap();
    {
        let mut waiting = std::pin::pin!(realtime.subscribe(jobs()));
        tokio::select! {
            _ = &mut waiting => panic!("it was never acknowledged"),
            request = fake.asked(on(SUBMIT).when(|request| keys(request).len() == 2)) => drop(request),
        }
    }
    // Whoever stays is not disturbed.
    fake.emit("posts/*", created("r1"));
    takes(&mut posts, "create r1").await;
}

#[tokio::test]
async fn a_newcomer_while_the_topics_are_sent() {
    let fake = Script::new()
        .then(FEED, stream().connect().live())
        .then(SUBMIT, answer(|_| no_content().after_gate("acknowledge")))
        .then(SUBMIT, subscribed())
        .start();
    let realtime = client(&fake).realtime();
    let posts = realtime.watch([Topic::collection("posts")]).unwrap();
    soon(fake.asked(SUBMIT)).await;
    let jobs = realtime.subscribe(jobs());
    let open = async {
        tokio::task::yield_now().await;
        fake.open("acknowledge");
    };
    let (jobs, ()) = soon(async { tokio::join!(jobs, open) }).await;
    jobs.unwrap();
    let sets: Vec<_> = fake.requests_to(SUBMIT).iter().map(keys).collect();
    assert_eq!(sets, [vec!["posts/*"], vec!["posts/*", "jobs/finished"]]);
    drop(posts);
}

/// The third POST brings the old set back.
fn refusing_the_second() -> Fake {
    Script::new()
        .then(FEED, stream().connect().live())
        .then(SUBMIT, subscribed())
        .then(SUBMIT, error(403, "You are not allowed to watch this."))
        .always(SUBMIT, subscribed())
        .start()
}

#[tokio::test]
async fn a_refused_newcomer_leaves_the_others_alone() {
    let fake = refusing_the_second();
    let realtime = client(&fake).realtime();
    let mut posts = soon(realtime.subscribe(Topic::collection("posts"))).await.unwrap();
    let error = soon(realtime.subscribe(Topic::custom("secret/topic"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert_eq!(error.server_message(), Some("You are not allowed to watch this."));
    assert_eq!(submitted(&fake, 3).await, ["posts/*"]);
    fake.emit("posts/*", created("r1"));
    let events = up_to(&mut posts, is_data).await;
    assert!(!events.iter().any(is_lost), "{:?}", story(&events));
    takes_no_more_than(&fake, 1);
    // And another newcomer is welcome.
    let mut jobs = soon(realtime.subscribe(jobs())).await.unwrap();
    fake.emit("jobs/finished", "1");
    takes(&mut jobs, "message 1").await;
}

#[tokio::test]
async fn a_refused_newcomer_that_does_not_wait() {
    let fake = refusing_the_second();
    let realtime = client(&fake).realtime();
    let mut posts = soon(realtime.subscribe(Topic::collection("posts"))).await.unwrap();
    let mut secret = realtime.watch([Topic::custom("secret/topic")]).unwrap();
    let error = loop {
        match soon(secret.next()).await.expect("an error is the last item") {
            Ok(event) => assert!(!is_lost(&event), "the connection is not to blame: {event:?}"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    soon(fake.asked_times(3, SUBMIT)).await;
    fake.emit("posts/*", created("r1"));
    let events = up_to(&mut posts, is_data).await;
    assert!(!events.iter().any(is_lost), "{:?}", story(&events));
    takes_no_more_than(&fake, 1);
}

fn takes_no_more_than(fake: &Fake, connections: usize) {
    assert_eq!(fake.requests_to(FEED).len(), connections);
}

#[tokio::test]
async fn more_topics_than_the_server_takes() {
    let fake = healthy_feed().start();
    let realtime = client(&fake).realtime();
    let many = |count: usize| (0..count).map(|n| Topic::custom(format!("t/{n}")));
    let error = realtime.watch(many(1001)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidTopic);
    assert!(fake.requests().is_empty());

    let mut all = soon(realtime.subscribe_all(many(1000))).await.unwrap();
    assert_eq!(submitted(&fake, 1).await.len(), 1000);
    // The same topic once more is no other topic to the server.
    let _same = soon(realtime.subscribe(Topic::custom("t/7"))).await.unwrap();
    let error = soon(realtime.subscribe(jobs())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidTopic);
    fake.emit("t/999", "1");
    takes(&mut all, "message 1").await;
}

#[tokio::test]
async fn the_events_of_one_topic_for_two_subscriptions() {
    let fake = healthy_feed().start();
    let realtime = client(&fake).realtime();
    let mut first = soon(realtime.subscribe(Topic::collection("posts"))).await.unwrap();
    let mut second = soon(realtime.subscribe_all([jobs(), Topic::collection("posts")])).await.unwrap();
    assert_eq!(submitted(&fake, 2).await, ["posts/*", "jobs/finished"]);
    assert_eq!(fake.emit("posts/*", created("r1")), 1);
    takes(&mut first, "create r1").await;
    let events = up_to(&mut second, is_data).await;
    let Some(Event::Record(event)) = events.last() else { panic!("{events:?}") };
    assert_eq!(event.source().index(), 1);
    // What was subscribed is acknowledged to both.
    let Some(Event::Subscribed(subscribed)) = events.iter().find(|event| matches!(event, Event::Subscribed(_))) else {
        panic!("{:?}", story(&events))
    };
    assert_eq!(subscribed.topics, ["posts/*", "jobs/finished"]);
}
