//! Whatever a server, a file or a person says: nothing of it acts on a terminal.

use serde_json::{Value, json};

use crate::kit::*;
use crate::support::cli::{Cli, Output};
use crate::support::fake::*;
use crate::support::pty::Pty;

/// What must never reach a terminal as it is: both forms of an escape sequence, C0, C1 and DEL,
/// line breaks, bidi controls, what is invisible, tags. The colour is one that is never ours.
const EVIL: &str = "\u{1b}[95m\u{1b}]0;t\u{7}\u{9b}2J\u{0}\u{7f}\u{85}\r\n\t\u{202e}l\u{2066}\u{200b}\u{200d}\u{feff}\u{ad}\u{e0041}\u{2028}é日👍";

/// The same as far as a header can hold it.
const EVIL_HEADER: &str = "\u{9b}2J\u{85}\u{202e}l\u{2066}\u{200b}\u{feff}\u{e0041}";

fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c), 0xad | 0x61c | 0x180e | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f
            | 0xfeff | 0xfff9..=0xfffb | 0xe0000..=0xe007f)
}

/// Fails where anything dangerous is in it but newlines and what is ours: plain colours, and a
/// line that is written over.
#[track_caller]
fn assert_harmless(what: &str, text: &str) {
    let mut rest = text.to_owned();
    for ours in ["0", "1", "2", "31", "32", "33", "36", "1;31", "1;33"] {
        rest = rest.replace(&format!("\u{1b}[{ours}m"), "");
    }
    rest = rest.replace("\r\u{1b}[K", "").replace('\n', "");
    if let Some((at, c)) = rest.char_indices().find(|(_, c)| is_dangerous(*c)) {
        let from = rest[..at].char_indices().rev().nth(80).map_or(0, |(at, _)| at);
        let until = rest[at..].char_indices().nth(80).map_or(rest.len(), |(behind, _)| at + behind);
        panic!("{what}: {c:?} passes: {:?}", &rest[from..until]);
    }
}

#[track_caller]
fn assert_both_harmless(what: &str, output: &Output) {
    assert_harmless(&format!("{what}, stdout"), &output.stdout);
    assert_harmless(&format!("{what}, stderr"), &output.stderr);
}

/// JSON in a pipe without what it may hold of the server's: the invisible, on which `cat` does not
/// act, and tabs between tokens.
fn for_programs(json: &str) -> String {
    json.replace(|c: char| c == '\t' || !c.is_control() && is_dangerous(c), "")
}

fn evil_record() -> Value {
    json!({
        "id": format!("id{EVIL}"), "collectionName": format!("posts{EVIL}"), "collectionId": EVIL,
        "title": EVIL, EVIL: EVIL, "nested": { EVIL: [EVIL] }, "updated": EVIL,
        "expand": { EVIL: { "name": EVIL, "id": "x" } },
    })
}

fn changed_record() -> Value {
    let mut record = evil_record();
    record["title"] = format!("{EVIL} and more").into();
    record[EVIL] = Value::Null;
    record
}

/// A feed that is hostile in every place of an event, and then is lost with hostile words.
fn evil_feed() -> Script {
    // A check needs a list, and what it lists is no better.
    no_collections()
        .always(LIST, page([evil_record()]))
        .always(HEALTH, healthy())
        .then(
            FEED,
            stream()
                .connect()
                .event(key_of("posts/*"), record("create", evil_record()))
                .event(key_of("posts/*"), record("update", changed_record()))
                .event(key_of("jobs/done"), json!({ EVIL: EVIL }))
                .event(key_of("jobs/done"), EVIL.replace(['\r', '\n'], ""))
                .event(key_of("jobs/done"), format!("[\t\"{}\"]", EVIL.replace(char::is_control, "")))
                .bytes(&b"event:jobs/done\ndata:\xff\xc2\x9b\n\n"[..])
                .event(&*format!("{}/*", EVIL.replace(['\r', '\n'], "")), record("create", evil_record()))
                .close(),
        )
        .then(SUBMIT, subscribed())
        .then(FEED, error(503, EVIL))
        .then(FEED, html(502, EVIL))
        .then(FEED, redirect(302, &format!("/{EVIL_HEADER}")))
        .always(FEED, stream().connect().event(key_of("posts/*"), record("delete", evil_record())))
        .always(SUBMIT, subscribed())
}

