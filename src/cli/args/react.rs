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

impl React {
    /// A word behind the command that looks like one of our flags, where nothing ends the command:
    /// `--exec ./deploy.sh -n 1` takes all of it.
    pub(crate) fn swallowed(&self) -> Option<String> {
        swallowed(&self.exec, std::env::args_os().any(|arg| arg == ";"))
    }
}

fn swallowed(exec: &[OsString], is_ended: bool) -> Option<String> {
    const FLAGS: [&str; 14] = [
        "--action",
        "--count",
        "--cursor",
        "--duration",
        "--exec-fail",
        "--exec-jobs",
        "--fail-on-gap",
        "--filter",
        "--idle-timeout",
        "--initial",
        "--lifecycle",
        "--no-check",
        "--since",
        "--timeout",
    ];
    let words: Vec<_> = exec.iter().map(|word| word.to_string_lossy()).collect();
    if is_ended || words.is_empty() {
        return None;
    }
    words.iter().enumerate().skip(1).find_map(|(at, word)| {
        let value = words.get(at + 1).map_or("", |value| value);
        let is_count = word == "-n" && value.parse::<u64>().is_ok();
        let is_form = word == "-o" && matches!(value, "auto" | "pretty" | "ndjson" | "raw");
        let what = match word.split('=').next().unwrap_or_default() {
            flag if FLAGS.contains(&flag) => flag.to_owned(),
            _ if is_count || is_form => format!("{word} {value}"),
            _ => return None,
        };
        Some(format!("{what} goes to {}: put ';' before it where it is not meant for that", words[0]))
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_behind_the_command() {
        for (words, what) in [
            (&["./a.sh", "-n", "1"][..], Some("-n 1")),
            (&["./a.sh", "--timeout=5s"], Some("--timeout")),
            (&["./a.sh", "-o", "ndjson"], Some("-o ndjson")),
            (&["./a.sh", "-n", "x", "-o", "file", "--request"], None),
            (&["--count"], None),
            (&[], None),
        ] {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            let said =
                what.map(|what| format!("{what} goes to ./a.sh: put ';' before it where it is not meant for that"));
            assert_eq!(swallowed(&words, false), said, "{words:?}");
            assert_eq!(swallowed(&words, true), None, "{words:?}");
        }
    }
}
