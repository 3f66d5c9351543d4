//! Watching: what, for how long, in which form, over which connection.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCompleter;

use super::since::{Since, since};
use super::{React, duration};
use crate::cli::complete;

/// Options of the topics.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Select")]
pub(crate) struct Options {
    /// Only records that match
    ///
    /// For each collection topic that has no filter of its own, and never for custom topics. It is
    /// the server's filter language: status = "open" && author.name ~ "ann". Values from elsewhere
    /// are bound with --param, never pasted.
    #[arg(short, long, value_name = "EXPR")]
    pub(crate) filter: Option<String>,
    /// Bind V to {:K} in the filters; K:=V for a number, true, false or null
    #[arg(long = "param", value_name = "K=V")]
    pub(crate) params: Vec<String>,
    /// Relations to resolve, separated by commas
    #[arg(long, value_name = "LIST")]
    pub(crate) expand: Option<String>,
    /// Only these fields, separated by commas
    #[arg(long, value_name = "LIST")]
    pub(crate) fields: Option<String>,
    /// A query parameter, for rules that read @request.query
    #[arg(long = "query", value_name = "K=V", hide_short_help = true)]
    pub(crate) query: Vec<String>,
    /// A header, for rules that read @request.headers
    #[arg(short = 'H', long = "header", value_name = "K: V", hide_short_help = true)]
    pub(crate) headers: Vec<String>,
}

impl Options {
    /// Whether any was given.
    pub(crate) fn any(&self) -> bool {
        let Self { filter, params: _, expand, fields, query, headers } = self;
        filter.is_some() || expand.is_some() || fields.is_some() || !query.is_empty() || !headers.is_empty()
    }
}

/// Which events.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Select")]
pub(crate) struct Select {
    #[command(flatten)]
    pub(crate) options: Options,
    /// Only these actions: create, update, delete
    #[arg(short, long, value_name = "LIST", value_delimiter = ',', hide_possible_values = true)]
    pub(crate) action: Vec<ActionArg>,
    /// Print what this jq expression yields for each event
    ///
    /// It sees the event as -o ndjson has it; what it yields is printed instead, one result a line,
    /// and where it yields nothing, the event is dropped. No jq needs to be installed.
    #[arg(long, value_name = "EXPR")]
    pub(crate) jq: Option<String>,
    /// With --jq: print strings bare, without quotes
    #[arg(short, long, requires = "jq")]
    pub(crate) raw_strings: bool,
    /// First the records that exist now, then the live feed
    ///
    /// Nothing is lost in between, and nothing comes twice. They have the action initial, whatever
    /// --action says.
    #[arg(long)]
    pub(crate) initial: bool,
    /// First what changed since then: 2026-03-01, 12:00, 90m, 2d
    ///
    /// Also 2026-03-01T12:00:00Z. It goes by the server's clock; each record comes once, in its
    /// last state, marked as replayed. Deletions cannot be read again, nor messages.
    #[arg(long, value_name = "TIME|DUR", value_parser = since, conflicts_with = "initial")]
    pub(crate) since: Option<Since>,
    /// Watch as a guest, without the saved login
    #[arg(long, hide_short_help = true)]
    pub(crate) guest: bool,
}

/// When a watch ends by itself.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Stop")]
pub(crate) struct Stop {
    /// Stop with 0 after N printed records and messages
    #[arg(short = 'n', long, value_name = "N", value_parser = at_least_one)]
    pub(crate) count: Option<u64>,
    /// Stop with 0 so long after it is live
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    /// Stop with 124 so long after the start
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// Stop with 124 when nothing came for so long
    #[arg(long, value_name = "DUR", value_parser = duration, hide_short_help = true)]
    pub(crate) idle_timeout: Option<Duration>,
}

