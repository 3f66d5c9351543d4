use serde_json::json;

use crate::kit::{ann, guest, id, parse, post, root};
use crate::support::cli::{Cli, Output};
use crate::support::pocketbase::Server;

both_versions!(
    topics_that_will_deliver,
    a_collection_that_is_not_there,
    a_name_in_another_case,
    a_collection_for_superusers,
    filters_that_do_not_parse,
    expands_and_fields_that_match_nothing,
    nearest_fields,
    what_a_check_asks,
    a_record_that_is_not_there,
    a_view,
    two_collections_typed_as_a_pair,
    one_bad_topic_stops_the_watch,
    a_topic_that_a_hook_refuses,
    the_list_of_a_superuser,
    verdicts_for_programs,
    the_list_is_for_superusers,
    two_hundred_collections,
    what_was_seen_before,
    a_topic_that_dries_up,
    no_topic_is_left,
);

/// What `topics` says about a topic: a word, the sentence, and the hint where there is one.
#[track_caller]
fn verdict(cli: &Cli, code: i32, args: &[&str]) -> (String, String, Option<String>) {
    let output = cli.run([&["topics"], args].concat()).expect(code);
    let mut lines = output.stdout.lines();
    let rest = lines.next().unwrap().strip_prefix(args[0]).unwrap_or_else(|| panic!("{}", output.stdout)).trim_start();
    let (word, message) = rest.split_once("  ").unwrap();
    (word.to_owned(), message.trim().to_owned(), lines.next().map(|line| line.trim().to_owned()))
}

/// `subscribe` says the same, ends with 5, and the server has never heard of it.
#[track_caller]
fn refused(server: &Server, cli: &Cli, args: &[&str], message: &str) -> Output {
    let output = cli.run([&["subscribe"], args].concat()).expect(5);
    assert_eq!(output.stdout, "", "{args:?}");
    assert_eq!(output.stderr.lines().next(), Some(format!("error: {}: {message}", args[0]).as_str()), "{args:?}");
    assert!(output.stderr.lines().any(|line| line.starts_with("hint: ")), "{args:?}: {}", output.stderr);
    assert_eq!(server.clients(), [], "{args:?}");
    output
}

/// `topics` and `subscribe` about a topic that would stay silent.
#[track_caller]
fn silent(server: &Server, cli: &Cli, args: &[&str], message: &str) -> (Option<String>, Output) {
    let (word, said, hint) = verdict(cli, 5, args);
    assert_eq!((word.as_str(), said.as_str()), ("silent", message), "{args:?}");
    (hint, refused(server, cli, args, message))
}

/// What `topics` says of a topic that would stay silent, and `subscribe` as well.
#[track_caller]
fn silent_as(server: &Server, cli: &Cli, args: &[&str]) -> ((String, Option<String>), Output) {
    let (_, message, hint) = verdict(cli, 5, args);
    let output = refused(server, cli, args, &message);
    ((message, hint), output)
}

