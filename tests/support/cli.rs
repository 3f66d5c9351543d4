//! Runs the real binary as a user would, with a config dir of its own.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

#[path = "schema.rs"]
mod schema;
#[path = "secrets.rs"]
pub mod secrets;

/// How long a test waits for what must happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The binary under test.
pub fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_bosbase-watch")
}

/// An installation of the tool: a config dir, and the environment to run in.
pub struct Cli {
    config: TempDir,
    environment: Vec<(String, String)>,
}

/// What a run left behind.
#[derive(Debug, Clone)]
pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Output {
    /// Asserts the exit code, and shows everything where it is another.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

impl Cli {
    /// For a server; nobody is signed in.
    pub fn new(url: &str) -> Self {
        Self::without_url().with("BOSBASE_URL", url)
    }

    pub fn without_url() -> Self {
        let config = tempfile::Builder::new().prefix("bosbase-watch-test").tempdir().expect("a temporary directory");
        Self { config, environment: Vec::new() }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        if name == "BOSBASE_TOKEN" {
            secrets::know(value);
        }
        self.environment.push((name.into(), value.into()));
        self
    }

    /// The config dir, which does not exist before the first login.
    pub fn config_dir(&self) -> std::path::PathBuf {
        self.config.path().join("config")
    }

    /// A command that knows nothing of the developer's own environment.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(binary());
        command.args(args);
        self.prepare(&mut command);
        command
    }

    /// Puts the environment of this installation around any command.
    pub fn prepare(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("BOSBASE_") || name.ends_with("_PROXY") || name.ends_with("_proxy") {
                command.env_remove(name);
            }
        }
        command
            .env("BOSBASE_WATCH_CONFIG_DIR", self.config_dir())
            .env("TZ", "UTC")
            .env_remove("BROWSER") // or it opens one
            .env_remove("NO_COLOR")
            .env_remove("CLICOLOR_FORCE")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
    }

    /// Runs to the end, with nothing on stdin.
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Output {
        self.run_with_stdin(args, "")
    }

    /// Runs to the end.
    pub fn run_with_stdin<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>, stdin: &str) -> Output {
        let mut running = self.start_typing(args);
        for line in stdin.lines() {
            secrets::know(line);
        }
        // It may end without having read anything.
        let _ = running.stdin.take().expect("piped").write_all(stdin.as_bytes());
        running.finish()
    }

    /// Starts it with a stdin to type into.
    pub fn start_typing<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Running {
        let mut command = self.command(args);
        command.stdin(Stdio::piped());
        Running::spawn(command)
    }

    /// Signs in, and says so where that fails.
    #[track_caller]
    pub fn login(&self, collection: &str, identity: &str, password: &str) {
        self.run_with_stdin(
            ["login", "--collection", collection, "--identity", identity, "--password-stdin"],
            &format!("{password}\n"),
        )
        .expect(0);
    }

    /// Starts it.
    pub fn start<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Running {
        Running::start(self.command(args))
    }

    /// Starts `subscribe` with NDJSON, and waits until it is live.
    #[track_caller]
    pub fn watch<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Running {
        let mut command = self.command(["subscribe", "--lifecycle", "stdout", "-o", "ndjson"]);
        command.args(args);
        let running = Running::start(command);
        running.wait_for_line(|line| line.contains(r#""type":"live""#));
        running
    }
}

#[derive(Default)]
struct Stream {
    text: Mutex<(String, bool)>,
    changed: Condvar,
}

impl Stream {
    fn read(self: &Arc<Self>, source: impl Read + Send + 'static) {
        let this = Arc::clone(self);
        std::thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut line = Vec::new();
            while matches!(source.read_until(b'\n', &mut line), Ok(read) if read > 0) {
                this.text.lock().unwrap().0.push_str(&String::from_utf8_lossy(&line));
                this.changed.notify_all();
                line.clear();
            }
            this.text.lock().unwrap().1 = true;
            this.changed.notify_all();
        });
    }

    fn wait<T>(&self, limit: Duration, mut found: impl FnMut(&str) -> Option<T>) -> Result<T, String> {
        let end = Instant::now() + limit;
        let mut text = self.text.lock().unwrap();
        loop {
            if let Some(found) = found(&text.0) {
                return Ok(found);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || text.1 {
                return Err(text.0.clone());
            }
            text = self.changed.wait_timeout(text, left).unwrap().0;
        }
    }

    fn all(&self) -> String {
        let mut text = self.text.lock().unwrap();
        while !text.1 {
            text = self.changed.wait(text).unwrap();
        }
        text.0.clone()
    }
}

/// A run that goes on. Killed when dropped.
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Arc<Stream>,
    stderr: Arc<Stream>,
    started: Instant,
}

