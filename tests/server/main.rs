//! What only the real server knows: every test runs against both versions.
#![allow(clippy::unwrap_used, clippy::pedantic, unreachable_pub, dead_code, missing_docs)]

#[path = "../support/mod.rs"]
mod support;
