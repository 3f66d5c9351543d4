//! What is read again after a loss, what cannot be, and what is told of it.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::kit::{
    PATIENCE, allow_batches, brief, create_posts, guest, id, lines, names, of_type, owned, post, times, wait, wait_for,
    wait_for_record,
};
use crate::proxy::{Proxy, Which};
use crate::support::cli::Running;
use crate::support::pocketbase::{Server, wait_for as wait_until};

both_versions!(
    what_is_filled_and_what_is_not,
    without_catching_up_nothing_is_filled,
    only_an_unfilled_gap_is_a_failure,
    what_happened_meanwhile,
    one_record,
    a_record_that_left_the_filter,
    a_filter_that_is_long,
    a_record_that_is_made_anew,
    more_changes_than_a_page_holds,
    a_loss_while_catching_up,
);

both_versions_at_once!(a_reader_that_is_slow, a_path_that_was_stalled);

/// Does something while the watch is cut off, and waits until it is live again.
/// The lines since.
#[track_caller]
fn cut_off(proxy: &Proxy, running: &Running, act: impl FnOnce()) -> Vec<Value> {
    let before = lines(&running.stdout());
    let count = |kind| of_type(&before, kind).len();
    proxy.refuse(true);
    proxy.reset(Which::All);
    // An attempt that fails is one, too.
    wait_for("disconnected", count("disconnected") + 1, running);
    act();
    proxy.refuse(false);
    wait_for("live", count("live") + 1, running);
    lines(&running.stdout()).split_off(before.len())
}

/// The one gap among the lines.
#[track_caller]
fn gap(lines: &[Value]) -> Value {
    let gaps = of_type(lines, "gap");
    assert_eq!(gaps.len(), 1, "{lines:?}");
    gaps[0].clone()
}

fn what_is_filled_and_what_is_not(version: &str) {
    let mut server = Server::start(version);
    let running = guest(server.url()).watch(["posts/*", "jobs/finished", "plain/*", "PB_CONNECT"]);
    server.stop();
    server.start_again();
    let gap = wait_for("gap", 1, &running).remove(0);
    assert_eq!(names(&gap["filled"]), ["posts/*"]);
    // A custom topic, and a collection that does not say when its records changed.
    assert_eq!(names(&gap["unfilled"]), ["jobs/finished", "plain/*"]);
    assert_eq!((&gap["replayed"], &gap["deletes"]), (&json!(0), &json!("unknown")));
    let disconnected = wait_for("disconnected", 1, &running).remove(0);
    let moments = [&gap["from"], &disconnected["time"], &gap["to"]];
    // By the server's clock, which is heard to the second.
    assert!(gap["from"].as_str() < gap["to"].as_str(), "{moments:?}");
    running.stop().expect(130);
}

fn without_catching_up_nothing_is_filled(version: &str) {
    let server = Server::start(version);
    let proxy = Proxy::start(server.port());
    let running = guest(&proxy.url()).watch(["posts/*", "jobs/finished", "PB_CONNECT", "--catch-up", "off"]);
    let seen = cut_off(&proxy, &running, || drop(post(&server, "missed")));
    let gap = gap(&seen);
    assert_eq!(
        (names(&gap["filled"]), names(&gap["unfilled"])),
        (vec![], vec!["jobs/finished".to_owned(), "posts/*".to_owned()])
    );
    assert_eq!((&gap["replayed"], &gap["deletes"]), (&json!(0), &json!("unknown")));
    assert_eq!(brief(&seen), []);
    running.stop().expect(130);
}

fn only_an_unfilled_gap_is_a_failure(version: &str) {
    let server = Server::start(version);
    let proxy = Proxy::start(server.port());
    let filled = guest(&proxy.url()).watch(["posts/*", "--fail-on-gap"]);
    let unfilled = guest(&proxy.url()).watch(["posts/*", "jobs/finished", "--fail-on-gap"]);
    cut_off(&proxy, &filled, || drop(post(&server, "missed")));
    let output = unfilled.finish().expect(7);
    let end = of_type(&lines(&output.stdout), "end").remove(0);
    assert_eq!((&end["reason"], &end["exit"], &end["gaps"]), (&json!("gap"), &json!(7), &json!(1)));
    // What the check says of a topic begins with its name; behind that a guest is told of signing in.
    let of_the_check =
        |line: &str| ["posts/*: ", "jobs/finished: ", "hint: sign in"].iter().any(|start| line.starts_with(start));
    let said: Vec<_> = output.stderr.lines().filter(|line| !of_the_check(line)).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[0].starts_with("error: ") && said[0].contains("jobs/finished") && !said[0].contains("posts"),
        "{said:?}"
    );
    assert!(said[1].starts_with("hint: "), "{said:?}");

    wait_for_record(&filled, "create", "title", "missed");
    filled.stop().expect(130);
}

