//! Sample data, and traffic that a person can read.

#![allow(dead_code, unreachable_pub, reason = "it is part of more than one program, and none needs everything")]

use super::pocketbase::{ANN, Api, BOB, user};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Two more users beside Ann and Bob.
pub const CLEO: &str = "cleo@example.com";
pub const DAN: &str = "dan@example.com";

/// What there is to read before anything happens.
#[derive(Clone, Debug)]
pub struct Samples {
    users: Vec<String>,
    posts: VecDeque<String>,
    messages: VecDeque<String>,
    documents: Vec<String>,
}

/// Fills a fresh server with sample data.
pub fn fill(api: &Api) -> Samples {
    user(api, CLEO, "Cleo");
    user(api, DAN, "Dan");
    let id_of = |email: &&str| {
        let found = api.list("users", &[("filter", &format!("email = \"{email}\""))]);
        id(&found[0])
    };
    let users: Vec<String> = [ANN, BOB, CLEO, DAN].iter().map(id_of).collect();
    let person = |index: usize| &users[index % users.len()];

    let mut posts = VecDeque::new();
    for (index, title) in TITLES.iter().take(5).enumerate() {
        let post = api.create(
            "posts",
            &json!({
                "title": title,
                "body": format!("{title}: the long version."),
                "status": (["published", "open", "published", "draft", "published"])[index],
                "stars": index * 2 + 1,
                "author": person(index),
            }),
        );
        let comment = json!({"post": post["id"], "author": person(index + 1), "text": COMMENTS[index]});
        api.create("comments", &comment);
        posts.push_back(id(&post));
    }
    let messages = MESSAGES.iter().take(6).enumerate();
    let messages = messages.map(|(index, (room, text))| {
        let message = json!({"room": room, "text": text, "author": person(index)});
        id(&api.create("messages", &message))
    });
    let messages = messages.collect();
    let documents = ["Meeting notes", "Roadmap", "Onboarding"].iter().enumerate();
    let documents = documents.map(|(index, title)| {
        let document = json!({"title": title, "content": SENTENCES[index], "lastEditor": person(index)});
        id(&api.create("documents", &document))
    });
    let documents = documents.collect();
    for (name, state) in [("Send newsletter", "finished"), ("Rebuild index", "queued")] {
        api.create("jobs", &json!({"name": name, "state": state}));
    }
    for index in 0..users.len() {
        api.create("activity", &json!({"author": person(index), "what": "signed up"}));
    }
    Samples { users, posts, messages, documents }
}