/// In which form.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct Output {
    /// How to print events: auto, pretty, ndjson, raw
    ///
    /// auto is pretty on a terminal and ndjson otherwise; raw prints the payloads alone.
    #[arg(short = 'o', long = "output", value_name = "FORM", default_value = "auto", hide_possible_values = true)]
    pub(crate) form: OutputArg,
    /// Print each event as this text, such as '{action} {record.title}'
    ///
    /// A path names what -o ndjson has: {time}, {topic}, {record.tags.0}, {data.id}. What is not
    /// there is left out; {{ and }} are braces, \t and \n a tab and a line break.
    #[arg(long, value_name = "TEMPLATE")]
    pub(crate) format: Option<String>,
    /// What stands behind each event: NUL instead of a newline
    #[arg(short = '0', long, hide_short_help = true)]
    pub(crate) null: bool,
    /// The time in pretty lines and --format: local, utc, delta, none [default: local; --format: utc]
    ///
    /// delta is how long after the event before.
    #[arg(long, value_name = "WHICH", hide_possible_values = true, value_enum, hide_short_help = true)]
    pub(crate) time: Option<TimeArg>,
    /// What happens to the connection: on stderr, stdout, none
    ///
    /// stdout puts it in order among the events, in the form of -o.
    #[arg(long, value_name = "WHERE", default_value = "stderr", hide_possible_values = true)]
    pub(crate) lifecycle: LifecycleArg,
    /// Show whole records on an update, not what changed
    #[arg(long, hide_short_help = true)]
    pub(crate) no_diff: bool,
}

/// Over which connection.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Link")]
pub(crate) struct Link {
    /// After a gap, read again what changed and print it as replayed
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_short_help = true)]
    pub(crate) catch_up: CatchUpArg,
    /// Besides the feed, list what changed every so often: for clusters, whose nodes tell only of their own writes
    #[arg(long, value_name = "DUR", value_parser = poll_interval, hide_short_help = true)]
    pub(crate) poll: Option<Duration>,
    /// Remember in FILE how far it got, and go on there at the next start
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) cursor: Option<PathBuf>,
    /// End with 7 as soon as a gap is known that was not filled
    #[arg(long)]
    pub(crate) fail_on_gap: bool,
    /// Attempts to connect after the first one; once live it is tried for ever
    #[arg(long, value_name = "N", default_value_t = 0, hide_short_help = true)]
    pub(crate) max_retries: u32,
    /// The longest time between two attempts
    #[arg(long, value_name = "DUR", default_value = "30s", value_parser = duration, hide_short_help = true)]
    pub(crate) max_backoff: Duration,
    /// End with 6 when the connection is lost
    #[arg(long, hide_short_help = true)]
    pub(crate) no_reconnect: bool,
    /// Skip the check of the topics before the watch
    #[arg(long, hide_short_help = true)]
    pub(crate) no_check: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "\
Examples:
  bosbase-watch subscribe posts '*' --filter 'status = \"open\"' --expand author
  bosbase-watch subscribe jobs/finished -n 1 --timeout 5m && ./deploy
  bosbase-watch subscribe 'posts/*' -a create -r --jq .record.title",
    after_long_help = "\
Topics:
  posts '*', 'posts/*'        all records of a collection
  posts ID, posts/ID          one record
  jobs/finished               a custom topic that hooks on the server send to
  'posts/*?filter=stars>3'    options of one topic alone
  PB_CONNECT                  each (re)connection

Commands (--exec):
  The event is on stdin as one line of NDJSON; its parts are in BOSBASE_TOPIC, BOSBASE_ACTION,
  BOSBASE_COLLECTION and BOSBASE_ID. BOSBASE_TOKEN is kept from it. What it prints goes to stderr.
  No shell is involved: sh -c '…' is one. What was received is worked off at the end; a second
  Ctrl-C ends at once.

Examples:
  bosbase-watch subscribe posts '*' --filter 'status = \"open\"' --expand author
  bosbase-watch subscribe 'posts/*' --filter 'author = {:me}' --param me=9f3k2m1x0abcdef
  bosbase-watch subscribe jobs/finished -n 1 --timeout 5m && ./deploy
  bosbase-watch subscribe 'posts/*' -a create -r --jq .record.title
  bosbase-watch subscribe 'posts/*' --exec ./deploy.sh ';' --exec-fail stop

