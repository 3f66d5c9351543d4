//! The command line as it is typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

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
        help = "The server [default: the profile's, else http://127.0.0.1:8090]",
        long,
        global = true,
        value_name = "URL",
        env = "BOSBASE_URL",
        hide_env_values = true
    )]
    pub(crate) url: Option<String>,
    /// The saved login to use [default: the last one signed in with]
    #[arg(short, long, global = true, value_name = "NAME", env = "BOSBASE_PROFILE", hide_env_values = true)]
    pub(crate) profile: Option<String>,
    /// Let passwords and tokens go over plain http to another machine
    #[arg(long, global = true)]
    pub(crate) allow_http: bool,
    /// How long a connection may take to stand
    #[arg(long, global = true, value_name = "DUR", default_value = "15s", value_parser = duration)]
    pub(crate) connect_timeout: Duration,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: When,
    /// Say nothing on stderr but errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Show each request; twice: the stream too
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
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
    Login(LoginArgs),
    /// Forget the token
    Logout,
    /// Show the server, the login, and whether both are good
    Status(StatusArgs),
    /// Watch topics and print events
    #[command(visible_alias = "watch")]
    Subscribe(Box<SubscribeArgs>),
    /// List the collections, or check topics and say why one would stay silent
    Topics(TopicsArgs),
    /// Print the completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bosbase-watch login https://api.example.com
  bosbase-watch login https://api.example.com --superuser --identity root@example.com
  bosbase-watch login --identity ann@example.com --password-stdin < password.txt")]
