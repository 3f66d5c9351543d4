//! The command line as it is typed: what every command takes here, the rest
//! in one file a theme.

#![allow(clippy::doc_markdown, reason = "the comments are what --help prints")]

mod account;
mod react;
mod since;
mod topics;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::engine::ArgValueCandidates;

use super::complete;
use super::defaults::Watched;

pub(crate) use account::{LoginArgs, LogoutArgs, ProfileCommand, StatusArgs};
pub(crate) use react::{ExecFailArg, React};
pub(crate) use since::Since;
pub(crate) use topics::TopicsArgs;
pub(crate) use watch::{
    ActionArg, CatchUpArg, LifecycleArg, Link, Options, Output, OutputArg, Select, Stop, SubscribeArgs, TimeArg,
    WaitArgs,
};

/// Watch the realtime feeds of a BosBase (or PocketBase) server.
#[derive(Debug, Parser)]
#[command(
    name = "bosbase-watch",
    version,
    about,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  bosbase-watch login https://api.example.com
  bosbase-watch subscribe posts '*'
  bosbase-watch subscribe 'posts/*' jobs/finished --filter 'status = \"open\"'
  bosbase-watch subscribe 'posts/*' | jq -r .record.title"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: Global,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global")]
pub(crate) struct Global {
    #[arg(
        help = "The server [default: the profile's]",
        long_help = "The server [default: the profile's, else http://127.0.0.1:8090]\n\n\
                     BOSBASE_URL names it, too; a flag stands before the variable, the variable before the profile.",
        long,
        global = true,
        value_name = "URL",
        env = "BOSBASE_URL",
        hide_env = true
    )]
    pub(crate) url: Option<String>,
    /// The saved login to use [default: the current profile]
    ///
    /// BOSBASE_PROFILE names it, too; a flag stands before the variable. login and profile use make
    /// a profile the current one.
    #[arg(
        short,
        long,
        global = true,
        value_name = "NAME",
        env = "BOSBASE_PROFILE",
        hide_env = true,
        add = ArgValueCandidates::new(complete::profiles)
    )]
    pub(crate) profile: Option<String>,
    /// A file that stands in for config.toml
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath, hide_short_help = true)]
    pub(crate) config: Option<PathBuf>,
    /// Let passwords and tokens go over plain http to another machine
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) allow_http: bool,
    /// How long a connection may take to stand
    ///
    /// The answer to a sign-in, or to the check of a topic, has twice as long to begin, the connection included.
    #[arg(long, global = true, value_name = "DUR", default_value = "15s", value_parser = duration, hide_short_help = true)]
    pub(crate) connect_timeout: Duration,
    /// A header of each request, for a gateway in between; @FILE reads them from lines
    #[arg(long, global = true, value_name = "K: V|@FILE", hide_short_help = true)]
    pub(crate) http_header: Vec<String>,
    /// A proxy: http, https, socks5, or socks5h, which looks up names too [default: the environment's]
    #[arg(long, global = true, value_name = "URL", hide_short_help = true)]
    pub(crate) proxy: Option<String>,
    /// Trust the certificates in this PEM file besides the system's
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath, hide_short_help = true)]
    pub(crate) ca_cert: Option<PathBuf>,
    /// Show this certificate to the server: PEM, with its key
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath, hide_short_help = true)]
    pub(crate) client_cert: Option<PathBuf>,
    /// Take any certificate: whoever is on the way can read and change everything
    #[arg(short = 'k', long, global = true, hide_short_help = true)]
    pub(crate) insecure: bool,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_short_help = true)]
    pub(crate) color: When,
    /// Say nothing on stderr but errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Show each request; twice: the stream too
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// The server that the config names for every profile.
    #[arg(skip)]
    pub(crate) default_url: Option<String>,
    /// The topics that the config names.
    #[arg(skip)]
    pub(crate) subscriptions: Vec<Watched>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sign in, and keep the token
    ///
    /// The token is kept in the config dir, in a file that only you can read, and goes to the server
    /// that issued it and to no other. It is renewed in time by whatever command uses it.
    Login(LoginArgs),
    /// Forget the token
    Logout(LogoutArgs),
    /// Show the server, the login, and whether both are good
    ///
    /// Also what is set and not used: a flag stands before a variable, a variable before the
    /// profile. Exit 4 without a valid login.
    Status(StatusArgs),
    /// More than one server or account
    ///
    /// A profile is one server and one account. login --profile NAME makes one; --profile NAME or
    /// BOSBASE_PROFILE picks one for a command.
    #[command(subcommand, arg_required_else_help = true, disable_help_subcommand = true)]
    Profile(ProfileCommand),
    /// Watch topics and print events
    ///
    /// Subscribes to the topics over one connection and prints each event as it comes: lines to read
    /// on a terminal, one JSON object a line in a pipe. Before it begins, each topic is checked, and
    /// one that would stay silent is told with the reason. When the connection is lost, it connects
    /// again, and changes of records that were missed meanwhile are read again and marked as
    /// replayed; what cannot be read again is told.
    #[command(visible_alias = "watch")]
    Subscribe(Box<SubscribeArgs>),
    /// Block until an event matches; the exit code is the answer
    ///
    /// For scripts. Prints the one event that ended the wait.
    Wait(Box<WaitArgs>),
    /// List the collections, or check topics and say why one would stay silent
    ///
    /// The server takes every subscription without a word, also to what does not exist, may not be
    /// seen or does not parse, and then sends nothing. This asks beforehand, with your login.
    Topics(TopicsArgs),
    /// Print the completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the JSON Schema of the lines of -o ndjson
    Schema,
}

/// `500ms`, `1.5s`, `5m`, `1h30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() {
        return Err(format!("the unit is missing: {text}s, {text}m or {text}h?"));
    }
    let signed: jiff::SignedDuration =
        text.parse().map_err(|_| "not a duration such as 500ms, 1.5s, 5m or 1h30m".to_owned())?;
    Duration::try_from(signed).map_err(|_| "a duration cannot be negative".to_owned())
}

/// Where the config dir is, when not where the system keeps such things.
pub(crate) const CONFIG_DIR_VARIABLE: &str = "BOSBASE_WATCH_CONFIG_DIR";

/// The config dir.
pub(crate) fn config_dir() -> Option<PathBuf> {
    match std::env::var_os(CONFIG_DIR_VARIABLE).filter(|dir| !dir.is_empty()) {
        Some(dir) => Some(PathBuf::from(dir)),
        None => Some(dirs::config_dir()?.join("bosbase-watch")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations() {
        for (text, millis) in [("0s", 0), ("500ms", 500), ("1.5s", 1500), ("5m", 300_000), ("1h30m", 5_400_000)] {
            assert_eq!(duration(text).unwrap().as_millis(), millis, "{text}");
        }
        assert_eq!(duration("30").unwrap_err(), "the unit is missing: 30s, 30m or 30h?");
        assert_eq!(duration("-1s").unwrap_err(), "a duration cannot be negative");
        assert!(duration("soon").is_err() && duration("").is_err());
    }
}
