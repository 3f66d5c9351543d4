//! The checked-in completions are those that the program prints.
//!
//! After a change of the command line: `for shell in bash zsh fish elvish powershell; do
//! bosbase-watch completions $shell > completions/…; done`.

use std::path::Path;

use crate::support::cli::Cli;

const FILES: [(&str, &str); 5] = [
    ("bash", "bosbase-watch.bash"),
    ("zsh", "_bosbase-watch"),
    ("fish", "bosbase-watch.fish"),
    ("elvish", "bosbase-watch.elv"),
    ("powershell", "_bosbase-watch.ps1"),
];

#[test]
fn the_checked_in_files_are_what_is_printed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions");
    for (shell, file) in FILES {
        // Neither the environment nor the config has a say.
        for cli in [Cli::without_url(), Cli::new("https://user:pass@example.com").with("BOSBASE_PROFILE", "x y")] {
            let output = cli.run(["completions", shell]).expect(0);
            let checked_in = std::fs::read_to_string(folder.join(file)).unwrap();
            assert!(
                output.stdout == checked_in,
                "completions/{file} is out of date: bosbase-watch completions {shell} > completions/{file}"
            );
            assert_eq!(output.stderr, "");
        }
    }
    let mut present: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    present.sort();
    let mut known = FILES.map(|(_, file)| std::ffi::OsString::from(file));
    known.sort();
    assert_eq!(present, known);
}

#[test]
fn every_command_is_completed() {
    let cli = Cli::without_url();
    for (shell, _) in FILES {
        let script = cli.run(["completions", shell]).expect(0).stdout;
        for word in ["login", "logout", "status", "subscribe", "watch", "topics", "idle-timeout", "password-stdin"] {
            assert!(script.contains(word), "{shell} knows no {word}");
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
        let child = command.stdout(writer).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!stderr.contains("pipe"), "{args:?}: {stderr}");
        // `status` still says by its exit code that nobody is signed in.
        let expected = if args[0] == "status" { 4 } else { 0 };
        assert_eq!(output.status.code(), Some(expected), "{args:?}");
    }
}