fn what_happened_meanwhile(version: &str) {
    let server = Server::start(version);
    let proxy = Proxy::start(server.port());
    let never_seen = post(&server, "never seen");
    post(&server, "from before");
    thread::sleep(Duration::from_millis(1_100));
    let running = guest(&proxy.url()).watch(["posts/*"]);
    let [deleted, changed, twice] = ["deleted", "changed", "twice"].map(|title| post(&server, title));
    let same = post(&server, "the same");
    wait_for_record(&running, "create", "id", &same);

    let seen = cut_off(&proxy, &running, || {
        server.delete("posts", &deleted);
        server.update("posts", &changed, &json!({"title": "changed <once>"}));
        server.update("posts", &twice, &json!({"title": "changed once"}));
        let of_a_moment = post(&server, "of a moment");
        // Not in the same millisecond.
        thread::sleep(Duration::from_millis(5));
        post(&server, "new");
        thread::sleep(Duration::from_millis(5));
        server.update("posts", &twice, &json!({"title": "changed twice"}));
        server.delete("posts", &of_a_moment);
        // Nobody has ever heard of it: there is nothing to tell.
        server.delete("posts", &never_seen);
    });
    // What changed, in the order of it, the last states only; then what is gone.
    let expected = owned(&[
        ("update", "changed <once>", true),
        ("create", "new", true),
        ("update", "changed twice", true),
        ("delete", "deleted", true),
    ]);
    assert_eq!(brief(&seen), expected);
    let told = gap(&seen);
    assert_eq!((&told["replayed"], &told["deletes"]), (&json!(4), &json!("replayed")));
    assert_eq!((names(&told["filled"]), names(&told["unfilled"])), (vec!["posts/*".to_owned()], vec![]));

    // It goes on from there: nothing is told again, and what comes now is live.
    let seen = cut_off(&proxy, &running, || server.delete("posts", &same));
    assert_eq!(brief(&seen), owned(&[("delete", "the same", true)]));
    server.delete("posts", &changed);
    let live = wait_for_record(&running, "delete", "id", &changed);
    assert_eq!((&live["replayed"], &live["late"]), (&Value::Null, &Value::Null));
    let seen = cut_off(&proxy, &running, || ());
    assert_eq!(brief(&seen), []);
    assert_eq!(gap(&seen)["deletes"], "none");
    running.stop().expect(130);
}

fn one_record(version: &str) {
    let server = Server::start(version);
    let proxy = Proxy::start(server.port());
    let one = post(&server, "one");
    // The server's clock is heard to the second.
    thread::sleep(Duration::from_millis(1_100));
    let topic = format!("posts/{one}");
    let running = guest(&proxy.url()).watch([topic.as_str()]);
    let seen = cut_off(&proxy, &running, || {
        post(&server, "another");
    });
    assert_eq!((brief(&seen), names(&gap(&seen)["filled"])), (vec![], vec![topic.clone()]));

    let seen = cut_off(&proxy, &running, || drop(server.update("posts", &one, &json!({"title": "changed"}))));
    assert_eq!(brief(&seen), owned(&[("update", "changed", true)]));

    let seen = cut_off(&proxy, &running, || server.delete("posts", &one));
    assert_eq!(brief(&seen), owned(&[("delete", "changed", true)]));
    assert_eq!(gap(&seen)["deletes"], "replayed");
    running.stop().expect(130);
}