impl Running {
    /// Starts any command, with its output collected and nothing on stdin.
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null());
        Self::spawn(command)
    }

    /// The same with a stdin, which is returned where it is a pipe.
    pub fn start_with(mut command: Command, stdin: Stdio) -> (Self, Option<ChildStdin>) {
        command.stdin(stdin);
        let mut running = Self::spawn(command);
        let stdin = running.stdin.take();
        (running, stdin)
    }

    fn spawn(mut command: Command) -> Self {
        let started = Instant::now();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts");
        let (stdout, stderr) = (Arc::new(Stream::default()), Arc::new(Stream::default()));
        stdout.read(child.stdout.take().expect("piped"));
        stderr.read(child.stderr.take().expect("piped"));
        let stdin = child.stdin.take();
        Self { child, stdin, stdout, stderr, started }
    }

    /// Types a line, which is a secret.
    #[track_caller]
    pub fn type_line(&mut self, line: &str) {
        secrets::know(line);
        let stdin = self.stdin.as_mut().expect("started with a stdin");
        stdin.write_all(format!("{line}\n").as_bytes()).expect("it reads");
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line of stdout, and returns it.
    #[track_caller]
    pub fn wait_for_line(&self, wanted: impl Fn(&str) -> bool) -> String {
        let found = self.stdout.wait(PATIENCE, |text| text.lines().find(|line| wanted(line)).map(str::to_owned));
        found.unwrap_or_else(|text| {
            panic!("the line did not come; stdout:\n{text}\nstderr:\n{}", self.stderr.text.lock().unwrap().0)
        })
    }

    /// Waits until stdout has so many lines that are wanted, and returns them.
    #[track_caller]
    pub fn wait_for_lines(&self, count: usize, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let found = self.stdout.wait(PATIENCE, |text| {
            let lines: Vec<_> = text.lines().filter(|line| wanted(line)).map(str::to_owned).collect();
            (lines.len() >= count).then_some(lines)
        });
        found.unwrap_or_else(|text| {
            panic!("no {count} lines came; stdout:\n{text}\nstderr:\n{}", self.stderr.text.lock().unwrap().0)
        })
    }

    /// Waits until the last line of this kind is as wanted.
    #[track_caller]
    pub fn wait_for_last(&self, kind: impl Fn(&str) -> bool, wanted: impl Fn(&str) -> bool) {
        let last = |text: &str| text.lines().rfind(|line| kind(line)).is_some_and(&wanted).then_some(());
        if let Err(text) = self.stdout.wait(PATIENCE, last) {
            panic!("the line did not come; stdout:\n{text}\nstderr:\n{}", self.stderr.text.lock().unwrap().0);
        }
    }

    /// Waits for a line of stderr, and returns it.
    #[track_caller]
    pub fn wait_for_stderr(&self, wanted: impl Fn(&str) -> bool) -> String {
        let found = self.stderr.wait(PATIENCE, |text| text.lines().find(|line| wanted(line)).map(str::to_owned));
        found.unwrap_or_else(|text| {
            panic!("the line did not come; stderr:\n{text}\nstdout:\n{}", self.stdout.text.lock().unwrap().0)
        })
    }

    /// Waits until stderr has so many lines that are wanted, and returns them.
    #[track_caller]
    pub fn wait_for_stderr_lines(&self, count: usize, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let found = self.stderr.wait(PATIENCE, |text| {
            let lines: Vec<_> = text.lines().filter(|line| wanted(line)).map(str::to_owned).collect();
            (lines.len() >= count).then_some(lines)
        });
        found.unwrap_or_else(|text| panic!("no {count} lines came; stderr:\n{text}"))
    }

    /// What stdout holds by now.
    pub fn stdout(&self) -> String {
        self.stdout.text.lock().unwrap().0.clone()
    }

    /// Sends SIGINT.
    pub fn interrupt(&self) {
        self.signal(rustix::process::Signal::INT);
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// Waits for the end.
    #[track_caller]
    pub fn finish(mut self) -> Output {
        drop(self.stdin.take());
        let end = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            if Instant::now() > end {
                let _ = self.child.kill();
                panic!("it does not end; stdout:\n{}\nstderr:\n{}", self.stdout.all(), self.stderr.all());
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let took = self.started.elapsed();
        let output = Output { code: code(status), stdout: self.stdout.all(), stderr: self.stderr.all(), took };
        check(&output.stdout, &output.stderr);
        assert!(is_mended(&output), "an error without a hint:\n{}", output.stderr);
        output
    }

    /// Sends SIGINT and waits for the end.
    #[track_caller]
    pub fn stop(self) -> Output {
        self.interrupt();
        self.finish()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            let stderr = self.stderr.text.lock().unwrap().0.clone();
            check(&self.stdout(), &stderr);
        }
    }
}

/// No run prints a secret, nor a line that the schema does not know, whatever
/// its test is about.
#[track_caller]
fn check(stdout: &str, stderr: &str) {
    schema::check(stdout);
    secrets::refuse("stdout", stdout);
    secrets::refuse("stderr", stderr);
}

/// Whether each error says what mends it. Where `topics` counts those that would stay silent, its
/// table has said it of each.
fn is_mended(output: &Output) -> bool {
    let lines: Vec<&str> = output.stderr.lines().collect();
    let mut errors = lines.iter().enumerate().filter(|(_, line)| line.starts_with("error: "));
    errors.all(|(at, line)| {
        line.ends_with(" would stay silent") || lines.get(at + 1).is_some_and(|next| next.starts_with("hint: "))
    })
}

/// The exit code; minus the signal's number for a process that a signal ended.
fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().unwrap_or_else(|| -status.signal().unwrap_or(0))
}
