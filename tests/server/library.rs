use std::time::Duration;

use bosbase_watch::{Action, Cause, Client, Dialect, ErrorKind, Event, Realtime, Severity, Topic, filter, filter_in};
use serde_json::json;

use crate::kit::{client, client_of, decoded, ended, id, next, next_message, next_record, post, run, set, until};
use crate::subscribe::NASTY;
use crate::support::pocketbase::{Api, Server};

both_versions!(
    from_the_connection_to_its_end,
    unsubscribe_by_topic_by_prefix_by_dropping_everything,
    two_readers_of_one_topic,
    topics_come_and_go_on_one_connection,
    connection_events_alone_open_nothing,
    a_record_as_a_type,
    errors_have_a_kind_a_status_and_the_servers_words,
    a_refused_topic_leaves_the_others_alone,
    a_refused_topic_that_nobody_waits_for,
    too_many_topics,
    bound_filters_find_what_they_name,
    times_and_numbers_in_filters,
    backslashes_in_the_servers_own_dialect,
);

/// The names of the topics that the server has, of all clients.
fn names(api: &Api) -> Vec<String> {
    let keys = api.clients().into_iter().flat_map(|client| client.subscriptions);
    let mut names: Vec<_> = keys.map(|key| decoded(&key).0).collect();
    names.sort_unstable();
    names
}

