//! `--cursor`: when the file is refused. Nothing is sent then.

use std::path::Path;

use serde_json::json;

use crate::kit::objects;

use crate::support::cli::{Cli, Output};
use crate::support::fake::*;

const URL: &str = "http://127.0.0.1:9";

/// A file as a watch of these topics leaves it.
fn file(server: &str, account: &str, topics: &str) -> String {
    format!(
        "version = 1\nserver = \"{server}\"\naccount = \"{account}\"\nwritten = \"2026-03-01T12:00:01.000Z\"\n\n\
         [[topic]]\n{topics}until = \"2026-03-01T12:00:00.000Z\"\n# end\n"
    )
}

fn subscribe(path: &Path, more: &[&str]) -> Output {
    let path = path.display().to_string();
    let mut args = vec!["subscribe", "posts/*", "--cursor", &path];
    args.extend(more);
    Cli::new(URL).run(args)
}

/// What is said, with `FILE` in place of the path.
#[track_caller]
fn refused(text: &str, more: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cursor.toml");
    std::fs::write(&path, text).unwrap();
    let said = said(&path, more);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "it is left alone");
    assert!(!path.with_added_extension("lock").exists(), "a lock is left beside it");
    said
}

#[track_caller]
fn said(path: &Path, more: &[&str]) -> String {
    let output = subscribe(path, more).expect(2);
    assert_eq!(output.stdout, "");
    output.stderr.replace(&path.display().to_string(), "FILE")
}

const POSTS: &str = "name = \"posts/*\"\n";

