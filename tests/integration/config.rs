//! The config: defaults of flags, profiles, and subscriptions.

use std::fs;

use serde_json::json;

use crate::kit::*;
use crate::support::cli::{Cli, PATIENCE};
use crate::support::fake::*;

/// With this config.toml.
fn with_config(cli: Cli, text: &str) -> Cli {
    fs::create_dir_all(cli.config_dir()).unwrap();
    fs::write(cli.config_dir().join("config.toml"), text).unwrap();
    cli
}

/// A run with a config, and what it says without the path of it.
fn run(text: &str, args: &[&str]) -> String {
    let cli = with_config(Cli::without_url(), text);
    let output = cli.run(args);
    block(&output).replace(&cli.config_dir().display().to_string(), "CONFIG")
}

#[test]
fn a_flag_beats_the_environment_beats_the_profile_beats_the_top() {
    let fakes: Vec<_> = (0..4).map(|_| healthy_posts().start()).collect();
    let config = format!(
        "url = \"{}\"\ncount = 1\n[profile.work]\nurl = \"{}\"\n[profile.bare]\ncount = 2\n",
        fakes[0].url(),
        fakes[1].url()
    );
    let without = || with_config(Cli::without_url(), &config);
    let with = || without().with("BOSBASE_URL", &fakes[2].url());
    let url = fakes[3].url();
    for (at, cli, args) in [
        (0, without(), &[][..]),
        (0, without(), &["--profile", "bare"]),
        (1, without(), &["--profile", "work"]),
        (2, with(), &["--profile", "work"]),
        (3, with(), &["--profile", "work", "--url", &url]),
    ] {
        let running = cli.watch([&["posts/*"], args].concat());
        let client = fakes[at].wait_for_subscription("posts/*", PATIENCE);
        fakes[at].emit("posts/*", created("r1"));
        if args.contains(&"bare") {
            fakes[at].emit("posts/*", created("r2"));
        }
        let output = running.finish().expect(0);
        let expected = if args.contains(&"bare") { 2 } else { 1 };
        assert_eq!(events(&output.stdout).lines().count(), expected, "{args:?}");
        fakes[at].wait_until_closed(FEED, PATIENCE);
        drop(client);
    }
}

