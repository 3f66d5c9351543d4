//! The steps of an event's way, one by one, for `benches/`. Not part of the library's interface.

#[cfg(feature = "cli")]
pub use crate::cli::bench::{Jq, Lines};
pub use crate::realtime::bench::{Memory, Topics, Twins};
