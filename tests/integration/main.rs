//! Everything that needs no real server: faults by script, and what a person reads.
#![allow(clippy::unwrap_used, clippy::pedantic, unreachable_pub, dead_code, missing_docs)]

#[path = "../support/mod.rs"]
mod support;
