//! Questions to a person.

use std::io::{self, BufRead as _, Write as _};

use anyhow::{Context as _, Result};

use super::exit::Failure;
use super::settings::can_ask;
use crate::Secret;

/// Asks for a line; where nobody can answer, names the flag.
pub(crate) async fn line(question: &str, flag: &str) -> Result<String> {
    if !can_ask() {
        return Err(missing(question, flag));
    }
    {
        let mut stderr = io::stderr().lock();
        write!(stderr, "{question}: ").and_then(|()| stderr.flush()).context("cannot ask on the terminal")?;
    }
    let answer = tokio::task::spawn_blocking(read_line).await.context("the prompt failed")??;
    if answer.is_empty() {
        return Err(Failure::usage(format!("{} was not given", question.to_lowercase()))
            .hint(format!("type it, or give it with {flag}"))
            .into());
    }
    Ok(answer)
}

/// Asks for a secret, without echo. A prompt that is given up leaves the
/// terminal as it was.
pub(crate) async fn secret(question: &str, flag: &str) -> Result<Secret> {
    if !can_ask() {
        return Err(missing(question, flag));
    }
    let _terminal = Terminal::remember();
    let prompt = format!("{question}: ");
    let answer = tokio::task::spawn_blocking(move || rpassword::prompt_password(prompt).map(Secret::from));
    match answer.await.context("the prompt failed")? {
        // By a signal, which ends the command: see `cli::interruptible`.
        Err(error) if error.kind() == io::ErrorKind::Interrupted => std::future::pending().await,
        answer => answer.context("cannot ask on the terminal"),
    }
}

/// How the terminal was before a prompt. Restored when dropped.
struct Terminal {
    #[cfg(unix)]
    before: Option<rustix::termios::Termios>,
}

impl Terminal {
    fn remember() -> Self {
        Self {
            #[cfg(unix)]
            before: rustix::termios::tcgetattr(io::stdin()).ok(),
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(before) = &self.before {
            // Where it cannot be had back there is nothing more to do.
            let _ = rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Now, before);
        }
    }
}

/// A secret from the first line of stdin.
pub(crate) fn secret_from_stdin(what: &str) -> Result<Secret> {
    let answer: Secret = read_line()?.into();
    if answer.is_empty() {
        return Err(Failure::usage(format!("stdin holds no {what}"))
            .hint(format!("the first line of stdin is the {what}: bosbase-watch login … < FILE"))
            .into());
    }
    Ok(answer)
}

fn read_line() -> Result<String> {
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("cannot read from stdin")?;
    let line = answer.trim_end_matches(['\r', '\n']);
    answer.truncate(line.len());
    Ok(answer)
}

fn missing(question: &str, flag: &str) -> anyhow::Error {
    Failure::usage(format!("{} is missing, and there is no terminal to ask on", question.to_lowercase()))
        .hint(format!("give it with {flag}"))
        .into()
}
