//! The mistakes that people make, each made on the real server: what the tool says, with which exit
//! code, and how soon. None is met by silence. `cargo test --test server mistakes -- --nocapture`
//! prints the tables.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;

use crate::kit::{ann, guest, id, post, root};
use crate::support::cli::{Cli, Output};
use crate::support::pocketbase::{PASSWORD, Server, V0_30_0, V0_40_6};

both_versions!(mistakes);

/// The tool knows before the first second is over. On a machine that does much else, it may take longer.
const SOON: Duration = Duration::from_secs(if cfg!(debug_assertions) { 4 } else { 1 });

/// The runs of a server, with what differs from run to run replaced.
struct Table {
    text: String,
    words: Vec<(String, &'static str)>,
    rows: Vec<(String, Output)>,
}

impl Table {
    /// A mistake: how it comes about, and what is typed.
    #[track_caller]
    fn row(&mut self, what: &str, cli: &Cli, args: &[&str]) {
        self.row_with_stdin(what, cli, args, "");
    }

    #[track_caller]
    fn row_with_stdin(&mut self, what: &str, cli: &Cli, args: &[&str], stdin: &str) {
        let output = cli.run_with_stdin(args, stdin);
        assert!(output.took < SOON, "{what}: {:?}", output.took);
        let said = output.stdout.clone() + &output.stderr;
        // What was watched in spite of it: the beginning and the end of a watch say nothing of the mistake.
        let is_about = |line: &&str| !line.contains("● connected") && !line.contains("■ ended");
        let said: String = said.lines().filter(is_about).fold(String::new(), |text, line| text + line + "\n");
        let mut said = said.replace(cli.config_dir().to_str().unwrap(), "CONFIG");
        for (word, name) in &self.words {
            said = said.replace(word, name);
        }
        assert_ne!(said, "", "{what}: not a word");
        let _ = writeln!(self.text, "{what}: exit {}\n{said}", output.code);
        self.rows.push((format!("{what} | {} | {}", said.trim_end().replace('\n', " · "), output.code), output));
    }