const TOPICS: [&str; 4] = ["subscribe", "posts/*", "jobs/done", "--max-backoff=5ms"];

/// How many events [`evil_feed`] has for these topics.
const EVENTS: &str = "-n7";

#[test]
fn a_feed_in_every_form() {
    let forms: [&[&str]; 9] = [
        &["-o", "pretty", "--color", "always"],
        &["-o", "pretty", "--lifecycle", "stdout", "--no-diff"],
        &["-o", "ndjson", "--lifecycle", "stdout"],
        &["--format", "{record.title}|{record.id}|{topic}|{record.nested}|{record.expand}|{data}|{text}"],
        &["--jq", "."],
        &["--jq", ".record // .data // .text"],
        &["--jq", "[.record.title, .text]"],
        &["-o", "pretty", "-vv"],
        &["--jq", "error(.record.title)", "--timeout", "2s"],
    ];
    for form in forms {
        let fake = evil_feed().start();
        let output = Cli::new(&fake.url()).run(TOPICS.iter().chain(&[EVENTS]).chain(form));
        assert!(matches!(output.code, 0 | 124), "{form:?}: {output:?}");
        let is_json = form[0] == "--jq" || form.contains(&"ndjson");
        let stdout = if is_json { for_programs(&output.stdout) } else { output.stdout.clone() };
        assert_both_harmless(&format!("{form:?}"), &Output { stdout, ..output.clone() });
        if form[0] != "--jq" || form[1] != "error(.record.title)" {
            assert!(output.stdout.contains('é') && output.stdout.contains("日👍"), "{form:?}: {}", output.stdout);
            fake.finish();
        }
    }
}

#[test]
fn a_feed_in_every_form_on_a_terminal() {
    let forms: [&[&str]; 11] = [
        &[],
        &["--color", "never"],
        &["-o", "ndjson", "--lifecycle", "stdout"],
        &["-o", "raw"],
        &["-o", "raw", "--lifecycle", "stdout"],
        &["--format", "{record.title}|{record.id}|{topic}|{record.nested}|{record.expand}|{data}|{text}"],
        &["--jq", "."],
        &["--jq", ".record // .data // .text"],
        &["-r", "--jq", ".record.title // .text // \"é日👍\""],
        &["-r", "--jq", "tojson"],
        &["--initial"],
    ];
    for form in forms {
        let fake = evil_feed().start();
        let command = Cli::new(&fake.url());
        let pty = Pty::start(command.command(TOPICS.iter().chain(&[EVENTS]).chain(form)), 200);
        let (code, written) = pty.finish();
        assert_eq!(code, 0, "{form:?}: {written:?}");
        assert_harmless(&format!("{form:?}"), &written);
        assert!(written.contains('é') && written.contains('日'), "{form:?}: {written}");
        if form.contains(&"ndjson") {
            // It still means the same.
            let record = objects(
                &written.replace('\r', "").lines().filter(|line| line.starts_with('{')).collect::<Vec<_>>().join("\n"),
            );
            let created = record.iter().find(|line| line["action"] == "create").unwrap();
            assert_eq!(created["record"], evil_record());
        }
    }
}

#[test]
fn lines_are_no_wider_than_the_terminal() {
    for width in [20, 40, 61, 100] {
        let fake = evil_feed().start();
        let cli = Cli::new(&fake.url());
        let pty = Pty::start(cli.command(TOPICS.iter().chain(&[EVENTS, "--color", "never"])), width);
        let (_, written) = pty.finish();
        // Notes leave long words to the terminal; events are cut, and the others wrapped.
        let is_line = |line: &&str| line.starts_with(|c| "0123456789●○!■» ".contains(c));
        assert!(written.lines().filter(is_line).count() > 8, "{written}");
        for line in written.lines().filter(is_line) {
            let wide = unicode_width::UnicodeWidthStr::width(line);
            assert!(wide <= width.into(), "{wide} columns of {width}: {line}");
        }
    }
}