#[test]
fn every_kind_of_value() {
    let fake = healthy_posts().start();
    let config = "\
filter = \"stars > 3\"
expand = \"author\"
header = [\"X-Room: 42\", \"X-Other: a,b\"]
query = [\"k=v\"]
action = [\"create\", \"delete\"]
count = 2
no-check = true
fail-on-gap = false
lifecycle = \"stdout\"
max-backoff = \"5s\"
color = \"never\"
";
    let cli = with_config(Cli::new(&fake.url()), config);
    let running = cli.start(["subscribe", "posts/*"]);
    fake.wait_for_subscription("posts/*", PATIENCE);
    let key = fake.subscriptions(&fake.client_ids()[0]).remove(0);
    let key = percent_encoding::percent_decode_str(&key).decode_utf8().unwrap().into_owned();
    assert_eq!(
        key,
        r#"posts/*?options={"query":{"expand":"author","k":"v","filter":"stars > 3"},"headers":{"X-Room":"42","X-Other":"a,b"}}"#
    );
    assert!(fake.requests_to(LIST).is_empty(), "no check");
    for action in ["create", "update", "delete"] {
        fake.emit("posts/*", record(action, json!({"id": action})));
    }
    let output = running.finish().expect(0);
    assert_eq!(events(&output.stdout).lines().count(), 2);
    assert!(output.stdout.starts_with(r#"{"type":"connected""#), "{}", output.stdout);
}

/// A flag that goes with another, or not beside another, is a default like the rest.
#[test]
fn flags_that_want_others_or_none_beside_them() {
    let fake = healthy_posts().start();
    let config = "exec-jobs = 2\nexec-fail = \"stop\"\nraw-strings = false\n";
    let running = with_config(Cli::new(&fake.url()), config).watch(["posts/*", "-n", "1", "--exec", "true", ";"]);
    fake.wait_for_subscription("posts/*", PATIENCE);
    fake.emit("posts/*", created("r1"));
    running.finish().expect(0);
    let said = run("exec-jobs = 0\n", &["subscribe", "posts/*"]);
    assert!(said.contains("line 1: exec-jobs: invalid value '0' for '--exec-jobs <N>': at least 1"), "{said}");
    let said = run("since = \"soon\"\n", &["subscribe", "posts/*"]);
    assert!(said.contains("line 1: since: invalid value 'soon' for '--since <TIME|DUR>'"), "{said}");
}

/// What a watch takes by default is none of the business of other commands.
#[test]
fn other_commands_take_what_they_know() {
    let fake = healthy_posts().start();
    let cli = with_config(Cli::new(&fake.url()), "count = 5\ntimeout = \"1s\"\nfilter = \"stars > 3\"\n");
    cli.run(["status"]).expect(4);
    cli.run(["completions", "bash"]).expect(0);
    let output = cli.run(["topics", "posts/*"]).expect(0);
    assert!(output.stdout.contains("posts/*"), "{}", output.stdout);
    assert!(
        fake.requests_to(LIST).iter().any(|request| request.param("filter").is_some_and(|it| it.contains("stars > 3")))
    );
}

#[test]
fn a_watch_of_many_feeds_in_a_file() {
    let fake = healthy_posts().start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("watch.toml");
    let text = format!(
        "url = \"{}\"
lifecycle = \"stdout\"
param = [\"me=u1\"]

[[subscription]]
topic = \"posts/*\"
name = \"mine\"
filter = \"author = {{:me}}\"
expand = [\"author\", \"tags\"]
fields = \"id,title\"
query = {{ page = 1, deep = true }}
headers = {{ X-Room = \"42\" }}

[[subscription]]
topic = \"posts/*?filter=stars > 3\"

[[subscription]]
topic = \"jobs/finished\"
name = \"jobs\"
",
        fake.url()
    );
    fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    // The file is used instead of this one.
    let cli = with_config(Cli::without_url(), "nonsense = 1\n");
    let running = cli.start(["subscribe", "--config", path, "-n", "3"]);
    fake.wait_for_subscription("jobs/finished", PATIENCE);
    let keys = fake.subscriptions(&fake.client_ids()[0]);
    let first = percent_encoding::percent_decode_str(&keys[0]).decode_utf8().unwrap().into_owned();
    assert_eq!(
        first,
        r#"posts/*?options={"query":{"expand":"author,tags","fields":"id,title,created,updated","page":"1","deep":"true","filter":"author = \"u1\""},"headers":{"X-Room":"42"}}"#
            .replace(r#"\"u1\""#, "'u1'")
    );
    fake.emit("posts/*", created("r1"));
    fake.emit("jobs/finished", "1");
    let output = running.finish().expect(0);
    let mut subs: Vec<_> = objects(&events(&output.stdout)).iter().map(|event| event["sub"].to_string()).collect();
    subs.sort();
    assert_eq!(subs, ["\"jobs\"", "\"mine\"", "2"]);
    fake.wait_until_closed(FEED, PATIENCE);

    // Topics that are typed stand in for those of the file, which keeps its flags.
    let running =
        cli.start(["subscribe", "comments/*", "--config", path, "-n", "1", "--param", "me=u2", "-f", "a = {:me}"]);
    fake.wait_for_subscription("comments/*", PATIENCE);
    assert_eq!(fake.subscriptions(fake.client_ids().last().unwrap()).len(), 1);
    fake.emit("comments/*", created("c1"));
    running.finish().expect(0);
}

/// As a script has it that waits for the same feeds every night.
#[test]
fn a_wait_takes_its_topics_from_the_config() {
    let fake = healthy_posts().start();
    let config = "until = [\".sub == \\\"jobs\\\" and .data.ok\"]
[[subscription]]
topic = \"posts/*\"
[[subscription]]
topic = \"jobs/finished\"
name = \"jobs\"
";
    let cli = with_config(Cli::new(&fake.url()), config);
    let running = cli.start(["wait", "--", "sh", "-c", "echo begun >&2"]);
    running.wait_for_stderr(|line| line == "begun");
    fake.emit("posts/*", created("r1"));
    fake.emit("jobs/finished", "{\"ok\":false}");
    fake.emit("jobs/finished", "{\"ok\":true}");
    let output = running.finish().expect(0);
    assert_eq!(
        timeless(&output.stdout),
        "{\"type\":\"message\",\"topic\":\"jobs/finished\",\"sub\":\"jobs\",\"data\":{\"ok\":true}}\n"
    );
    fake.wait_until_closed(FEED, PATIENCE);
    // Topics that are typed stand in for those of the file.
    let running = cli.start(["wait", "jobs/failed", "--until", ".data"]);
    fake.wait_for_subscription("jobs/failed", PATIENCE);
    assert_eq!(fake.subscriptions(fake.client_ids().last().unwrap()).len(), 1);
    fake.emit("jobs/failed", "1");
    running.finish().expect(0);
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (text, why) in [
        (
            "# mine\nurl = \"http://a\"\nfillter = \"a = 1\"\n",
            "line 3: the key fillter is not known; the nearest is filter",
        ),
        (
            "[profile.a]\nurl = \"http://a\"\n[profile.b]\nouput = \"raw\"\n",
            "line 4: the key ouput in profile.b is not known; the nearest is output",
        ),
        (
            "\n\noutput = \"prety\"\n",
            "line 3: output: invalid value 'prety' for '--output <FORM>'; one of auto, pretty, ndjson, raw",
        ),
        (
            "timeout = 5\n",
            "line 1: timeout: invalid value '5' for '--timeout <DUR>': the unit is missing: 5s, 5m or 5h?",
        ),
        ("guest = \"yes\"\n", "line 1: guest: is either true or false"),
        ("filter = { a = 1 }\n", "line 1: filter: is not a string, a number or a list of them"),
        ("[[subscription]]\nname = \"x\"\n", "line 1: a subscription without a topic"),
        (
            "[[subscription]]\ntopic = \"posts/*\"\ntopik = \"y\"\n",
            "line 3: the key topik in subscription is not known; the nearest is topic",
        ),
        (
            "[[subscription]]\ntopic = \"a\"\nname = \"x\"\n[[subscription]]\ntopic = \"b\"\nname = \"x\"\n",
            "line 4: two subscriptions are called x",
        ),
        ("subscription = \"posts/*\"\n", "line 1: subscription is not a list of tables: [[subscription]]"),
        (
            "[[subscription]]\ntopic = \"posts/*\"\nheaders = { Authorization = \"x\" }\n",
            "line 1: an Authorization header of a topic does nothing: the login decides",
        ),
    ] {
        let said = run(text, &["subscribe", "posts/*"]);
        let expected = format!(
            "exit 2\n--- stdout ---\n--- stderr ---\nerror: CONFIG/config.toml cannot be read: {why}\n\
             hint: mend it, or move it away: mv 'CONFIG/config.toml' 'CONFIG/config.toml.bad'\n"
        );
        assert_eq!(said, expected);
    }
}

#[test]
fn what_is_missing() {
    let cli = Cli::without_url();
    let output = cli.run(["subscribe", "--config", "/no/such/file.toml"]).expect(2);
    assert_eq!(
        output.stderr,
        "error: /no/such/file.toml cannot be read: there is no such file\nhint: --config names a file that stands in for config.toml\n"
    );
    for command in ["subscribe", "wait"] {
        assert_eq!(
            cli.run([command]).expect(2).stderr,
            format!(
                "error: there is no topic to watch\nhint: bosbase-watch {command} 'COLLECTION/*', or a --config with a [[subscription]]\n"
            )
        );
    }
}
