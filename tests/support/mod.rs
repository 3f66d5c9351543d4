//! What the tests stand on: the real server, a scripted one, and the tool as a user runs it.

pub mod cli;
pub mod fake;
pub mod pocketbase;
pub mod pty;