fn from_the_connection_to_its_end(version: &str) {
    let server = Server::start(version);
    run(async {
        let client = client_of(&server, server.ann());
        let realtime = client.realtime();
        let topics = || [Topic::collection("posts").expand("author"), Topic::custom("jobs/finished")];
        let mut feed = realtime.subscribe_all(topics()).await.unwrap();

        // It is subscribed when `subscribe_all` returns.
        let seen = server.clients().remove(0);
        assert_eq!(set(seen.subscriptions), set(topics().map(|topic| topic.key().unwrap())));
        assert_eq!(seen.auth, Some(format!("users/{}", server.ann().id)));

        let Event::Connected(connected) = next(&mut feed).await else { panic!("not connected first") };
        assert_eq!((connected.client_id.expose(), connected.url.as_str()), (seen.id.as_str(), server.url()));
        assert!(!format!("{connected:?}").contains(&seen.id));
        let Event::Subscribed(subscribed) = next(&mut feed).await else { panic!("not subscribed then") };
        assert_eq!(subscribed.topics, ["posts/*", "jobs/finished"]);
        assert_eq!(subscribed.auth.unwrap().id, server.ann().id);
        let Event::Live(live) = next(&mut feed).await else { panic!("not live then") };
        assert_eq!((live.initial, live.replayed), (0, 0));

        let created = server.create("posts", &json!({"title": "hello", "author": server.ann().id}));
        let record = next_record(&mut feed).await;
        assert_eq!((record.action(), record.topic().name()), (Action::Create, "posts/*"));
        assert_eq!((record.id(), record.collection()), (Some(id(&created)), Some("posts".to_owned())));
        assert!(record.json().contains(r#""name":"Ann""#), "{}", record.json());
        server.emit("jobs/finished", &json!({"job": 1}));
        let message = next_message(&mut feed).await;
        assert_eq!((message.payload(), message.source().index()), (r#"{"job":1}"#, 1));

        assert_eq!(realtime.unsubscribe_all().await, 2);
        let Event::Disconnected(closed) = next(&mut feed).await else { panic!("not disconnected") };
        assert_eq!((closed.topics, closed.cause, closed.retry), (vec![], Cause::Closed, None));
        ended(&mut feed).await;
        until("the server to forget the client", || server.clients().is_empty()).await;
    });
}

fn unsubscribe_by_topic_by_prefix_by_dropping_everything(version: &str) {
    let server = Server::start(version);
    run(async {
        let realtime = client(&server).realtime();
        let open = async |topic: Topic| realtime.subscribe(topic).await.unwrap();
        let mut posts = open(Topic::collection("posts")).await;
        let mut filtered = open(Topic::collection("posts").filter("stars > 1")).await;
        let mut post = open(Topic::record("posts", "abcdefghijklmno")).await;
        let mut archive = open(Topic::custom("posts_archive/x")).await;
        let comments = open(Topic::collection("comments")).await;
        let jobs = open(Topic::custom("jobs/finished")).await;
        let all = ["comments/*", "jobs/finished", "posts/*", "posts/*", "posts/abcdefghijklmno", "posts_archive/x"];
        assert_eq!(names(&server), all);
        assert_eq!(server.clients().len(), 1);
        let before = server.clients()[0].id.clone();

        // By topic: whatever its options.
        assert_eq!(realtime.unsubscribe("posts/*").await, 2);
        assert_eq!(names(&server), ["comments/*", "jobs/finished", "posts/abcdefghijklmno", "posts_archive/x"]);
        ended(&mut posts).await;
        ended(&mut filtered).await;
        assert_eq!(realtime.unsubscribe("posts/*").await, 0);

        // By prefix: up to a slash.
        assert_eq!(realtime.unsubscribe_prefix("posts").await, 1);
        assert_eq!(names(&server), ["comments/*", "jobs/finished", "posts_archive/x"]);
        ended(&mut post).await;

        // By dropping the handle.
        drop(comments);
        until("the server to forget the topic", || names(&server) == ["jobs/finished", "posts_archive/x"]).await;
        jobs.unsubscribe();
        until("the server to forget the topic", || names(&server) == ["posts_archive/x"]).await;
        assert_eq!(server.clients()[0].id, before, "still the same connection");

        // Everything.
        assert_eq!(realtime.unsubscribe_all().await, 1);
        ended(&mut archive).await;
        until("the server to forget the client", || server.clients().is_empty()).await;

        // And it can begin again.
        let again = realtime.subscribe(Topic::collection("posts")).await.unwrap();
        assert_eq!(names(&server), ["posts/*"]);
        assert_ne!(server.clients()[0].id, before);
        drop((again, realtime));
        until("the server to forget the client", || server.clients().is_empty()).await;
    });
}

fn two_readers_of_one_topic(version: &str) {
    let server = Server::start(version);
    run(async {
        let realtime = client(&server).realtime();
        let mut one = realtime.subscribe(Topic::collection("posts")).await.unwrap();
        let two = realtime.clone().subscribe(Topic::collection("posts")).await;
        let mut two = two.unwrap();
        assert_eq!(names(&server), ["posts/*"], "one topic to the server");
        post(&server, "for both");
        assert!(next_record(&mut one).await.json().contains("for both"));
        assert!(next_record(&mut two).await.json().contains("for both"));

        drop(one);
        post(&server, "for one");
        assert!(next_record(&mut two).await.json().contains("for one"));
        assert_eq!(names(&server), ["posts/*"]);
        drop(two);
        until("the server to forget the client", || server.clients().is_empty()).await;
    });
}

fn topics_come_and_go_on_one_connection(version: &str) {
    let server = Server::start(version);
    run(async {
        let realtime = client(&server).realtime();
        let mut posts = realtime.subscribe(Topic::collection("posts")).await.unwrap();
        let id = server.clients()[0].id.clone();
        for round in 0..20 {
            let more = realtime.subscribe(Topic::custom(format!("room/{round}"))).await.unwrap();
            assert_eq!(names(&server), ["posts/*".to_owned(), format!("room/{round}")]);
            assert_eq!(server.clients()[0].id, id);
            drop(more);
            // Nothing of another topic is lost or doubled meanwhile.
            post(&server, &format!("round {round}"));
            let record = next_record(&mut posts).await;
            assert!(record.json().contains(&format!("\"round {round}\"")), "{}", record.json());
            until("the room to be left", || names(&server) == ["posts/*"]).await;
        }
        // Many at once.
        let rooms = (0..50).map(|room| realtime.subscribe(Topic::custom(format!("room/{room}"))));
        let rooms = futures_util::future::join_all(rooms).await;
        assert!(rooms.iter().all(Result::is_ok));
        assert_eq!(names(&server).len(), 51);
        assert_eq!(realtime.unsubscribe_prefix("room/").await, 50);
        assert_eq!(names(&server), ["posts/*"]);
    });
}

fn connection_events_alone_open_nothing(version: &str) {
    let server = Server::start(version);
    run(async {
        let realtime = client(&server).realtime();
        let mut monitor = realtime.connection_events().unwrap();
        let posts = realtime.subscribe(Topic::collection("posts")).await.unwrap();
        assert!(matches!(next(&mut monitor).await, Event::Connected(_)));
        assert!(matches!(next(&mut monitor).await, Event::Subscribed(_)));
        assert!(matches!(next(&mut monitor).await, Event::Live(_)));
        post(&server, "not for the monitor");
        drop(posts);
        let Event::Disconnected(closed) = next(&mut monitor).await else { panic!("an event of a topic") };
        assert!(closed.topics.is_empty());
        until("the server to forget the client", || server.clients().is_empty()).await;
    });
}

fn a_record_as_a_type(version: &str) {
    #[derive(serde::Deserialize)]
    struct Post {
        id: String,
        title: String,
        stars: f64,
    }
    let server = Server::start(version);
    run(async {
        let topic = Topic::collection("posts").fields("id,title,stars");
        let mut posts = client(&server).realtime().subscribe(topic).await.unwrap();
        let created = server.create("posts", &json!({"title": "typed", "stars": 2.5}));
        let post: Post = next_record(&mut posts).await.parse().unwrap();
        assert_eq!((post.id, post.title.as_str(), post.stars), (id(&created), "typed", 2.5));
    });
}

fn errors_have_a_kind_a_status_and_the_servers_words(version: &str) {
    let server = Server::start(version);
    run(async {
        // 401 and 403 where a superuser is needed.
        let error = client(&server).collections().await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Unauthorized, Some(401)));
        let words = "The request requires valid record authorization token.";
        assert_eq!(error.server_message(), Some(words));

        let ann = client_of(&server, server.ann());
        let error = ann.collections().await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Forbidden, Some(403)));
        let words = "The authorized record is not allowed to perform this action.";
        assert_eq!(error.server_message(), Some(words));
        assert_eq!(error.to_string(), format!("permission denied (403: {})", words.trim_end_matches('.')));

        // 404 where there is no collection.
        let error = ann.collection("posst").auth_refresh().await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::NotFound, Some(404)));
        assert!(error.server_message().unwrap().starts_with("Missing or invalid"), "{error}");

        // The check of topics says both in words.
        post(&server, "hello");
        let topics = [Topic::collection("secrets"), Topic::collection("posst"), Topic::collection("posts")];
        let verdicts = ann.check(&topics).await.unwrap();
        let found: Vec<_> = verdicts.iter().map(|verdict| (verdict.severity, verdict.code)).collect();
        assert_eq!(found, [(Severity::Error, "forbidden"), (Severity::Error, "not-found"), (Severity::Ok, "ok")]);
        assert!(verdicts[0].message.starts_with("permission denied"), "{}", verdicts[0].message);
        assert_eq!(verdicts[1].message, "there is no collection posst");

        // A token that the server does not accept.
        let nobody = client(&server);
        nobody.auth().save(server.ann().token.replace('.', "x.").into(), None);
        let error = nobody.realtime().subscribe(Topic::collection("posts")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized);

        // Nobody there.
        let error = Client::new("http://127.0.0.1:1").unwrap().health().await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Refused, None));
        assert!(error.is_transient());
    });
}

