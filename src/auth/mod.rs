//! The login: a token, what it says of itself, and the record it belongs to.

mod keeper;
mod refresh;
mod store;
mod token;

pub use keeper::{Keeper, Kept, Locked, Pending};
pub(crate) use refresh::verify;
pub use store::AuthStore;
pub use token::Claims;