#[test]
fn of_another_server() {
    insta::assert_snapshot!(refused(&file("https://api.example.com", "guest", POSTS), &[]), @r"
    error: --cursor: FILE belongs to https://api.example.com, and this is http://127.0.0.1:9
    hint: use another file, or remove this one to begin anew
    ");
}

/// Of two servers behind one name, too.
#[test]
fn of_another_path() {
    insta::assert_snapshot!(refused(&file(&format!("{URL}/a"), "guest", POSTS), &[]), @r"
    error: --cursor: FILE belongs to http://127.0.0.1:9/a, and this is http://127.0.0.1:9
    hint: use another file, or remove this one to begin anew
    ");
}

#[test]
fn standard_input_is_no_place() {
    let said = subscribe(Path::new("-"), &[]).expect(2).stderr;
    insta::assert_snapshot!(said, @r"
    error: --cursor: - is no file: it is read and written, and locked
    hint: name a file; ./- for one of that name
    ");
}

#[test]
fn of_another_login() {
    insta::assert_snapshot!(refused(&file(URL, "users/4m7q2z8k1c5v9x3", POSTS), &[]), @r"
    error: --cursor: FILE belongs to the login users/4m7q2z8k1c5v9x3, and this is guest
    hint: use another file, or remove this one to begin anew
    ");
}

#[test]
fn of_other_topics() {
    insta::assert_snapshot!(refused(&file(URL, "guest", "name = \"comments/*\"\n"), &[]), @r"
    error: --cursor: FILE was written for other topics: comments/*
    hint: use another file, or remove this one to begin anew
    ");
    // One more is another set, too.
    insta::assert_snapshot!(refused(&file(URL, "guest", POSTS), &["jobs/finished"]), @r"
    error: --cursor: FILE was written for other topics: posts/*
    hint: use another file, or remove this one to begin anew
    ");
}

#[test]
fn of_other_options() {
    insta::assert_snapshot!(refused(&file(URL, "guest", POSTS), &["--filter", "stars > 3"]), @r"
    error: --cursor: FILE was written with other options of its topics, such as --filter
    hint: use another file, or remove this one to begin anew
    ");
}

#[test]
fn damaged() {
    insta::assert_snapshot!(refused("not = [", &[]), @r"
    error: --cursor: FILE is not such a file, or was damaged: unclosed array, expected `]`
    hint: remove it to begin anew; what happened since it was written is then not read again
    ");
    let whole = file(URL, "guest", POSTS);
    let texts = ["a = 1\n".to_owned(), "\u{1}\u{2}".to_owned(), whole.replace("12:00:00.000Z", "soon")];
    // Cut off, as by a disk that was full.
    let cuts = whole.char_indices().map(|(at, _)| whole[..at].to_owned()).skip(1);
    let older = whole.replace("version = 1", "version = 0");
    let seen = whole.replace("# end", "seen = [\"x\"]\n# end");
    for text in texts.into_iter().chain(cuts).chain([older, seen, "\n".to_owned()]) {
        let said = refused(&text, &[]);
        assert!(said.starts_with("error: --cursor: FILE is not such a file, or was damaged: "), "{text:?}: {said}");
        assert!(said.lines().count() == 2 && said.contains("\nhint: remove it to begin anew"), "{said}");
    }
}

#[test]
fn of_a_later_version() {
    let later = file(URL, "guest", POSTS).replace("version = 1", "version = 2\nshape = \"round\"");
    insta::assert_snapshot!(refused(&later, &[]), @r"
    error: --cursor: FILE was written by a later bosbase-watch
    hint: use that version, or another file
    ");
}

#[test]
fn a_place_that_is_none() {
    let folder = tempfile::tempdir().unwrap();
    insta::assert_snapshot!(said(folder.path(), &[]), @r"
    error: --cursor: FILE cannot be written: it is not a file
    hint: name a file in a folder that is there and can be written to
    ");
    insta::assert_snapshot!(said(&folder.path().join("none").join("cursor.toml"), &[]), @r"
    error: --cursor: FILE cannot be written: No such file or directory (os error 2)
    hint: name a file in a folder that is there and can be written to
    ");
    // Whoever opens a pipe to write into it waits for somebody who reads.
    let pipe = folder.path().join("cursor.toml.lock");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    insta::assert_snapshot!(said(&folder.path().join("cursor.toml"), &[]), @r"
    error: --cursor: FILE cannot be written: FILE.lock: it is not a file, but a pipe or a device
    hint: name a file in a folder that is there and can be written to
    ");
    // As root it would be replaced.
    insta::assert_snapshot!(said(Path::new("/dev/null"), &[]), @r"
    error: --cursor: FILE cannot be written: it is not a file
    hint: name a file in a folder that is there and can be written to
    ");
}

#[test]
fn a_folder_that_cannot_be_written_to() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    let is_root = std::fs::write(folder.path().join("probe"), "").is_ok();
    // Root is let in everywhere but where there is no writing at all.
    let place = if is_root { Path::new("/proc") } else { folder.path() };
    let said = said(&place.join("cursor.toml"), &[]);
    assert!(said.starts_with("error: --cursor: FILE cannot be written: "), "{said}");
    assert!(said.ends_with("\nhint: name a file in a folder that is there and can be written to\n"), "{said}");
}

#[test]
fn in_use_by_another_watch() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cursor.toml");
    let link = folder.path().join("link.toml");
    let fake = healthy_feed().start();
    let args = ["jobs/finished", "--no-check", "--cursor"];
    let with = |path: &Path| args.iter().map(|arg| (*arg).to_owned()).chain([path.display().to_string()]);
    // One that is there and empty is as good as none.
    std::fs::write(&path, "").unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let running = Cli::new(&fake.url()).watch(with(&path));
    for name in [&path, &link] {
        let output = Cli::new(&fake.url()).run(["subscribe".to_owned()].into_iter().chain(with(name))).expect(2);
        let said = output.stderr.replace(&path.display().to_string(), "FILE");
        assert_eq!(said, "error: --cursor: another watch is using FILE\nhint: give each watch a file of its own\n");
    }
    // What was written at the end belongs to whoever comes next.
    running.stop().expect(130);
    assert!(std::fs::read_to_string(&path).unwrap().contains("name = \"jobs/finished\""));
    Cli::new(&fake.url()).watch(with(&link)).stop().expect(130);
    assert!(link.is_symlink());
}

/// Before the first watch has written it, too.
#[test]
fn in_use_by_the_name_of_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let [path, link] = ["cursor.toml", "link.toml"].map(|name| folder.path().join(name));
    std::os::unix::fs::symlink("cursor.toml", &link).unwrap();
    let fake = healthy_feed().start();
    let args = |path: &Path| {
        ["jobs/finished", "--no-check", "--cursor"].map(str::to_owned).into_iter().chain([path.display().to_string()])
    };
    let running = Cli::new(&fake.url()).watch(args(&link));
    let output = Cli::new(&fake.url()).run(["subscribe".to_owned()].into_iter().chain(args(&path))).expect(2);
    assert!(output.stderr.contains("another watch is using"), "{}", output.stderr);
    running.stop().expect(130);
    assert!(link.is_symlink() && !path.is_symlink() && path.is_file());
}

/// The clock of the server was set back: what was changed since cannot be told.
#[test]
fn ahead_of_the_servers_clock() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cursor.toml");
    let fake = healthy_feed().start();
    let text = file(&fake.url(), "guest", POSTS);
    for (until, list) in [("2026-03-01T12:00:00.000Z", "filled"), ("9999-01-01T00:00:00.000Z", "unfilled")] {
        std::fs::write(&path, text.replace("2026-03-01T12:00:00.000Z", until)).unwrap();
        let path = path.display().to_string();
        let args =
            ["subscribe", "posts/*", "-o", "ndjson", "--lifecycle", "stdout", "--duration", "0s", "--cursor", &path];
        let output = Cli::new(&fake.url()).run(args).expect(0);
        assert!(output.stdout.contains(&format!(r#""{list}":["posts/*"]"#)), "{until}: {}", output.stdout);
    }
    assert!(!std::fs::read_to_string(&path).unwrap().contains("9999"), "it goes on from now");
}

/// More than is remembered changed within what is read again: runs that take a part each get on.
#[test]
fn many_changes_within_the_overlap() {
    const COUNT: usize = 12_000;
    let stamp = |number: usize| format!("2026-03-01 12:00:{:02}.{:03}Z", number * 3 / 4 / 1000, number * 3 / 4 % 1000);
    let listed = move |request: &Request| {
        let filter = request.param("filter").unwrap_or_default();
        let from = filter.split_once("updated >= ").map_or("", |(_, rest)| &rest[1..25]).to_owned();
        let size: usize = request.param("perPage").unwrap().parse().unwrap();
        let items = (0..COUNT).map(|number| (number, stamp(number))).filter(|(_, updated)| *updated >= from).take(size);
        let items = items.map(|(number, updated)| json!({ "id": format!("r{number:05}"), "updated": updated }));
        ok(json!({ "page": 1, "perPage": size, "items": items.collect::<Vec<_>>() }))
    };
    let fake = Script::new().always("GET /api/collections/*/records", answer(listed));
    let fake = fake.always("GET /api/realtime", stream().connect().live()).always("POST /api/realtime", subscribed());
    let fake = fake.start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cursor.toml");
    std::fs::write(&path, file(&fake.url(), "guest", POSTS).replace("12:00:00.000Z", "12:00:09.500Z")).unwrap();
    let path = path.display().to_string();
    let args = ["subscribe", "posts/*", "--no-check", "-r", "--jq", ".record.id", "--duration", "0s", "-n", "3500"];
    let runs = (0..6).map(|_| Cli::new(&fake.url()).run(args.iter().chain(&["--cursor", &path])).expect(0).stdout);
    let runs: Vec<String> = runs.collect();
    let all: Vec<&str> = runs.iter().flat_map(|run| run.lines()).collect();
    let expected: Vec<String> = (0..COUNT).map(|number| format!("r{number:05}")).collect();
    assert!(all == expected, "{:?}", runs.iter().map(|run| run.lines().count()).collect::<Vec<_>>());
}

/// What was missed while the lists could not be read is for the next watch to read, whatever came since.
#[test]
fn a_gap_that_was_not_filled() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let stamp = || jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S%.3fZ").to_string();
    let busy = std::sync::Arc::new(AtomicBool::new(false));
    let missed: std::sync::Arc<std::sync::Mutex<Option<String>>> = std::sync::Arc::default();
    let list = {
        let (busy, missed) = (busy.clone(), missed.clone());
        move |request: &Request| {
            let filter = request.param("filter").unwrap_or_default();
            let from = filter.split_once("updated >= ").map_or("", |(_, rest)| &rest[1..25]);
            let missed = missed.lock().unwrap().clone().filter(|updated| updated.as_str() >= from);
            match busy.load(Ordering::SeqCst) {
                true => error(503, "Try later."),
                false => page(missed.map(|updated| json!({ "id": "missed", "created": updated, "updated": updated }))),
            }
        }
    };
    let fake = Script::new().always("GET /api/collections/*/records", answer(list));
    let fake = fake.always("GET /api/realtime", stream().connect().live()).always("POST /api/realtime", subscribed());
    let fake = fake.start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cursor.toml").display().to_string();
    let running = Cli::new(&fake.url()).watch(["posts/*", "--no-check", "--cursor", &path]);
    // It is written soon after it is live.
    while !std::fs::read_to_string(&path).is_ok_and(|text| text.contains("until = ")) {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    busy.store(true, Ordering::SeqCst);
    *missed.lock().unwrap() = Some(stamp());
    fake.reset_streams();
    running.wait_for_line(|line| line.contains(r#""unfilled":["posts/*"]"#));
    fake.wait_for_subscription("posts/*", crate::support::cli::PATIENCE);
    let later = stamp();
    fake.emit("posts/*", record("create", json!({ "id": "later", "created": later, "updated": later })));
    running.wait_for_line(|line| line.contains(r#""id":"later""#));
    running.stop().expect(130);
    let text = std::fs::read_to_string(&path).unwrap();
    let until = text.lines().find_map(|line| line.strip_prefix("until = \"")).unwrap()[..23].replace('T', " ");
    assert!(until < missed.lock().unwrap().clone().unwrap(), "{text}");
    busy.store(false, Ordering::SeqCst);
    let args = ["subscribe", "posts/*", "--no-check", "-o", "ndjson", "--duration", "0s", "--cursor", &path];
    let output = Cli::new(&fake.url()).run(args).expect(0);
    assert!(
        output.stdout.contains(r#""action":"create","replayed":true,"record":{"id":"missed""#),
        "{}",
        output.stdout
    );
}

/// The part of a condition behind this, without its quotes.
fn bound(filter: &str, key: &str) -> Option<String> {
    let rest = filter.split_once(key)?.1.trim_start();
    Some(rest[1..].split(&rest[..1]).next()?.to_owned())
}

/// A server with these records, in the order of their stamps and ids; so many on a page at the most.
fn lists(records: Vec<(String, String)>, most: usize) -> impl Fn(&Request) -> Plain {
    move |request| {
        let filter = request.param("filter").unwrap_or_default();
        let [from, to, after] = ["updated >= ", "updated < ", "id > "].map(|key| bound(&filter, key));
        let size = request.param("perPage").unwrap().parse::<usize>().unwrap().min(most);
        let asked = records.iter().filter(|(updated, id)| {
            from.as_ref().is_none_or(|from| updated >= from)
                && to.as_ref().is_none_or(|to| updated < to)
                && after.as_ref().is_none_or(|after| id > after)
        });
        let item = |(updated, id): &(String, String)| json!({ "id": id, "created": updated, "updated": updated });
        let items: Vec<_> = asked.take(size).map(item).collect();
        ok(json!({ "page": 1, "perPage": size, "items": items }))
    }
}

/// Beyond a hundred pages of what was missed a gap is not filled, and the rest is for the next watch.
#[test]
fn more_than_is_read_at_once() {
    const COUNT: usize = 150;
    let stamp = |at: jiff::Timestamp| at.strftime("%Y-%m-%d %H:%M:%S%.3fZ").to_string();
    let missed: std::sync::Arc<std::sync::Mutex<Vec<(String, String)>>> = std::sync::Arc::default();
    let list = {
        let missed = missed.clone();
        // The first of a page is the last of the one before: each shows one that is new.
        move |request: &Request| lists(missed.lock().unwrap().clone(), 2)(request)
    };
    let fake = Script::new().always("GET /api/collections/*/records", answer(list));
    let fake = fake.always("GET /api/realtime", stream().connect().live()).always("POST /api/realtime", subscribed());
    let fake = fake.start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cursor.toml").display().to_string();
    let args = ["posts/*", "--no-check", "--cursor", &path];
    let running = Cli::new(&fake.url()).watch(args);
    let now = jiff::Timestamp::now();
    let at = |number: usize| stamp(now + jiff::SignedDuration::from_millis(i64::try_from(number).unwrap()));
    *missed.lock().unwrap() = (0..COUNT).map(|number| (at(number), format!("r{number:03}"))).collect();
    fake.reset_streams();
    let gap = running.wait_for_line(|line| line.contains(r#""type":"gap""#));
    assert!(gap.contains(r#""filled":[],"unfilled":["posts/*"],"replayed":101,"deletes":"unknown""#), "{gap}");
    let first = running.stop().expect(130).stdout;
    let text = std::fs::read_to_string(&path).unwrap();
    let until = text.lines().find_map(|line| line.strip_prefix("until = \"")).unwrap()[..23].replace('T', " ");
    assert!(until <= at(0), "{until} is behind {}: {text}", at(0));

    let args = [&["subscribe", "-o", "ndjson", "--duration", "0s"], &args[..]].concat();
    let second = Cli::new(&fake.url()).run(args).expect(0).stdout;
    let ids = |text: &str| -> Vec<_> {
        let records = objects(text).into_iter().filter(|line| line["type"] == "record");
        records.map(|line| line["record"]["id"].as_str().unwrap().to_owned()).collect()
    };
    let all = [ids(&first), ids(&second)].concat();
    let expected: Vec<_> = (0..COUNT).map(|number| format!("r{number:03}")).collect();
    assert_eq!(all, expected, "each once, over both");
}

/// More than ten pages, and more than a cursor remembers, were changed in one millisecond.
#[test]
fn very_many_changes_at_once() {
    const COUNT: usize = 12_500;
    let records = || {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S%.3fZ").to_string();
        (0..COUNT).map(|number| (now.clone(), format!("r{number:05}"))).collect::<Vec<_>>()
    };
    let expected: Vec<_> = records().into_iter().map(|(_, id)| id).collect();
    let there = std::sync::Arc::new(std::sync::Mutex::new(records()));
    let list = {
        let there = there.clone();
        move |request: &Request| lists(there.lock().unwrap().clone(), 1000)(request)
    };
    let fake = healthy_feed().always("GET /api/collections/*/records", answer(list)).start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cursor.toml");
    std::fs::write(&path, file(&fake.url(), "guest", POSTS)).unwrap();
    for begin in [["--since", "1h"], ["--cursor", &path.display().to_string()]] {
        let args = ["subscribe", "posts/*", "--no-check", "-r", "--jq", ".record.id", "--duration", "0s"];
        let stdout = Cli::new(&fake.url()).run(args.iter().chain(&begin)).expect(0).stdout;
        let ids: Vec<_> = stdout.lines().collect();
        assert!(ids == expected, "{begin:?}: {} of {COUNT}", ids.len());
    }
    // Of what was missed after a loss, too.
    let running = Cli::new(&fake.url()).watch(["posts/*", "--no-check"]);
    *there.lock().unwrap() = records();
    fake.reset_streams();
    let gap = running.wait_for_line(|line| line.contains(r#""type":"gap""#));
    assert!(gap.contains(&format!(r#""filled":["posts/*"],"unfilled":[],"replayed":{COUNT},"#)), "{gap}");
    let lines = objects(&running.stop().expect(130).stdout);
    let ids: Vec<_> = lines.iter().filter_map(|line| line["record"]["id"].as_str()).collect();
    assert!(ids == expected, "{} of {COUNT}", ids.len());
}

/// What changed since the list was cut off, and is listed by the watch that goes on with it, is not
/// printed a second time as a change.
#[test]
fn a_list_that_goes_on() {
    let stamp = |second: usize| format!("2026-03-01 12:00:{second:02}.000Z");
    let records = [(5, "r1"), (30, "r2"), (1, "r3"), (40, "r4"), (50, "r0")];
    let mut records: Vec<_> = records.into_iter().map(|(second, id)| (stamp(second), id.to_owned())).collect();
    records.sort();
    let by_id = {
        let mut records = records.clone();
        records.sort_by_key(|(_, id)| id.clone());
        lists(records, 1000)
    };
    let by_stamp = lists(records, 1000);
    let list = move |request: &Request| {
        if request.param("sort").as_deref() == Some("id") { by_id(request) } else { by_stamp(request) }
    };
    let fake = healthy_feed().always("GET /api/collections/*/records", answer(list)).start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cursor.toml");
    let text = file(&fake.url(), "guest", POSTS).replace("# end", "listed = \"r1\"\n# end");
    std::fs::write(&path, text).unwrap();
    let path = path.display().to_string();
    let jq = r#""\(.action) \(.record.id) \(.replayed)""#;
    let args = ["subscribe", "posts/*", "--no-check", "-r", "--jq", jq, "--duration", "0s", "--cursor", &path];
    let output = Cli::new(&fake.url()).run(args).expect(0);
    let lines: Vec<_> = output.stdout.lines().collect();
    assert_eq!(lines, ["initial r2 true", "initial r3 true", "initial r4 true", "create r1 true", "create r0 true"]);
}

/// Which of the two is named first makes no difference.
#[test]
fn topics_in_another_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cursor.toml").display().to_string();
    let fake = healthy_feed().start();
    for topics in [["jobs/a", "jobs/b"], ["jobs/b", "jobs/a"]] {
        let running = Cli::new(&fake.url()).watch(topics.into_iter().chain(["--no-check", "--cursor", &path]));
        running.stop().expect(130);
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.find("jobs/b") < text.find("jobs/a"), "{text}");
}

#[test]
fn a_file_that_cannot_be_kept_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let path = inner.join("cursor.toml").display().to_string();
    let fake = healthy_feed().start();
    let args = ["jobs/finished", "--no-check", "--cursor", &path];
    let running = Cli::new(&fake.url()).watch(args);
    std::fs::remove_dir_all(&inner).unwrap();
    fake.emit("jobs/finished", "1");
    running.wait_for_line(|line| line.contains(r#""code":"cursor""#) && line.contains("is not kept"));
    let output = running.stop().expect(130);
    assert!(output.stderr.contains("the cursor is not kept: "), "{}", output.stderr);
}

/// Where a disk is full: the shell lets no file grow.
#[test]
fn a_disk_that_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cursor.toml");
    let fake = healthy_feed().start();
    let cli = Cli::new(&fake.url());
    let script = r#"trap '' XFSZ; ulimit -f 0; exec "$0" subscribe jobs/finished --no-check -o ndjson --lifecycle stdout --cursor "$1" -n 1"#;
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script, crate::support::cli::binary(), &path.display().to_string()]);
    let running = crate::support::cli::Running::start(cli.around(command));
    running.wait_for_line(|line| line.contains(r#""code":"cursor""#));
    fake.emit("jobs/finished", "1");
    // Who relies on the file has to know that it is not there.
    let output = running.finish().expect(1);
    assert!(output.stdout.contains(r#""type":"message""#), "{}", output.stdout);
    let said = output.stderr.replace(&path.display().to_string(), "FILE");
    insta::assert_snapshot!(&said[said.find("error: ").unwrap()..], @r"
    error: the cursor is not kept: cannot write FILE: File too large (os error 27)
    hint: mend that and start again: what was printed since it was last written comes again
    ");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["cursor.toml.lock"], "nothing is left aside");
}

/// Who was killed may have left half a line in the file that is appended to.
#[test]
fn half_a_line_is_ended_first() {
    for (before, first) in [("", ""), ("whole\n", "whole\n"), ("hal", "hal\n")] {
        let folder = tempfile::tempdir().unwrap();
        let [out, path] = ["events", "cursor.toml"].map(|name| folder.path().join(name));
        let fake = healthy_feed().start();
        std::fs::write(&out, before).unwrap();
        let cli = Cli::new(&fake.url());
        let mut command = cli.command(["subscribe", "jobs/finished", "--no-check", "--lifecycle", "none", "-n", "1"]);
        command.arg("--cursor").arg(&path).stdin(std::process::Stdio::null());
        command.stdout(std::fs::File::options().append(true).open(&out).unwrap());
        let mut bare = command.spawn();
        fake.wait_for_subscription("jobs/finished", crate::support::cli::PATIENCE);
        fake.emit("jobs/finished", "1");
        bare.end().expect(0);
        let text = std::fs::read_to_string(&out).unwrap();
        crate::support::cli::secrets::refuse("stdout", &text);
        assert!(text.starts_with(&format!("{first}{{\"type\":\"message\"")) && text.ends_with("}\n"), "{text}");
    }
}