fn a_refused_topic_leaves_the_others_alone(version: &str) {
    let server = Server::start(version);
    run(async {
        let realtime = client(&server).realtime();
        let mut posts = realtime.subscribe(Topic::collection("posts")).await.unwrap();
        let before = server.clients();
        for _ in 0..3 {
            let error = realtime.subscribe(Topic::custom("forbidden/topic")).await.unwrap_err();
            assert_eq!((error.kind(), error.status()), (ErrorKind::Forbidden, Some(403)));
            assert_eq!(error.server_message(), Some("The topic is not for you."));
        }
        assert_eq!(server.clients(), before);
        let more = realtime.subscribe(Topic::custom("jobs/finished")).await.unwrap();
        assert_eq!(names(&server), ["jobs/finished", "posts/*"]);
        post(&server, "still here");
        assert!(next_record(&mut posts).await.json().contains("still here"));
        drop(more);
    });
}

fn a_refused_topic_that_nobody_waits_for(version: &str) {
    let server = Server::start(version);
    run(async {
        let realtime = client(&server).realtime();
        let mut posts = realtime.subscribe(Topic::collection("posts")).await.unwrap();
        let mut refused = realtime.watch([Topic::custom("forbidden/topic")]).unwrap();
        let error = loop {
            match tokio::time::timeout(Duration::from_secs(10), refused.next()).await.unwrap() {
                Some(Ok(_)) => {}
                Some(Err(error)) => break error,
                None => panic!("it ends without a reason"),
            }
        };
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        post(&server, "still here");
        assert!(next_record(&mut posts).await.json().contains("still here"));
        assert_eq!(names(&server), ["posts/*"]);
    });
}

fn too_many_topics(version: &str) {
    let server = Server::start(version);
    run(async {
        let realtime = Realtime::builder(&client(&server)).build();
        let rooms = |from: usize, to: usize| (from..to).map(|room| Topic::custom(format!("room/{room}")));
        let error = realtime.subscribe_all(rooms(0, 1001)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidTopic);
        assert_eq!(server.clients(), []);
        let most = realtime.subscribe_all(rooms(0, 1000)).await.unwrap();
        assert_eq!(names(&server).len(), 1000);
        let error = realtime.subscribe(Topic::custom("one more")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidTopic);
        assert_eq!(server.emit("room/999", &json!(1)), 1);
        drop(most);
    });
}

/// The titles that a filter finds by REST.
#[track_caller]
fn found(api: &Api, filter: &str) -> Vec<String> {
    let records = api.list("posts", &[("filter", filter)]);
    records.iter().map(|record| record["title"].as_str().unwrap().to_owned()).collect()
}

