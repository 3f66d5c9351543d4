//! A watch with `--cursor` that is stopped or killed, and the one that goes on.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::kit::{brief, guest, id, lines, names, of_type, owned, post, times, wait_for, wait_for_record};
use crate::support::cli::{Cli, Output, Running};
use crate::support::pocketbase::{Server, wait_for as wait_until};

both_versions!(
    stopped_and_started,
    one_after_the_other,
    what_cannot_be_read_again,
    killed_while_it_lists,
    a_command_that_has_not_ended,
    killed_while_it_works_off,
    a_command_that_fails,
    waited_for,
    other_topics_while_it_runs,
);

both_versions_at_once!(killed_under_load);

/// A folder for the file.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("cursor.toml")
    }

    fn args(&self, args: &[&str]) -> Vec<String> {
        let mut all = vec!["--cursor".to_owned(), self.file().display().to_string()];
        all.extend(args.iter().map(|arg| (*arg).to_owned()));
        all
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.file()).unwrap_or_default()
    }

    /// Catches up and stops.
    #[track_caller]
    fn catch_up(&self, cli: &Cli, args: &[&str]) -> Vec<Value> {
        let mut all =
            ["subscribe", "-o", "ndjson", "--lifecycle", "stdout", "--duration", "0s"].map(str::to_owned).to_vec();
        all.extend(self.args(args));
        lines(&cli.run(all).expect(0).stdout)
    }
}

#[track_caller]
fn kill(running: Running) -> Output {
    running.signal(Signal::KILL);
    running.finish().expect(-9)
}

fn stopped_and_started(version: &str) {
    let (server, desk) = (Server::start(version), Desk::new());
    let cli = guest(server.url());
    let old = post(&server, "from before");
    // The server's clock is heard to the second.
    thread::sleep(Duration::from_millis(1_100));
    let running = cli.watch(desk.args(&["posts/*"]));
    let one = post(&server, "one");
    wait_for_record(&running, "create", "id", &one);
    let output = running.stop().expect(130);
    assert_eq!(brief(&lines(&output.stdout)), owned(&[("create", "one", false)]));
    let text = desk.text();
    assert!(text.starts_with("# How far") && text.contains("name = \"posts/*\"") && text.contains("guest"), "{text}");

    post(&server, "two");
    thread::sleep(Duration::from_millis(5));
    server.update("posts", &old, &json!({"title": "changed"}));
    server.delete("posts", &one);
    let running = cli.watch(desk.args(&["posts/*"]));
    let seen = lines(&running.stdout());
    assert_eq!(brief(&seen), owned(&[("create", "two", true), ("update", "changed", true)]), "nothing comes twice");
    let gap = of_type(&seen, "gap").remove(0);
    assert_eq!(
        (names(&gap["filled"]), &gap["deletes"], &gap["replayed"]),
        (vec!["posts/*".to_owned()], &json!("unknown"), &json!(2))
    );
    let live = of_type(&seen, "live").remove(0);
    assert_eq!((&live["initial"], &live["replayed"]), (&json!(0), &json!(2)));
    let three = post(&server, "three");
    wait_for_record(&running, "create", "id", &three);
    running.stop().expect(130);

    // As a cron job does.
    assert_eq!(brief(&desk.catch_up(&cli, &["posts/*"])), []);
    let four = post(&server, "four");
    assert_eq!(brief(&desk.catch_up(&cli, &["posts/*"])), owned(&[("create", "four", true)]));
    assert_eq!(brief(&desk.catch_up(&cli, &["posts/*"])), []);
    // What was printed as new is not new again.
    for (id, title) in [(&three, "three again"), (&four, "four again"), (&four, "four once more")] {
        server.update("posts", id, &json!({"title": title}));
        assert_eq!(brief(&desk.catch_up(&cli, &["posts/*"])), owned(&[("update", title, true)]));
    }
}