Exit codes:
  0 done · 2 usage · 4 not signed in · 5 a topic was refused · 6 cannot connect
  7 an unfilled gap, with --fail-on-gap · 124 timed out · 125 a command failed, with --exec-fail stop
  129 the terminal was closed · 130 Ctrl-C · 131 SIGQUIT · 143 SIGTERM"
)]
pub(crate) struct SubscribeArgs {
    /// What to watch [default: the subscriptions of the config]
    #[arg(value_name = "TOPIC", add = ArgValueCompleter::new(complete::topics))]
    pub(crate) topics: Vec<String>,
    #[command(flatten)]
    pub(crate) select: Select,
    #[command(flatten)]
    pub(crate) stop: Stop,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) react: React,
    #[command(flatten)]
    pub(crate) link: Link,
}

#[derive(Debug, Args)]
#[command(
    after_help = "\
Examples:
  bosbase-watch wait jobs/finished --until '.data.id == \"42\"' --timeout 5m -- ./start-job 42
  bosbase-watch wait posts 9f3k2m1x0abcdef --until '.record.status == \"published\"'
  title=$(bosbase-watch wait posts '*' -a create -r --jq .record.title)",
    after_long_help = "\
Conditions are jq expressions on the event, as NDJSON has it: .data is the payload of a message,
.record and .action tell of a record. One that yields anything but false and null holds; one that
fails does not, but where --fail-if fails on the event that would end the wait with 0, it ends with 2.
The event that ends the wait is printed, in the form of -o or as --jq makes it; no other is.

Records:
  The present state of a single record (posts/ID) is read when the subscription stands, and tested
  as an event with the action initial. If the record is deleted and no condition wants that: exit 5,
  once nothing can come of the other topics either.

The command behind --:
  It is started when the server has acknowledged the subscription, so nothing that it causes is
  missed. It prints to stderr, and does not read from the terminal. Whatever ends the wait ends it
  with SIGTERM, but for a match, which waits for it.

Examples:
  bosbase-watch wait jobs/finished --until '.data.id == \"42\"' --timeout 5m -- ./start-job 42
  bosbase-watch wait posts 9f3k2m1x0abcdef --until '.record.status == \"published\"'
  bosbase-watch wait jobs/finished jobs/failed --fail-if '.topic == \"jobs/failed\"'
  title=$(bosbase-watch wait posts '*' -a create -r --jq .record.title)

Exit codes:
  0 matched · 2 usage · 4 not signed in · 5 a topic was refused, or the record deleted
  6 cannot connect · 7 an unfilled gap, with --fail-on-gap · 10 --fail-if matched
  124 timed out · 125 the command failed · 129 the terminal was closed · 130 Ctrl-C
  131 SIGQUIT · 143 SIGTERM"
)]
pub(crate) struct WaitArgs {
    /// What to wait for [default: the subscriptions of the config]
    #[arg(value_name = "TOPIC", add = ArgValueCompleter::new(complete::topics))]
    pub(crate) topics: Vec<String>,
    /// Run this once the subscription stands; 125 when it fails
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
    /// End with 0 when this holds; any one of several is enough [default: the first event]
    #[arg(long, value_name = "EXPR", help_heading = "Wait")]
    pub(crate) until: Vec<String>,
    /// End with 10 when this holds; it is looked at before --until
    #[arg(long, value_name = "EXPR", help_heading = "Wait")]
    pub(crate) fail_if: Vec<String>,
    /// End with 124 so long after the start
    #[arg(long, value_name = "DUR", value_parser = duration, help_heading = "Wait")]
    pub(crate) timeout: Option<Duration>,
    /// Do not test the present state of a record
    #[arg(long, help_heading = "Wait")]
    pub(crate) no_initial: bool,
    #[command(flatten)]
    pub(crate) select: Select,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) link: Link,
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
pub(crate) enum TimeArg {
    Local,
    Utc,
    Delta,
    None,
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

fn poll_interval(text: &str) -> Result<Duration, String> {
    let every = duration(text)?;
    if every < Duration::from_secs(1) { Err("at least 1s: each is a list request".to_owned()) } else { Ok(every) }
}

fn at_least_one(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) => Err("at least 1".to_owned()),
        Ok(count) => Ok(count),
        Err(_) => Err("not a whole number".to_owned()),
    }
}