fn a_record_that_left_the_filter(version: &str) {
    let server = Server::start(version);
    let proxy = Proxy::start(server.port());
    // A comment at the end of a filter must not swallow what is added to it.
    let running = guest(&proxy.url()).watch(["posts/*", "--filter", "status = 'open' || stars > 3 // the good ones"]);
    let [left, deleted] = ["left", "deleted"].map(|title| {
        let record = id(&server.create("posts", &json!({"title": title, "status": "open"})));
        wait_for_record(&running, "create", "id", &record);
        record
    });
    let seen = cut_off(&proxy, &running, || {
        server.update("posts", &left, &json!({"status": "draft"}));
        server.delete("posts", &deleted);
        let late = id(&server.create("posts", &json!({"title": "came to match", "status": "draft"})));
        server.update("posts", &late, &json!({"stars": 5}));
        server.create("posts", &json!({"title": "never matched", "status": "draft"}));
    });
    assert_eq!(brief(&seen), owned(&[("create", "came to match", true), ("delete", "deleted", true)]));
    let told = gap(&seen);
    assert_eq!((names(&told["filled"]), &told["left"]), (vec!["posts/*".to_owned()], &json!(1)));

    let seen = cut_off(&proxy, &running, || drop(server.update("posts", &left, &json!({"status": "open"}))));
    assert_eq!(brief(&seen), owned(&[("update", "left", true)]));
    assert_eq!(gap(&seen)["left"], 0);
    running.stop().expect(130);
}

/// The server allows 3,500 characters and 200 comparisons, those of ours among them.
fn a_filter_that_is_long(version: &str) {
    let server = Server::start(version);
    allow_batches(&server);
    let proxy = Proxy::start(server.port());
    let filter = (0..60).map(|term| format!("title != 'no-{term}'")).collect::<Vec<_>>().join(" && ");
    let running = guest(&proxy.url()).watch(["posts/*", "--filter", &filter]);
    let left = post(&server, "left");
    for half in [0..70, 70..140] {
        create_posts(&server, half.map(|number| format!("known {number}")));
    }
    wait_for_record(&running, "create", "title", "known 139");
    let seen = cut_off(&proxy, &running, || {
        server.update("posts", &left, &json!({"title": "no-1"}));
        post(&server, "new");
    });
    assert_eq!(brief(&seen), owned(&[("create", "new", true)]));
    let told = gap(&seen);
    assert_eq!((names(&told["filled"]), &told["left"]), (vec!["posts/*".to_owned()], &json!(1)));
    running.stop().expect(130);
}

fn a_record_that_is_made_anew(version: &str) {
    let server = Server::start(version);
    let proxy = Proxy::start(server.port());
    let running = guest(&proxy.url()).watch(["posts/*"]);
    let record = post(&server, "the first");
    wait_for_record(&running, "create", "id", &record);
    server.delete("posts", &record);
    wait_for_record(&running, "delete", "id", &record);
    let seen =
        cut_off(&proxy, &running, || drop(server.create("posts", &json!({"id": record, "title": "the second"}))));
    assert_eq!(brief(&seen), owned(&[("create", "the second", true)]));
    running.stop().expect(130);
}

fn more_changes_than_a_page_holds(version: &str) {
    const COUNT: usize = 2_400;
    let server = Server::start(version);
    allow_batches(&server);
    let proxy = Proxy::start(server.port());
    let running = guest(&proxy.url()).watch(["posts/*"]);
    let seen = cut_off(&proxy, &running, || {
        for batch in 0..COUNT / 100 {
            create_posts(&server, (0..100).map(|number| format!("post {:04}", batch * 100 + number)));
        }
    });
    let times = times(&seen, "title");
    assert!(times.len() == COUNT && times.values().all(|times| *times == 1), "{} of {COUNT}", times.len());
    let stamps: Vec<_> =
        of_type(&seen, "record").iter().map(|line| line["record"]["updated"].as_str().unwrap().to_owned()).collect();
    assert!(stamps.is_sorted());
    let mut equal: HashMap<&str, usize> = HashMap::new();
    stamps.iter().for_each(|stamp| *equal.entry(stamp).or_default() += 1);
    assert!(equal.len() < COUNT * 9 / 10, "{} stamps: no ties to speak of", equal.len());
    let gap = gap(&seen);
    assert_eq!((&gap["replayed"], names(&gap["filled"])), (&json!(COUNT), vec!["posts/*".to_owned()]));
    running.stop().expect(130);
}

