//! What may be watched.

use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use super::Options;
use crate::cli::complete;

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
The list is for superusers. Others get the collections seen before with this profile,
in the form of topics, with count (with --count).

Exit codes:
  0 each would deliver · 4 not signed in · 5 one would stay silent · 6 cannot connect")]
pub(crate) struct TopicsArgs {
    /// Topics to check [default: list the collections, all of them with a superuser's login]
    #[arg(value_name = "TOPIC", add = ArgValueCompleter::new(complete::topics))]
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
