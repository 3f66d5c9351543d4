//! What only the real server knows: every test runs against both versions.
#![allow(
    clippy::unwrap_used,
    clippy::pedantic,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    dead_code,
    missing_docs
)]

#[path = "../support/cli.rs"]
mod cli;
#[path = "../support/oidc.rs"]
mod oidc;
#[path = "../support/pocketbase/mod.rs"]
mod pocketbase;
#[path = "../support/smtp.rs"]
mod smtp;

/// What is needed of `tests/support`.
mod support {
    pub(crate) use crate::{cli, oidc, pocketbase, smtp};
}

#[macro_use]
mod kit;
mod readme;

// A test that is in no list of `both_versions!` is dead code.
#[deny(dead_code)]
mod before; // `--initial` and `--since`
#[deny(dead_code)]
mod blocks; // the README's other blocks
#[deny(dead_code)]
mod check; // `topics`, and what `subscribe` refuses
mod control; // what is watched changes while it runs
#[deny(dead_code)]
mod examples; // examples/*.rs as they are
#[deny(dead_code)]
mod library; // the crate without the program
#[deny(dead_code)]
mod mistakes; // what people get wrong, and what they are told
#[deny(dead_code)]
mod oauth2; // a sign-in at a real provider, in a browser
#[deny(dead_code)]
mod recipes; // the README's recipes as they are printed
#[deny(dead_code)]
mod resilience; // restarts, signals, readers that go away
#[deny(dead_code)]
mod sign_in; // login, status, logout, tokens that are none
#[deny(dead_code)]
mod state; // what a reader builds from `--initial` while others write
#[deny(dead_code)]
mod subscribe; // topics and their options
#[deny(dead_code)]
mod together; // one login, many processes
#[deny(dead_code)]
mod volume; // many writers, several watchers
#[deny(dead_code)]
mod wait; // `wait`: conditions, one record, a command
#[deny(dead_code)]
mod ways; // every way to sign in
