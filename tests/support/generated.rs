//! What is checked in and made from the definition of the command line: the
//! completions in `completions/` and the man pages in `man/`.
//!
//! The words of the man pages are those of `--help`, of the README's tables of
//! exit codes and variables, and of the schema of the events: each is written
//! once.

#![allow(unreachable_pub, reason = "it is part of more than one program")]

use bosbase_watch::cli;
use clap_complete::Shell;
use clap_mangen::Man;
use roff::{Roff, bold, italic, roman};
use serde_json::Value;

const README: &str = include_str!("../../README.md");
const NAME: &str = "bosbase-watch";

const COMPLETIONS: [(Shell, &str); 5] = [
    (Shell::Bash, "bosbase-watch.bash"),
    (Shell::Zsh, "_bosbase-watch"),
    (Shell::Fish, "bosbase-watch.fish"),
    (Shell::Elvish, "bosbase-watch.elv"),
    (Shell::PowerShell, "_bosbase-watch.ps1"),
];

/// The files of the config dir.
const FILES: [(&str, &str); 4] = [
    ("config.toml", "profiles and defaults of flags; yours to write"),
    ("credentials.json", "the tokens; only its owner can read it"),
    ("state.json", "the current profile, and the collections that were seen with each"),
    ("lock", "held by the process that renews a token"),
];

/// The folders that hold nothing else.
pub const FOLDERS: [&str; 2] = ["completions", "man"];

/// Each file, from the top of the project, and what belongs into it.
pub fn files() -> Vec<(String, Vec<u8>)> {
    let completions = COMPLETIONS.map(|(shell, file)| (format!("completions/{file}"), cli::completions(shell)));
    let mut command = cli::command();
    command.build();
    let mut files = Vec::from(completions);
    pages(&command, NAME, &mut files);
    files
}

/// The page of a command, and of those below it.
fn pages(command: &clap::Command, name: &str, files: &mut Vec<(String, Vec<u8>)>) {
    let below: Vec<_> = command.get_subcommands().filter(|command| command.get_name() != "help").collect();
    files.push((format!("man/{name}.1"), page(command, name, &below)));
    for command in below {
        pages(command, &format!("{name}-{}", command.get_name()), files);
    }
}

fn page(command: &clap::Command, name: &str, below: &[&clap::Command]) -> Vec<u8> {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    // What -h leaves out is told here as in --help.
    let whole = command.clone().mut_args(|arg| arg.hide_short_help(false));
    // The page is called after the command with hyphens, the command is typed with spaces.
    let typed = name.replacen(NAME, "", 1).replace('-', " ");
    let man = Man::new(whole.override_usage(usage).display_name(name).bin_name(format!("{NAME}{typed}")))
        .title(name)
        .source(format!("{NAME} {}", env!("CARGO_PKG_VERSION")))
        .manual("BosBase")
        .date("");
    let mut out = Vec::new();
    // Writing to a Vec cannot fail.
    man.render_title(&mut out).expect("a Vec");
    // A name or a variable that is broken with a hyphen cannot be copied.
    out.extend(b".nh\n.ad l\n");
    man.render_name_section(&mut out).expect("a Vec");
    man.render_synopsis_section(&mut out).expect("a Vec");
    man.render_description_section(&mut out).expect("a Vec");
    let after = command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string).unwrap_or_default();
    let blocks: Vec<&str> = after.split("\n\n").filter(|block| !block.is_empty()).collect();
    let (titled, plain): (Vec<_>, Vec<_>) = blocks.into_iter().partition(|block| title(block).is_some());
    let mut roff = Roff::new();
    for block in plain {
        roff.control("PP", []).text([roman(block.replace('\n', " "))]);
    }
    out.extend(roff.to_roff().into_bytes());
    if !below.is_empty() {
        let mut roff = Roff::new();
        roff.control("SH", ["COMMANDS"]);
        for command in below {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            roff.control("TP", []).text([bold(command.get_name())]).text([roman(about)]);
        }
        out.extend(roff.to_roff().into_bytes());
    }
    man.render_options_section(&mut out).expect("a Vec");
    let mut roff = Roff::new();
    for block in titled {
        let (title, lines) = title(block).expect("titled");
        // The whole table of exit codes follows.
        if title == "Exit codes" {
            continue;
        }
        roff.control("SH", [title.to_uppercase().as_str()]);
        if lines.contains("bosbase-watch ") || lines.lines().any(|line| line.trim_start().contains("   ")) {
            verbatim(&mut roff, lines);
        } else {
            roff.text([roman(lines.split_whitespace().collect::<Vec<_>>().join(" "))]);
        }
    }
    let watches = ["subscribe", "wait"].contains(&command.get_name());
    if watches {
        events(&mut roff);
    }
    roff.control("SH", ["EXIT STATUS"]);
    table(&mut roff, "| code | what happened |");
    if watches || name == NAME {
        roff.control("SH", ["ENVIRONMENT"]);
        table(&mut roff, "| variable | what it sets |");
        roff.control("SH", ["FILES"]);
        roff.text([roman("In the config dir, which is ~/.config/bosbase-watch on Linux:")]);
        for (file, what) in FILES {
            roff.control("TP", []).text([italic(file)]).text([roman(what)]);
        }
    }
    roff.control("SH", ["SEE ALSO"]);
    let mut others = vec![NAME.to_owned()];
    others.extend(
        cli::command()
            .get_subcommands()
            .map(|command| format!("{NAME}-{}", command.get_name()))
            .filter(|other| other != name),
    );
    others.retain(|other| other != name);
    let mut line = Vec::new();
    for (at, other) in others.iter().enumerate() {
        line.push(bold(other.as_str()));
        line.push(roman(if at + 1 < others.len() { "(1), " } else { "(1)" }));
    }
    roff.text(line);
    out.extend(roff.to_roff().into_bytes());
    out
}

