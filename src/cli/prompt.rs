//! Questions to a person, and the lines of stdin where there is none.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Context as _, Result};

use super::exit::{Exit, Failure};
use super::output::sanitize;
use super::settings::{can_ask, without_bom};
use super::{report, stderr};
use zeroize::Zeroizing;

use crate::Secret;

/// Asks for a line; where nobody can answer, names the flag.
pub(crate) async fn line(question: &str, flag: &str) -> Result<String> {
    line_or(question, None, flag).await
}

/// The same with an answer that Enter gives.
pub(crate) async fn line_or(question: &str, default: Option<&str>, flag: &str) -> Result<String> {
    if !can_ask() {
        return Err(missing(question, flag));
    }
    let asked = sanitize::terminal(question);
    show(&match default {
        Some(default) => format!("{asked} [{}]: ", sanitize::terminal(default)),
        None => format!("{asked}: "),
    })?;
    // Ctrl-D gives nothing, and does not take what is offered.
    let answer = answered().await?;
    match (answer.as_deref().map_or("", str::trim), default) {
        ("", Some(default)) if answer.is_some() => Ok(default.to_owned()),
        ("", _) => Err(Failure::usage(format!("{} was not given", question.to_lowercase()))
            .hint(format!("type it, or give it with {flag}"))
            .into()),
        (answer, _) => Ok(answer.to_owned()),
    }
}

/// Lets a person choose one of several things by its number; Enter is the first.
pub(crate) async fn choose(question: &str, choices: &[String], flag: &str) -> Result<usize> {
    if !can_ask() {
        return Err(missing(question, flag));
    }
    let mut menu = format!("{question}:\n");
    for (number, choice) in choices.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(menu, "  {}  {}", number + 1, sanitize::terminal(choice));
    }
    show(&menu)?;
    loop {
        show("Number [1]: ")?;
        let Some(answer) = answered().await? else {
            return Err(Failure::usage("nothing was chosen").hint(format!("{flag} says it without a question")).into());
        };
        match answer.trim() {
            "" => return Ok(0),
            number => match number.parse::<usize>() {
                Ok(number) if (1..=choices.len()).contains(&number) => return Ok(number - 1),
                _ => show(&format!("A number from 1 to {}, please.\n", choices.len()))?,
            },
        }
    }
}

/// Asks for a secret, without echo. A prompt that is given up leaves the
/// terminal as it was.
pub(crate) async fn secret(question: &str, flag: &str) -> Result<Secret> {
    if !can_ask() {
        return Err(missing(question, flag));
    }
    ask_secret(question, &format!("give it with {flag}")).await
}

