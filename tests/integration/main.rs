//! Everything that needs no real server: faults by script, and what a person reads.
#![allow(
    clippy::unwrap_used,
    clippy::pedantic,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    dead_code,
    missing_docs
)]

#[path = "../support/socks.rs"]
mod socks;
#[path = "../support/mod.rs"]
mod support;

/// Small things that the files below share.
mod kit;

/// Every item of bad input: one line, its cure, its exit code.
mod bad_input;
/// What is asked for from before the watch, and what comes live meanwhile.
mod before;
/// TLS, certificates and proxies that do not let it through.
mod between;
/// The config: defaults of flags, and subscriptions.
mod config;
/// `--control`: what is watched changes while it runs.
mod control;
/// `--cursor`: when its file is refused.
mod cursor;
/// `--exec`: a command for each event.
mod exec;
/// A connection that breaks in every phase, and comes back.
mod faults;
/// What is delivered and printed, byte for byte; and when a watch stops by itself.
mod feed;
/// `--format`, `-0`, `--time` and their like.
mod form;
/// What is checked in and made from the command line: completions, man pages, the help.
mod generated;
/// A server that means harm.
mod hostile;
/// `--jq`, and expressions that are wrong or do not end.
mod jq;
/// One login that several processes use, renew and keep; processes that are killed.
mod keeping;
/// Proxies, certificates and headers of the link.
mod link;
/// A process that lives long leaves nothing behind.
mod long_life;
/// Peak memory, by the number of events.
mod memory;
/// Files that are full or rotated, and readers that stop.
mod pipes;
/// What the lists show and the feed does not bring, and nodes that are not the one.
mod poll;
/// More than one server and account.
mod profiles;
/// What the other tests rely on when they run the tool.
mod runs;
/// Ways to sign in that the real server does not have, and providers that misbehave.
mod sign_in;
/// SIGINT, SIGTERM, and readers that go away or do not read.
mod signals;
/// Logins: where they are kept, where they go, and where they never show.
mod store;
/// Nothing from outside acts on a terminal.
mod terminal;
/// Unsubscribing: by name, by prefix, by dropping the handle, all.
mod unsubscribe;
/// `wait`: what ends it, and what must not.
mod wait;
