//! The program: arguments, prompts, profiles, colours, exit codes.
//!
//! One file a command; `args` is the command line as typed, `settings` what it
//! means once the environment and the config are met, `report` what a person
//! reads when something is wrong, `exit` the codes. Not part of the library's
//! stable interface.

mod args;
#[cfg(feature = "bench")]
pub(crate) mod bench;
mod complete;
mod defaults;
mod exit;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod jq;
mod login;
mod logout;
mod output;
mod pace;
mod profile;
mod program;
mod prompt;
mod proxy;
mod report;
mod seen;
mod selection;
mod settings;
mod signals;
mod sink;
mod status;
mod stderr;
mod store;
mod subscribe;
mod table;
mod topics;
mod wait;
mod watch;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;

use args::{Cli, Command};
use defaults::Refused;
use exit::Exit;
use settings::Settings;

/// The JSON Schema of what `-o ndjson` prints, as `schema` prints it.
pub const EVENTS_SCHEMA: &str = include_str!("../../docs/events.schema.json");

/// Runs the program.
pub fn main() -> ExitCode {
    if let Some(answered) = complete::answer() {
        return answered;
    }
    let cli = match defaults::parse(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(refused) => {
            let code = match refused {
                Refused::Usage(error) => usage(&error),
                Refused::Config(error) => {
                    report::set_colours(args::When::Auto);
                    ExitCode::from(report::error(&error).code())
                }
            };
            stderr::finish(Exit::Usage);
            return code;
        }
    };
    report::set_colours(cli.global.color);
    log_to_stderr(cli.global.verbose);
    let exit = run(cli).unwrap_or_else(|error| report::error(&error));
    stderr::finish(exit);
    ExitCode::from(exit.code())
}

/// The definition of the command line, for completions and man pages.
pub fn command() -> clap::Command {
    Cli::command()
}

/// The completions for a shell, as `completions SHELL` prints them.
pub fn completions(shell: clap_complete::Shell) -> Vec<u8> {
    complete::script(shell)
}

fn run(cli: Cli) -> Result<Exit> {
    let Cli { command, global } = cli;
    // One thread is enough for one stream, and is the fastest way through it.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().on_thread_park(pace::nothing_to_do).build().context("no async runtime")?;
    let exit = match command {
        Command::Login(args) => runtime.block_on(interruptible(login::login(args, global))),
        Command::Logout(args) => logout::logout(&args, global),
        Command::Profile(command) => profile::profile(command, &global),
        Command::Status(args) => runtime.block_on(interruptible(status::status(args, global))),
        Command::Subscribe(args) => runtime.block_on(subscribe::subscribe(*args, global)),
        Command::Wait(args) => runtime.block_on(wait::wait(*args, global)),
        Command::Topics(args) => runtime.block_on(interruptible(topics::topics(args, global))),
        Command::Completions { shell } => {
            print(&String::from_utf8_lossy(&completions(shell)))?;
            Ok(Exit::Done)
        }
        Command::Schema => {
            print(EVENTS_SCHEMA)?;
            Ok(Exit::Done)
        }
    };
    // A name that is still being looked up, or a prompt that was given up, is not waited for.
    runtime.shutdown_background();
    exit
}

/// A command that a signal ends, wherever it is: with the code of the signal,
/// also where the signal was ignored by who started it.
async fn interruptible(command: impl Future<Output = Result<Exit>>) -> Result<Exit> {
    let mut signals = signals::Signals::listen()?;
    tokio::select! {
        done = command => done,
        signal = signals.next() => {
            // Behind whatever was being asked.
            stderr::write(b"\n");
            Ok(signal.exit())
        }
    }
}

/// Prints what a command has found. A reader that has gone wants no more.
fn print(text: &str) -> Result<()> {
    // On one screen, what was said before stands before it.
    stderr::flush();
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| report::unwritten("cannot write to stdout", &error).into()),
    }
}

/// Prints what a command has found as JSON, so that it does nothing to a terminal.
fn print_json(value: &serde_json::Value) -> Result<()> {
    let (json, mut out) = (value.to_string(), Vec::new());
    if io::stdout().is_terminal() {
        output::sanitize::json_on_terminal(&mut out, &json);
    } else {
        output::sanitize::ndjson(&mut out, &json);
    }
    out.push(b'\n');
    print(&String::from_utf8_lossy(&out))
}