fn topics_that_will_deliver(version: &str) {
    let server = Server::start(version);
    let cli = guest(&server);
    let nothing = "a guest sees nothing here, or there is nothing yet";
    let sign_in = || Some(format!("sign in to see more: bosbase-watch login {}", server.url()));
    assert_eq!(verdict(&cli, 0, &["posts/*"]), ("note".into(), nothing.into(), sign_in()));
    // The hint is said once.
    let output = cli.run(["subscribe", "posts/*", "messages/*", "--duration=0s"]).expect(0);
    let said = format!("posts/*: {nothing}\nmessages/*: {nothing}\nhint: {}\n", sign_in().unwrap());
    assert!(output.stderr.starts_with(&said), "{}", output.stderr);
    let nothing = "it is empty, or this login may see none of its records, and will not hear of them";
    assert_eq!(verdict(&ann(&server), 0, &["posts/*"]), ("note".into(), nothing.into(), None));
    // Nothing is hidden from a superuser.
    assert_eq!(verdict(&root(&server), 0, &["posts/*"]), ("ok".into(), "will deliver".into(), None));
    let hello = format!("posts/{}", id(&post(&server, "hello")));
    for (topic, known) in [("posts/*", "its records can be listed"), (&hello, "the record can be viewed")] {
        assert_eq!(verdict(&cli, 0, &[topic]), ("ok".into(), known.into(), None), "{topic}");
    }
    let filter = ["posts/*", "--filter", "title = 'none has it'"];
    let nothing = "no record that a guest may see matches the filter now";
    assert_eq!(verdict(&cli, 0, &filter), ("note".into(), nothing.into(), sign_in()));
    let nothing = "will deliver; no record matches the filter now";
    assert_eq!(verdict(&root(&server), 0, &filter), ("ok".into(), nothing.into(), None));
    assert_eq!(verdict(&cli, 0, &["posts"]), ("note".into(), "the collection posts, as posts/*".into(), None));
    assert_eq!(
        verdict(&cli, 0, &["news"]),
        ("note".into(), "no collection is called news: taken as a custom topic, which cannot be checked".into(), None)
    );
    // Beside a collection it may as well be a slip; what looks like none is not spoken of as one.
    let custom = "a custom topic, which cannot be checked: it speaks when a hook sends to it";
    for topic in ["work/finished", "jobs/finished"] {
        assert_eq!(verdict(&cli, 0, &[topic]), ("note".into(), custom.into(), None));
    }
    let output = cli.run(["subscribe", "jobs/finished", "--duration=0s"]).expect(0);
    assert!(!output.stderr.contains("jobs/finished: "), "{}", output.stderr);
    let beside = |name| format!("not a record of {name}: taken as a custom topic, which cannot be checked");
    let hint = |name| Some(format!("all of its records are '{name}/*', one is '{name}/ID'"));
    for slip in ["posts/", "posts/**", "posts/ABCDEFGHIJKLMNO"] {
        assert_eq!(verdict(&cli, 0, &[slip]), ("note".into(), beside("posts"), hint("posts")), "{slip}");
    }
    assert_eq!(verdict(&cli, 0, &["secrets/abcdefghijklmn"]).1, beside("secrets"), "a rule hides no more than that");
    // Each argument is one topic here, and nothing was subscribed.
    let output = cli.run(["topics", "posts", "comments"]).expect(0);
    assert_eq!(output.stdout.lines().count(), 2, "{}", output.stdout);
    assert_eq!(server.clients(), []);
}

fn a_collection_that_is_not_there(version: &str) {
    let server = Server::start(version);
    let message = "there is no collection posst";
    let list = Some("bosbase-watch topics lists the collections, with a superuser's login");
    for cli in [guest(&server), ann(&server)] {
        let (hint, output) = silent(&server, &cli, &["posst/*"], message);
        assert_eq!(hint.as_deref(), list, "only superusers know the names");
        assert!(output.stderr.contains("hint: bosbase-watch topics lists the collections"), "{}", output.stderr);
    }
    let (hint, output) = silent(&server, &root(&server), &["posst/*"], message);
    assert_eq!(hint.as_deref(), Some("did you mean posts?"));
    assert!(output.stderr.contains("hint: did you mean posts?\n"), "{}", output.stderr);
    silent(&server, &root(&server), &["posst/abcdefghijklmno"], message);
    let (hint, _) = silent(&server, &root(&server), &["invoices/*"], "there is no collection invoices");
    assert_eq!(hint.as_deref(), list, "nothing is near");
    // A bare name may be a custom topic, or a slip.
    let (word, _, hint) = verdict(&root(&server), 0, &["posst"]);
    assert_eq!((word.as_str(), hint.as_deref()), ("note", Some("did you mean posts?")));
}