/// What matters stands at the end of these lines: all of it is seen, and words are whole.
#[test]
fn lines_about_the_connection_and_notes_are_wrapped() {
    for width in [40, 80] {
        let fake = healthy_feed()
            .then(FEED, stream().connect().event(key_of("jobs/done"), json!({"n": 1})).close())
            .always(FEED, stream().connect().event(key_of("jobs/done"), json!({"n": 2})))
            .start();
        let args = ["subscribe", "posts/*", "jobs/done", "-n2", "--max-backoff=5ms", "--color=never"];
        let (_, written) = Pty::start(Cli::new(&fake.url()).command(args), width).finish();
        // A command is left whole, to be copied.
        let is_ours = |line: &&str| !line.contains('»') && !line.contains("bosbase-watch login");
        let lines: Vec<_> = written.lines().filter(is_ours).collect();
        assert!(lines.iter().all(|line| !line.contains('…') && line.chars().count() <= width.into()), "{written}");
        let text = lines.iter().flat_map(|line| line.split_whitespace()).collect::<Vec<_>>().join(" ");
        for whole in [
            "jobs/done (custom topic, cannot be checked)",
            "(attempt 1)",
            "not covered",
            "■ ended count reached · 2 events · 1 reconnect · 1 gap · ",
        ] {
            assert!(text.contains(whole), "{whole}: {written}");
        }

        let (code, written) =
            Pty::start(Cli::new(&fake.url()).command(["wait", "posts/*", "--until", ".a =", "--color=never"]), width)
                .finish();
        assert_eq!(code, 2, "{written}");
        let (error, hint) = written.split_once("hint:").expect("a hint");
        assert!(error.lines().chain(hint.lines()).all(|line| line.chars().count() <= width.into()), "{written}");
    }
}

#[test]
fn what_the_server_says_of_a_topic() {
    let wordy = |code: u16| error_with(code, EVIL, json!({ EVIL: { "code": "x", "message": EVIL } }));
    for code in [400, 401, 403, 404, 429, 500] {
        for script in [
            healthy_feed().always(LIST, wordy(code)).always("GET /api/collections/*/records/*", wordy(code)),
            healthy_posts().always(SUBMIT, wordy(code)),
            healthy_posts().always(FEED, wordy(code)),
            Script::new().always("GET /api/*", wordy(code)).always("GET /api/collections/*", wordy(code)),
        ] {
            let fake = script.start();
            let cli = Cli::new(&fake.url());
            for args in [&["subscribe", "posts/*", "--timeout", "1s", "-v"][..], &["topics", "posts/*"]] {
                let output = cli.run(args);
                assert_ne!(output.code, 1, "{code} {args:?}: {output:?}");
                assert_both_harmless(&format!("{code} {args:?}"), &output);
            }
        }
    }
    // Long words are cut: an error is a line.
    let words = || error_with(500, &"long ".repeat(5_000), json!({ "field": { "message": "long ".repeat(5_000) } }));
    let fake = healthy_feed().always(LIST, words()).always(FEED, words()).start();
    for args in [&["subscribe", "posts/*", "--no-check"][..], &["subscribe", "posts/*"], &["topics", "posts/*"]] {
        let output = Cli::new(&fake.url()).run(args);
        assert!(output.stderr.len() < 3_000, "{args:?}: {} bytes of stderr", output.stderr.len());
        let all = output.stdout + &output.stderr;
        assert!(all.contains("long long") && all.contains('…') && all.len() < 4_000, "{args:?}: {all}");
    }
}