fn bound_filters_find_what_they_name(version: &str) {
    let server = Server::start(version);
    for value in NASTY {
        post(&server, value);
    }
    for value in NASTY {
        for expression in ["title = {:v}", "({:v} = title)", "title = {:v} // {:v} is not scanned here"] {
            if expression.contains("//") && value.contains('\n') {
                continue; // a comment ends with its line
            }
            let bound = filter(expression, &[("v", (*value).into())]).unwrap();
            assert_eq!(found(&server, &bound), [*value], "{bound}");
        }
        // A value cannot break out of what stands around it.
        let bound = filter("title = 'nobody' && body = {:v}", &[("v", (*value).into())]).unwrap();
        assert!(found(&server, &bound).is_empty(), "{bound}");
    }
    let injections = ["' || title != '", "\" || title != \"", "x' || 1=1 //", "{:a}", "') || (title != '"];
    for value in injections {
        let params = [("a", value.into()), ("b", "nobody".into())];
        let bound = filter("title = {:a} && (body = {:b} && title = {:a})", &params).unwrap();
        assert!(found(&server, &bound).is_empty(), "{bound}");
    }
    assert_eq!(filter("title = {:v}", &[("v", r"a\b".into())]).unwrap_err().kind(), ErrorKind::InvalidFilter);
}

fn times_and_numbers_in_filters(version: &str) {
    let server = Server::start(version);
    for (title, stars) in [("none", 0.0), ("some", 2.5), ("many", 1e15), ("debt", -3.0)] {
        server.create("posts", &json!({"title": title, "stars": stars}));
    }
    let by = |expression: &str, value: bosbase_watch::FilterValue| {
        let bound = filter(expression, &[("v", value)]).unwrap();
        set(found(&server, &bound))
    };
    let titles = |titles: &[&str]| set(titles.iter().map(|&title| title.to_owned()));
    assert_eq!(by("stars = {:v}", 2.5.into()), titles(&["some"]));
    assert_eq!(by("stars = {:v}", 1e15.into()), titles(&["many"]));
    assert_eq!(by("stars = {:v}", (-3).into()), titles(&["debt"]));
    assert_eq!(by("stars >= {:v}", 0.into()), titles(&["none", "some", "many"]));
    assert_eq!(by("status = {:v}", "".into()), titles(&["none", "some", "many", "debt"]));
    assert_eq!(by("author != {:v}", None::<&str>.into()), titles(&[]));

    let now = jiff::Timestamp::now();
    let (past, future) = (now - Duration::from_secs(3600), now + Duration::from_secs(3600));
    assert_eq!(by("created >= {:v}", past.into()).len(), 4);
    assert_eq!(by("created >= {:v}", future.into()).len(), 0);
    assert_eq!(by("created <= {:v}", future.into()).len(), 4);

    server.patch_collection("users", &json!({"viewRule": ""}));
    let verified = |value: bool| {
        let bound = filter("verified = {:v}", &[("v", value.into())]).unwrap();
        server.list("users", &[("filter", &bound)]).len()
    };
    assert_eq!((verified(true), verified(false)), (2, 0));
}

fn backslashes_in_the_servers_own_dialect(version: &str) {
    let server = Server::start(version);
    let escapes = server.is_at_least("0.39.9");
    let dialect = if escapes { Dialect::Escapes } else { Dialect::Plain };
    let values = [r"C:\new\table", r"\\server\share", r"a\'b", r#"a\"b"#, r"\n", r"\u0041", r"\d+", r"x\y'z", r"\'"];
    for value in values.iter().chain(NASTY) {
        post(&server, value);
    }
    for value in values.iter().chain(NASTY) {
        match filter_in(dialect, "title = {:v}", &[("v", (*value).into())]) {
            Ok(bound) => assert_eq!(found(&server, &bound), [*value], "{bound}"),
            // Refused rather than wrong.
            Err(error) => {
                assert!(!escapes && value.contains('\\'), "{value}: {error}");
                assert_eq!(error.kind(), ErrorKind::InvalidFilter);
            }
        }
    }
    // A value that ends in a backslash can be written in one dialect only.
    let last = filter_in(dialect, "title = {:v}", &[("v", r"ends in \".into())]);
    if escapes {
        post(&server, r"ends in \");
        assert_eq!(found(&server, &last.unwrap()), [r"ends in \"]);
    } else {
        assert_eq!(last.unwrap_err().kind(), ErrorKind::InvalidFilter);
    }
    // The question that tells the dialects apart.
    let (status, _) = server.request(
        "GET",
        "/api/collections/posts/records?filter=id!%3D%22%5C%5C%22",
        Some(server.superuser_token()),
        None,
    );
    assert_eq!(status, if escapes { 200 } else { 400 });
}