fn a_name_in_another_case(version: &str) {
    let server = Server::start(version);
    let message = "the collection is called posts: over the feed, capitals count";
    // Nothing shows a guest the real name while there is no record.
    let (word, said, _) = verdict(&guest(&server), 0, &["Posts/*"]);
    assert_eq!(word, "warning");
    assert!(said.contains("the name Posts has capitals, which count over the feed"), "{said}");
    let (hint, _) = silent(&server, &root(&server), &["Posts/*"], message);
    assert_eq!(hint.as_deref(), Some("watch posts/* instead"));

    let hello = id(&post(&server, "hello"));
    for topic in ["Posts/*", &format!("POSTS/{hello}")] {
        let (hint, output) = silent(&server, &guest(&server), &[topic], message);
        let right = topic.replace("Posts", "posts").replace("POSTS", "posts");
        assert_eq!(hint, Some(format!("watch {right} instead")));
        assert!(output.stderr.contains(&format!("hint: watch {right} instead\n")), "{}", output.stderr);
    }
}

fn a_collection_for_superusers(version: &str) {
    let server = Server::start(version);
    let secret = id(&server.create("secrets", &json!({"text": "x"})));
    for (done, topic) in [("listed", "secrets/*".to_owned()), ("viewed", format!("secrets/{secret}"))] {
        let message = format!("permission denied: records of secrets may be {done} by superusers only");
        let (_, output) = silent(&server, &guest(&server), &[&topic], &message);
        let hint = format!("hint: sign in: bosbase-watch login {} --superuser\n", server.url());
        assert!(output.stderr.contains(&hint), "{}", output.stderr);
        let (_, output) = silent(&server, &ann(&server), &[&topic], &message);
        assert!(output.stderr.contains("hint: use a superuser's login: "), "{}", output.stderr);
        assert_eq!(verdict(&root(&server), 0, &[&topic]).0, "ok");
    }
}

fn filters_that_do_not_parse(version: &str) {
    let server = Server::start(version);
    let cli = guest(&server);
    let hello = format!("posts/{}", id(&post(&server, "hello")));
    let broken = "the filter is refused: it does not parse, or names a field that does not exist or is hidden";
    let special = "the filter is refused: it uses what only a superuser may: @request or @collection";
    for topic in ["posts/*", &hello] {
        for filter in ["status = open sesame", "status = ", "nothing = 1", "author.password = 'x'", "status = 'a' &&"] {
            silent(&server, &cli, &[topic, "--filter", filter], broken);
        }
        silent(&server, &cli, &[topic, "--filter", "author = @request.auth.id"], special);
        // Also where it stands in quotes: the server looks no closer, and would stay silent.
        let args = [topic, "--filter", "title = {:t}", "--param", "t=mail@request.example"];
        silent(&server, &cli, &args, special);
        verdict(&root(&server), 0, &[topic, "--filter", "author = @request.auth.id"]);
    }
    silent(&server, &cli, &["users/*", "--filter", "tokenKey != ''"], broken);
}

