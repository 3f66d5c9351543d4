//! Questions to a person.

use std::io::{self, BufRead as _, Write as _};

use anyhow::{Context as _, Result};

use super::exit::Failure;
use super::settings::can_ask;
use crate::Secret;

/// Asks for a line; where nobody can answer, names the flag.
pub(crate) fn line(question: &str, flag: &str) -> Result<String> {
    if !can_ask() {
        return Err(missing(question, flag));
    }
    let mut stderr = io::stderr().lock();
    write!(stderr, "{question}: ").and_then(|()| stderr.flush()).context("cannot ask on the terminal")?;
    let answer = read_line()?;
    if answer.is_empty() {
        return Err(missing(question, flag));
    }
    Ok(answer)
}

/// Asks for a secret, without echo.
pub(crate) fn secret(question: &str, flag: &str) -> Result<Secret> {
    if !can_ask() {
        return Err(missing(question, flag));
    }
    let answer = rpassword::prompt_password(format!("{question}: ")).context("cannot ask on the terminal")?;
    Ok(answer.into())
}

/// A secret from the first line of stdin.
pub(crate) fn secret_from_stdin(what: &str) -> Result<Secret> {
    let answer: Secret = read_line()?.into();
    if answer.is_empty() {
        return Err(Failure::usage(format!("stdin holds no {what}")).into());
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
