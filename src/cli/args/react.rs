//! What is done with the events besides printing them.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// What happens on each event.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "React")]
pub(crate) struct React {
    #[arg(
        long,
        num_args = 1..,
        action = clap::ArgAction::Set,
        value_names = ["CMD", "ARG"],
        value_terminator = ";",
        allow_hyphen_values = true,
        help = "Run CMD for each event, which it reads on stdin; up to ';'",
        long_help = "Run CMD for each event, which it reads on stdin; up to an argument ';', or the end of the line"
    )]
    pub(crate) exec: Vec<OsString>,
    /// How many commands may run at a time; 1 keeps the order
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = jobs, requires = "exec", hide_short_help = true)]
    pub(crate) exec_jobs: usize,
    /// After a command that failed: warn and go on, or stop with 125
    #[arg(long, value_name = "WHAT", default_value = "warn", requires = "exec", hide_short_help = true)]
    pub(crate) exec_fail: ExecFailArg,
    /// Read 'subscribe TOPIC', 'unsubscribe [TOPIC]', 'unsubscribe-prefix PREFIX' lines while running; - is stdin
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, hide_short_help = true)]
    pub(crate) control: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExecFailArg {
    Warn,
    Stop,
}

fn jobs(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least 1".to_owned()),
        Ok(jobs) if jobs <= 256 => Ok(jobs),
        Ok(_) => Err("256 at the most".to_owned()),
        Err(_) => Err("not a whole number".to_owned()),
    }
}
