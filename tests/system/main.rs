//! What needs programs of the system: jq, tmux. `.ci/run` installs them.
#![allow(clippy::unwrap_used, clippy::pedantic, unreachable_pub, dead_code, missing_docs)]

#[path = "../support/mod.rs"]
mod support;
