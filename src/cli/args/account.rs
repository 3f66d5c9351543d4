//! Signing in, and who is signed in.

use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bosbase-watch login https://api.example.com
  bosbase-watch login https://api.example.com --superuser --identity root@example.com
  bosbase-watch login --identity ann@example.com --password-stdin < password.txt")]
pub(crate) struct LoginArgs {
    /// The server
    #[arg(value_name = "URL")]
    pub(crate) server: Option<String>,
    /// The auth collection of the account
    #[arg(long, value_name = "NAME", default_value = "users", conflicts_with = "superuser")]
    pub(crate) collection: String,
    /// Sign in as a superuser
    #[arg(long)]
    pub(crate) superuser: bool,
    /// The e-mail or user name [asked for]
    #[arg(long, value_name = "NAME")]
    pub(crate) identity: Option<String>,
    /// Read the password from the first line of stdin [asked for]
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// As one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Ask the server nothing
    #[arg(long)]
    pub(crate) offline: bool,
}