/// Judged on the record that is there, or on a superuser's schema; where neither is there, not at all.
fn expands_and_fields_that_match_nothing(version: &str) {
    let server = Server::start(version);
    let judged = |cli: &Cli, expand: &str, fields: &str| {
        let args = [("--expand", expand), ("--fields", fields)];
        let args = args.iter().filter(|(_, value)| !value.is_empty()).flat_map(|(flag, value)| [*flag, *value]);
        let (word, message, hint) = verdict(cli, 0, &[&["posts/*"][..], &args.collect::<Vec<_>>()].concat());
        (word == "warning").then(|| message + &hint.map(|hint| format!(" ({hint})")).unwrap_or_default())
    };
    let fine = [
        ("author", ""),
        ("comments_via_post", ""),
        ("comments_via_post.author,author", ""),
        ("comments(post).author", ""),
        ("", "*"),
        ("", "id,collectionName,title:excerpt(3,true),body"),
        ("author", "title,expand.author.name,expand.author.email,expand.author.verified,expand.*"),
        ("comments_via_post.author", "*,expand.comments_via_post.expand.author.name"),
    ];
    let bad = [
        ("auhtor", "", "expand: posts has no relation auhtor (did you mean author?)"),
        ("", "titel", "fields: posts has no field titel (did you mean title?)"),
        ("author", "expand.author.nmae", "fields: users has no field nmae (did you mean name?)"),
        ("", "id,expand.author.name", "fields: expand.author is always empty: --expand does not name author"),
        (
            "auhtor",
            "titel",
            "expand: posts has no relation auhtor; fields: posts has no field titel (did you mean author, title?)",
        ),
    ];
    // Nothing is there to judge by, and nothing is said.
    for (expand, fields) in fine.into_iter().chain([("auhtor", ""), ("", "titel")]) {
        assert_eq!(judged(&guest(&server), expand, fields), None, "{expand} {fields}");
    }
    let by_schema = |cli: &Cli| {
        for (expand, fields) in fine {
            assert_eq!(judged(cli, expand, fields), None, "{expand} {fields}");
        }
        for (expand, fields, message) in bad {
            assert_eq!(judged(cli, expand, fields).as_deref(), Some(message), "{expand} {fields}");
        }
    };
    by_schema(&root(&server));
    let nested = |cli: &Cli| judged(cli, "author.team", "");
    assert_eq!(nested(&root(&server)).as_deref(), Some("expand: users has no relation team"));
    let schema_only = judged(&root(&server), "comments_via_author,title", "");
    assert_eq!(schema_only.as_deref(), Some("expand: posts has no relation comments_via_author"));

    let hello = server.create("posts", &json!({"title": "hello", "author": server.ann().id}));
    by_schema(&root(&server));
    by_schema(&guest(&server));
    assert_eq!(nested(&root(&server)).as_deref(), Some("expand: users has no relation team"));
    let what = "expand: author.team of posts leads nowhere, or to what this login may not see";
    assert_eq!(nested(&guest(&server)).as_deref(), Some(what));
    let what = "expand: title of posts is no relation, or leads to what this login may not see";
    assert_eq!(judged(&guest(&server), "title", "").as_deref(), Some(what));
    // A record of its own is judged as well, and the watch goes on.
    let topic = format!("posts/{}", id(&hello));
    let output = guest(&server).run(["subscribe", &topic, "--fields", "titel", "--duration", "0s"]).expect(0);
    let said = format!("warning: {topic}: fields: posts has no field titel\nhint: did you mean title?\n");
    assert!(output.stderr.starts_with(&said), "{}", output.stderr);
    // The record comes whole where the server does not know the modifier.
    let what = "fields: title:upper has a modifier that the server does not know: the record comes whole";
    assert!(judged(&guest(&server), "", "title:upper").unwrap().starts_with(what));
}

fn nearest_fields(version: &str) {
    let server = Server::start(version);
    let broken = "the filter is refused: it does not parse, or names a field that does not exist or is hidden";
    let filter = |cli: &Cli, filter: &str| {
        let (hint, _) = silent_as(&server, cli, &["posts/*", "--filter", filter]);
        hint
    };
    assert_eq!(
        filter(&root(&server), "statsu = 'open'"),
        ("the filter is refused: posts has no field statsu".into(), Some("did you mean status?".into()))
    );
    assert_eq!(
        filter(&root(&server), "author.nmae = 'x'"),
        ("the filter is refused: users has no field nmae".into(), Some("did you mean name?".into()))
    );
    let quotes = "text stands in quotes: --filter 'status = \"open\"'";
    assert_eq!(
        filter(&root(&server), "status = 'open' &&"),
        ("the filter is refused: it does not parse".into(), Some(quotes.into()))
    );
    for (slip, right) in [("status == 'open'", "`==` is `=` here"), ("stars > 1 and stars < 3", "`and` is `&&` here")] {
        for cli in [root(&server), guest(&server)] {
            let said = ("the filter is refused: it does not parse".into(), Some(right.into()));
            assert_eq!(filter(&cli, slip), said, "{slip}");
        }
    }
    // Without a record nobody else knows the fields.
    assert_eq!(filter(&guest(&server), "statsu = 'open'"), (broken.into(), Some(quotes.into())));
    post(&server, "hello");
    for cli in [root(&server), guest(&server)] {
        let hint = filter(&cli, "state = 'open'").1.unwrap();
        assert!(hint.starts_with("the fields here are ") && hint.contains("status, "), "{hint}");
        assert_eq!(hint.matches("status").count(), 1, "{hint}");
        assert_eq!(filter(&cli, "status = open").1.unwrap(), quotes);
    }
    assert_eq!(filter(&guest(&server), "statsu = 'open'"), (broken.into(), Some("did you mean status?".into())));
}