pub(crate) struct LoginArgs {
    /// The server
    #[arg(value_name = "URL")]
    pub(crate) server: Option<String>,
    /// The auth collection of the account
    #[arg(long, value_name = "NAME", default_value = "users", conflicts_with = "superuser")]
    pub(crate) collection: String,
    /// Sign in as a superuser
    #[arg(long)]
    pub(crate) superuser: bool,
    /// The e-mail or user name [asked for]
    #[arg(long, value_name = "NAME")]
    pub(crate) identity: Option<String>,
    /// Read the password from the first line of stdin [asked for]
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// As one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Ask the server nothing
    #[arg(long)]
    pub(crate) offline: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bosbase-watch topics
  bosbase-watch topics 'posts/*' comments/9f3k2m1x0abcdef
  bosbase-watch topics --json --count | jq -r '.[] | select(.count > 0) | .topic'

With --json, one array of objects:
  the list     topic, collection, type (base, auth, view), list_rule and view_rule
               (null: superusers only, \"\": anyone), count (with --count)
  topics       topic, severity (ok, note, warning, error), code, message, hint (or null)

Exit codes:
  0 each would deliver · 4 not signed in · 5 one would stay silent · 6 cannot connect")]
pub(crate) struct TopicsArgs {
    /// Topics to check [default: list the collections, with a superuser's login]
    #[arg(value_name = "TOPIC")]
    pub(crate) topics: Vec<String>,
    /// Ask as a guest, without the saved login
    #[arg(long)]
    pub(crate) guest: bool,
    /// As one JSON array
    #[arg(long)]
    pub(crate) json: bool,
    /// Count the records of each collection, too
    #[arg(long)]
    pub(crate) count: bool,
    #[command(flatten)]
    pub(crate) select: Options,
}

/// Options of the topics.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Select")]
pub(crate) struct Options {
    /// Only records that match, for each collection topic without a filter of its own
    #[arg(short, long, value_name = "EXPR")]
    pub(crate) filter: Option<String>,
    /// Bind the value V to {:K} in the filters; K:=V for a number, true, false or null
    #[arg(long = "param", value_name = "K=V")]
    pub(crate) params: Vec<String>,
    /// Relations to resolve, separated by commas
    #[arg(long, value_name = "LIST")]
    pub(crate) expand: Option<String>,
    /// Only these fields, separated by commas
    #[arg(long, value_name = "LIST")]
    pub(crate) fields: Option<String>,
    /// A query parameter, for rules that read @request.query
    #[arg(long = "query", value_name = "K=V")]
    pub(crate) query: Vec<String>,
    /// A header, for rules that read @request.headers
    #[arg(short = 'H', long = "header", value_name = "K: V")]
    pub(crate) headers: Vec<String>,
}

impl Options {
    /// Whether any was given.
    pub(crate) fn any(&self) -> bool {
        let Self { filter, params: _, expand, fields, query, headers } = self;
        filter.is_some() || expand.is_some() || fields.is_some() || !query.is_empty() || !headers.is_empty()
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Topics:
  posts '*', 'posts/*'        all records of a collection
  posts ID, posts/ID          one record
  jobs/finished               a custom topic that hooks on the server send to
  'posts/*?filter=stars>3'    options of one topic alone
  PB_CONNECT                  each (re)connection

Examples:
  bosbase-watch subscribe posts '*' --filter 'status = \"open\"' --expand author
  bosbase-watch subscribe 'posts/*' --filter 'author = {:me}' --param me=9f3k2m1x0abcdef
  bosbase-watch subscribe jobs/finished -n 1 --timeout 5m && ./deploy
  bosbase-watch subscribe 'posts/*' -a create | jq -r .record.title

Exit codes:
  0 done · 2 usage · 4 not signed in · 5 a topic was refused · 6 cannot connect
  7 an unfilled gap, with --fail-on-gap · 124 timed out · 130 Ctrl-C · 143 SIGTERM")]
pub(crate) struct SubscribeArgs {
    /// What to watch
    #[arg(value_name = "TOPIC", required = true)]
    pub(crate) topics: Vec<String>,
    #[command(flatten)]
    pub(crate) options: Options,
    /// Only these actions: create, update, delete
    #[arg(
        short,
        long,
        value_name = "LIST",
        value_delimiter = ',',
        hide_possible_values = true,
        help_heading = "Select"
    )]
    pub(crate) action: Vec<ActionArg>,
    /// Watch as a guest, without the saved login
    #[arg(long, help_heading = "Select")]
    pub(crate) guest: bool,

    /// Stop with 0 after N printed records and messages
    #[arg(short = 'n', long, value_name = "N", value_parser = at_least_one, help_heading = "Stop")]
    pub(crate) count: Option<u64>,
    /// Stop with 0 so long after it is live
    #[arg(long, value_name = "DUR", value_parser = duration, help_heading = "Stop")]
    pub(crate) duration: Option<Duration>,
    /// Stop with 124 so long after the start
    #[arg(long, value_name = "DUR", value_parser = duration, help_heading = "Stop")]
    pub(crate) timeout: Option<Duration>,
    /// Stop with 124 when nothing came for so long
    #[arg(long, value_name = "DUR", value_parser = duration, help_heading = "Stop")]
    pub(crate) idle_timeout: Option<Duration>,

    /// How to print events; auto: pretty on a terminal, ndjson otherwise
    #[arg(short, long, value_name = "FORM", default_value = "auto", help_heading = "Output")]
    pub(crate) output: OutputArg,
    /// Where to say what happens to the connection
    #[arg(long, value_name = "WHERE", default_value = "stderr", help_heading = "Output")]
    pub(crate) lifecycle: LifecycleArg,
    /// Show whole records on an update, not what changed
    #[arg(long, help_heading = "Output")]
    pub(crate) no_diff: bool,

    /// After a gap, read again what changed and print it as replayed
    #[arg(long, value_name = "WHEN", default_value = "auto", help_heading = "Link")]
    pub(crate) catch_up: CatchUpArg,
    /// End with 7 as soon as a gap is known that was not filled
    #[arg(long, help_heading = "Link")]
    pub(crate) fail_on_gap: bool,
    /// Attempts to connect after the first one; once live it is tried for ever
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Link")]
    pub(crate) max_retries: u32,
    /// The longest time between two attempts
    #[arg(long, value_name = "DUR", default_value = "30s", value_parser = duration, help_heading = "Link")]
    pub(crate) max_backoff: Duration,
    /// End with 6 when the connection is lost
    #[arg(long, help_heading = "Link")]
    pub(crate) no_reconnect: bool,
    /// Skip the check of the topics before the watch
    #[arg(long, help_heading = "Link")]
    pub(crate) no_check: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ActionArg {
    Create,
    Update,
    Delete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputArg {
    Auto,
    Pretty,
    Ndjson,
    Raw,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LifecycleArg {
    Stderr,
    Stdout,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CatchUpArg {
    Auto,
    Off,
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

fn at_least_one(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) => Err("at least 1".to_owned()),
        Ok(count) => Ok(count),
        Err(_) => Err("not a whole number".to_owned()),
    }
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