/// People at work on the server, until dropped.
#[derive(Debug)]
pub struct Traffic {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Traffic {
    /// One thing happens at each `pace`.
    pub fn start(api: Api, samples: Samples, pace: Duration) -> Self {
        let (handle, end) = mpsc::channel();
        let mut work = Work { api, samples, post: String::new(), comment: String::new(), job: String::new() };
        let thread = thread::spawn(move || {
            let mut step = 0;
            while end.recv_timeout(pace) == Err(RecvTimeoutError::Timeout) {
                work.step(step);
                step += 1;
            }
        });
        Self { stop: Some(handle), thread: Some(thread) }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Work {
    api: Api,
    samples: Samples,
    /// What the present round is about.
    post: String,
    comment: String,
    job: String,
}

impl Work {
    /// A round has twelve steps; each job ends in the round that started it.
    fn step(&mut self, step: usize) {
        let round = step / 12;
        let api = self.api.clone();
        let author = self.person(round).clone();
        let reader = self.person(round + 1).clone();
        match step % 12 {
            0 => {
                let title = pick(TITLES, round + 5);
                let body = format!("{title}: the long version.");
                self.post = id(&api.create(
                    "posts",
                    &json!({"title": title, "body": body, "status": "draft", "stars": 0, "author": author}),
                ));
                self.samples.posts.push_back(self.post.clone());
            }
            1 | 5 | 8 => {
                let number = round * 3 + step % 12 / 3;
                let (room, text) = pick(MESSAGES, number + 6);
                let message = json!({"room": room, "text": text, "author": self.person(number)});
                let message = id(&api.create("messages", &message));
                self.samples.messages.push_back(message);
            }
            2 => {
                let job = json!({"name": pick(JOBS, round), "state": "running"});
                self.job = id(&api.create("jobs", &job));
                change(&api, "posts", &self.post, &json!({"status": "published"}));
            }
            3 => {
                let text = pick(COMMENTS, round + 5);
                let comment = json!({"post": self.post, "author": reader, "text": text});
                self.comment = id(&api.create("comments", &comment));
            }
            4 => {
                let document = &self.samples.documents[round % self.samples.documents.len()];
                let edit = json!({"content": pick(SENTENCES, round), "lastEditor": author});
                change(&api, "documents", document, &edit);
            }
            6 => change(&api, "posts", &self.post, &json!({"stars": round % 5 + 1})),
            7 => {
                let text = format!("{} (edited)", pick(COMMENTS, round + 5));
                change(&api, "comments", &self.comment, &json!({"text": text}));
            }
            9 => {
                let state = if round % 6 == 5 { "failed" } else { "finished" };
                change(&api, "jobs", &self.job, &json!({"state": state}));
            }
            10 => {
                let document = &self.samples.documents[(round + 1) % self.samples.documents.len()];
                let edit = json!({"content": pick(SENTENCES, round + 4), "lastEditor": reader});
                change(&api, "documents", document, &edit);
            }
            _ => self.tidy_up(round),
        }
    }

    /// Someone deletes something, so that the server does not grow for ever.
    fn tidy_up(&mut self, round: usize) {
        let Samples { posts, messages, .. } = &mut self.samples;
        if round.is_multiple_of(2) {
            self.api.delete("comments", &self.comment);
            return;
        }
        // Two rounds add six messages and two posts.
        while messages.len() > 12 {
            let oldest = messages.pop_front().unwrap_or_default();
            self.api.delete("messages", &oldest);
        }
        while posts.len() > 6 {
            let oldest = posts.pop_front().unwrap_or_default();
            self.api.delete("posts", &oldest);
        }
        let jobs = [("filter", "state != \"queued\""), ("sort", "created")];
        for job in self.api.list("jobs", &jobs).iter().rev().skip(6) {
            self.api.delete("jobs", &id(job));
        }
    }

    fn person(&self, index: usize) -> &String {
        &self.samples.users[index % self.samples.users.len()]
    }
}

fn change(api: &Api, collection: &str, id: &str, changes: &Value) {
    api.update(collection, id, changes);
}

fn pick<T: Copy>(list: &[T], index: usize) -> T {
    list[index % list.len()]
}

fn id(record: &Value) -> String {
    record["id"].as_str().unwrap_or_default().to_owned()
}

const TITLES: &[&str] = &[
    "Hello, world",
    "How we moved to realtime",
    "Ten small commands",
    "A week without polling",
    "Why the feed was silent",
    "Release notes, spring edition",
    "Tabs, spaces and other peace talks",
    "Reading a stream with jq",
    "What the logs did not say",
    "The cost of one more field",
    "Backups nobody restored",
    "A dashboard in an afternoon",
    "Naming things, part three",
];

const COMMENTS: &[&str] = &[
    "Great read, thank you!",
    "Does this work behind nginx?",
    "Second paragraph: it is \"its\".",
    "Tried it today, works.",
    "I would love a follow-up.",
    "Same here, on two servers.",
    "Could you share the script?",
    "Bookmarked.",
    "Not sure I agree, but well put.",
    "This saved my Monday ☕",
];

const MESSAGES: &[(&str, &str)] = &[
    ("lobby", "good morning!"),
    ("lobby", "morning :)"),
    ("dev", "who broke the build?"),
    ("dev", "me, sorry, fix is on its way"),
    ("lobby", "lunch at 12?"),
    ("ops", "disk on web-2 is at 81 %"),
    ("dev", "fixed, green again"),
    ("lobby", "there is cake in the kitchen 🍰"),
    ("ops", "web-2 cleaned up, 43 % now"),
    ("dev", "can someone review the filter change?"),
    ("dev", "looking"),
    ("lobby", "train is late, start without me"),
    ("ops", "certificate renewed, valid for 90 days"),
    ("dev", "merged, thanks for the quick review"),
];

const SENTENCES: &[&str] = &[
    "Present: Ann, Bob. We ship on Thursday.",
    "Q1: search. Q2: offline mode.",
    "Day one: laptop, accounts, coffee.",
    "Present: Ann, Bob, Cleo. We ship on Friday.",
    "Q1: search. Q2: offline mode, maybe dark mode.",
    "Day one: accounts, laptop, more coffee.",
    "Decision: the beta stays open for two more weeks.",
    "Open question: who owns the on-call phone?",
];

const JOBS: &[&str] =
    &["Nightly backup", "Resize images", "Send newsletter", "Rebuild search index", "Export invoices"];
