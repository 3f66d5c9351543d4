//! What is checked in and made from the command line is what it makes now, and
//! what the program prints.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::cli::{Cli, Running};

#[path = "../support/generated.rs"]
mod source;

const SHELLS: [&str; 5] = ["bash", "zsh", "fish", "elvish", "powershell"];

#[test]
fn the_checked_in_files_are_fresh() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fresh = source::files();
    for (file, content) in &fresh {
        let checked_in = std::fs::read(top.join(file)).unwrap_or_default();
        assert!(checked_in == *content, "{file} is out of date: cargo run --example generate");
    }
    let fresh: BTreeSet<_> = fresh.into_iter().map(|(file, _)| file).collect();
    for folder in source::FOLDERS {
        for entry in std::fs::read_dir(top.join(folder)).unwrap() {
            let file = format!("{folder}/{}", entry.unwrap().file_name().to_string_lossy());
            assert!(fresh.contains(&file), "{file} is of the past: cargo run --example generate");
        }
    }
}

#[test]
fn completions_are_printed_as_they_are_checked_in() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions");
    let checked_in: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    for shell in SHELLS {
        // Neither the environment nor the config has a say.
        for cli in [Cli::without_url(), Cli::new("https://user:pass@example.com").with("BOSBASE_PROFILE", "x y")] {
            let output = cli.run(["completions", shell]).expect(0);
            assert!(checked_in.contains(&output.stdout), "{shell}");
            assert_eq!(output.stderr, "");
        }
    }
}

/// A person who asks with -h sees the answer without scrolling.
#[test]
fn the_short_help_fits_a_screen() {
    let cli = Cli::without_url().with("COLUMNS", "100");
    for command in ["", "login", "logout", "status", "profile", "subscribe", "wait", "topics", "completions", "schema"]
    {
        let args = [command, "-h"].into_iter().filter(|arg| !arg.is_empty());
        let help = cli.run(args).expect(0).stdout;
        assert!(help.lines().count() <= 50, "{command} -h has {} lines:\n{help}", help.lines().count());
        for line in help.lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }
}

/// What a page or a help shows to type can be typed.
#[test]
fn the_examples_of_the_help_are_understood() {
    let mut command = bosbase_watch::cli::command();
    command.build();
    let mut examples = 0;
    let mut helps = vec![command.clone()];
    while let Some(command) = helps.pop() {
        helps.extend(command.get_subcommands().cloned());
        for help in [command.get_after_help(), command.get_after_long_help()].into_iter().flatten() {
            for line in
                help.to_string().lines().filter(|line| line.contains("bosbase-watch ") && line.starts_with("  "))
            {
                examples += 1;
                let words = shlex::split(line).unwrap();
                let from = words.iter().position(|word| word.ends_with("bosbase-watch")).unwrap();
                let typed = words[from..].iter().take_while(|word| !["|", "&&", "<", "#"].contains(&word.as_str()));
                let parsed = bosbase_watch::cli::command().try_get_matches_from(typed);
                assert!(parsed.is_ok(), "{line}\n{}", parsed.unwrap_err());
            }
        }
    }
    assert!(examples > 20, "{examples}");
}

#[test]
fn every_command_is_completed() {
    let cli = Cli::without_url();
    // These know the words themselves, the others ask the program.
    for shell in ["elvish", "powershell"] {
        let script = cli.run(["completions", shell]).expect(0).stdout;
        for word in ["login", "logout", "status", "subscribe", "watch", "topics", "idle-timeout", "password-stdin"] {
            assert!(script.contains(word), "{shell} knows no {word}");
        }
    }
    let ask = |words: &[&str]| {
        let mut command = cli.command(["--", "bosbase-watch"]);
        command.args(words).env("BOSBASE_WATCH_COMPLETE", "fish");
        Running::start(command).finish().expect(0).stdout
    };
    for (words, offered) in [
        (&[""][..], &["login\t", "subscribe\t", "wait\t", "topics\t", "schema\t"][..]),
        (&["subscribe", "--"], &["--idle-timeout\t", "--filter\t", "--cursor\t"]),
        (&["subscribe", "-o", ""], &["pretty", "ndjson", "raw"]),
        (&["completions", ""], &["bash", "zsh", "powershell"]),
    ] {
        let answer = ask(words);
        for word in offered {
            assert!(
                answer.lines().any(|line| format!("{line}\t").starts_with(word)),
                "{words:?}: no {word} in {answer}"
            );
        }
    }
}

#[test]
fn the_schema_is_printed_as_it_is_checked_in() {
    let cli = Cli::without_url().with("BOSBASE_PROFILE", "x y");
    let output = cli.run(["schema"]).expect(0);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/events.schema.json");
    assert_eq!(output.stdout, std::fs::read_to_string(path).unwrap());
    assert_eq!(output.stderr, "");
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    for args in [&["completions", "bash"][..], &["status", "--offline"], &["--help"], &["--version"]] {
        let mut command = Cli::without_url().command(args);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        command.stdout(writer);
        let output = command.spawn().end();
        assert!(!output.stderr.contains("pipe"), "{args:?}: {}", output.stderr);
        // `status` still says by its exit code that nobody is signed in.
        let expected = if args[0] == "status" { 4 } else { 0 };
        assert_eq!(output.code, expected, "{args:?}");
    }
}
