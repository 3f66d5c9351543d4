//! Signing in, and who is signed in.

use clap::{Args, Subcommand};
use clap_complete::engine::ArgValueCandidates;

use crate::cli::complete;

#[derive(Debug, Args)]
#[command(
    after_help = "\
In a terminal, whatever is not given is asked for.

Examples:
  bosbase-watch login https://api.example.com
  bosbase-watch login --superuser --identity root@example.com
  bosbase-watch login --identity ann@example.com --password-stdin < password.txt
  bosbase-watch login --oauth2 google",
    after_long_help = "\
In a terminal, whatever is not given is asked for: bosbase-watch login leads through it.
Without a terminal, stdin holds the answers, a line each, in the order in which they are
asked for: the password of --password-stdin, the codes of --code-stdin. Where two factors
are asked for, the flags of both are given.

Examples:
  bosbase-watch login https://api.example.com
  bosbase-watch login https://api.example.com --superuser --identity root@example.com
  bosbase-watch login --identity ann@example.com --password-stdin < password.txt
  bosbase-watch login --otp ann@example.com
  bosbase-watch login --oauth2 google
  bosbase-watch login --oauth2 google --redirect-port 8123   # the browser is on another machine
  printenv CI_TOKEN | bosbase-watch login --token-stdin"
)]
pub(crate) struct LoginArgs {
    /// The server
    #[arg(value_name = "URL")]
    pub(crate) server: Option<String>,
    /// The auth collection of the account [default: users]
    #[arg(long, value_name = "NAME", conflicts_with = "superuser")]
    pub(crate) collection: Option<String>,
    /// Sign in as a superuser
    #[arg(long)]
    pub(crate) superuser: bool,
    /// The e-mail or user name [asked for]
    #[arg(long, value_name = "NAME")]
    pub(crate) identity: Option<String>,
    /// The field that the name belongs to, where it could be that of more than one [default: any]
    #[arg(long, value_name = "FIELD")]
    pub(crate) identity_field: Option<String>,
    /// Read the password from a line of stdin [asked for]
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// Sign in with a one-time code that is sent to this address
    #[arg(long, value_name = "EMAIL")]
    pub(crate) otp: Option<String>,
    /// Read the one-time code from a line of stdin [asked for]
    #[arg(long, hide_short_help = true)]
    pub(crate) code_stdin: bool,
    /// Sign in with an account of this provider, in a browser
    #[arg(long, value_name = "PROVIDER", add = ArgValueCandidates::new(complete::providers))]
    pub(crate) oauth2: Option<String>,
    /// Open no browser; the page to open is printed in any case
    #[arg(long, hide_short_help = true)]
    pub(crate) no_browser: bool,
    #[arg(
        help = "Have the provider answer to http://127.0.0.1:PORT/oauth2-redirect, which must be registered \
                there, and not through the server: for a browser on another machine; 0 is any port",
        long,
        value_name = "PORT",
        hide_short_help = true
    )]
    pub(crate) redirect_port: Option<u16>,
    /// Keep the token of the first line of stdin, issued elsewhere
    #[arg(long, conflicts_with_all = [
        "collection", "superuser", "identity", "identity_field", "password_stdin", "otp", "code_stdin", "oauth2", "custom_token_stdin",
    ])]
    pub(crate) token_stdin: bool,
    /// Sign in with a token bound to the account before, from a line of stdin (BosBase)
    #[arg(long, hide_short_help = true)]
    pub(crate) custom_token_stdin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// As one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Ask the server nothing
    #[arg(long)]
    pub(crate) offline: bool,
    /// Of every profile, each with its own server and saved login
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LogoutArgs {
    /// Of every profile
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProfileCommand {
    /// Show them all
    List {
        /// As one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Make one the current one, which is used where none is named
    Use {
        /// Which one
        #[arg(add = ArgValueCandidates::new(complete::profiles))]
        name: String,
    },
    /// Remove one, and its login
    Remove {
        /// Which one
        #[arg(add = ArgValueCandidates::new(complete::profiles))]
        name: String,
    },
}
