use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::kit::{ann, events, guest, is_event, parse, post, set, wait_for_text};
use crate::support::cli::{Bare, Running};
use crate::support::pocketbase::Server;

both_versions!(
    ten_restarts_and_ten_power_cuts,
    a_long_outage,
    a_server_that_was_never_there,
    a_login_that_ends_while_the_server_is_away,
    without_reconnect,
    signals_end_it_and_the_server_forgets_it,
    a_reader_that_goes_away,
    a_reader_that_goes_away_while_nothing_happens,
);

/// How soon it has to be live once the server is back.
const LIMIT: Duration = Duration::from_secs(3);

fn lines_of<'a>(stdout: &'a str, kind: &str) -> Vec<&'a str> {
    let start = format!(r#"{{"type":"{kind}""#);
    stdout.lines().filter(|line| line.starts_with(&start)).collect()
}

/// Waits until it was live so many times.
#[track_caller]
fn wait_until_live(running: &Running, times: usize) {
    running.wait_for_lines(times, |line| line.starts_with(r#"{"type":"live""#));
}

#[track_caller]
fn wait_until_lost(running: &Running, times: usize) {
    running.wait_for_lines(times, |line| line.starts_with(r#"{"type":"disconnected""#));
}

fn ten_times(version: &str, end: fn(&mut Server)) {
    let mut server = Server::start(version);
    let running = ann(&server).watch(["posts/*", "jobs/finished", "--filter", "title ~ 'round'", "--expand", "author"]);
    let keys = set(server.clients().remove(0).subscriptions);
    let mut waits = Vec::new();
    for round in 1..=10 {
        end(&mut server);
        server.start_again();
        let back = Instant::now();
        wait_until_live(&running, round + 1);
        waits.push(back.elapsed());

        let client = server.clients().remove(0);
        assert_eq!(set(client.subscriptions), keys, "subscribed to the same again");
        assert_eq!(client.auth, Some(format!("users/{}", server.ann().id)), "as the same person");
        server.create("posts", &json!({"title": format!("round {round}"), "author": server.ann().id}));
        let event = wait_for_text(&running, &format!(r#""title":"round {round}""#));
        assert_eq!(event["record"]["expand"]["author"]["name"], "Ann");
        server.emit("jobs/finished", &json!(format!("job {round}")));
        wait_for_text(&running, &format!(r#""job {round}""#));
    }
    assert!(waits.iter().all(|wait| *wait < LIMIT), "live again after the server was back: {waits:?}");

    let output = running.stop().expect(130);
    // Each once, in order.
    let seen: Vec<_> = events(&output.stdout).iter().map(title).collect();
    let expected: Vec<_> = (1..=10).flat_map(|round| [format!("round {round}"), format!("job {round}")]).collect();
    assert_eq!(seen, expected);
    // The break is told each time, and what could be read again was.
    let gaps = lines_of(&output.stdout, "gap");
    assert_eq!(gaps.len(), 10, "{}", output.stdout);
    for gap in gaps.into_iter().map(parse) {
        assert_eq!((&gap["filled"], &gap["unfilled"]), (&json!(["posts/*"]), &json!(["jobs/finished"])), "{gap}");
        assert!(gap["from"].as_str() < gap["to"].as_str(), "{gap}");
    }
    let lost = lines_of(&output.stdout, "disconnected").into_iter().map(parse);
    assert!(lost.clone().count() >= 10);
    assert!(lost.into_iter().all(|lost| lost["topics"] == json!(["posts/*", "jobs/finished"])));
    let end = parse(lines_of(&output.stdout, "end")[0]);
    assert_eq!((&end["events"], &end["reconnects"], &end["gaps"]), (&20.into(), &10.into(), &10.into()));
    server.wait_for_clients(0);
}

fn title(event: &Value) -> String {
    event["record"]["title"].as_str().or(event["data"].as_str()).unwrap().to_owned()
}

/// Two servers at the same time: most of it is waiting.
fn ten_restarts_and_ten_power_cuts(version: &str) {
    thread::scope(|scope| {
        let cuts = scope.spawn(|| ten_times(version, Server::kill));
        ten_times(version, Server::stop);
        cuts.join().expect("the power cuts");
    });
}

fn a_long_outage(version: &str) {
    let mut server = Server::start(version);
    let running = guest(&server).watch(["posts/*"]);
    server.stop();
    // Long enough for the time between two attempts to have grown.
    running.wait_for_line(|line| line.contains(r#""attempt":6"#));
    server.start_again();
    let back = Instant::now();
    wait_until_live(&running, 2);
    let wait = back.elapsed();
    assert!(wait < LIMIT, "live {wait:?} after the server was back");
    post(&server, "after the outage");
    wait_for_text(&running, "after the outage");

    let output = running.stop().expect(130);
    let lost: Vec<_> = lines_of(&output.stdout, "disconnected").into_iter().map(parse).collect();
    let attempts: Vec<_> = lost.iter().map(|lost| lost["attempt"].as_u64().unwrap()).collect();
    assert!(attempts.len() >= 6 && attempts.is_sorted(), "{attempts:?}");
    assert_eq!(lost.last().unwrap()["cause"], "reset");
    assert!(lost.iter().all(|lost| lost["retry_ms"].as_u64().unwrap() <= 2000), "{lost:?}");
    assert_eq!(lines_of(&output.stdout, "gap").len(), 1, "one outage is one gap");
}

fn a_server_that_was_never_there(version: &str) {
    let mut server = Server::start(version);
    server.stop();
    let output = guest(&server).run(["subscribe", "posts/*"]).expect(6);
    assert!(output.stderr.starts_with("error: nothing listens at 127.0.0.1:"), "{}", output.stderr);
    assert!(output.stderr.lines().nth(1).unwrap().starts_with("hint: "), "{}", output.stderr);

    // With retries it waits for the server to come.
    let mut command = guest(&server).command(["subscribe", "--lifecycle", "stdout", "-o", "ndjson", "posts/*"]);
    command.args(["--max-retries", "100", "-n", "1"]);
    let running = Running::start(command);
    wait_until_lost(&running, 3);
    server.start_again();
    wait_until_live(&running, 1);
    post(&server, "at last");
    let output = running.finish().expect(0);
    assert_eq!(lines_of(&output.stdout, "gap").len(), 0, "nothing was promised before");
}

fn a_login_that_ends_while_the_server_is_away(version: &str) {
    let mut server = Server::start(version);
    let running = ann(&server).watch(["messages/*"]);
    let password = "another-horse-8";
    server.update("users", &server.ann().id, &json!({"password": password, "passwordConfirm": password}));
    server.stop();
    server.start_again();
    // As a guest it would be silent for ever.
    let output = running.finish().expect(4);
    assert!(output.stderr.contains("error: the server no longer accepts the login\n"), "{}", output.stderr);
    assert!(output.stderr.contains("and sign in again: bosbase-watch login "), "{}", output.stderr);
    let end = parse(lines_of(&output.stdout, "end")[0]);
    assert_eq!((&end["reason"], &end["exit"]), (&"auth".into(), &4.into()));
}

fn without_reconnect(version: &str) {
    let mut server = Server::start(version);
    let running = guest(&server).watch(["posts/*", "--no-reconnect"]);
    server.stop();
    let output = running.finish().expect(6);
    assert!(output.stderr.contains("error: "), "{}", output.stderr);
}

fn signals_end_it_and_the_server_forgets_it(version: &str) {
    let server = Server::start(version);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let running = guest(&server).watch(["posts/*", "jobs/finished"]);
        post(&server, "hello");
        wait_for_text(&running, "hello");
        let sent = Instant::now();
        running.signal(signal);
        let stdout = running.finish().expect(code).stdout;
        let took = sent.elapsed();
        assert!(took < Duration::from_millis(200), "it took {took:?} to end");
        let end = parse(lines_of(&stdout, "end")[0]);
        assert_eq!((&end["reason"], &end["exit"], &end["events"]), (&"signal".into(), &code.into(), &1.into()));
        server.wait_for_clients(0);
    }
    // It says the same to a person.
    let running = guest(&server).start(["subscribe", "posts/*"]);
    running.wait_for_stderr(|line| line.contains("● connected"));
    let output = running.stop().expect(130);
    assert!(output.stderr.lines().last().unwrap().contains("■ ended        ^C · 0 events · "), "{}", output.stderr);
    server.wait_for_clients(0);
}

/// Starts a watch whose output the test reads itself, as a pipe would.
fn piped(server: &Server, args: &[&str]) -> Bare {
    let mut command = guest(server).command([&["subscribe"], args].concat());
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let bare = command.spawn();
    server.wait_for_clients(1);
    server.wait_for_subscriber("posts/*");
    bare
}

#[track_caller]
fn ends_with_0(server: &Server, mut bare: Bare) {
    bare.end().expect(0);
    server.wait_for_clients(0);
}

fn a_reader_that_goes_away(version: &str) {
    let server = Server::start(version);
    let mut bare = piped(&server, &["posts/*"]);
    let mut reader = BufReader::new(bare.stdout.take().unwrap());
    post(&server, "read");
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert!(is_event(&line) && line.contains("read"), "{line}");
    drop(reader);
    // Nobody reads this one.
    post(&server, "unread");
    ends_with_0(&server, bare);
}

fn a_reader_that_goes_away_while_nothing_happens(version: &str) {
    let server = Server::start(version);
    let mut bare = piped(&server, &["posts/*"]);
    drop(bare.stdout.take());
    ends_with_0(&server, bare);
}