/// Each run takes a part, and together they take everything once.
fn one_after_the_other(version: &str) {
    let (server, desk) = (Server::start(version), Desk::new());
    let cli = guest(server.url());
    let all: BTreeSet<_> = (0..10).map(|number| post(&server, &format!("post {number}"))).collect();
    let mut seen = Vec::new();
    for run in 0..4 {
        let args = ["subscribe", "posts/*", "--initial", "-n", "3", "--duration", "1s", "-o", "ndjson"];
        let output = cli.run(args.map(str::to_owned).into_iter().chain(desk.args(&[]))).expect(0);
        let part: Vec<_> = of_type(&lines(&output.stdout), "record");
        assert_eq!(part.len(), if run < 3 { 3 } else { 1 }, "{}", output.stdout);
        seen.extend(part.iter().filter(|line| line["action"] == "initial").map(|line| id(&line["record"])));
    }
    assert_eq!((seen.len(), seen.into_iter().collect::<BTreeSet<_>>()), (10, all));
    // What jq drops is done as well.
    post(&server, "dropped");
    post(&server, "kept");
    let jq = ["posts/*", "--initial", "--jq", "select(.record.title == \"kept\") | .record.title", "-r"];
    let output =
        cli.run(["subscribe", "--duration", "0s"].map(str::to_owned).into_iter().chain(desk.args(&jq))).expect(0);
    assert_eq!(output.stdout, "kept\n");
    assert_eq!(brief(&desk.catch_up(&cli, &["posts/*", "--initial"])), []);
}

fn what_cannot_be_read_again(version: &str) {
    let (server, desk) = (Server::start(version), Desk::new());
    let cli = guest(server.url());
    let topics = ["posts/*", "plain/*", "jobs/finished"];
    desk.catch_up(&cli, &topics);
    server.create("plain", &json!({"text": "nobody knows when"}));
    post(&server, "missed");
    let seen = desk.catch_up(&cli, &topics);
    assert_eq!(brief(&seen), owned(&[("create", "missed", true)]));
    let gap = of_type(&seen, "gap").remove(0);
    assert_eq!(names(&gap["filled"]), ["posts/*"]);
    assert_eq!(names(&gap["unfilled"]), ["jobs/finished", "plain/*"]);
    // Which is a failure where nothing may be missed.
    let mut args = vec!["subscribe".to_owned(), "--fail-on-gap".to_owned()];
    args.extend(desk.args(&topics));
    cli.run(args).expect(7);
}

fn killed_while_it_lists(version: &str) {
    const COUNT: usize = 20_000;
    let (server, desk) = (Server::start(version), Desk::new());
    server.fill_posts(COUNT, 7);
    let cli = guest(server.url());
    let mut all: HashMap<String, usize> = HashMap::new();
    let mut take = |lines: &[Value]| {
        for (id, count) in times(lines, "id") {
            *all.entry(id).or_default() += count;
        }
    };
    // Slowed down, so that it does not end before it is killed.
    let args = ["subscribe", "posts/*", "--initial", "-o", "ndjson"].map(str::to_owned);
    let running = cli.start(args.clone().into_iter().chain(desk.args(&[])));
    wait_until("a part of the list in the file", Duration::from_secs(30), || {
        desk.text().contains("listed = ") && !desk.text().contains("listed = \"\"")
            || running.stdout().contains("\"live\"")
    });
    let output = kill(running);
    take(&lines(&output.stdout));
    let first = times(&lines(&output.stdout), "id").len();
    // A change and a new record in between, one of them where it has been already.
    let begin = lines(&output.stdout)[0]["record"]["id"].as_str().unwrap().to_owned();
    server.update("posts", &begin, &json!({"title": "changed in between"}));
    let new = post(&server, "new in between");
    let seen = desk.catch_up(&cli, &["posts/*", "--initial"]);
    take(&seen);
    let rest = of_type(&seen, "record").iter().filter(|line| line["action"] == "initial").count();
    assert!(first + rest >= COUNT && rest < COUNT, "{first} and {rest}: it goes on where it was");
    assert_eq!(all.len(), COUNT + 1, "{first} and {rest}");
    // Which of them had come before cannot be known, so they are told from the first run's.
    let initial = |seen: &[Value]| {
        let of = of_type(seen, "record").into_iter().filter(|line| line["action"] == "initial");
        of.map(|line| line["replayed"].clone()).collect::<Vec<_>>()
    };
    assert!(initial(&lines(&output.stdout)).iter().all(Value::is_null));
    assert!(initial(&seen).iter().all(|replayed| *replayed == true));
    let last = |id: &str| of_type(&seen, "record").into_iter().rfind(|line| line["record"]["id"] == *id);
    assert_eq!(last(&begin).unwrap()["record"]["title"], "changed in between");
    assert!(last(&new).is_some());
    // From here on there is no list any more.
    let again = desk.catch_up(&cli, &["posts/*", "--initial"]);
    assert_eq!(of_type(&again, "live")[0]["initial"], 0);
}

