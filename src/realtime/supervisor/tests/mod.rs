//! The supervisor in virtual time: hours of a scripted server pass in moments.

mod chaos;
mod script;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;

use super::*;

use crate::realtime::{Realtime, Subscription};
use crate::{Secret, Topic};
use script::{Answer, Request, Script, error};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const FOR_EVER: Duration = Duration::from_hours(10_000);

fn policy() -> Policy {
    Policy { max_retries: 0, reconnect: true, max_backoff: Duration::from_secs(30), catch_up: true }
}

/// A connection as the program has it. No chance: every delay is the longest.
fn start(script: &Arc<Script>, policy: Policy) -> Realtime {
    start_with(script, policy, true)
}

fn start_with(script: &Arc<Script>, policy: Policy, checked: bool) -> Realtime {
    start_as(script, Settings { checked, ..settings(policy) })
}

fn start_polling(script: &Arc<Script>, poll: Option<Duration>) -> Realtime {
    start_as(script, Settings { poll, ..settings(policy()) })
}

fn settings(policy: Policy) -> Settings {
    Settings {
        policy,
        connect_timeout: Duration::from_secs(15),
        hand_over_changes: true,
        checked: true,
        poll: None,
        jitter: || 1.0,
    }
}

fn start_as(script: &Arc<Script>, settings: Settings) -> Realtime {
    Realtime::start(Arc::new(Arc::clone(script)), settings, 1 << 20)
}

/// A watch of `posts/*` and of `news`, a custom topic.
fn watch_with(script: &Arc<Script>, policy: Policy) -> Subscription {
    let realtime = start(script, policy);
    realtime.watch([Topic::collection("posts"), Topic::custom("news")]).unwrap()
}

fn watch(script: &Arc<Script>) -> Subscription {
    watch_with(script, policy())
}

/// What the watch says until the moment, in words.
async fn until(subscription: &mut Subscription, seconds: f64) -> Vec<String> {
    let mut said = Vec::new();
    let moment = Instant::now() + Duration::from_secs_f64(seconds);
    while let Ok(Some(event)) = tokio::time::timeout_at(moment, subscription.next()).await {
        said.push(in_words(event));
    }
    said
}

/// A watch that is live.
async fn live(script: &Arc<Script>) -> Subscription {
    let mut subscription = watch(script);
    assert_eq!(until(&mut subscription, 1.0).await, ["connected", "subscribed", "live"]);
    subscription
}

fn in_words(event: Result<Event>) -> String {
    match event {
        Err(error) => format!("failed: {error}"),
        Ok(Event::Record(record)) => {
            let json: serde_json::Value = serde_json::from_str(record.raw()).unwrap();
            let mark = if record.is_replayed() { " replayed" } else { "" };
            let late = if record.is_late() { " late" } else { "" };
            format!("{} {}={}{mark}{late}", record.action(), json["id"].as_str().unwrap(), json["value"])
        }
        Ok(Event::Message(message)) => format!("message {}", message.payload()),
        Ok(Event::Connected(_)) => "connected".into(),
        Ok(Event::Subscribed(_)) => "subscribed".into(),
        Ok(Event::Live(_)) => "live".into(),
        Ok(Event::Disconnected(lost)) => match lost.retry {
            Some(retry) => format!("lost {} {:?} #{}", lost.cause.as_str(), retry, lost.attempt),
            None => format!("lost {}", lost.cause.as_str()),
        },
        Ok(Event::Gap(gap)) => {
            format!("gap {:?} {:?} {} {}", gap.filled, gap.unfilled, gap.replayed, gap.deletes.as_str())
        }
        Ok(Event::Refreshed(_)) => "refreshed".into(),
        Ok(Event::Warning(warning)) => format!("warning {}", warning.code),
        Ok(Event::Progress(progress)) => match progress.topic {
            Some(topic) => format!("progress {topic}"),
            None => "progress".into(),
        },
    }
}

/// How long after each other.
fn steps(moments: &[f64]) -> Vec<f64> {
    moments.windows(2).map(|two| two[1] - two[0]).collect()
}

fn retries(said: &[String]) -> Vec<&str> {
    said.iter().filter_map(|line| line.strip_prefix("lost ")).filter_map(|line| line.split(' ').nth(1)).collect()
}

// --- handovers -------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_quiet_feed_is_handed_over_at_four_and_a_half_minutes() {
    let script = Script::new();
    script.limit(5 * MINUTE, 30 * MINUTE);
    let mut subscription = live(&script).await;
    assert_eq!(until(&mut subscription, 5.0 * 3600.0).await, [""; 0], "five hours of quiet say nothing");
    let opened = script.asked(Request::Open);
    assert!(steps(&opened).iter().all(|step| (270.0..272.0).contains(step)), "{opened:?}");
    assert_eq!(opened.len(), 1 + 66);
    assert_eq!((script.expired(), script.open_connections()), (0, 1));
    script.write("a", 1);
    assert_eq!(until(&mut subscription, 1.0).await, ["create a=1"]);
}