/// It begins where it began before, and nothing of it comes twice.
fn a_loss_while_catching_up(version: &str) {
    let server = Server::start(version);
    let proxy = Proxy::start(server.port());
    let running = guest(&proxy.url()).watch(["posts/*"]);
    let seen = cut_off(&proxy, &running, || {
        (0..5).for_each(|number| drop(post(&server, &format!("missed {number}"))));
        // Slow enough for it to be cut off again between the subscription and the list.
        proxy.delay(Duration::from_millis(150));
        proxy.refuse(false);
        wait("the subscription", &running, |lines| (of_type(lines, "subscribed").len() >= 2).then_some(()));
        post(&server, "in between");
        proxy.reset(Which::All);
        proxy.delay(Duration::ZERO);
    });
    let times = times(&seen, "title");
    assert!(times.len() == 6 && times.values().all(|times| *times == 1), "{times:?}");
    let told = of_type(&lines(&running.stdout()), "gap");
    assert_eq!(told.last().unwrap()["filled"], json!(["posts/*"]), "{told:?}");
    running.stop().expect(130);
}

/// What comes late says nothing of the time after it was sent: the server has closed the
/// connection long since.
fn a_path_that_was_stalled(version: &str) {
    let server = Server::start(version);
    let proxy = Proxy::start(server.port());
    // Long enough not to be closed before, and quiet enough to be closed then.
    server.limit_connections(4_000, 4_000);
    let running = guest(&proxy.url()).watch(["posts/*"]);
    post(&server, "before");
    wait_for_record(&running, "create", "title", "before");
    proxy.pause();
    post(&server, "on its way");
    wait_until("the server to close it", PATIENCE, || server.clients().is_empty());
    thread::sleep(Duration::from_millis(300));
    post(&server, "missed");
    thread::sleep(Duration::from_secs(12));
    proxy.resume();
    let told = wait_for("gap", 1, &running).remove(0);
    let on_its_way = wait_for_record(&running, "create", "title", "on its way");
    assert_eq!(on_its_way["replayed"], Value::Null);
    let missed = wait_for_record(&running, "create", "title", "missed");
    assert_eq!(missed["replayed"], true);
    // The gap begins where the server let go, not where that was noticed.
    let at = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(at(&told["from"]) < at(&missed["record"]["updated"]), "{told} {missed}");
    running.stop().expect(130);
}

/// What waits in the connection is not let go with it.
fn a_reader_that_is_slow(version: &str) {
    use bosbase_watch::{Client, Event, Realtime, Topic};
    let server = Server::start(version);
    // 0.30.0 knows an idle limit only, which a server that cannot write does not obey.
    server.limit_connections(2_000, 2_000);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::new(server.url()).unwrap();
        let realtime = Realtime::builder(&client).buffer(20_000).build();
        let mut posts = realtime.subscribe(Topic::collection("posts")).await.unwrap();
        let mut lives = 0;
        while lives < 3 {
            lives += usize::from(matches!(posts.next().await, Some(Ok(Event::Live(_)))));
        }
        // More than its buffer holds, and then nothing is read from it for longer than a life.
        let api = server.api().clone();
        let writer = tokio::task::spawn_blocking(move || {
            for number in 0..200 {
                api.create("posts", &json!({"title": format!("post {number}"), "body": "x".repeat(500)}));
            }
        });
        tokio::time::sleep(Duration::from_millis(3_500)).await;
        writer.await.unwrap();
        let mut times: HashMap<String, (usize, bool)> = HashMap::new();
        let mut gaps = 0;
        while times.len() < 200 {
            match tokio::time::timeout(PATIENCE, posts.next()).await {
                Ok(Some(Ok(Event::Record(event)))) => {
                    let event: Value = serde_json::from_str(&event.json()).unwrap();
                    times.entry(event["title"].as_str().unwrap().to_owned()).or_default().0 += 1;
                }
                Ok(Some(Ok(Event::Gap(gap)))) => {
                    gaps += 1;
                    assert!(gap.unfilled.is_empty(), "{gap:?}");
                }
                Ok(Some(Ok(_))) => {}
                other => panic!("{} of 200 after {gaps} gaps, then {other:?}", times.len()),
            }
        }
        assert!(times.values().all(|(times, _)| *times == 1), "{times:?}");
    });
    wait_until("the server to be done", PATIENCE, || server.is_healthy());
}
