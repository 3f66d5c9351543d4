//! Nothing stays behind, whatever ends this process: a panic, `exit`, Ctrl-C or
//! SIGKILL.
//!
//! A small shell process, in a process group of its own, owns the temporary
//! folder and knows the processes. It reads its orders from a pipe; the pipe's
//! end is the end of this process, and then it kills and removes what is left.
//! It also sends the signals that std cannot send. It confirms each order.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

const SCRIPT: &str = r#"
trap '' HUP INT TERM PIPE
root=$(mktemp -d "${TMPDIR:-/tmp}/bosbase-watch.XXXXXX") || exit 1
echo "$root"
exec 2>/dev/null
pids=' '
while read -r order pid; do
    case $order in
        watch) pids="$pids$pid " ;;
        forget) pids="${pids%% $pid *} ${pids#* $pid }" ;;
        *) kill -s "$order" "$pid" ;;
    esac
    echo "done"
done
for pid in $pids; do kill -s KILL "$pid"; done
# Those that are dying may still be writing.
tries=0
until rm -rf "$root" || [ $((tries += 1)) -gt 100 ]; do sleep 0.05; done
"#;

struct Janitor {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    root: PathBuf,
}

static JANITOR: Mutex<Option<Janitor>> = Mutex::new(None);

/// The temporary folder of this process, removed when the process has ended.
pub fn root() -> PathBuf {
    with(|janitor| janitor.root.clone())
}

/// From now on the process, which runs already, does not outlive this one.
pub fn watch(pid: u32) {
    order("watch", pid);
}

/// The process has ended.
pub fn forget(pid: u32) {
    order("forget", pid);
}

/// Sends a signal by its name without `SIG`.
pub fn signal(pid: u32, name: &str) {
    order(name, pid);
}

/// A command for [`Process::start`]: a shell that becomes the program once the
/// janitor knows it, or ends if this process should have died before. It reads
/// nothing, and its errors go where its output goes.
pub fn guarded(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"read -r go && exec "$@" </dev/null 2>&1"#, "sh"])
        .arg(program)
        .stdin(Stdio::piped())
        .process_group(0); // the Ctrl-C of the terminal is not for it
    command
}

/// A process that does not outlive this one; killed when dropped.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Starts a [`guarded`] command.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let child = command.spawn()?;
        watch(child.id());
        let mut process = Self(child);
        let go = process.0.stdin.take();
        go.map_or(Ok(()), |mut go| go.write_all(b"go\n"))?;
        Ok(process)
    }

    pub fn signal(&self, name: &str) {
        signal(self.0.id(), name);
    }

    /// Has every thread stopped? The signal alone takes its time. (Where there is
    /// no /proc, this cannot be known.)
    pub fn is_frozen(&self) -> bool {
        let Ok(threads) = fs::read_dir(format!("/proc/{}/task", self.0.id())) else {
            return true;
        };
        // "123 (pocketbase) T …"
        let is_stopped = |stat: String| stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" T"));
        threads.flatten().all(|thread| fs::read_to_string(thread.path().join("stat")).is_ok_and(is_stopped))
    }

    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("a child can be waited for")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        forget(self.0.id());
    }
}

/// Runs a [`guarded`] command to its end, which has to be success; what it
/// printed, or why it failed.
pub fn run(command: &mut Command) -> Result<String, String> {
    let fault = |error: io::Error| format!("cannot run a command: {error}");
    let mut process = Process::start(command.stdout(Stdio::piped())).map_err(fault)?;
    let mut output = Vec::new();
    if let Some(mut stdout) = process.0.stdout.take() {
        stdout.read_to_end(&mut output).map_err(fault)?;
    }
    let status = process.0.wait().map_err(fault)?;
    let output = String::from_utf8_lossy(&output).trim().to_owned();
    if status.success() { Ok(output) } else { Err(format!("{status}\n{output}")) }
}

/// Cleans up now and waits until it is done. What is used afterwards starts anew.
pub fn finish() {
    if let Some(Janitor { mut process, orders, .. }) = lock().take() {
        drop(orders);
        let _ = process.wait();
    }
}

fn order(what: &str, pid: u32) {
    with(|janitor| {
        writeln!(janitor.orders, "{what} {pid}")?;
        janitor.answers.read_line(&mut String::new())
    })
    .expect("the janitor is gone");
}

fn lock() -> MutexGuard<'static, Option<Janitor>> {
    JANITOR.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with<T>(work: impl FnOnce(&mut Janitor) -> T) -> T {
    work(lock().get_or_insert_with(start))
}

fn start() -> Janitor {
    let mut process = Command::new("sh")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0) // the Ctrl-C of the terminal is not for it
        .spawn()
        .expect("cannot start sh");
    let orders = process.stdin.take().expect("stdin is a pipe");
    let stdout = process.stdout.take().expect("stdout is a pipe");
    let mut answers = BufReader::new(stdout);
    let mut root = String::new();
    answers.read_line(&mut root).expect("cannot read from sh");
    let root = Path::new(root.trim_end()).to_path_buf();
    assert!(root.is_absolute() && root.is_dir(), "mktemp made no temporary folder");
    Janitor { process, orders, answers, root }
}
