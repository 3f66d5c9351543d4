//! The login: a token, what it says of itself, and the record it belongs to.

mod refresh;
mod store;
mod token;

pub(crate) use refresh::verify;
pub use store::AuthStore;
pub use token::Claims;