#[test]
fn topics_and_their_rules() {
    let collection = |kind: &str| {
        json!({
            "id": EVIL, "name": format!("posts{EVIL}"), "type": kind, "system": false,
            "listRule": EVIL, "viewRule": EVIL, "fields": [{ "name": EVIL, "type": EVIL }],
        })
    };
    let list = json!({ "items": [collection("base"), collection(EVIL), collection("view")] });
    let token = token_for(1_000_000);
    let fake = with_ann(healthy_posts(), &token).always("GET /api/collections", ok(list)).start();
    let cli = Cli::new(&fake.url()).with("BOSBASE_TOKEN", &token);
    for args in [&["topics"][..], &["topics", "--json"], &["topics", "posts/*", EVIL.trim_matches('\0')]] {
        if args.iter().any(|arg| arg.contains('\0')) {
            continue; // no argument can hold it
        }
        let output = cli.run(args);
        let stdout = if args.contains(&"--json") { for_programs(&output.stdout) } else { output.stdout.clone() };
        assert_both_harmless(&format!("{args:?}"), &Output { stdout, ..output });
        let (_, written) = Pty::start(cli.command(args), 100).finish();
        assert_harmless(&format!("{args:?} on a terminal"), &written);
    }
}

#[test]
fn what_a_person_types() {
    let typed = &EVIL.replace('\0', "");
    let fake = healthy_posts().start();
    let cli = Cli::new(&fake.url());
    for args in [
        &["subscribe", typed, "--timeout", "500ms"][..],
        &["subscribe", "posts/*", "--filter", typed, "--timeout", "500ms"],
        &["subscribe", "posts/*", "--expand", typed, "--fields", typed, "--timeout", "500ms"],
        &["subscribe", "posts/*", "-H", typed],
        &["subscribe", "posts/*", "--http-header", typed],
        &["subscribe", "posts/*", "--param", typed],
        &["subscribe", "posts/*", "--jq", typed],
        &["subscribe", "posts/*", "--format", &format!("{{{typed}}}")],
        &["subscribe", "posts/*", "--since", typed],
        &["subscribe", "posts/*", "--proxy", typed],
        &["subscribe", "posts/*", "--ca-cert", typed],
        &["subscribe", "posts/*", "--config", typed],
        &["subscribe", "posts/*", "--url", typed],
        &["subscribe", "posts/*", "--exec", typed, ";"],
        &["topics", typed],
        &["profile", "use", typed],
        &["status", "--profile", typed],
        &[typed],
        &["subscribe", typed, typed],
        &["subscribe", "--output", typed],
        &["wait", typed, "--until", typed],
    ] {
        let output = cli.run(args);
        assert_ne!(output.code, 0, "{args:?}: {output:?}");
        assert_both_harmless(&format!("{args:?}"), &output);
    }
}

/// Someone whose every name is hostile.
fn evil_account(token: &str) -> Script {
    let record = json!({
        "id": EVIL, "collectionId": "_pb_users_auth_", "collectionName": EVIL, "email": EVIL, "name": EVIL,
    });
    let known = json!({ "token": token, "record": record });
    healthy_posts()
        .always("POST /api/collections/*/auth-refresh", ok(known.clone()))
        .always("POST /api/collections/*/auth-with-password", ok(known))
}

#[test]
fn names_of_accounts_and_profiles() {
    let token = token_for(1_000_000);
    let fake = evil_account(&token).start();
    let cli = Cli::new(&fake.url());
    let login = ["login", "--identity", "ann", "--password-stdin"];
    assert_both_harmless("login", &cli.run_with_stdin(login, "correct horse battery\n").expect(0));
    std::fs::write(
        cli.config_dir().join("config.toml"),
        format!(
            "{}\n[profile.{}]\nurl = {}\nidentity = {}\ncollection = {}\n",
            std::fs::read_to_string(cli.config_dir().join("config.toml")).unwrap(),
            toml_string(EVIL),
            toml_string(&fake.url()),
            toml_string(EVIL),
            toml_string(EVIL)
        ),
    )
    .unwrap();
    for args in [
        &["status"][..],
        &["status", "--json"],
        &["status", "--all"],
        &["status", "--all", "--json"],
        &["profile", "list"],
        &["profile", "list", "--json"],
        &["subscribe", "posts/*", "--timeout", "500ms", "-o", "pretty", "-vv"],
        &["profile", "use", "none"],
        &["logout", "--all"],
    ] {
        if *args != ["logout", "--all"] {
            let (_, written) = Pty::start(cli.command(args), 120).finish();
            assert_harmless(&format!("{args:?} on a terminal"), &written);
        }
        let output = cli.run(args);
        let stdout = if args.contains(&"--json") { for_programs(&output.stdout) } else { output.stdout.clone() };
        assert_both_harmless(&format!("{args:?}"), &Output { stdout, ..output });
    }
}

