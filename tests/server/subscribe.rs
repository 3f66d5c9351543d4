use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::kit::{
    ann, brief, decoded, events, guest, id, lifecycle, parse, post, root, set, topics_of_the_client, wait_for_events,
    wait_for_text,
};
use crate::support::pocketbase::{ANN, PASSWORD, Server};

both_versions!(
    collection_record_and_custom_topic,
    the_way_people_type_it,
    a_pair_with_more_than_a_star_or_an_id,
    a_custom_topic_beside_a_collection_of_its_name,
    a_bare_name,
    deletes_carry_the_record,
    several_options_over_one_connection,
    the_same_topic_twice,
    fields_and_expands,
    headers_and_query_that_rules_read,
    bound_parameters,
    a_guest_and_a_user,
    an_owner_and_a_superuser,
    pb_connect,
    filters_arrive_as_they_are,
    a_long_filter_needs_less_escaping,
    payloads_of_any_kind,
    actions,
    it_ends_by_itself,
    collections_by_their_id,
);

fn collection_record_and_custom_topic(version: &str) {
    let server = Server::start(version);
    let [mine, other] = ["mine", "other"].map(|title| id(&server.create("documents", &json!({"title": title}))));
    let topic = format!("documents/{mine}");
    let running = ann(&server).watch(["posts/*", &topic, "jobs/finished"]);
    assert_eq!(lifecycle(&running, "subscribed")["topics"], json!(["posts/*", topic, "jobs/finished"]));

    server.update("documents", &other, &json!({"title": "not for us"}));
    server.update("documents", &mine, &json!({"title": "for us"}));
    wait_for_text(&running, "for us");
    let hello = post(&server, "hello");
    wait_for_text(&running, "hello");
    assert_eq!(server.emit("jobs/finished", &json!({"job": 42})), 1);
    wait_for_text(&running, "42");
    server.delete("posts", &id(&hello));
    wait_for_text(&running, r#""action":"delete""#);

    let output = running.stop().expect(130);
    let all = events(&output.stdout);
    assert_eq!(brief(&all, "title"), ["update for us", "create hello", "jobs/finished", "delete hello"]);
    let topics: Vec<_> = all.iter().map(|event| event["topic"].as_str().unwrap()).collect();
    assert_eq!(topics, [&topic, "posts/*", "jobs/finished", "posts/*"]);
    assert_eq!(all[2]["data"], json!({"job": 42}));
    server.wait_for_clients(0);
}

fn the_way_people_type_it(version: &str) {
    let server = Server::start(version);
    let hello = id(&post(&server, "hello"));
    for (args, topic) in [(["posts", "*"], "posts/*".to_owned()), (["posts", &hello], format!("posts/{hello}"))] {
        let running = guest(&server).watch(args);
        assert_eq!(topics_of_the_client(&server)[0].0, topic);
        server.update("posts", &hello, &json!({"stars": 1}));
        assert_eq!(wait_for_events(&running, 1)[0]["topic"], topic);
        running.stop().expect(130);
        server.wait_for_clients(0);
    }
}

fn a_pair_with_more_than_a_star_or_an_id(version: &str) {
    let server = Server::start(version);
    let running = guest(&server).watch(["posts", "*?filter=stars > 1"]);
    assert_eq!(topics_of_the_client(&server), [("posts/*".to_owned(), json!({"query": {"filter": "stars > 1"}}))]);
    running.stop().expect(130);
    // Neither a collection nor an id: a custom topic.
    let running = guest(&server).watch(["jobs", "on-tuesdays"]);
    server.emit("jobs/on-tuesdays", &json!("sent"));
    wait_for_text(&running, "sent");
    running.stop().expect(130);
}

fn a_custom_topic_beside_a_collection_of_its_name(version: &str) {
    let server = Server::start(version);
    let running =
        ann(&server).watch(["posts/*", "jobs/finished", "--filter", "status = 'published'", "--expand", "author"]);
    // The options go to the collection alone: with options it would be another custom topic.
    assert_eq!(
        topics_of_the_client(&server),
        [
            ("jobs/finished".to_owned(), Value::Null),
            ("posts/*".to_owned(), json!({"query": {"filter": "status = 'published'", "expand": "author"}})),
        ]
    );
    post(&server, "a draft");
    server.create("posts", &json!({"title": "out now", "status": "published", "author": server.ann().id}));
    let event = wait_for_text(&running, "out now");
    assert_eq!(event["record"]["expand"]["author"]["name"], "Ann");
    // The hook speaks when a record of the collection says so.
    let job = id(&server.create("jobs", &json!({"name": "backup", "state": "running"})));
    server.update("jobs", &job, &json!({"state": "finished"}));
    assert_eq!(wait_for_text(&running, "backup")["data"], json!({"job": job, "name": "backup", "ok": true}));

    let output = running.stop().expect(130);
    assert_eq!(brief(&events(&output.stdout), "title"), ["create out now", "jobs/finished"]);
}

fn a_bare_name(version: &str) {
    let server = Server::start(version);
    let running = guest(&server).watch(["posts"]);
    running.wait_for_stderr(|line| line.starts_with("posts: the collection posts, as posts/*"));
    post(&server, "hello");
    assert_eq!(wait_for_text(&running, "hello")["topic"], "posts");
    running.stop().expect(130);

    let running = guest(&server).watch(["news"]);
    running.wait_for_stderr(|line| {
        line == "news: no collection is called news: taken as a custom topic, which cannot be checked"
    });
    server.emit("news", &json!("good"));
    assert_eq!(
        wait_for_text(&running, "good"),
        json!({
            "type": "message", "time": wait_for_text(&running, "good")["time"], "topic": "news", "data": "good",
        })
    );
    running.stop().expect(130);
}

fn deletes_carry_the_record(version: &str) {
    let server = Server::start(version);
    let author = &server.ann().id;
    let before = server.create("posts", &json!({"title": "short-lived", "status": "open", "author": author}));
    let running = guest(&server).watch(["posts/*", "--filter", "status = 'open'", "--expand", "author"]);
    server.delete("posts", &id(&before));
    let record = &wait_for_events(&running, 1)[0];
    assert_eq!(record["action"], "delete");
    let mut record = record["record"].clone();
    assert_eq!(record["expand"]["author"]["name"], "Ann");
    record.as_object_mut().unwrap().remove("expand");
    assert_eq!(record, before);
    running.stop().expect(130);
}

fn several_options_over_one_connection(version: &str) {
    let server = Server::start(version);
    let running = ann(&server).watch([
        "posts/*?filter=status = \"published\" && stars > 2&expand=author",
        "comments/*?expand=post.author,author&fields=text,expand.post.title",
        "messages/*?filter=room=\"a&b\"",
        "documents/*",
        "jobs/finished",
        "--fields",
        "title",
    ]);
    // One client, and the flag went where no option of its own stood.
    assert_eq!(
        topics_of_the_client(&server),
        [
            (
                "comments/*".to_owned(),
                json!({"query": {
                    "expand": "post.author,author", "fields": "text,expand.post.title,id,created,updated",
                }})
            ),
            ("documents/*".to_owned(), json!({"query": {"fields": "title,id,created,updated"}})),
            ("jobs/finished".to_owned(), Value::Null),
            (
                "messages/*".to_owned(),
                json!({"query": {"filter": "room=\"a&b\"", "fields": "title,id,created,updated"}})
            ),
            (
                "posts/*".to_owned(),
                json!({"query": {
                    "filter": "status = \"published\" && stars > 2", "expand": "author",
                    "fields": "title,id,created,updated",
                }})
            ),
        ]
    );
    let create = |title: &str, status: &str, stars: i32| {
        server.create("posts", &json!({"title": title, "status": status, "stars": stars, "author": server.ann().id}))
    };
    create("no stars", "published", 2);
    create("a draft", "draft", 5);
    let hit = create("a hit", "published", 5);
    server.create("comments", &json!({"text": "well said", "post": hit["id"], "author": server.bob().id}));
    server.create("messages", &json!({"room": "a", "text": "elsewhere"}));
    server.create("messages", &json!({"room": "a&b", "text": "here"}));
    server.create("documents", &json!({"title": "notes", "content": "long"}));
    server.emit("jobs/finished", &json!(1));

    wait_for_events(&running, 5);
    let output = running.stop().expect(130);
    let records: BTreeMap<_, _> = events(&output.stdout)
        .iter()
        .map(|event| (event["topic"].as_str().unwrap().to_owned(), event["record"].clone()))
        .collect();
    assert_eq!(events(&output.stdout).len(), 5, "{}", output.stdout);
    // What the tool itself asked for is cut out again.
    assert_eq!(records["posts/*"], json!({"title": "a hit"}));
    assert_eq!(records["comments/*"], json!({"text": "well said", "expand": {"post": {"title": "a hit"}}}));
    assert_eq!(records["messages/*"], json!({}));
    assert_eq!(records["documents/*"], json!({"title": "notes"}));
    assert_eq!(records["jobs/finished"], Value::Null);
}

fn the_same_topic_twice(version: &str) {
    let server = Server::start(version);
    let running =
        guest(&server).watch(["posts/*?filter=stars > 2", "posts/*?filter=stars < 5&fields=title", "documents/*"]);
    for (title, stars) in [("few", 1), ("some", 3), ("many", 7)] {
        server.create("posts", &json!({"title": title, "stars": stars}));
    }
    server.create("documents", &json!({"title": "alone"}));
    wait_for_events(&running, 5);
    let output = running.stop().expect(130);
    let seen = events(&output.stdout).into_iter().map(|event| {
        let title = event["record"]["title"].as_str().unwrap().to_owned();
        (event["topic"].as_str().unwrap().to_owned(), event["sub"].as_u64(), title)
    });
    let expected = [
        ("posts/*", Some(1), "some"),
        ("posts/*", Some(1), "many"),
        ("posts/*", Some(2), "few"),
        ("posts/*", Some(2), "some"),
        ("documents/*", None, "alone"),
    ];
    assert_eq!(set(seen), set(expected.map(|(topic, sub, title)| (topic.to_owned(), sub, title.to_owned()))));
}

fn fields_and_expands(version: &str) {
    let server = Server::start(version);
    let hello = server.create("posts", &json!({"title": "Hello, world", "author": server.bob().id}));
    let cases = [
        (vec!["--fields", "title"], json!({"title": "Hello, world"})),
        (vec!["--fields", "title:excerpt(5,true)"], json!({"title": "Hello..."})),
        (vec!["--fields", "nothing"], json!({})),
        (
            vec!["--expand", "author", "--fields", "id,expand.author.name"],
            json!({"id": hello["id"], "expand": {"author": {"name": "Bob"}}}),
        ),
        (vec!["--expand", "nobody", "--fields", "title,expand"], json!({"title": "Hello, world", "expand": {}})),
    ];
    for (options, expected) in cases {
        let running = guest(&server).watch([&["posts/*", "-n", "1"][..], &options].concat());
        server.update("posts", hello["id"].as_str().unwrap(), &json!({}));
        let mut record = wait_for_events(&running, 1)[0]["record"].clone();
        if expected["expand"] == json!({}) && record.get("expand").is_none() {
            record["expand"] = json!({}); // nothing resolved: either form will do
        }
        assert_eq!(record, expected, "{options:?}");
        running.finish().expect(0);
    }
}

fn headers_and_query_that_rules_read(version: &str) {
    let server = Server::start(version);
    for (name, rule) in
        [("by_header", "@request.headers.x_token = 'open sesame'"), ("by_query", "@request.query.k = 'a&b=c'")]
    {
        server.create_collection(&json!({
            "name": name, "type": "base", "fields": [{"name": "text", "type": "text"}],
            "listRule": rule, "viewRule": rule,
        }));
    }
    let watch =
        |header: &str, query: &str| guest(&server).watch(["by_header/*", "by_query/*", "-H", header, "--query", query]);
    let right = watch("X-Token: open sesame", "k=a&b=c");
    let wrong = watch("X-Token: close sesame", "k=a");
    let without = guest(&server).watch(["by_header/*", "by_query/*", "jobs/finished"]);
    let own = guest(&server).watch(["by_header/*?header.x-token=open sesame", "by_query/*"]);
    assert_eq!(server.clients().len(), 4);

    server.create("by_header", &json!({"text": "header"}));
    server.create("by_query", &json!({"text": "query"}));
    wait_for_events(&right, 2);
    wait_for_events(&own, 1);
    server.emit("jobs/finished", &json!("last"));
    wait_for_text(&without, "last");
    let texts = |output: &str| set(brief(&events(output), "text"));
    assert_eq!(texts(&right.stop().stdout), set(["create header".to_owned(), "create query".to_owned()]));
    assert_eq!(texts(&own.stop().stdout), set(["create header".to_owned()]));
    assert_eq!(texts(&wrong.stop().stdout), set([]));
    assert_eq!(texts(&without.stop().stdout), set(["jobs/finished".to_owned()]));
}

fn bound_parameters(version: &str) {
    let server = Server::start(version);
    let title = r#"it's "quoted" {:n} || 1=1"#;
    let args = ["posts/*", "--filter", "title = {:t} && stars > {:n}", "--param", "n:=2"];
    let running = guest(&server).watch([&args[..], &["--param", &format!("t={title}")]].concat());
    server.create("posts", &json!({"title": title, "stars": 2}));
    server.create("posts", &json!({"title": "another", "stars": 3}));
    server.create("posts", &json!({"title": title, "stars": 3, "body": "this one"}));
    wait_for_text(&running, "this one");
    let output = running.stop().expect(130);
    assert_eq!(brief(&events(&output.stdout), "body"), ["create this one"]);

    // Each filter takes the parameters that it has placeholders for.
    let running = guest(&server).watch([
        "posts/*?filter=title = {:t}",
        "documents/*?filter=content = {:c}",
        "--param",
        "t=a",
        "--param",
        "c=it's",
    ]);
    server.create("documents", &json!({"content": "it is"}));
    server.create("documents", &json!({"title": "bound", "content": "it's"}));
    wait_for_text(&running, "bound");
    assert_eq!(brief(&events(&running.stop().stdout), "title"), ["create bound"]);

    for (args, message) in [
        (["--filter", "title = {:t}", "--param", "x=1"], "the placeholder {:t} has no value"),
        (["--filter", "title = 'a'", "--param", "x=1"], "the parameter x has no placeholder {:x} in any filter"),
        (["--filter", "title = {:t}", "--param", r"t=C:\temp"], "backslash"),
    ] {
        let output = guest(&server).run([&["subscribe", "posts/*"], &args[..]].concat()).expect(2);
        assert!(output.stderr.contains(message), "{args:?}: {}", output.stderr);
    }
}

fn a_guest_and_a_user(version: &str) {
    let server = Server::start(version);
    let cli = guest(&server);
    cli.login("users", ANN, PASSWORD);
    let topics = ["posts/*", "messages/*", "activity/*", "jobs/finished"];
    let as_guest = cli.watch([&topics[..], &["--guest"]].concat());
    assert_eq!(lifecycle(&as_guest, "subscribed")["auth"], Value::Null);
    assert_eq!(server.clients()[0].auth, None);
    let as_ann = cli.watch(topics);
    assert_eq!(lifecycle(&as_ann, "subscribed")["auth"]["id"], server.ann().id);

    post(&server, "for all");
    server.create("messages", &json!({"text": "for users"}));
    server.create("activity", &json!({"what": "for Ann", "author": server.ann().id}));
    server.create("activity", &json!({"what": "for Bob", "author": server.bob().id}));
    wait_for_events(&as_ann, 3);
    wait_for_events(&as_guest, 1);
    server.emit("jobs/finished", &json!("last"));
    wait_for_text(&as_ann, "last");
    wait_for_text(&as_guest, "last");
    let collections = |output: &str| {
        let all = events(output);
        set(all.iter().filter_map(|event| event["record"]["collectionName"].as_str().map(str::to_owned)))
    };
    assert_eq!(collections(&as_guest.stop().stdout), set(["posts".to_owned()]));
    let ann = as_ann.stop().stdout;
    assert_eq!(collections(&ann), set(["posts", "messages", "activity"].map(str::to_owned)));
    assert!(!ann.contains("for Bob"), "{ann}");
}

fn an_owner_and_a_superuser(version: &str) {
    let server = Server::start(version);
    let as_root = root(&server).watch(["activity/*", "secrets/*", "users/*"]);
    server.create("activity", &json!({"what": "Bob's", "author": server.bob().id}));
    server.create("secrets", &json!({"text": "mine"}));
    server.update("users", &server.bob().id, &json!({"name": "Robert"}));
    wait_for_events(&as_root, 3);
    wait_for_text(&as_root, "bob@example.com"); // his address is shown to superusers
    as_root.stop().expect(130);
}

fn pb_connect(version: &str) {
    let server = Server::start(version);
    let running = ann(&server).watch(["PB_CONNECT", "posts/*"]);
    let client = server.clients().remove(0);
    assert_eq!(client.subscriptions, ["posts/*"], "PB_CONNECT is not sent");
    let short = format!("{}…", &client.id[..3]);
    assert_eq!(lifecycle(&running, "connected")["client"], short);
    let message = wait_for_text(&running, "PB_CONNECT");
    assert_eq!((&message["type"], &message["data"]), (&"message".into(), &json!({"clientId": short})));
    let output = running.stop().expect(130);
    assert!(!(output.stdout.clone() + &output.stderr).contains(&client.id), "{}", output.stdout);

    // It counts as a message, and needs no other topic.
    guest(&server).run(["subscribe", "PB_CONNECT", "-n", "1"]).expect(0);
}

/// What breaks quoting, URLs, JSON, terminals and careless encoders.
pub const NASTY: &[&str] = &[
    "plain",
    "it's",
    r#"say "hi""#,
    r#"both ' and ""#,
    "a&b",
    "a=b&filter=1=1",
    "a#b",
    "50 %",
    "%41",
    "a+b",
    "a;b",
    "é",
    "日本語",
    "line\nbreak",
    "tab\there",
    "\u{85}\u{2028}",
    "😀",
    "{:x}",
    "a?b/c*",
    "// no comment",
    "(1=1) || 'x'",
    "@request",
    "$1 $& `x` $(x)",
    "<script>",
];

fn filters_arrive_as_they_are(version: &str) {
    let server = Server::start(version);
    // One topic for each value, all over one connection.
    let mut args: Vec<String> = Vec::new();
    for (number, value) in NASTY.iter().enumerate() {
        args.push(format!("posts/*?filter=title = {{:v{number}}}&header.X-Number={number}"));
        args.extend(["--param".to_owned(), format!("v{number}={value}")]);
    }
    // A star makes no difference to what is compared, an operator in quotes neither.
    let running = guest(&server).watch(&args);

    let keys = server.clients().remove(0).subscriptions;
    assert_eq!(keys.len(), NASTY.len());
    for key in &keys {
        let (name, options) = decoded(key);
        let number: usize = options["headers"]["X-Number"].as_str().unwrap().parse().unwrap();
        let filter = options["query"]["filter"].as_str().unwrap();
        let inside: String =
            NASTY[number].chars().flat_map(|c| if c == '\'' { vec!['\\', c] } else { vec![c] }).collect();
        let quoted = NASTY[number];
        assert!(
            [format!("title = '{inside}'"), format!("title = \"{quoted}\"")].contains(&filter.to_owned()),
            "{filter}"
        );
        assert_eq!(name, "posts/*");
    }

    for value in NASTY {
        post(&server, value);
        post(&server, &format!("{value}?"));
    }
    wait_for_events(&running, NASTY.len());
    let output = running.stop().expect(130);
    let seen = events(&output.stdout).into_iter().map(|event| {
        let position = usize::try_from(event["sub"].as_u64().unwrap()).unwrap();
        (position - 1, event["record"]["title"].as_str().unwrap().to_owned())
    });
    let seen: Vec<_> = seen.collect();
    assert_eq!(seen.len(), NASTY.len(), "{seen:?}");
    assert_eq!(set(seen), set(NASTY.iter().map(|&title| title.to_owned()).enumerate()));
}

fn a_long_filter_needs_less_escaping(version: &str) {
    let server = Server::start(version);
    // 2,000 characters that would take more than 4,000 bytes fully escaped.
    let title = r#"lorem "b" é={1}, "#.repeat(117) + "&#%+;.";
    assert!(title.chars().count() > 1990);
    let running = guest(&server).watch(["posts/*", "-f", "title={:t}&&body='yes'", "--param", &format!("t={title}")]);
    let key = server.clients().remove(0).subscriptions.remove(0);
    assert!(key.len() <= 2500 && key.len() > title.len(), "{} bytes", key.len());
    assert!(key.contains('é') && key.contains("\\\"b\\\""), "{key}");
    assert_eq!(decoded(&key).1["query"]["filter"], format!("title='{title}'&&body='yes'"));

    server.create("posts", &json!({"title": title, "body": "no"}));
    server.create("posts", &json!({"title": &title[1..], "body": "yes"}));
    server.create("posts", &json!({"title": title, "body": "yes"}));
    let event = wait_for_text(&running, r#""body":"yes""#);
    assert_eq!(event["record"]["title"], title);
    assert_eq!(brief(&events(&running.stop().stdout), "body"), ["create yes"]);

    // Beyond that it is said before anything is sent.
    let longer = format!("title = '{}'", "x".repeat(2500));
    let output = guest(&server).run(["subscribe", "posts/*", "--filter", &longer]).expect(2);
    assert!(output.stderr.contains("and the server allows 2500"), "{}", output.stderr);
}

fn payloads_of_any_kind(version: &str) {
    let server = Server::start(version);
    let running = guest(&server).watch(["jobs/finished"]);
    // Messages of one hook come in their order.
    let payloads: [(&[u8], Value); 9] = [
        (b"not JSON", json!({"text": "not JSON"})),
        (b"", json!({"text": ""})),
        (b" { \"a\" : 1 } ", json!({"data": {"a": 1}})),
        (b"[1,null,\"x\"]", json!({"data": [1, null, "x"]})),
        (b"12345678901234567890.50", json!({"data": "12345678901234567890.50"})),
        (b"null", json!({"data": null})),
        ("Å é 日本 😀".as_bytes(), json!({"text": "Å é 日本 😀"})),
        (b"caf\xe9 \xff", json!({"text": "caf\u{fffd} \u{fffd}"})),
        (
            b"{\"action\":\"create\",\"record\":{\"id\":\"x\"}}",
            json!({"data": {"action": "create", "record": {"id": "x"}}}),
        ),
    ];
    for (payload, _) in &payloads {
        assert_eq!(server.emit_raw("jobs/finished", payload), 1);
    }
    server.emit("jobs/finished", &json!("the last"));
    wait_for_text(&running, "the last");
    let output = running.stop().expect(130);
    let lines: Vec<_> = output.stdout.lines().filter(|line| line.starts_with(r#"{"type":"message""#)).collect();
    assert_eq!(lines.len(), payloads.len() + 1, "{}", output.stdout);
    for (line, (_, expected)) in lines.iter().zip(&payloads) {
        // The digits of a number are the server's.
        if let Some(number) = expected["data"].as_str().filter(|text| text.starts_with("1234")) {
            assert!(line.ends_with(&format!(r#","data":{number}}}"#)), "{line}");
            continue;
        }
        let event = parse(line);
        let (key, value) = expected.as_object().unwrap().iter().next().unwrap();
        assert_eq!(event.get(key), Some(value), "{line}");
    }
    let warning = r#""code":"invalid-utf8""#;
    assert_eq!(output.stdout.lines().filter(|line| line.contains(warning)).count(), 1, "{}", output.stdout);
}

fn actions(version: &str) {
    let server = Server::start(version);
    let running = guest(&server).watch(["posts/*", "--action", "create,delete"]);
    let record = id(&post(&server, "a"));
    wait_for_events(&running, 1);
    server.update("posts", &record, &json!({"title": "b"}));
    server.delete("posts", &record);
    wait_for_text(&running, r#""action":"delete""#);
    assert_eq!(brief(&events(&running.stop().stdout), "title"), ["create a", "delete b"]);
}

fn it_ends_by_itself(version: &str) {
    let server = Server::start(version);
    let running = guest(&server).watch(["posts/*", "-n", "2"]);
    for title in ["one", "two", "three"] {
        post(&server, title);
    }
    let output = running.finish().expect(0);
    assert_eq!(events(&output.stdout).len(), 2);
    let end = parse(output.stdout.lines().last().unwrap());
    assert_eq!((&end["reason"], &end["exit"], &end["events"]), (&"count".into(), &0.into(), &2.into()));
    server.wait_for_clients(0);

    let args = ["subscribe", "jobs/finished", "--timeout", "300ms"];
    let output = guest(&server).run(args).expect(124);
    assert_eq!(output.stdout, "");
    assert!(output.stderr.contains("■ ended        timed out"), "{}", output.stderr);
    assert!(output.stderr.lines().last().unwrap().starts_with("hint: bosbase-watch topics says"), "{}", output.stderr);
    guest(&server).run(["subscribe", "jobs/finished", "--idle-timeout", "100ms"]).expect(124);
    guest(&server).run(["subscribe", "jobs/finished", "--duration", "0s"]).expect(0);
    server.wait_for_clients(0);
}

fn collections_by_their_id(version: &str) {
    let server = Server::start(version);
    let posts = id(&server.get("/api/collections/posts"));
    let running = guest(&server).watch([&format!("{posts}/*")]);
    post(&server, "by id");
    let event = wait_for_text(&running, "by id");
    assert_eq!(event["topic"], format!("{posts}/*"));
    running.stop().expect(130);
}