/// Help and version go to stdout with 0, errors of usage to stderr with 2.
fn usage(error: &clap::Error) -> ExitCode {
    use clap::error::{ContextKind, ContextValue, ErrorKind as Kind};
    if !error.use_stderr() || error.kind() == Kind::DisplayHelpOnMissingArgumentOrSubcommand {
        // Where nobody listens, there is nothing to tell.
        let _ = error.print();
        return ExitCode::from(if error.use_stderr() { Exit::Usage.code() } else { Exit::Done.code() });
    }
    // What is wrong, in one line; then what would be right.
    let text = error.render().to_string();
    let paragraphs: Vec<String> =
        text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let (what, choices) = match paragraphs[0].split_once(" [possible values:") {
        Some((what, choices)) => (what, Some(format!("one of{}", choices.trim_end_matches(']')))),
        None => (paragraphs[0].as_str(), None),
    };
    let tip = paragraphs.iter().find_map(|part| part.strip_prefix("tip: "));
    // Nobody means a flag that does not exist as a topic.
    let tip = tip.filter(|tip| !tip.starts_with("to pass ")).map(str::to_owned);
    let typed = [ContextKind::InvalidArg, ContextKind::InvalidSubcommand].into_iter().find_map(|kind| error.get(kind));
    let meant = match typed {
        Some(ContextValue::String(typed)) => called_elsewhere(typed).map(str::to_owned),
        _ => None,
    };
    report::set_colours(args::When::Auto);
    report::line("error:", what.strip_prefix("error: ").unwrap_or(what));
    report::line("hint:", &meant.or(tip).or(choices).unwrap_or_else(|| "--help shows how it is used".to_owned()));
    ExitCode::from(Exit::Usage.code())
}

/// What people type who know other programs, and what is nearest here is not always what they mean.
fn called_elsewhere(typed: &str) -> Option<&'static str> {
    Some(match typed {
        "help" => "bosbase-watch --help, or bosbase-watch COMMAND --help",
        "version" => "bosbase-watch --version",
        "-u" | "--user" | "--username" | "--email" => "who signs in is named by bosbase-watch login --identity NAME",
        "--password" => "in a terminal login asks for it; --password-stdin reads it, unseen by other programs",
        "--token" => "BOSBASE_TOKEN holds a token, and bosbase-watch login --token-stdin keeps one",
        "--where" => "records are chosen by --filter EXPR",
        "--json" => "-o ndjson prints one JSON object a line",
        _ => return None,
    })
}

/// `-v` shows each request with its status and time, `-vv` the stream too.
/// Neither holds a token or a whole client id: only this crate's own words are let through.
fn log_to_stderr(verbose: u8) {
    use tracing::level_filters::LevelFilter;
    use tracing_subscriber::prelude::*;
    // The level TRACE is left out of release builds.
    let each_frame = match verbose {
        0 => return,
        1 => LevelFilter::OFF,
        _ => LevelFilter::DEBUG,
    };
    let targets = tracing_subscriber::filter::Targets::new()
        .with_target("bosbase_watch", LevelFilter::DEBUG)
        .with_target("bosbase_watch::trace", each_frame);
    let layer = tracing_subscriber::fmt::layer().with_writer(|| SafeStderr).with_ansi(false).event_format(Short);
    tracing_subscriber::registry().with(layer.with_filter(targets)).init();
}

/// A line of the log: what it is about, and what happened.
struct Short;

impl<S, N> tracing_subscriber::fmt::FormatEvent<S, N> for Short
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    N: for<'a> tracing_subscriber::fmt::FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &tracing_subscriber::fmt::FmtContext<'_, S, N>,
        mut writer: tracing_subscriber::fmt::format::Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> std::fmt::Result {
        let room = event.metadata().target().rsplit("::").next().unwrap_or_default();
        write!(writer, "{room}: ")?;
        context.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// Stderr for the log, which may repeat what a server sent.
struct SafeStderr;

impl io::Write for SafeStderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        stderr::offer(format!("{}\n", output::sanitize::terminal(text)).as_bytes());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A renewed token that could not be kept stops nothing, so it is only said.
fn say_unkept(settings: &Settings) {
    if let Some(why) = settings.unkept.take() {
        report::warning(settings, &unkept(&why));
    }
}

fn unkept(why: &str) -> String {
    format!("the renewed token could not be kept: {why}")
}