fn toml_string(text: &str) -> String {
    let escaped: String = text.chars().map(|c| format!("\\U{:08x}", u32::from(c))).collect();
    format!("\"{escaped}\"")
}

#[test]
fn a_config_that_cannot_be_read() {
    let cli = Cli::new("http://127.0.0.1:9");
    std::fs::create_dir_all(cli.config_dir()).unwrap();
    let raw = EVIL.replace('\0', "");
    for text in [
        format!("a = {raw}"),
        format!("\"{raw}\" = 1"),
        format!("{} = 1", toml_string(EVIL)),
        format!("[profile.{}]\nurl = 5", toml_string(EVIL)),
    ] {
        std::fs::write(cli.config_dir().join("config.toml"), &text).unwrap();
        let output = cli.run(["subscribe", "posts/*", "--timeout", "1s"]);
        assert_ne!(output.code, 0, "{text:?}: {output:?}");
        assert_both_harmless(&format!("{text:?}"), &output);
    }
}

#[test]
fn a_login_that_asks() {
    let provider = |name: &str, page: &str| {
        json!({
            "name": name, "displayName": EVIL, "state": "s", "authURL": page, "codeVerifier": "v",
            "codeChallenge": EVIL, "codeChallengeMethod": EVIL,
        })
    };
    let page = format!("https://idp.example.com/{EVIL}?x={EVIL}&redirect_uri=");
    let methods = json!({
        "password": {"enabled": true, "identityFields": [EVIL]}, "mfa": {"enabled": false, "duration": 0},
        "otp": {"enabled": true, "duration": 0},
        "oauth2": {"enabled": true, "providers": [provider(EVIL, &page), provider("idp", &page)]},
    });
    let token = token_for(1_000_000);
    let fake = evil_account(&token)
        .always("GET /api/collections/users/auth-methods", ok(methods))
        .always("POST /api/collections/users/request-otp", error(400, EVIL))
        .start();
    let cli = Cli::new(&fake.url());

    // The menu, and the name of the identity.
    let mut pty = Pty::start(cli.command(["login"]), 200);
    pty.wait_for(1, "Number [1]: ");
    pty.type_keys("1\n");
    let asked = pty.wait_for(3, "👍");
    pty.type_keys("\u{4}");
    let (_, written) = pty.finish();
    assert_harmless("the menu", &written.replace("\u{4}", "").replace("1\r\n", ""));
    assert!(asked.contains("with a one-time code"), "{asked}");

    // The page of a provider, and why it does not work.
    let pty = Pty::start(cli.command(["login", "--oauth2", "idp", "--no-browser"]), 200);
    pty.wait_for(1, "    https://idp.example.com/");
    fake.wait_for_subscription("@oauth2", crate::support::cli::PATIENCE);
    fake.emit("@oauth2", json!({ "state": fake.client_ids().last().unwrap(), "code": "", "error": EVIL }));
    let (code, written) = pty.finish();
    assert_eq!(code, 4, "{written}");
    assert_harmless("the provider's page", &written);
    assert_both_harmless("an unknown provider", &cli.run(["login", "--oauth2", "no"]));
    assert_both_harmless("a refused code", &cli.run_with_stdin(["login", "--otp", "a@b", "--code-stdin"], "1\n"));
}
