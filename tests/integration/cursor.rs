//! `--cursor`: when the file is refused. Nothing is sent then.

use std::path::Path;

use crate::support::cli::{Cli, Output};
use crate::support::fake::*;

const URL: &str = "http://127.0.0.1:9";

/// A file as a watch of these topics leaves it.
fn file(server: &str, account: &str, topics: &str) -> String {
    format!(
        "version = 1\nserver = \"{server}\"\naccount = \"{account}\"\nwritten = \"2026-03-01T12:00:01.000Z\"\n\n\
         [[topic]]\n{topics}until = \"2026-03-01T12:00:00.000Z\"\n"
    )
}

fn subscribe(path: &Path, more: &[&str]) -> Output {
    let path = path.display().to_string();
    let mut args = vec!["subscribe", "posts/*", "--cursor", &path];
    args.extend(more);
    Cli::new(URL).run(args)
}

/// What is said, with `FILE` in place of the path.
fn refused(text: &str, more: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cursor.toml");
    std::fs::write(&path, text).unwrap();
    let output = subscribe(&path, more).expect(2);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "it is left alone");
    assert_eq!(output.stdout, "");
    output.stderr.replace(&path.display().to_string(), "FILE")
}

const POSTS: &str = "name = \"posts/*\"\n";

#[test]
fn a_file_of_something_else() {
    insta::assert_snapshot!(refused(&file("https://api.example.com", "guest", POSTS), &[]), @r"
    error: --cursor: FILE belongs to https://api.example.com, and this is http://127.0.0.1:9
    hint: use another file, or remove this one to begin anew
    ");
    insta::assert_snapshot!(refused(&file(URL, "users/4m7q2z8k1c5v9x3", POSTS), &[]), @r"
    error: --cursor: FILE belongs to the login users/4m7q2z8k1c5v9x3, and this is guest
    hint: use another file, or remove this one to begin anew
    ");
    insta::assert_snapshot!(refused(&file(URL, "guest", "name = \"comments/*\"\n"), &[]), @r"
    error: --cursor: FILE was written for other topics: comments/*
    hint: use another file, or remove this one to begin anew
    ");
    insta::assert_snapshot!(refused(&file(URL, "guest", POSTS), &["--filter", "stars > 3"]), @r"
    error: --cursor: FILE was written with other options of its topics, such as --filter
    hint: use another file, or remove this one to begin anew
    ");
}

#[test]
fn a_file_that_is_damaged_or_none_of_ours() {
    for text in ["", "not = [", "a = 1\n", &file(URL, "guest", POSTS).replace("12:00:00.000Z", "soon"), "\u{1}\u{2}"] {
        let said = refused(text, &[]);
        assert!(said.starts_with("error: --cursor: FILE is not such a file, or was damaged: "), "{text:?}: {said}");
        assert!(said.lines().count() == 2 && said.contains("\nhint: remove it to begin anew"), "{said}");
    }
    assert!(
        refused(&file(URL, "guest", POSTS).replace("version = 1", "version = 2"), &[]).contains("it has version 2")
    );
    let seen = format!("{POSTS}seen = [\"x\"]\n");
    assert!(refused(&file(URL, "guest", &seen), &[]).contains("seen has \"x\""));
}

#[test]
fn a_place_that_is_none() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("none").join("cursor.toml")] {
        let output = subscribe(&path, &[]).expect(2);
        assert!(output.stderr.contains("cannot be written: ") && output.stderr.contains("hint: "), "{}", output.stderr);
    }
}

#[test]
fn a_file_that_another_watch_is_using() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cursor.toml").display().to_string();
    let fake = healthy_feed().start();
    let args = ["jobs/finished", "--no-check", "--cursor", &path];
    let running = Cli::new(&fake.url()).watch(args);
    let output = Cli::new(&fake.url()).run(["subscribe"].into_iter().chain(args)).expect(2);
    assert_eq!(
        output.stderr,
        format!("error: --cursor: another watch is using {path}\nhint: give each watch a file of its own\n")
    );
    // What was written at the end belongs to whoever comes next.
    running.stop().expect(130);
    Cli::new(&fake.url()).watch(args).stop().expect(130);
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