/// A block of the help that has a heading: it, and the lines below.
fn title(block: &str) -> Option<(&str, &str)> {
    let (first, rest) = block.split_once('\n')?;
    rest.starts_with("  ").then_some((first.strip_suffix(':')?, rest))
}

fn verbatim(roff: &mut Roff, lines: &str) {
    roff.control("nf", []);
    for line in lines.lines() {
        roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
    }
    roff.control("fi", []);
}

/// A table of the README, as a list.
fn table(roff: &mut Roff, head: &str) {
    let (_, rest) = README.split_once(head).expect("the README has the table");
    for row in rest.lines().skip(2).take_while(|line| line.starts_with('|')) {
        let (name, what) = row.trim_matches('|').split_once('|').expect("two columns");
        let bare = |text: &str| text.trim().replace('`', "");
        roff.control("TP", []).text([bold(bare(name))]).text([roman(bare(what))]);
    }
}

/// What the schema says of each type.
fn events(roff: &mut Roff) {
    let schema: Value = serde_json::from_str(cli::EVENTS_SCHEMA).expect("the schema is JSON");
    let text = |value: &Value| value["description"].as_str().unwrap_or_default().to_owned();
    roff.control("SH", ["EVENTS"]);
    roff.text([roman(text(&schema))]);
    roff.control("PP", []).text([
        bold("bosbase-watch schema"),
        roman(" prints this as a JSON Schema. Each line has a "),
        bold("type"),
        roman(" and the "),
        bold("time"),
        roman(" at which it came here, in UTC; then, by type:"),
    ]);
    for branch in schema["allOf"].as_array().expect("a branch for each type") {
        let kind = branch["if"]["properties"]["type"]["const"].as_str().expect("a type");
        let part = &schema["$defs"][kind];
        roff.control("TP", []).text([bold(kind)]).text([roman(text(part))]);
        let required: Vec<_> = part["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        roff.control("RS", []);
        for (key, value) in part["properties"].as_object().expect("its keys") {
            if key == "type" || key == "time" {
                continue;
            }
            let mut words = Vec::new();
            if let Some(values) = value["enum"].as_array() {
                words.push(values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ") + ".");
            }
            if !required.contains(&key.as_str()) && part.get("oneOf").is_none_or(|_| key == "sub") {
                words.push("Not always there.".to_owned());
            }
            let referred = value["$ref"].as_str().and_then(|path| schema.pointer(path.trim_start_matches('#')));
            words.push(if value.get("description").is_some() {
                text(value)
            } else {
                referred.map(text).unwrap_or_default()
            });
            words.retain(|words| !words.is_empty());
            roff.control("TP", []).text([italic(key.as_str())]).text([roman(words.join(" "))]);
        }
        roff.control("RE", []);
    }
}
