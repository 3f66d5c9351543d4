//! Programs that are started for events: found beforehand, in a process group
//! of their own.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use tokio::process::Command;

use super::exit::Failure;

/// Fails where the program cannot be started: better before a watch than at its first event.
pub(crate) fn find(program: &OsStr) -> Result<(), Failure> {
    let shown = program.to_string_lossy();
    let path = Path::new(program);
    if path.components().count() > 1 || path.is_absolute() {
        return match std::fs::metadata(path) {
            Err(error) => {
                let failure = Failure::usage(format!("the command {shown} cannot be started: {error}"));
                Err(failure.hint("give the path of a program, or its name alone where it is in the PATH"))
            }
            Ok(found) if found.is_dir() => {
                Err(Failure::usage(format!("the command {shown} cannot be started: it is a directory"))
                    .hint(format!("name a program in it: {}/PROGRAM", shown.trim_end_matches('/'))))
            }
            Ok(found) if !is_executable(&found) => {
                Err(Failure::usage(format!("the command {shown} cannot be started: it is not executable"))
                    .hint(format!("chmod +x {shown}")))
            }
            Ok(_) => Ok(()),
        };
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&folders)
        .flat_map(|folder| names(&folder, program))
        .any(|file| std::fs::metadata(file).is_ok_and(|found| found.is_file() && is_executable(&found)));
    if there {
        return Ok(());
    }
    let failure = Failure::usage(format!("the command {shown} is not found in the PATH"));
    Err(if shown.contains([' ', '|', '>', '$']) {
        failure.hint("no shell is involved; sh -c '…' is one")
    } else if path.exists() {
        failure.hint(format!("the one in this directory is ./{shown}"))
    } else {
        failure.hint("give the program and each of its arguments as an argument of its own")
    })
}

/// What a program of that name may be called in a folder.
fn names(folder: &Path, program: &OsStr) -> Vec<PathBuf> {
    let mut names = vec![folder.join(program)];
    for extension in if cfg!(windows) { &["exe", "cmd", "bat", "com"][..] } else { &[] } {
        let mut name = OsString::from(program);
        name.push(".");
        name.push(extension);
        names.push(folder.join(name));
    }
    names
}

#[cfg(unix)]
fn is_executable(found: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    found.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &std::fs::Metadata) -> bool {
    true
}

/// Gives it a process group of its own: the terminal's Ctrl-C is for the watch,
/// which knows what to do about its commands.
pub(crate) fn set_apart(command: &mut Command) {
    #[cfg(unix)]
    command.process_group(0);
    #[cfg(not(unix))]
    let _ = command;
}

/// Asks a command that was [set apart](set_apart), and what it started, to end.
pub(crate) fn terminate(child: &mut tokio::process::Child) {
    signal(child, false);
}

/// Ends a command that was [set apart](set_apart), and what it started.
pub(crate) fn kill(child: &mut tokio::process::Child) {
    signal(child, true);
}

#[cfg(unix)]
fn signal(child: &mut tokio::process::Child, kill: bool) {
    use rustix::process::{Pid, Signal, kill_process_group};
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(group) = group {
        let _ = kill_process_group(group, if kill { Signal::KILL } else { Signal::TERM });
    }
}

#[cfg(not(unix))]
fn signal(child: &mut tokio::process::Child, _: bool) {
    let _ = child.start_kill();
}

/// How it ended, in words; `None` where all is well.
pub(crate) fn failure(status: ExitStatus) -> Option<String> {
    if status.success() {
        return None;
    }
    if let Some(code) = status.code() {
        return Some(format!("ended with {code}"));
    }
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return Some(format!("was ended by signal {signal}"));
    }
    Some("failed".to_owned())
}