#[tokio::test(start_paused = true)]
async fn a_busy_feed_is_handed_over_at_twenty_nine_and_a_half_minutes() {
    let script = Script::new();
    script.limit(5 * MINUTE, 30 * MINUTE);
    let mut subscription = live(&script).await;
    for value in 1..=1200 {
        script.write("a", value);
        let action = if value == 1 { "create" } else { "update" };
        assert_eq!(until(&mut subscription, 15.0).await, [format!("{action} a={value}")]);
    }
    let opened = script.asked(Request::Open);
    assert!(steps(&opened).iter().all(|step| (1770.0..1773.0).contains(step)), "{opened:?}");
    assert_eq!((opened.len(), script.expired(), script.open_connections()), (1 + 10, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn shorter_limits_are_learnt_from_two_closes() {
    for (idle, age) in [(FOR_EVER, 2 * SECOND), (2 * SECOND, FOR_EVER), (90 * SECOND, FOR_EVER)] {
        let script = Script::new();
        script.limit(idle, age);
        let mut subscription = watch(&script);
        let said = until(&mut subscription, 1000.0).await;
        assert_eq!(retries(&said), ["0ns", "0ns"], "{idle:?} {age:?}");
        script.write("a", 1);
        assert_eq!(until(&mut subscription, 1.0).await, ["create a=1"], "and it is live");
    }
}

#[tokio::test(start_paused = true)]
async fn lives_of_a_second_are_no_loss() {
    for life in [600, 800, 1000, 1500] {
        let script = Script::new();
        script.limit(FOR_EVER, Duration::from_millis(life));
        let mut subscription = watch(&script);
        until(&mut subscription, 20.0).await;
        for value in 0..600 {
            script.write("a", value);
            let said = until(&mut subscription, 0.1).await;
            assert_eq!(said.len(), 1, "{life}: {said:?}");
        }
        assert_eq!(until(&mut subscription, 5.0).await, [""; 0], "{life}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handover_that_fails_is_tried_again_and_nobody_hears_of_it() {
    for (request, answer) in [
        (Request::Open, Answer::Fail(error(ErrorKind::Server))),
        (Request::Open, Answer::Never),
        (Request::Submit, Answer::Fail(error(ErrorKind::NotFound))),
    ] {
        let script = Script::new();
        script.limit(5 * MINUTE, 30 * MINUTE);
        let mut subscription = live(&script).await;
        script.answer(request, [answer.clone()]);
        assert_eq!(until(&mut subscription, 400.0).await, [""; 0], "{request:?} {answer:?}");
        assert_eq!((script.expired(), script.open_connections()), (0, 1), "{request:?} {answer:?}");
        script.write("a", 1);
        assert_eq!(until(&mut subscription, 1.0).await, ["create a=1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn handovers_that_fail_do_not_press_the_server() {
    let failing = |error: Error| async move {
        let script = Script::new();
        script.limit(5 * MINUTE, 30 * MINUTE);
        let mut subscription = live(&script).await;
        script.answer(Request::Open, vec![Answer::Fail(error); 100]);
        let said = until(&mut subscription, 299.0).await;
        assert_eq!(said, [""; 0]);
        let opened = script.asked(Request::Open);
        steps(&opened)[1..].iter().map(|step| step.round()).collect::<Vec<_>>()
    };
    assert_eq!(failing(error(ErrorKind::Server)).await, [1.0, 2.0, 4.0, 8.0], "in the 30 s before the close");
    assert_eq!(failing(error(ErrorKind::RateLimited)).await, [3.0, 3.0, 4.0, 8.0]);
    let asked = error(ErrorKind::Server).with_retry_after(Some(9 * SECOND));
    assert_eq!(failing(asked).await, [9.0, 9.0, 9.0]);
}

// --- waiting ---------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn the_backoff_grows_to_two_seconds_in_the_first_minute_and_to_its_limit_after() {
    let script = Script::new();
    let mut subscription = live(&script).await;
    until(&mut subscription, 19.0).await;
    script.answer(Request::Open, vec![Answer::Fail(error(ErrorKind::Refused)); 40]);
    script.cut();
    let said = until(&mut subscription, 180.0).await;
    let retries = retries(&said);
    let young = retries.iter().position(|retry| *retry == "30s").unwrap();
    assert_eq!(retries[..5], ["250ms", "500ms", "1s", "2s", "2s"]);
    assert!(retries[4..young].iter().all(|retry| *retry == "2s"), "{retries:?}");
    assert!(retries[young..].iter().all(|retry| *retry == "30s"), "{retries:?}");
    assert_eq!(young, 32, "after the first minute: {retries:?}");
    assert_eq!(said[0], "lost reset 250ms #1");
    assert_eq!(said[1], "lost reset 500ms #2");
}

#[tokio::test(start_paused = true)]
async fn ten_seconds_of_being_live_reset_the_backoff_and_less_does_not() {
    let script = Script::new();
    let mut subscription = live(&script).await;
    let mut delays = Vec::new();
    for life in [9.0, 7.0, 7.0, 7.0, 7.0, 10.0, 7.0] {
        until(&mut subscription, life).await;
        script.cut();
        let said = until(&mut subscription, 2.5).await;
        delays.extend(retries(&said).iter().map(|retry| (*retry).to_owned()));
    }
    assert_eq!(delays, ["250ms", "500ms", "1s", "2s", "2s", "250ms", "500ms"]);
}

#[tokio::test(start_paused = true)]
async fn the_server_says_when_to_come_back() {
    let limited = error(ErrorKind::RateLimited);
    for (error, retry) in [
        (error(ErrorKind::Server).with_retry_after(Some(7 * SECOND)), "7s"),
        (limited.clone().with_retry_after(Some(20 * SECOND)), "20s"),
        (limited, "3s"),
    ] {
        let script = Script::new();
        let mut subscription = live(&script).await;
        script.answer(Request::Open, [Answer::Fail(error)]);
        script.cut();
        let said = until(&mut subscription, 60.0).await;
        assert_eq!(retries(&said), ["250ms", retry]);
        assert_eq!(said.last().unwrap(), "live");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hot_loop_of_short_lived_streams_is_slowed_down() {
    let script = Script::new();
    script.limit(FOR_EVER, Duration::from_millis(100));
    let mut subscription = watch(&script);
    let said = until(&mut subscription, 120.0).await;
    let retries = retries(&said);
    assert_eq!(retries[..4], ["250ms", "500ms", "1s", "2s"]);
    assert_eq!(retries.last(), Some(&"30s"), "{retries:?}");
    assert!(script.asked(Request::Open).len() < 40);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_know_the_connection_is_tried_five_times_again() {
    let script = Script::new();
    script.answer(Request::Submit, vec![Answer::Fail(error(ErrorKind::NotFound)); 5]);
    let mut subscription = watch(&script);
    let said = until(&mut subscription, 30.0).await;
    assert_eq!(said.last().unwrap(), "live");
    assert_eq!((script.asked(Request::Open).len(), script.open_connections()), (6, 1), "on fresh connections");

    let script = Script::new();
    script.answer(Request::Submit, vec![Answer::Fail(error(ErrorKind::NotFound)); 6]);
    let mut subscription = watch(&script);
    let said = until(&mut subscription, 30.0).await;
    assert_eq!(said.last().unwrap(), "failed: by script: NotFound");
    assert_eq!(script.open_connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn each_phase_of_the_handshake_has_the_connect_timeout() {
    for (request, phase) in [(Request::Verify, "confirm the login"), (Request::Submit, "take the topics")] {
        let script = Script::new();
        script.auth().save(Secret::new("token"), None);
        script.answer(request, [Answer::Never]);
        let mut subscription = watch(&script);
        let said = until(&mut subscription, 16.0).await;
        assert_eq!(said.last().unwrap(), &format!("failed: 127.0.0.1:8090 did not {phase} within 15 s"), "{request:?}");
    }
}

// --- finding out, catching up ------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_loss_is_caught_up_and_what_comes_meanwhile_waits() {
    let script = Script::new();
    let mut subscription = live(&script).await;
    script.write("a", 1);
    script.write("b", 1);
    assert_eq!(until(&mut subscription, 20.0).await, ["create a=1", "create b=1"]);
    script.cut();
    until(&mut subscription, 0.1).await;
    script.write("a", 2);
    script.write("c", 1);
    script.delete_silently("b");
    assert_eq!(
        until(&mut subscription, 5.0).await,
        [
            "connected",
            "subscribed",
            "update a=2 replayed",
            "create c=1 replayed",
            "delete b=1 replayed",
            r#"gap ["posts/*"] ["news"] 3 replayed"#,
            "live"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_list_that_cannot_be_read_is_tried_three_times() {
    let busy = || Answer::Fail(error(ErrorKind::Server));
    for (answers, filled) in [(vec![busy(); 2], true), (vec![busy(); 3], false)] {
        let script = Script::new();
        let mut subscription = live(&script).await;
        script.answer(Request::Read, answers);
        script.cut();
        let said = until(&mut subscription, 5.0).await;
        let gap = if filled { r#"gap ["posts/*"] ["news"] 0 none"# } else { r#"gap [] ["news", "posts/*"] 0 unknown"# };
        assert!(said.iter().any(|line| line == gap), "{said:?}");
        assert_eq!(said.last().unwrap(), "live");
        let asked: Vec<_> = steps(&script.asked(Request::Read)).iter().map(|step| step.round()).collect();
        assert_eq!(asked, [1.0, 1.0]);
    }
}

/// Whoever goes on from there reads it, unless it could be read after all.
#[tokio::test(start_paused = true)]
async fn progress_stays_before_what_could_not_be_read_again() {
    for catch_up in [true, false] {
        let script = Script::new();
        let realtime = start(&script, Policy { catch_up, ..policy() });
        let topics = [Topic::collection("posts"), Topic::custom("news")];
        let mut subscription = realtime.subscription(topics).progress(true).watch().unwrap();
        assert!(until(&mut subscription, 20.0).await.contains(&"progress".to_owned()));
        // What is tried at once, and once more.
        script.answer(Request::Read, vec![Answer::Fail(error(ErrorKind::Server)); 6]);
        script.cut();
        until(&mut subscription, 0.1).await;
        script.write("a", 1);
        let mut said = until(&mut subscription, 8.0).await;
        // What comes live meanwhile moves nothing.
        script.write("b", 1);
        said.extend(until(&mut subscription, 1.0).await);
        assert!(said.contains(&r#"gap [] ["news", "posts/*"] 0 unknown"#.to_owned()) || !catch_up, "{said:?}");
        assert!(said.contains(&"progress 1".to_owned()) && said.contains(&"create b=1".to_owned()), "{said:?}");
        assert!(!said.contains(&"progress".to_owned()) && !said.contains(&"progress 0".to_owned()), "{said:?}");
        let said = until(&mut subscription, 60.0).await;
        let made_good = ["create a=1 replayed", r#"gap ["posts/*"] [] 1 none"#, "progress"];
        assert_eq!(said, if catch_up { &made_good[..] } else { &[] });
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_feed_withheld_before_a_loss_is_found_by_catching_up() {
    let script = Script::new();
    let mut subscription = live(&script).await;
    script.write_telling(&[], "a", 1);
    until(&mut subscription, 60.0).await;
    script.write("b", 1);
    script.message("news", "1");
    assert_eq!(until(&mut subscription, 60.0).await, ["create b=1", "message 1"]);
    script.close();
    assert_eq!(
        until(&mut subscription, 5.0).await,
        [
            "lost closed 0ns #1",
            "connected",
            "subscribed",
            "create a=1 replayed",
            r#"gap ["posts/*"] ["news"] 1 none"#,
            "live"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_feed_withholds_is_found_at_the_next_handover_after_a_while() {
    for comes_late in [false, true] {
        let script = Script::new();
        script.limit(5 * MINUTE, 30 * MINUTE);
        let mut subscription = live(&script).await;
        until(&mut subscription, 100.0).await;
        script.write_telling(&[], "a", 1);
        // The handover, and the end of its overlap.
        assert_eq!(until(&mut subscription, 180.5).await, [""; 0]);
        assert_eq!(script.asked(Request::Read).len(), 1, "the list was read: {}", script.seconds());
        if comes_late {
            script.repeat("a");
            assert_eq!(until(&mut subscription, 20.0).await, ["create a=1"], "what comes within ten seconds was late");
        } else {
            let begin = script.seconds();
            let replayed = subscription.next().await.unwrap();
            assert_eq!(in_words(replayed), "create a=1 replayed");
            assert!((8.0..10.5).contains(&(script.seconds() - begin)), "{}", script.seconds() - begin);
            assert_eq!(until(&mut subscription, 20.0).await, [r#"gap ["posts/*"] ["news"] 1 none"#]);
        }
    }
}

/// Of two writers, the one with the older stamp may write last.
#[tokio::test(start_paused = true)]
async fn a_last_state_with_an_older_stamp_is_found_by_catching_up() {
    for held_up in [false, true] {
        let script = Script::new();
        let mut subscription = live(&script).await;
        script.write("a", 1);
        tokio::time::sleep(SECOND).await;
        script.write("a", 2);
        script.write_stamped_before(Duration::from_millis(20), if held_up { &[0] } else { &[] }, "a", 3);
        let said = until(&mut subscription, 1.0).await;
        assert_eq!(said[..2], ["create a=1", "update a=2"]);
        script.cut();
        let said = [&said[2..], &until(&mut subscription, 5.0).await[..]].concat();
        let said: Vec<_> = said.iter().filter(|line| line.contains('=') || line.starts_with("gap")).collect();
        if held_up {
            assert_eq!(said, ["update a=3 late", r#"gap ["posts/*"] ["news"] 0 none"#], "it has come");
        } else {
            assert_eq!(said, ["update a=3 replayed", r#"gap ["posts/*"] ["news"] 1 none"#]);
            script.repeat("a");
            assert_eq!(until(&mut subscription, 1.0).await, [""; 0], "it was said already");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_last_state_with_an_older_stamp_is_found_at_the_next_handover() {
    let script = Script::new();
    script.limit(5 * MINUTE, 30 * MINUTE);
    let mut subscription = live(&script).await;
    until(&mut subscription, 100.0).await;
    script.write("a", 1);
    tokio::time::sleep(SECOND).await;
    script.write("a", 2);
    script.write_stamped_before(Duration::from_millis(20), &[], "a", 3);
    assert_eq!(
        until(&mut subscription, 300.0).await,
        ["create a=1", "update a=2", "update a=3 replayed", r#"gap ["posts/*"] ["news"] 1 none"#]
    );
    assert_eq!(until(&mut subscription, 600.0).await, [""; 0], "once");
}

/// Its value differs in each answer, and nothing was missed.
#[tokio::test(start_paused = true)]
async fn a_field_that_a_hook_computes_makes_no_gap() {
    let script = Script::new();
    script.limit(5 * MINUTE, 30 * MINUTE);
    script.compute();
    let mut subscription = live(&script).await;
    until(&mut subscription, 100.0).await;
    script.write("a", 1);
    assert_eq!(until(&mut subscription, 400.0).await, ["create a=1"]);
    assert_eq!(script.asked(Request::Read).len(), 2, "at the handover, and once more");
    script.write("a", 2);
    script.write_telling(&[], "b", 1);
    let said = until(&mut subscription, 600.0).await;
    assert_eq!(said, ["update a=2", "create b=1 replayed", r#"gap ["posts/*"] ["news"] 1 none"#]);
}

/// One that changes with other records: two lists agree on it.
#[tokio::test(start_paused = true)]
async fn a_field_that_counts_other_records_is_no_sign_of_a_path_that_withholds() {
    for (records, expected) in [
        (["a"].as_slice(), ["update a=1 replayed", r#"gap ["posts/*"] [] 1 none"#].as_slice()),
        (["a", "b", "c"].as_slice(), [].as_slice()),
    ] {
        let script = Script::new();
        script.limit(5 * MINUTE, 30 * MINUTE);
        script.count(0);
        let mut subscription = live(&script).await;
        until(&mut subscription, 100.0).await;
        for record in records {
            script.write(record, 1);
        }
        assert_eq!(until(&mut subscription, 10.0).await.len(), records.len());
        script.count(1);
        assert_eq!(until(&mut subscription, 400.0).await, expected);
        assert_eq!(until(&mut subscription, 600.0).await, [""; 0], "once");
    }
}

#[tokio::test(start_paused = true)]
async fn a_field_that_a_hook_computes_is_not_polled_again_and_again() {
    let script = Script::new();
    script.compute();
    let realtime = start_polling(&script, Some(2 * SECOND));
    let mut subscription = realtime.watch([Topic::collection("posts")]).unwrap();
    until(&mut subscription, 1.0).await;
    script.write("a", 1);
    assert_eq!(until(&mut subscription, 20.0).await, ["create a=1", "update a=1 replayed"]);
    script.write("a", 2);
    assert_eq!(until(&mut subscription, 20.0).await, ["update a=2"]);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_the_feed_withholds_is_found_at_one_of_the_next_handovers() {
    let script = Script::new();
    script.limit(5 * MINUTE, 30 * MINUTE);
    let mut subscription = live(&script).await;
    for record in 0..700 {
        script.write(&format!("r{record}"), 1);
    }
    assert_eq!(until(&mut subscription, 10.0).await.len(), 700);
    // The last of them by its id.
    script.delete_silently("r99");
    let mut said = Vec::new();
    while said.is_empty() {
        said = until(&mut subscription, 0.1).await;
    }
    assert!((700.0..900.0).contains(&script.seconds()), "some at each handover: {}", script.seconds());
    said.extend(until(&mut subscription, 900.0).await);
    assert_eq!(said, ["delete r99=1 replayed", r#"gap ["posts/*"] [] 1 replayed"#], "once");
}

/// What is on its way over an old connection that stands still is lost with it.
/// ... however many new ones come meanwhile.
#[tokio::test(start_paused = true)]
async fn each_remembered_record_has_its_turn() {
    let script = Script::new();
    script.limit(5 * MINUTE, 30 * MINUTE);
    let mut subscription = live(&script).await;
    for record in 0..2000 {
        script.write(&format!("a{record}"), 1);
    }
    until(&mut subscription, 10.0).await;
    script.delete_silently("a1500");
    for round in 0..8 {
        for record in 0..300 {
            script.write(&format!("b{round}-{record}"), 1);
        }
        if until(&mut subscription, 290.0).await.contains(&"delete a1500=1 replayed".to_owned()) {
            return;
        }
    }
    panic!("not in eight handovers");
}

#[tokio::test(start_paused = true)]
async fn an_old_connection_that_stands_still_is_told() {
    for stalled in [true, false] {
        let script = Script::new();
        script.limit(5 * MINUTE, 30 * MINUTE);
        script.delay(vec![if stalled { 4 * SECOND } else { SECOND / 5 }, Duration::ZERO]);
        let mut subscription = live(&script).await;
        until(&mut subscription, 268.9).await;
        script.message("news", "1");
        until(&mut subscription, 0.6).await;
        assert_eq!(script.open_connections(), 2, "{}", script.seconds());
        script.message("news", "2");
        let said = until(&mut subscription, 10.0).await;
        let said: Vec<_> = said.iter().filter(|line| *line != "message 1").collect();
        let gap = r#"gap ["posts/*"] ["news"] 0 none"#;
        assert_eq!(said, if stalled { vec!["message 2", gap] } else { vec!["message 2"] }, "{stalled}");
    }
}

/// A login that is not taken any more is answered as a guest's: everything looks deleted.
#[tokio::test(start_paused = true)]
async fn a_deletion_is_not_believed_before_the_login_is_proved() {
    for poll in [Some(2 * SECOND), None] {
        let script = Script::new();
        script.limit(5 * MINUTE, 30 * MINUTE);
        script.auth().save(Secret::new("opaque"), None);
        let realtime = start_polling(&script, poll);
        let mut subscription = realtime.watch([Topic::collection("posts")]).unwrap();
        script.write("old", 0);
        until(&mut subscription, 100.0).await;
        script.write("a", 1);
        assert_eq!(until(&mut subscription, 0.5).await, ["create a=1"]);
        script.delete_silently("a");
        // By a handover, which proves the login itself, then by the comparison.
        let answers = if poll.is_some() { vec![] } else { vec![Answer::Well] };
        script.answer(Request::Verify, answers.into_iter().chain([Answer::Fail(error(ErrorKind::Unauthorized))]));
        let said = until(&mut subscription, 400.0).await;
        assert_eq!(said, ["lost http", "failed: by script: Unauthorized"], "{poll:?}");
    }
}

/// Topics that take turns ask for other records each time.
#[tokio::test(start_paused = true)]
async fn of_many_topics_all_records_are_asked_for() {
    let script = Script::new();
    script.limit(5 * MINUTE, 30 * MINUTE);
    let realtime = start(&script, policy());
    let topics = (0..40).map(|n| Topic::collection("posts").query("n", n.to_string()));
    let topics = std::iter::once(Topic::collection("posts")).chain(topics.skip(1));
    let mut subscription = realtime.watch(topics).unwrap();
    until(&mut subscription, 10.0).await;
    for record in 0..600 {
        script.write(&format!("r{record:03}"), 1);
    }
    until(&mut subscription, 10.0).await;
    script.delete_silently("r000");
    let said = until(&mut subscription, 6.0 * 300.0).await;
    assert!(said.contains(&"delete r000=1 replayed".to_owned()), "{said:?}");
}

/// The old connection of a handover breaks while both stand: what was on its way is lost.
#[tokio::test(start_paused = true)]
async fn an_old_connection_that_breaks_is_told_where_nothing_is_read_again() {
    for (catch_up, gap) in
        [(true, r#"gap ["posts/*"] ["news"] 1 none"#), (false, r#"gap [] ["posts/*", "news"] 0 unknown"#)]
    {
        let script = Script::new();
        script.limit(5 * MINUTE, 30 * MINUTE);
        let mut subscription = watch_with(&script, Policy { catch_up, ..policy() });
        // The handover begins after 270 s.
        until(&mut subscription, 270.2).await;
        assert_eq!(script.open_connections(), 2);
        script.write_telling(&[], "a", 1);
        script.cut_one(0);
        let said = until(&mut subscription, 10.0).await;
        let expected = if catch_up { vec!["create a=1 replayed", gap] } else { vec![gap] };
        assert_eq!(said, expected);
    }
}

/// It was told that it is subscribed, and only the connection that broke had it.
#[tokio::test(start_paused = true)]
async fn a_topic_whose_connection_breaks_has_missed_something() {
    for (catch_up, expected) in [
        (true, vec!["create a=1 replayed", r#"gap ["posts/*"] ["more"] 1 none"#]),
        (false, vec![r#"gap [] ["posts/*", "more"] 0 unknown"#]),
    ] {
        let script = Script::new();
        let realtime = start(&script, Policy { catch_up, ..policy() });
        let mut subscription = realtime.watch([Topic::custom("news")]).unwrap();
        assert_eq!(until(&mut subscription, 30.0).await, ["connected", "subscribed", "live"]);
        let topics = subscription.topics();
        let (posts, more) = tokio::join!(topics.add(Topic::collection("posts")), topics.add(Topic::custom("more")));
        posts.and(more).unwrap();
        assert_eq!(until(&mut subscription, 0.1).await, ["subscribed"]);
        let newest = script.asked(Request::Open).len() - 1;
        script.message("more", "1");
        assert_eq!(until(&mut subscription, 0.1).await, ["message 1"], "it hears");
        script.cut_one(newest);
        until(&mut subscription, 0.005).await;
        script.write("a", 1);
        script.message("news", "1");
        let said = until(&mut subscription, 10.0).await;
        let told: Vec<_> = said.iter().filter(|line| *line != "subscribed").collect();
        assert_eq!(told[0], "message 1", "the other topic was never gone: {said:?}");
        assert_eq!(told[1..], expected, "{said:?}");
        script.message("more", "2");
        assert_eq!(until(&mut subscription, 1.0).await, ["message 2"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sleep_or_a_jump_of_the_clock_reconnects_at_once() {
    for (slept, set) in [(3600, 0), (0, 3600), (0, -3600), (0, 6)] {
        let script = Script::new();
        // From before the watch: nothing of it was missed.
        script.write_telling(&[], "old", 1);
        tokio::time::advance(Duration::from_mins(5)).await;
        let mut subscription = live(&script).await;
        until(&mut subscription, 20.0).await;
        script.sleep(SignedDuration::from_secs(slept));
        script.set_clock(SignedDuration::from_secs(set));
        script.write_telling(&[], "a", 1);
        assert_eq!(
            until(&mut subscription, 5.5).await,
            [
                "lost stale 0ns #1",
                "connected",
                "subscribed",
                "create a=1 replayed",
                r#"gap ["posts/*"] ["news"] 1 none"#,
                "live"
            ],
            "{slept} {set}"
        );
    }
    let script = Script::new();
    let mut subscription = live(&script).await;
    script.set_clock(SignedDuration::from_secs(4));
    assert_eq!(until(&mut subscription, 60.0).await, [""; 0], "a clock that is put right");
}

// --- signing in again --------------------------------------------------------

fn token(script: &Arc<Script>, lasts: Duration) -> Secret {
    let exp = (script.now() + lasts).as_second();
    let claims = format!(r#"{{"collectionId":"users","exp":{exp},"id":"ann","refreshable":true,"type":"auth"}}"#);
    Secret::new(format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims)))
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_in_time_by_a_handover() {
    let script = Script::new();
    script.auth().save(token(&script, 100 * SECOND), None);
    let mut subscription = watch(&script);
    assert_eq!(until(&mut subscription, 79.0).await, ["connected", "subscribed", "live"]);
    script.renew(token(&script, 1000 * SECOND));
    assert_eq!(until(&mut subscription, 100.0).await, ["refreshed"], "at four fifths of its life");
    assert_eq!((script.asked(Request::Verify).len(), script.open_connections()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_login_that_is_refused_at_a_handover_ends_the_watch() {
    let script = Script::new();
    script.auth().save(token(&script, HOUR), None);
    let mut subscription = watch(&script);
    assert_eq!(until(&mut subscription, 1.0).await, ["connected", "subscribed", "live"]);
    script.answer(Request::Verify, [Answer::Fail(error(ErrorKind::Unauthorized))]);
    assert_eq!(until(&mut subscription, 300.0).await, ["lost http", "failed: by script: Unauthorized"]);
    assert_eq!(script.open_connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_comparison_that_failed_is_made_at_the_next_handover_from_where_it_was() {
    let script = Script::new();
    script.limit(5 * MINUTE, 30 * MINUTE);
    let mut subscription = live(&script).await;
    script.write_telling(&[], "a", 1);
    script.answer(Request::Read, vec![Answer::Fail(error(ErrorKind::Server)); 3]);
    assert_eq!(until(&mut subscription, 400.0).await, [""; 0]);
    assert_eq!(until(&mut subscription, 200.0).await, ["create a=1 replayed", r#"gap ["posts/*"] ["news"] 1 none"#]);
}

#[tokio::test(start_paused = true)]
async fn many_topics_take_turns_and_none_is_left_out() {
    let script = Script::new();
    script.limit(5 * MINUTE, 30 * MINUTE);
    let realtime = start(&script, policy());
    let topic = |name: usize| Topic::collection(if name == 45 { "posts".to_owned() } else { format!("c{name}") });
    let mut subscription = realtime.watch((0..50).map(topic)).unwrap();
    assert_eq!(until(&mut subscription, 1.0).await, ["connected", "subscribed", "live"]);
    script.write_telling(&[], "a", 1);
    // Twenty at a time: the 46th has its turn at the third handover.
    assert_eq!(until(&mut subscription, 550.0).await, [""; 0]);
    assert_eq!(script.asked(Request::Read).len(), 40);
    let said = until(&mut subscription, 300.0).await;
    assert_eq!(said[0], "create a=1 replayed");
    assert_eq!(said.len(), 2, "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_read_again_outlives_the_connection() {
    let script = Script::new();
    script.limit(FOR_EVER, 2 * SECOND);
    let mut subscription = live(&script).await;
    script.write("a", 1);
    script.cut();
    script.write("b", 1);
    // Each takes longer than a connection lives.
    script.answer(Request::Read, vec![Answer::Late(7 * SECOND); 20]);
    let mut said = until(&mut subscription, 10.0).await;
    let replayed: Vec<_> = said.iter().filter(|line| line.ends_with("replayed")).collect();
    assert_eq!(replayed, ["create a=1 replayed", "create b=1 replayed"], "{said:?}");
    script.write_telling(&[], "c", 1);
    // Neither the gap nor what comes live waits for a list that is faster than a connection.
    said.extend(until(&mut subscription, 10.0).await);
    script.write("d", 1);
    said.extend(until(&mut subscription, 20.0).await);
    let is_told = |line: &&String| line.starts_with("gap") || line.contains('=') || *line == "live";
    let told: Vec<_> = said.iter().filter(is_told).skip(1).collect();
    let expected =
        ["create b=1 replayed", "create c=1 replayed", r#"gap ["posts/*"] ["news"] 3 none"#, "live", "create d=1"];
    assert_eq!(told[..5], expected, "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_limits_requests_is_asked_until_its_window_is_over() {
    let script = Script::new();
    let mut subscription = live(&script).await;
    script.answer(Request::Read, vec![Answer::Fail(error(ErrorKind::RateLimited)); 5]);
    script.cut();
    let said = until(&mut subscription, 30.0).await;
    assert!(said.iter().any(|line| line == r#"gap ["posts/*"] ["news"] 0 none"#), "{said:?}");
    assert!(steps(&script.asked(Request::Read)).iter().all(|step| (3.0..3.1).contains(step)));
}

#[tokio::test(start_paused = true)]
async fn who_subscribes_after_a_loss_has_missed_nothing() {
    let script = Script::new();
    let realtime = start(&script, policy());
    let mut subscription = realtime.watch([Topic::collection("posts")]).unwrap();
    assert_eq!(until(&mut subscription, 1.0).await, ["connected", "subscribed", "live"]);
    script.answer(Request::Open, [Answer::Fail(error(ErrorKind::Refused))]);
    script.cut();
    until(&mut subscription, 0.4).await;
    realtime.unsubscribe_all().await;
    let mut next = realtime.watch([Topic::collection("posts")]).unwrap();
    assert_eq!(until(&mut next, 60.0).await, ["connected", "subscribed", "live"]);
}

// --- topics that dry up ----------------------------------------------------

/// Posts alone, live.
async fn live_posts(script: &Arc<Script>, checked: bool) -> Subscription {
    let mut subscription = start_with(script, policy(), checked).watch([Topic::collection("posts")]).unwrap();
    assert_eq!(until(&mut subscription, 1.0).await, ["connected", "subscribed", "live"]);
    subscription
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_dries_up_is_told_at_the_next_handover() {
    let script = Script::new();
    script.limit(5 * MINUTE, 30 * MINUTE);
    let mut subscription = start(&script, policy())
        .watch([Topic::collection("posts"), Topic::custom("jobs/finished"), Topic::custom("PB_CONNECT")])
        .unwrap();
    until(&mut subscription, 1.0).await;
    script.check_says(Some("not-found"));
    assert_eq!(until(&mut subscription, 285.0).await, ["warning topic-silent"], "the custom topic is left");
    assert_eq!(until(&mut subscription, 600.0).await, [""; 0], "it is said once");
    script.check_says(None);
    assert_eq!(until(&mut subscription, 285.0).await, ["warning topic-restored"]);
    script.check_says(Some("forbidden"));
    assert_eq!(until(&mut subscription, 285.0).await, ["warning topic-silent"]);
}

#[tokio::test(start_paused = true)]
async fn where_no_topic_is_left_it_ends() {
    let script = Script::new();
    script.limit(5 * MINUTE, 30 * MINUTE);
    let mut subscription = live_posts(&script, true).await;
    script.check_says(Some("forbidden"));
    let said = until(&mut subscription, 285.0).await;
    let end = "failed: no topic is left that would deliver (posts/*: by script)";
    assert_eq!(said, ["warning topic-silent", "lost http", end]);
    assert_eq!(script.open_connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_was_never_there_is_waited_for() {
    let script = Script::new();
    script.limit(5 * MINUTE, 30 * MINUTE);
    script.check_says(Some("not-found"));
    let mut subscription = live_posts(&script, false).await;
    assert_eq!(until(&mut subscription, 1000.0).await, [""; 0]);
    // Once it has spoken, it can dry up.
    script.write("a", 1);
    let end = "failed: no topic is left that would deliver (posts/*: by script)";
    assert_eq!(until(&mut subscription, 285.0).await, ["create a=1", "warning topic-silent", "lost http", end]);
    // A record may come again.
    let script = Script::new();
    script.limit(5 * MINUTE, 30 * MINUTE);
    let mut subscription = live_posts(&script, true).await;
    script.check_says(Some("record-not-found"));
    assert_eq!(until(&mut subscription, 1000.0).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_fails_says_nothing() {
    let script = Script::new();
    script.limit(5 * MINUTE, 30 * MINUTE);
    let mut subscription = live_posts(&script, true).await;
    script.check_says(Some("not-found"));
    script.answer(Request::Check, [Answer::Fail(error(ErrorKind::Server)), Answer::Fail(error(ErrorKind::NotBosBase))]);
    assert_eq!(until(&mut subscription, 565.0).await, [""; 0]);
    assert_eq!(until(&mut subscription, 285.0).await.len(), 3, "the next one says it");
}

#[tokio::test(start_paused = true)]
async fn topics_are_checked_again_after_a_loss() {
    let script = Script::new();
    let mut subscription = live_posts(&script, true).await;
    script.check_says(Some("not-found"));
    script.cut();
    let said = until(&mut subscription, 60.0).await;
    assert!(said.iter().any(|word| word == "warning topic-silent"), "{said:?}");
    assert!(said.last().unwrap().starts_with("failed: no topic is left"), "{said:?}");
}