fn a_record_that_is_not_there(version: &str) {
    let server = Server::start(version);
    let gone = "abcdefghijklmno";
    let topic = format!("posts/{gone}");
    let message = format!("posts has no record {gone}, or this login may not see it");
    let (_, output) = silent(&server, &guest(&server), &[&topic], &message);
    assert!(
        output.stderr.contains("hint: a record that does not exist yet can be watched with --no-check\n"),
        "{}",
        output.stderr
    );
    // As the hint says.
    let running = guest(&server).watch(["posts", gone, "--no-check", "-n", "1"]);
    server.create("posts", &json!({"id": gone, "title": "here I am"}));
    let output = running.finish().expect(0);
    assert!(output.stdout.contains(r#""action":"create""#), "{}", output.stdout);

    // One that is there for others only.
    let hers = id(&server.create("activity", &json!({"author": server.ann().id})));
    let message = format!("activity has no record {hers}, or this login may not see it");
    silent(&server, &guest(&server), &[&format!("activity/{hers}")], &message);
    verdict(&ann(&server), 0, &[&format!("activity/{hers}")]);
}

fn a_view(version: &str) {
    let server = Server::start(version);
    let message = "posts_view is a view: the server sends no events for views";
    silent(&server, &root(&server), &["posts_view/abcdefghijklmno"], message);
    silent(&server, &root(&server), &["posts_view"], message);
    let (hint, output) = silent(&server, &root(&server), &["posts_view/*"], message);
    assert_eq!(hint.as_deref(), Some("watch the collections that the view reads from"));
    assert!(output.stderr.contains("hint: watch the collections"), "{}", output.stderr);
    // Others cannot tell a view from a collection.
    post(&server, "hello");
    assert_eq!(verdict(&guest(&server), 0, &["posts_view/*"]).0, "ok");
}

fn two_collections_typed_as_a_pair(version: &str) {
    let server = Server::start(version);
    for cli in [guest(&server), root(&server)] {
        let output = cli.run(["subscribe", "posts", "comments"]).expect(5);
        assert_eq!(
            output.stderr,
            "error: comments is a collection itself, not a record of posts\n\
             hint: to watch both: subscribe 'posts/*' 'comments/*'\n"
        );
        // One word is a custom topic beside the collection, two are meant as a record.
        let output = cli.run(["subscribe", "posts", "abc", "--duration=0s"]).expect(0);
        let said = "posts/abc: not a record of posts: taken as a custom topic, which cannot be checked\n\
                    hint: all of its records are 'posts/*', one is 'posts/ID'\n";
        assert!(output.stderr.starts_with(said), "{}", output.stderr);
    }
    server.wait_for_clients(0);
    assert_eq!(server.clients(), []);
}

fn one_bad_topic_stops_the_watch(version: &str) {
    let server = Server::start(version);
    let output = guest(&server).run(["subscribe", "posts/*", "posst/*", "secrets/*", "jobs/finished"]).expect(5);
    let errors: Vec<_> = output.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(
        errors,
        [
            "error: posst/*: there is no collection posst",
            "error: secrets/*: permission denied: records of secrets may be listed by superusers only",
        ]
    );
    // Whoever knows better may skip the check.
    let running = guest(&server).watch(["posts/*", "posst/*", "--no-check", "-n", "1"]);
    post(&server, "hello");
    running.finish().expect(0);
}

fn a_topic_that_a_hook_refuses(version: &str) {
    let server = Server::start(version);
    let output = guest(&server).run(["subscribe", "posts/*", "forbidden/topic"]).expect(5);
    assert!(output.stderr.contains("The topic is not for you"), "{}", output.stderr);
    server.wait_for_clients(0);
}

fn the_list_of_a_superuser(version: &str) {
    let server = Server::start(version);
    post(&server, "hello");
    let text = root(&server).run(["topics"]).expect(0).stdout;
    let line = |topic: &str| {
        let found = text.lines().find(|line| line.starts_with(&format!("{topic} ")));
        found.unwrap_or_else(|| panic!("no {topic} in\n{text}")).split_whitespace().collect::<Vec<_>>()
    };
    assert_eq!(text.lines().next().unwrap().split_whitespace().next(), Some("TOPIC"));
    assert_eq!(line("posts/*"), ["posts/*", "base", "open", "open"]);
    assert_eq!(line("users/*"), ["users/*", "auth", "open", "open"]);
    assert_eq!(line("secrets/*"), ["secrets/*", "base", "superusers", "superusers"]);
    assert_eq!(line("messages/*"), ["messages/*", "base", "signed-in", "signed-in"]);
    assert_eq!(line("activity/*").join(" "), "activity/* base rule rule author = @request.auth.id");
    assert_eq!(line("posts_view/*").join(" "), "posts_view/* view - - a view sends no events");
    // The server's own come last.
    assert!(text.lines().last().unwrap().starts_with("_superusers/* "), "{text}");

    let rows = parse(&root(&server).run(["topics", "--json", "--count"]).expect(0).stdout);
    let row = |topic: &str| rows.as_array().unwrap().iter().find(|row| row["topic"] == topic).unwrap();
    assert_eq!(
        *row("posts/*"),
        json!({
            "topic": "posts/*", "collection": "posts", "type": "base", "list_rule": "", "view_rule": "", "count": 1,
        })
    );
    assert_eq!((&row("secrets/*")["list_rule"], &row("secrets/*")["count"]), (&json!(null), &json!(0)));
    assert_eq!(row("activity/*")["list_rule"], "author = @request.auth.id");
    assert_eq!((&row("users/*")["type"], &row("users/*")["count"]), (&json!("auth"), &json!(2)));
}

fn verdicts_for_programs(version: &str) {
    let server = Server::start(version);
    post(&server, "hello");
    let output = guest(&server).run(["topics", "--json", "posts/*", "news", "secrets/*"]).expect(5);
    let verdicts = parse(&output.stdout);
    let found: Vec<_> =
        verdicts.as_array().unwrap().iter().map(|row| (&row["topic"], &row["severity"], &row["code"])).collect();
    let expected = [["posts/*", "ok", "ok"], ["news", "note", "custom"], ["secrets/*", "error", "forbidden"]]
        .map(|row| row.map(|word| json!(word)));
    assert_eq!(found, expected.iter().map(|[topic, severity, code]| (topic, severity, code)).collect::<Vec<_>>());
    assert_eq!(output.stderr, "error: 1 of 3 topics would stay silent\n");
}

fn the_list_is_for_superusers(version: &str) {
    let server = Server::start(version);
    for cli in [guest(&server), ann(&server)] {
        let output = cli.run(["topics"]).expect(4);
        assert_eq!(output.stdout, "");
        assert_eq!(
            output.stderr,
            format!(
                "error: the list of collections is for superusers only\n\
                 hint: check a topic that you know, such as 'posts/*', or sign in: bosbase-watch login {} --superuser\n",
                server.url()
            )
        );
    }
}

/// The list of all collections costs a server with hundreds of them a tenth of a second: only a name
/// that is not there is worth it.
fn what_a_check_asks(version: &str) {
    let server = Server::start(version);
    let author = &server.ann().id;
    server.create("posts", &json!({"title": "hello", "author": author}));
    let asked = |cli: &Cli, code: i32, args: &[&str]| {
        let output = cli.run([&["-v", "topics"], args].concat()).expect(code);
        let requests = output.stderr.lines().filter_map(|line| line.strip_prefix("http: GET /api/collections"));
        let mut paths: Vec<_> = requests.map(|line| line.split_once(' ').unwrap().0.to_owned()).collect();
        paths.sort();
        paths
    };
    let (guest, root) = (guest(&server), root(&server));
    let posts = ["/posts", "/posts/records"];
    assert_eq!(asked(&guest, 0, &["posts/*"]), ["/posts/records"]);
    assert_eq!(asked(&root, 0, &["posts/*"]), posts);
    // Once for all topics of a collection, and its relations where their names are to be judged.
    assert_eq!(asked(&root, 0, &["posts/*", "posts/*?filter=stars=0"]), ["/posts", "/posts/records", "/posts/records"]);
    assert_eq!(asked(&root, 0, &["posts/*", "--expand", "author"]), ["/_pb_users_auth_", "/posts", "/posts/records"]);
    assert_eq!(asked(&root, 5, &["posts_view/*"]), ["/posts_view", "/posts_view/records"]);
    assert_eq!(asked(&root, 5, &["Posts/*"]), ["/Posts", "/Posts/records"]);
    // Of many, for the views among all.
    for collection in ["comments", "documents", "jobs", "messages"] {
        server.create(collection, &json!({"author": author, "text": "x", "title": "x", "name": "x"}));
    }
    let many = ["posts/*", "comments/*", "documents/*", "jobs/*", "messages/*", "posts_view/*"];
    let asked_of_many = asked(&root, 5, &many);
    assert_eq!(asked_of_many.len(), 7, "{asked_of_many:?}");
    assert_eq!(asked_of_many[0], "");
    assert_eq!(asked(&guest, 5, &["posst/*"]), ["/posst/records"]);
    assert_eq!(asked(&root, 5, &["posst/*"]), ["", "/posst", "/posst/records"]);
}

fn two_hundred_collections(version: &str) {
    let server = Server::start(version);
    let collections: Vec<_> = (0..200)
        .map(|number| {
            let name = format!("c{number:03}{}", "_long".repeat(number % 12));
            json!({"name": name, "type": "base", "listRule": "", "fields": [{"name": "title", "type": "text"}]})
        })
        .collect();
    let import = json!({"collections": collections});
    let (status, answer) =
        server.request("PUT", "/api/collections/import", Some(server.superuser_token()), Some(&import));
    assert!(status < 300, "{answer}");
    let output = root(&server).run(["topics", "--count"]).expect(0);
    let rows: Vec<_> = output.stdout.lines().filter(|line| line.starts_with('c') && line.contains("/*")).collect();
    // With comments/*.
    assert_eq!(rows.len(), 201, "{}", output.stdout);
    // In one column, as long as a name leaves room for it.
    let columns: std::collections::BTreeSet<_> = output.stdout.lines().filter_map(|line| line.find(" base ")).collect();
    assert_eq!(columns.len(), 1, "{}", output.stdout);
    let listed = parse(&root(&server).run(["topics", "--json"]).expect(0).stdout);
    assert!(listed.as_array().unwrap().len() > 200);
}

/// Without a superuser's login: what was watched or checked before, with the present rules.
fn what_was_seen_before(version: &str) {
    let server = Server::start(version);
    post(&server, "hello");
    let cli = guest(&server);
    // Nothing is remembered of what would stay silent, or is no collection.
    cli.run(["topics", "posts/*", "secrets/*", "Posts/*", "posst/*", "jobs/finished", "news"]).expect(5);
    cli.run(["subscribe", "messages", "*", "--duration", "0s"]).expect(0);
    let output = cli.run(["topics"]).expect(0);
    let words = |text: &str| {
        let line = |line: &str| line.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
        text.lines().map(line).collect::<Vec<_>>()
    };
    assert_eq!(words(&output.stdout), ["messages/* note a", "posts/* ok its"]);
    assert_eq!(
        output.stderr,
        format!(
            "These are the collections seen before with this profile; the list of all needs a superuser's login:\n\
             hint: bosbase-watch login {} --superuser\n",
            server.url()
        )
    );
    let rows = parse(&cli.run(["topics", "--json", "--count"]).expect(0).stdout);
    assert_eq!((&rows[0]["count"], &rows[1]["count"], &rows[1]["code"]), (&json!(0), &json!(1), &json!("ok")));
    // The nearest of them is known now.
    let output = cli.run(["subscribe", "posst/*"]).expect(5);
    assert!(output.stderr.ends_with("hint: did you mean posts?\n"), "{}", output.stderr);
    // They belong to the server and the profile.
    let other = Server::start(version);
    cli.run(["topics", "--url", other.url()]).expect(4);
    server.patch_collection("posts", &json!({"listRule": null}));
    let output = cli.run(["topics"]).expect(0);
    assert!(output.stdout.contains("posts/*     silent  permission denied"), "{}", output.stdout);
}

/// The server goes on saying nothing: it is noticed with the next connection, and the rest goes on.
fn a_topic_that_dries_up(version: &str) {
    let server = Server::start(version);
    server.limit_connections(1000, 0);
    post(&server, "first");
    server.create("documents", &json!({"title": "first"}));
    let running = guest(&server).watch(["posts/*", "documents/*"]);
    server.patch_collection("documents", &json!({"name": "papers"}));
    let warning = parse(&running.wait_for_line(|line| line.contains(r#""type":"warning""#)));
    assert_eq!(
        (&warning["code"], &warning["message"]),
        (&json!("topic-silent"), &json!("documents/*: there is no collection documents: nothing comes of it any more"))
    );
    // Another change may fall between two connections: what was missed is read again.
    post(&server, "hello");
    running.wait_for_line(|line| line.contains("hello"));
    let output = running.stop().expect(130);
    assert!(output.stderr.is_empty(), "{}", output.stderr);
}

fn no_topic_is_left(version: &str) {
    for (args, change) in [
        (&[][..], Some(json!({"listRule": null}))),
        // It is told as well where nothing is read again, and by a collection's bare name that has spoken.
        (&["--catch-up", "off"], None),
    ] {
        let server = Server::start(version);
        server.limit_connections(1000, 0);
        server.create("plain", &json!({"text": "first"}));
        let running = guest(&server).watch([&["plain/*"][..], args].concat());
        let why = match change {
            Some(change) => {
                server.patch_collection("plain", &change);
                "permission denied: records of plain may be listed by superusers only"
            }
            None => {
                server.ok("DELETE", "/api/collections/plain", Some(server.superuser_token()), None);
                "there is no collection plain"
            }
        };
        let output = running.finish().expect(5);
        assert_eq!(
            output.stderr,
            format!(
                "error: no topic is left that would deliver (plain/*: {why})\n\
                 hint: bosbase-watch topics shows what is there; capitals count in names\n"
            )
        );
        let end = parse(output.stdout.lines().last().unwrap());
        assert_eq!((&end["type"], &end["reason"], &end["exit"]), (&json!("end"), &json!("topic"), &json!(5)));
        assert!(output.stdout.contains(r#""code":"topic-silent""#), "{}", output.stdout);
        server.wait_for_clients(0);
    }
}