/// `otherwise`: how it is given where this does not go.
async fn ask_secret(question: &str, otherwise: &str) -> Result<Secret> {
    let _terminal = Terminal::remember();
    let prompt = format!("{}: ", sanitize::terminal(question));
    let prompt = report::wrapped(&prompt, 0).into_owned();
    let answer = tokio::task::spawn_blocking(move || {
        // It writes to the terminal itself: what is said before it stands before it.
        stderr::flush();
        rpassword::prompt_password(prompt)
    });
    match answer.await.context("the prompt failed")? {
        // What stands for a byte that is no text.
        Ok(answer) if answer.contains('\u{fffd}') => Err(not_text("what was typed")),
        Ok(answer) => Ok(Secret::from(answer)),
        // By a signal, which ends the command: see `cli::interruptible`.
        Err(error) if error.kind() == io::ErrorKind::Interrupted => std::future::pending().await,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let what = question.split(' ').next().unwrap_or_default().to_lowercase();
            Err(Failure::usage(format!("the {what} was not given")).hint(format!("type it, or {otherwise}")).into())
        }
        Err(error) => {
            Err(Failure::new(Exit::Internal, format!("cannot ask on the terminal: {error}")).hint(otherwise).into())
        }
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

/// A secret from the next line of stdin; where that is a terminal, asked for without echo.
pub(crate) async fn secret_from_stdin(what: &str) -> Result<Secret> {
    if io::stdin().is_terminal() {
        let question = what.chars().next().into_iter().flat_map(char::to_uppercase).chain(what.chars().skip(1));
        return ask_secret(&question.collect::<String>(), "give it as a line of stdin").await;
    }
    match typed_line().await? {
        Some(answer) if !answer.is_empty() && (what != "token" || !answer.trim().is_empty()) => Ok(answer.into()),
        _ => Err(Failure::usage(format!("stdin holds no {what}"))
            .hint("each line of stdin is one answer, in the order in which they are asked for: bosbase-watch login … < FILE")
            .into()),
    }
}

/// The answer to what was just asked on the terminal; `None` where that has ended.
async fn answered() -> Result<Option<String>> {
    let answer = typed_line().await?;
    if answer.is_none() {
        // Ctrl-D leaves the question's line as it is.
        show("\n")?;
    }
    Ok(answer)
}

/// The next line of stdin; `None` at its end.
async fn typed_line() -> Result<Option<String>> {
    tokio::task::spawn_blocking(read_line).await.context("the prompt failed")?
}

fn read_line() -> Result<Option<String>> {
    let mut bytes = Zeroizing::new(Vec::new());
    if io::stdin().lock().read_until(b'\n', &mut bytes).context("cannot read from stdin")? == 0 {
        return Ok(None);
    }
    let line = std::str::from_utf8(&bytes).map_err(|_| not_text("what stdin holds"))?;
    Ok(Some(without_bom(line.trim_end_matches(['\r', '\n'])).to_owned()))
}

fn not_text(what: &str) -> anyhow::Error {
    Failure::usage(format!("{what} is not text (UTF-8)"))
        .hint("a terminal or a file in another encoding writes letters such as ä in another way: let it use UTF-8")
        .into()
}

/// Lines that a person may type while something else is waited for.
pub(crate) struct Typed {
    lines: tokio::sync::mpsc::UnboundedReceiver<String>,
    _stop: std::sync::Arc<()>,
}

impl Typed {
    /// Listens until it is dropped: what is typed after that is for the next question.
    pub(crate) fn listen() -> Self {
        let (sender, lines) = tokio::sync::mpsc::unbounded_channel();
        let stop = std::sync::Arc::new(());
        #[cfg(unix)]
        if can_ask() {
            let wanted = std::sync::Arc::downgrade(&stop);
            tokio::task::spawn_blocking(move || {
                use rustix::event::{PollFd, PollFlags, Timespec, poll};
                let tick = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
                while wanted.upgrade().is_some() {
                    let stdin = io::stdin();
                    let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
                    // A terminal has something to read when a whole line was typed.
                    if !matches!(poll(&mut fds, Some(&tick)), Ok(ready) if ready > 0) {
                        continue;
                    }
                    let Ok(Some(line)) = read_line() else { break };
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        #[cfg(not(unix))]
        drop(sender);
        Self { lines, _stop: stop }
    }

    /// The next line; never, where there will be none.
    pub(crate) async fn next(&mut self) -> String {
        match self.lines.recv().await {
            Some(line) => line,
            None => std::future::pending().await,
        }
    }
}

/// Line by line: what a question repeats may come from a server or a file.
fn show(text: &str) -> Result<()> {
    crate::cli::stderr::flush();
    let mut stderr = io::stderr().lock();
    let lines: Vec<_> =
        text.split('\n').map(|line| report::wrapped(&sanitize::terminal(line), 0).into_owned()).collect();
    stderr.write_all(lines.join("\n").as_bytes()).and_then(|()| stderr.flush()).context("cannot ask on the terminal")
}

fn missing(question: &str, flag: &str) -> anyhow::Error {
    Failure::usage(format!("{} is missing, and there is no terminal to ask on", question.to_lowercase()))
        .hint(format!("give it with {flag}"))
        .into()
}