fn a_command_that_has_not_ended(version: &str) {
    let (server, desk) = (Server::start(version), Desk::new());
    let cli = guest(server.url());
    let script = format!(
        "cd '{}'; echo $BOSBASE_ID >> began-$0; until [ -e open-$BOSBASE_ID ]; do sleep 0.02; done; echo $BOSBASE_ID >> ended-$0",
        desk.0.path().display()
    );
    let ids = |file: &str| -> Vec<String> {
        let text = std::fs::read_to_string(desk.0.path().join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    let open = |id: &str| std::fs::write(desk.0.path().join(format!("open-{id}")), "").unwrap();
    let run = |name: &str, more: &[&str]| {
        let exec = [more, &["posts/*", "--exec", "sh", "-c", &script, name, ";"]].concat();
        cli.watch(desk.args(&exec))
    };
    let running = run("first", &["--exec-jobs", "3"]);
    let [one, two, three] = ["one", "two", "three"].map(|title| post(&server, title));
    wait_until("three commands", Duration::from_secs(30), || ids("began-first").len() == 3);
    // The second ends before the first: the third and the first do not.
    open(&two);
    wait_until("its end in the file", Duration::from_secs(30), || desk.text().contains("seen = ["));
    running.signal(Signal::KILL);
    // The commands that were left alone end, too.
    open(&one);
    open(&three);
    running.finish().expect(-9);
    wait_until("the others", Duration::from_secs(30), || ids("ended-first").len() == 3);

    let running = run("second", &[]);
    wait_until("two commands", Duration::from_secs(30), || ids("ended-second").len() == 2);
    let output = running.stop().expect(130);
    assert_eq!(ids("began-second"), [one, three], "the commands of what was not done are run again");
    assert_eq!(brief(&lines(&output.stdout)), owned(&[("create", "one", true), ("create", "three", true)]));
    let output = run("third", &[]).stop().expect(130);
    assert_eq!((brief(&lines(&output.stdout)), ids("began-third")), (vec![], vec![]));
}

/// A supervisor that asks it to end, and does not wait until what was received is worked off.
fn killed_while_it_works_off(version: &str) {
    let (server, desk) = (Server::start(version), Desk::new());
    let cli = guest(server.url());
    let script = format!(
        "cd '{}'; echo $BOSBASE_ID >> began-$0; until [ -e open-$BOSBASE_ID ]; do sleep 0.02; done",
        desk.0.path().display()
    );
    let began = |run: &str| -> Vec<String> {
        let text = std::fs::read_to_string(desk.0.path().join(format!("began-{run}"))).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    let open = |id: &str| std::fs::write(desk.0.path().join(format!("open-{id}")), "").unwrap();
    let run = |name: &str| cli.watch(desk.args(&["posts/*", "-vv", "--exec", "sh", "-c", &script, name, ";"]));
    let running = run("first");
    let ids = ["one", "two", "three"].map(|title| post(&server, title));
    wait_until("the first command", Duration::from_secs(30), || began("first").len() == 1);
    // The others have been received, as -vv tells.
    ids.iter().for_each(|id| drop(running.wait_for_stderr(|line| line.contains(id.as_str()))));
    running.signal(Signal::TERM);
    running.wait_for_stderr(|line| line.contains("what is left is waited for"));
    open(&ids[0]);
    wait_until("the second command", Duration::from_secs(30), || began("first").len() == 2);
    wait_until("the end of the first in the file", Duration::from_secs(30), || desk.text().contains("seen = ["));
    running.signal(Signal::KILL);
    ids.iter().for_each(|id| open(id));
    running.finish().expect(-9);
    let running = run("second");
    wait_until("two commands", Duration::from_secs(30), || began("second").len() == 2);
    running.stop().expect(130);
    assert_eq!(began("second"), ids[1..]);
}

/// What fails is done with `warn`, and comes again with `stop`.
fn a_command_that_fails(version: &str) {
    let (server, desk) = (Server::start(version), Desk::new());
    let cli = guest(server.url());
    desk.catch_up(&cli, &["posts/*"]);
    for title in ["one", "two", "three"] {
        post(&server, title);
        thread::sleep(Duration::from_millis(5));
    }
    // The second fails.
    let exec = ["posts/*", "--exec", "sh", "-c", "! grep -q two", ";"];
    let stop = [&["--exec-fail", "stop", "--duration", "0s"], &exec[..]].concat();
    for begin in [0, 1] {
        let mut args = ["subscribe", "-o", "ndjson"].map(str::to_owned).to_vec();
        args.extend(desk.args(&stop));
        let output = cli.run(args).expect(125);
        let expected = [("create", "one", true), ("create", "two", true)];
        assert_eq!(brief(&lines(&output.stdout)), owned(&expected[begin..]));
    }
    let expected = [("create", "two", true), ("create", "three", true)];
    assert_eq!(brief(&desk.catch_up(&cli, &exec)), owned(&expected));
    assert_eq!(brief(&desk.catch_up(&cli, &exec)), []);
}

/// A loop around `wait` gets everything, one after the other.
fn waited_for(version: &str) {
    let (server, desk) = (Server::start(version), Desk::new());
    let cli = guest(server.url());
    let wait = |more: &[&str]| {
        let mut args = ["wait", "posts/*", "-r", "--jq", ".record.title"].map(str::to_owned).to_vec();
        args.extend(desk.args(more));
        args
    };
    let running = cli.start(wait(&[]));
    server.wait_for_subscriber("posts/*");
    let mut titles = ["one", "two", "three", "four"].iter();
    post(&server, titles.next().unwrap());
    assert_eq!(running.finish().expect(0).stdout, "one\n");
    for title in titles {
        post(&server, title);
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(cli.run(wait(&[])).expect(0).stdout, "two\n");
    // What was looked at and did not match is done.
    assert_eq!(cli.run(wait(&["--until", ".record.title == \"four\""])).expect(0).stdout, "four\n");
    assert_eq!(cli.run(wait(&["--timeout", "1s"])).expect(124).stdout, "");
}

/// `--control` takes a topic away, and adds one.
fn other_topics_while_it_runs(version: &str) {
    let (server, desk) = (Server::start(version), Desk::new());
    let cli = guest(server.url());
    let control = desk.0.path().join("control");
    std::fs::write(&control, "").unwrap();
    let topics = ["posts/*", "jobs/finished"];
    let running = cli.watch(desk.args(&[&topics[..], &["--control", control.to_str().unwrap()]].concat()));
    let one = post(&server, "one");
    wait_for_record(&running, "create", "id", &one);
    let order = |line: &str| {
        use std::io::Write as _;
        writeln!(std::fs::File::options().append(true).open(&control).unwrap(), "{line}").unwrap();
    };
    order("unsubscribe posts/*");
    wait_for("subscribed", 2, &running);
    let two = post(&server, "two");
    order("subscribe posts/*");
    wait_for("subscribed", 3, &running);
    // Something of the other topic gets on, and this one with its name is another.
    let three = post(&server, "three");
    wait_for_record(&running, "create", "id", &three);
    let output = running.stop().expect(130);
    assert!(!output.stdout.contains(&two), "{}", output.stdout);
    assert!(output.stderr.contains("--cursor does not remember how far it got"), "{}", output.stderr);
    // Nobody has seen the second, and nobody knows what became of the third.
    let expected = [("create", "two", true), ("create", "three", true)];
    assert_eq!(brief(&desk.catch_up(&cli, &topics)), owned(&expected));
    assert_eq!(brief(&desk.catch_up(&cli, &topics)), []);
}

/// What the writer knows to have happened.
#[derive(Default)]
struct Log {
    created: BTreeSet<String>,
    last: HashMap<String, String>,
}

fn killed_under_load(version: &str) {
    let kills: usize = std::env::var("BOSBASE_TEST_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(12);
    let (server, desk) = (Server::start(version), Desk::new());
    let cli = guest(server.url());
    let log = Mutex::new(Log::default());
    let (done, writing) = (Mutex::new(false), Instant::now());
    let mut runs: Vec<(Vec<Value>, jiff::Timestamp)> = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            let api = server.api().clone();
            for number in 0.. {
                let due = writing + Duration::from_millis(20) * number;
                thread::sleep(due.saturating_duration_since(Instant::now()));
                if *done.lock().unwrap() {
                    return;
                }
                let number = number as usize;
                let title = format!("write {number}");
                let mut known = Vec::new();
                known.extend(log.lock().unwrap().last.keys().take(40).cloned());
                let record = match known.get(number % 40) {
                    // Some change at once, some after long.
                    Some(record) if number.is_multiple_of(3) => {
                        api.update("posts", record, &json!({"title": title}));
                        record.clone()
                    }
                    _ => {
                        let record = post(&api, &title);
                        log.lock().unwrap().created.insert(record.clone());
                        record
                    }
                };
                log.lock().unwrap().last.insert(record, title);
            }
        });
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..kills {
            let mut args = vec!["subscribe".to_owned(), "posts/*".to_owned(), "--initial".to_owned()];
            args.extend(["-o", "ndjson", "--lifecycle", "stdout"].map(str::to_owned));
            args.extend(desk.args(&[]));
            let running = cli.start(args);
            // Now and then before it is live.
            if rng.u32(..4) > 0 {
                wait_for("live", 1, &running);
            }
            thread::sleep(Duration::from_millis(rng.u64(50..1_800)));
            let at = jiff::Timestamp::now();
            runs.push((lines(&kill(running).stdout), at));
            thread::sleep(Duration::from_millis(rng.u64(0..400)));
        }
        *done.lock().unwrap() = true;
    });
    runs.push((desk.catch_up(&cli, &["posts/*", "--initial"]), jiff::Timestamp::now()));
    let log = log.into_inner().unwrap();
    assert!(log.created.len() > 100, "{} in {:?}", log.created.len(), writing.elapsed());

    let mut created = BTreeSet::new();
    let mut state: HashMap<String, String> = HashMap::new();
    let mut first: HashMap<(String, String, String), jiff::Timestamp> = HashMap::new();
    let (mut doubles, mut killed_at) = (0, None::<jiff::Timestamp>);
    for (run, at) in &runs {
        for line in of_type(run, "record") {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let record = &line["record"];
            let (id, updated, title) = (text(&record["id"]), text(&record["updated"]), text(&record["title"]));
            let time: jiff::Timestamp = text(&line["time"]).parse().unwrap();
            if line["action"] != "update" {
                created.insert(id.clone());
            }
            if line["late"] != true {
                state.insert(id.clone(), title.clone());
            }
            if let Some(before) = first.get(&(id.clone(), updated.clone(), title.clone())) {
                doubles += 1;
                let marked = line["replayed"] == true || line["action"] == "initial";
                assert!(marked, "it comes twice, and does not say so: {line}");
                // The last second, and what it takes to write the file.
                let killed = killed_at.unwrap_or(jiff::Timestamp::MIN);
                let is_of_late = *before + Duration::from_secs(2) > killed;
                assert!(is_of_late, "{line} was printed at {before}, long before {killed}");
            } else {
                first.insert((id, updated, title), time);
            }
        }
        // One that was killed before it was live has kept nothing.
        let live =
            of_type(run, "live").first().map(|line| line["time"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap());
        if live.is_some_and(|live| live + Duration::from_millis(500) < *at) {
            killed_at = Some(*at);
        }
    }
    let missing: Vec<_> = log.created.difference(&created).collect();
    assert!(
        missing.is_empty(),
        "{} of {} were never printed as created: {missing:?}",
        missing.len(),
        log.created.len()
    );
    let wrong: Vec<_> = log.last.iter().filter(|(id, title)| state.get(*id) != Some(title)).collect();
    assert!(wrong.is_empty(), "the last state of {} of {}: {wrong:?}", wrong.len(), log.last.len());
    println!(
        "{version}: {kills} kills, {} records, {} lines, {doubles} doubles",
        log.created.len(),
        first.len() + doubles
    );
}