    fn print(&self, version: &str) {
        for (row, output) in &self.rows {
            println!("{version} | {row} | {:.0} ms", output.took.as_secs_f64() * 1e3);
        }
    }
}

#[allow(clippy::print_stdout, reason = "the table is to be read")]
fn mistakes(version: &str) {
    let server = Server::start(version);
    let other = Server::start(if version == V0_40_6 { V0_30_0 } else { V0_40_6 });
    let (guest, ann, root) = (guest(&server), ann(&server), root(&server));
    let secret = id(&server.create("secrets", &json!({"text": "x"})));
    let hers = id(&server.create("activity", &json!({"author": server.ann().id})));
    let mut table = Table { text: String::new(), words: Vec::new(), rows: Vec::new() };
    let address = server.url().strip_prefix("http://").unwrap().to_owned();
    table.words = vec![
        (server.url().to_owned(), "URL"),
        (address.clone(), "HOST"),
        (secret.clone(), "SECRET"),
        (hers.clone(), "HERS"),
    ];
    const OVER: [&str; 2] = ["--duration", "0s"];
    let token = |token: &str| Cli::new(server.url()).with("BOSBASE_TOKEN", token);

    // The server
    table.row("nothing listens there", &Cli::new("http://127.0.0.1:9"), &["subscribe", "posts/*"]);
    table.row("a slip in the name", &Cli::new("https://api.example.invalid"), &["subscribe", "posts/*"]);
    table.row("https in place of http", &Cli::new(&format!("https://{address}")), &["subscribe", "posts/*"]);
    table.row("a path where the server is not", &Cli::new(&format!("{}/app", server.url())), &["subscribe", "posts/*"]);
    table.row("no URL of a server", &Cli::new("api.example.com:x"), &["subscribe", "posts/*"]);

    // The login
    table.row("a token that has expired", &token(&expired()), &["subscribe", "posts/*"]);
    table.row("a token that is none", &token("garbage"), &["subscribe", "posts/*"]);
    table.row("a token of another server", &token(&other.ann().token), &["subscribe", "posts/*"]);
    table.row("an expired token, without the check", &token(&expired()), &["subscribe", "posts/*", "--no-check"]);
    let login =
        |more: &[&'static str]| [&["login", "--identity", "ann@example.com", "--password-stdin"], more].concat();
    table.row_with_stdin("a wrong password", &guest, &login(&[]), "wrong\n");
    table.row_with_stdin(
        "a user who signs in as superuser",
        &guest,
        &login(&["--superuser"]),
        &format!("{PASSWORD}\n"),
    );
    table.row_with_stdin(
        "a collection without accounts",
        &guest,
        &login(&["--collection", "posts"]),
        &format!("{PASSWORD}\n"),
    );
    table.row("a profile that is not there", &guest, &["subscribe", "posts/*", "--profile", "prdo"]);
    table.row(
        "a token file that is not there",
        &Cli::new(server.url()).with("BOSBASE_TOKEN_FILE", "/no/such/file"),
        &["subscribe", "posts/*"],
    );

    // Rules
    table.row("a locked collection, as a guest", &guest, &["subscribe", "secrets/*"]);
    table.row("a locked collection, as a user", &ann, &["subscribe", "secrets/*"]);
    table.row("a locked record, as a guest", &guest, &["subscribe", &format!("secrets/{secret}")]);
    table.row("records of others, as a guest", &guest, &[&["subscribe", "activity/*"][..], &OVER].concat());
    table.row("a record of somebody else", &guest, &["subscribe", &format!("activity/{hers}")]);
    table.row("the list of collections, as a user", &ann, &["topics"]);

    // Names, before there is a record
    table.row("capitals, without a record", &guest, &[&["subscribe", "Posts/*"][..], &OVER].concat());
    table.row("capitals, as a superuser", &root, &["subscribe", "Posts/*"]);
    post(&server, "hello");
    table.row("capitals", &guest, &["subscribe", "Posts/*"]);
    table.row("a slip in a collection", &Cli::new(server.url()), &["subscribe", "posst/*"]);
    table.row("a slip in a collection, as a superuser", &root, &["subscribe", "posst/*"]);
    table.row("a slip in a bare name", &root, &[&["subscribe", "posst"][..], &OVER].concat());
    table.row("a record that is not there", &guest, &["subscribe", "posts", "abcdefghijklmno"]);
    table.row("an id in capitals", &guest, &[&["subscribe", "posts/ABCDEFGHIJKLMNO"][..], &OVER].concat());
    table.row("a slash too many", &guest, &[&["subscribe", "posts/"][..], &OVER].concat());
    for (what, topic) in [("as in NATS", "posts.*"), ("as in MQTT", "posts/#"), ("a slash before it", "/posts/*")] {
        table.row(what, &guest, &[&["subscribe", topic][..], &OVER].concat());
    }
    table.row("a view", &root, &["subscribe", "posts_view/*"]);
    table.row("two collections side by side", &guest, &["subscribe", "posts", "comments"]);
    table.row("the star first", &guest, &["subscribe", "*", "posts"]);
    table.row("a topic that a hook refuses", &guest, &["subscribe", "forbidden/topic"]);
    table.row(
        "four mistakes at once",
        &guest,
        &["subscribe", "posst/*", "secrets/*", "Posts/*", "posts/abcdefghijklmno"],
    );

    // Filters and options
    let with = |more: &[&'static str]| [&["subscribe", "posts/*"], more].concat();
    let goes_on = |more: &[&'static str]| [&["subscribe", "posts/*"], more, &OVER].concat();
    table.row("text without quotes", &guest, &with(&["--filter", "status = open sesame"]));
    table.row("a slip in a field, as a superuser", &root, &with(&["--filter", "statsu = 'open'"]));
    table.row("a slip in a field", &guest, &with(&["--filter", "statsu = 'open'"]));
    table.row("a filter that ends too soon, as a superuser", &root, &with(&["--filter", "status = 'open' &&"]));
    table.row("a hidden field", &guest, &["subscribe", "users/*", "--filter", "tokenKey != ''"]);
    table.row("@request in a filter", &ann, &with(&["--filter", "author = @request.auth.id"]));
    table.row("a placeholder without a value", &guest, &with(&["--filter", "title = {:t}"]));
    table.row("a value without a placeholder", &guest, &with(&["--filter", "title = 1", "--param", "t=x"]));
    table.row("a slip in an expand", &guest, &goes_on(&["--expand", "auhtor"]));
    table.row("a slip in the fields", &guest, &goes_on(&["--fields", "id,titel"]));
    table.row("fields of a relation that is not expanded", &guest, &goes_on(&["--fields", "title,expand.author.name"]));
    table.row(
        "a filter for a custom topic",
        &guest,
        &[&["subscribe", "work/done", "--filter", "a = 1"][..], &OVER].concat(),
    );
    table.row("the same header twice", &guest, &with(&["-H", "X-Room: 1", "-H", "X-Room: 2"]));
    table.row("the token as a header", &guest, &with(&["-H", "Authorization: hunter2"]));
    table.row(
        "a filter that is too long",
        &guest,
        &with(&["--filter", Box::leak(format!("title = '{}'", "x".repeat(2500)).into_boxed_str())]),
    );
    table.row("a duration without a unit", &guest, &with(&["--timeout", "5"]));
    table.row("too many requests", &limited(&server), &with(&[]));

    assert!(table.rows.len() >= 25);
    table.print(version);
    insta::allow_duplicates!(insta::assert_snapshot!(table.text, @r#"
    nothing listens there: exit 6
    error: nothing listens at 127.0.0.1:9: connection refused
    hint: is the server running? try: curl http://127.0.0.1:9/api/health

    a slip in the name: exit 6
    error: the name api.example.invalid does not resolve
    hint: check the name in https://api.example.invalid: --url or BOSBASE_URL sets another

    https in place of http: exit 6
    error: HOST does not speak TLS on this port
    hint: try plain http: --url URL

    a path where the server is not: exit 6
    error: URL/app is not a BosBase server: /api/health answers with status 404
    hint: is URL/app the base URL of the API? --url or BOSBASE_URL sets another

    no URL of a server: exit 2
    error: not a server URL: invalid port number (from BOSBASE_URL)
    hint: a server URL looks like https://api.example.com

    a token that has expired: exit 4
    error: the login has expired
    hint: put a valid token into BOSBASE_TOKEN, or unset it and sign in again: bosbase-watch login URL

    a token that is none: exit 4
    error: the server does not accept the token
    hint: put a valid token into BOSBASE_TOKEN, or unset it and sign in again: bosbase-watch login URL

    a token of another server: exit 4
    error: the server no longer accepts the login
    hint: put a valid token into BOSBASE_TOKEN, or unset it and sign in again: bosbase-watch login URL

    an expired token, without the check: exit 4
    error: the login has expired
    hint: put a valid token into BOSBASE_TOKEN, or unset it and sign in again: bosbase-watch login URL

    a wrong password: exit 4
    error: wrong name or password for users
    hint: check both; an account of another collection signs in with --collection NAME, a superuser with --superuser

    a user who signs in as superuser: exit 4
    error: wrong name or password for _superusers
    hint: check both; an account of another collection signs in with --collection NAME, a superuser with --superuser

    a collection without accounts: exit 4
    error: URL has no auth collection posts
    hint: name the collection of the account with --collection NAME, or use --superuser

    a profile that is not there: exit 2
    error: there is no profile prdo
    hint: bosbase-watch login URL --profile prdo makes it

    a token file that is not there: exit 2
    error: BOSBASE_TOKEN_FILE: /no/such/file cannot be read: No such file or directory (os error 2)
    hint: name a file that can be read, or unset BOSBASE_TOKEN_FILE

    a locked collection, as a guest: exit 5
    error: secrets/*: permission denied: records of secrets may be listed by superusers only
    hint: sign in: bosbase-watch login URL --superuser

    a locked collection, as a user: exit 5
    error: secrets/*: permission denied: records of secrets may be listed by superusers only
    hint: use a superuser's login: bosbase-watch login URL --superuser

    a locked record, as a guest: exit 5
    error: secrets/SECRET: permission denied: records of secrets may be viewed by superusers only
    hint: sign in: bosbase-watch login URL --superuser

    records of others, as a guest: exit 0
    activity/*: a guest sees nothing here, or there is nothing yet
    hint: sign in to see more: bosbase-watch login URL

    a record of somebody else: exit 5
    error: activity/HERS: activity has no record HERS, or this login may not see it
    hint: a record that does not exist yet can be watched with --no-check

    the list of collections, as a user: exit 4
    error: the list of collections is for superusers only
    hint: check a topic that you know, such as 'posts/*', or sign in: bosbase-watch login URL --superuser

    capitals, without a record: exit 0
    warning: Posts/*: the name Posts has capitals, which count over the feed, and it cannot be seen whether they are right

    capitals, as a superuser: exit 5
    error: Posts/*: the collection is called posts: over the feed, capitals count
    hint: watch posts/* instead

    capitals: exit 5
    error: Posts/*: the collection is called posts: over the feed, capitals count
    hint: watch posts/* instead

    a slip in a collection: exit 5
    error: posst/*: there is no collection posst
    hint: bosbase-watch topics lists the collections, with a superuser's login

    a slip in a collection, as a superuser: exit 5
    error: posst/*: there is no collection posst
    hint: did you mean posts?

    a slip in a bare name: exit 0
    posst: no collection is called posst: taken as a custom topic, which cannot be checked
    hint: did you mean posts?

    a record that is not there: exit 5
    error: posts/abcdefghijklmno: posts has no record abcdefghijklmno, or this login may not see it
    hint: a record that does not exist yet can be watched with --no-check

    an id in capitals: exit 0
    posts/ABCDEFGHIJKLMNO: not a record of posts: taken as a custom topic, which cannot be checked
    hint: all of its records are 'posts/*', one is 'posts/ID'

    a slash too many: exit 0
    posts/: not a record of posts: taken as a custom topic, which cannot be checked
    hint: all of its records are 'posts/*', one is 'posts/ID'

    as in NATS: exit 0
    posts.*: taken as a custom topic of exactly this name, which cannot be checked
    hint: all records of a collection are 'COLLECTION/*'; nothing else has wildcards

    as in MQTT: exit 0
    posts/#: not a record of posts: taken as a custom topic, which cannot be checked
    hint: all of its records are 'posts/*', one is 'posts/ID'

    a slash before it: exit 0
    /posts/*: taken as a custom topic of exactly this name, which cannot be checked
    hint: all records of a collection are 'COLLECTION/*'; nothing else has wildcards

    a view: exit 5
    error: posts_view/*: posts_view is a view: the server sends no events for views
    hint: watch the collections that the view reads from

    two collections side by side: exit 5
    error: comments is a collection itself, not a record of posts
    hint: to watch both: subscribe 'posts/*' 'comments/*'

    the star first: exit 2
    error: the topic * names no collection
    hint: write the collection and the star as one topic: 'posts/*'

    a topic that a hook refuses: exit 5
    error: permission denied (403: The topic is not for you)
    hint: the server, or a hook on it, refuses this to the present login; bosbase-watch status shows which it is

    four mistakes at once: exit 5
    error: posst/*: there is no collection posst
    hint: bosbase-watch topics lists the collections, with a superuser's login
    error: secrets/*: permission denied: records of secrets may be listed by superusers only
    hint: sign in: bosbase-watch login URL --superuser
    error: Posts/*: the collection is called posts: over the feed, capitals count
    hint: watch posts/* instead
    error: posts/abcdefghijklmno: posts has no record abcdefghijklmno, or this login may not see it
    hint: a record that does not exist yet can be watched with --no-check

    text without quotes: exit 5
    error: posts/*: the filter is refused: it does not parse, or names a field that does not exist or is hidden
    hint: text stands in quotes: --filter 'status = "open"'

    a slip in a field, as a superuser: exit 5
    error: posts/*: the filter is refused: posts has no field statsu
    hint: did you mean status?

    a slip in a field: exit 5
    error: posts/*: the filter is refused: it does not parse, or names a field that does not exist or is hidden
    hint: did you mean status?

    a filter that ends too soon, as a superuser: exit 5
    error: posts/*: the filter is refused: it does not parse
    hint: text stands in quotes: --filter 'status = "open"'

    a hidden field: exit 5
    error: users/*: the filter is refused: it does not parse, or names a field that does not exist or is hidden
    hint: the fields here are avatar, created, emailVisibility, id, name, updated, verified

    @request in a filter: exit 5
    error: posts/*: the filter is refused: it uses what only a superuser may: @request or @collection
    hint: put the value itself into the filter, with {:name} and --param name=VALUE

    a placeholder without a value: exit 2
    error: the placeholder {:t} has no value
    hint: bind values with --filter 'name = {:n}' --param n=VALUE

    a value without a placeholder: exit 2
    error: the parameter t has no placeholder {:t} in any filter
    hint: --filter 'FIELD = {:t}' --param t=VALUE

    a slip in an expand: exit 0
    warning: posts/*: expand: posts has no relation auhtor
    hint: did you mean author?

    a slip in the fields: exit 0
    warning: posts/*: fields: posts has no field titel
    hint: did you mean title?

    fields of a relation that is not expanded: exit 0
    warning: posts/*: fields: expand.author is always empty: --expand does not name author

    a filter for a custom topic: exit 0
    warning: options such as --filter apply to topics of collections, and there is none

    the same header twice: exit 2
    error: the header X-Room is given twice
    hint: one value for each: -H 'X-Room: VALUE'

    the token as a header: exit 2
    error: an Authorization header of a topic does nothing: the login decides
    hint: bosbase-watch login signs in, and BOSBASE_TOKEN takes a token

    a filter that is too long: exit 2
    error: the topic posts/* with its options takes 2549 bytes as it is sent, and the server allows 2500
    hint: watch COLLECTION/* with one --filter instead of many or long topics

    a duration without a unit: exit 2
    error: invalid value '5' for '--timeout <DUR>': the unit is missing: 5s, 5m or 5h?
    hint: --help shows how it is used

    too many requests: exit 6
    error: too many requests (429: Too Many Requests)
    hint: wait a few seconds and try again
    "#));
}

/// A token of the collection `users` whose time is over.
fn expired() -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let claims = json!({"collectionId": "_pb_users_auth_", "exp": 1_700_000_000, "id": "abcdefghijklmno", "refreshable": true, "type": "auth"});
    format!("{}.{}.{}", part(r#"{"alg":"HS256","typ":"JWT"}"#), part(&claims.to_string()), part("a signature"))
}

/// The server takes no more requests from here.
fn limited(server: &Server) -> Cli {
    let rules = json!({"rateLimits": {"enabled": true, "rules": [{"label": "/api/", "maxRequests": 1, "duration": 60, "audience": ""}]}});
    server.patch_settings(&rules);
    let cli = guest(server);
    cli.run(["status"]);
    cli
}
