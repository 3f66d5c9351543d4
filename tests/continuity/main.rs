//! Nothing is missed, and what could not be helped is said: rotation, restarts,
//! gaps, handovers, logins that end.
#![allow(
    clippy::unwrap_used,
    clippy::pedantic,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    dead_code,
    missing_docs
)]

#[path = "../support/program.rs"]
mod program;
#[path = "../support/proxy.rs"]
mod proxy;
#[path = "../support/soak.rs"]
mod soak;
#[path = "../support/mod.rs"]
mod support;

use support::pocketbase;

#[macro_use]
mod kit;

// A test that is in no list of `both_versions!` is dead code.
#[deny(dead_code)]
mod cursor; // killed and started again, and nothing is missed
#[deny(dead_code)]
mod gaps; // what is filled, what is not, and what is told of it
#[deny(dead_code)]
mod handover; // the faults of a handover, by script
#[deny(dead_code)]
mod login; // tokens that end while it watches
#[deny(dead_code)]
mod order; // what comes late is marked
#[deny(dead_code)]
mod requests; // what is asked when something was missed
#[deny(dead_code)]
mod restarts; // the soak, and a server that is killed again and again
#[deny(dead_code)]
mod rotation; // connections that the server closes as a matter of routine
#[deny(dead_code)]
mod silence; // a path that is dead and does not say so
