//! Runs the real binary as a user would, with a config dir of its own.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

#[path = "schema.rs"]
mod schema;
#[path = "secrets.rs"]
pub mod secrets;

/// How long a test waits for what must happen.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The binary under test.
pub fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_bosbase-watch")
}

/// An installation of the tool: a config dir, and the environment to run in.
pub struct Cli {
    /// Each run keeps it as well: one that outlives this would find its config dir gone, or half gone.
    config: Arc<TempDir>,
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
        Self { config: Arc::new(config), environment: Vec::new() }
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
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Program {
        let mut command = Command::new(binary());
        command.args(args);
        self.around(command)
    }

    /// Any command, such as a shell that starts the tool, in this installation.
    pub fn around(&self, mut command: Command) -> Program {
        self.prepare(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        Program { command, config: Some(Arc::clone(&self.config)) }
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

    fn so_far(&self) -> String {
        self.text.lock().unwrap().0.clone()
    }

    fn all(&self) -> String {
        let mut text = self.text.lock().unwrap();
        while !text.1 {
            text = self.changed.wait(text).unwrap();
        }
        text.0.clone()
    }
}

/// A command of the tool that has not been started. However that is done, what it prints is searched.
pub struct Program {
    command: Command,
    config: Option<Arc<TempDir>>,
}

impl From<Command> for Program {
    fn from(command: Command) -> Self {
        Self { command, config: None }
    }
}

impl Program {
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.command.arg(arg);
        self
    }

    pub fn args<S: AsRef<OsStr>>(&mut self, args: impl IntoIterator<Item = S>) -> &mut Self {
        self.command.args(args);
        self
    }

    pub fn env(&mut self, name: &str, value: impl AsRef<OsStr>) -> &mut Self {
        self.command.env(name, value);
        self
    }

    pub fn env_remove(&mut self, name: &str) -> &mut Self {
        self.command.env_remove(name);
        self
    }

    pub fn current_dir(&mut self, folder: &std::path::Path) -> &mut Self {
        self.command.current_dir(folder);
        self
    }

    pub fn process_group(&mut self, group: i32) -> &mut Self {
        std::os::unix::process::CommandExt::process_group(&mut self.command, group);
        self
    }

    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Self {
        self.command.stdin(stdin);
        self
    }

    pub fn stdout(&mut self, stdout: impl Into<Stdio>) -> &mut Self {
        self.command.stdout(stdout);
        self
    }

    /// Starts it with the stdout that was set; its stderr is collected.
    pub fn spawn(self) -> Bare {
        let (bare, stderr) = self.launch(Stream::default());
        bare.stderr.read(stderr);
        bare
    }

    /// The same with a stderr that nobody reads but the test.
    pub fn spawn_unread(self) -> (Bare, Searched<ChildStderr>) {
        let nothing = Stream { text: Mutex::new((String::new(), true)), ..Stream::default() };
        let (bare, stderr) = self.launch(nothing);
        (bare, Searched::new("stderr", stderr))
    }

    fn launch(mut self, log: Stream) -> (Bare, ChildStderr) {
        let started = Instant::now();
        let mut child = self.command.stderr(Stdio::piped()).spawn().expect("the command starts");
        let stderr = child.stderr.take().expect("piped");
        let stdout = child.stdout.take().map(|stdout| Searched::new("stdout", stdout));
        (Bare { child, stdout, stderr: Arc::new(log), started, _config: self.config }, stderr)
    }

    /// Starts it in a terminal.
    pub fn spawn_in(mut self, end: impl Fn() -> Stdio) -> (Child, Option<Arc<TempDir>>) {
        let child = self.command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("the command starts");
        (child, self.config)
    }
}

/// What is read of a run's output is searched on its way.
pub struct Searched<R> {
    what: &'static str,
    inner: R,
    /// The end of what was read: a secret may come in two pieces.
    last: Vec<u8>,
}

impl<R> Searched<R> {
    pub fn new(what: &'static str, inner: R) -> Self {
        Self { what, inner, last: Vec::new() }
    }

    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    /// For somebody else to read, whose output is to be searched.
    pub fn into_inner(self) -> R {
        self.inner
    }
}

impl<R: Read> Read for Searched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        /// More than any secret has.
        const KEPT: usize = 4096;
        let read = self.inner.read(buffer)?;
        self.last.extend_from_slice(&buffer[..read]);
        secrets::refuse(self.what, &String::from_utf8_lossy(&self.last));
        let done = self.last.len().saturating_sub(KEPT);
        self.last.drain(..done);
        Ok(read)
    }
}

/// A run whose stdout is the test's affair. Killed when dropped.
pub struct Bare {
    child: Child,
    /// Where it was set to a pipe.
    pub stdout: Option<Searched<ChildStdout>>,
    stderr: Arc<Stream>,
    started: Instant,
    _config: Option<Arc<TempDir>>,
}

impl Bare {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).expect("it runs");
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_some()
    }

    /// Waits for a line of stderr, and returns it.
    #[track_caller]
    pub fn wait_for_stderr(&self, wanted: impl Fn(&str) -> bool) -> String {
        let found = self.stderr.wait(PATIENCE, |text| text.lines().find(|line| wanted(line)).map(str::to_owned));
        found.unwrap_or_else(|text| panic!("the line did not come; stderr:\n{text}"))
    }

    /// Waits for the end; `stdout` is empty.
    #[track_caller]
    pub fn end(&mut self) -> Output {
        self.end_within(PATIENCE)
    }

    #[track_caller]
    pub fn end_within(&mut self, patience: Duration) -> Output {
        let end = Instant::now() + patience;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            assert!(Instant::now() < end, "it does not end");
            std::thread::sleep(Duration::from_millis(1));
        };
        let took = self.started.elapsed();
        let output = Output { code: code(status), stdout: String::new(), stderr: self.stderr.all(), took };
        check("", &output.stderr);
        assert!(is_mended(&output), "an error without a hint:\n{}", output.stderr);
        output
    }

    /// Whether it runs, and what it has said.
    pub fn state(&mut self) -> String {
        let state = match self.child.try_wait() {
            Ok(Some(status)) => format!("ended with {}", code(status)),
            Ok(None) => format!("has run for {:?}", self.started.elapsed()),
            Err(error) => error.to_string(),
        };
        format!("process {} {state}; stderr:\n{}", self.child.id(), self.stderr.so_far())
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.state());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            // Up to its end, unless something that it started holds on to it.
            let _ = self.stderr.wait(Duration::from_secs(1), |_| None::<()>);
            check("", &self.stderr.so_far());
        }
    }
}

/// A run that goes on, and whose output is collected. Killed when dropped.
pub struct Running {
    stdin: Option<ChildStdin>,
    stdout: Arc<Stream>,
    bare: Bare,
}

impl Running {
    /// Starts any command with nothing on stdin.
    pub fn start(command: impl Into<Program>) -> Self {
        let mut command = command.into();
        command.stdin(Stdio::null());
        Self::spawn(command)
    }

    /// The same with a stdin, which is returned where it is a pipe.
    pub fn start_with(command: impl Into<Program>, stdin: Stdio) -> (Self, Option<ChildStdin>) {
        let mut command = command.into();
        command.stdin(stdin);
        let mut running = Self::spawn(command);
        let stdin = running.stdin.take();
        (running, stdin)
    }

    fn spawn(mut command: Program) -> Self {
        command.stdout(Stdio::piped());
        let mut bare = command.spawn();
        let stdout = Arc::new(Stream::default());
        stdout.read(bare.stdout.take().expect("piped").into_inner());
        Self { stdin: bare.child.stdin.take(), stdout, bare }
    }

    /// Types a line, which is a secret.
    #[track_caller]
    pub fn type_line(&mut self, line: &str) {
        secrets::know(line);
        let stdin = self.stdin.as_mut().expect("started with a stdin");
        stdin.write_all(format!("{line}\n").as_bytes()).expect("it reads");
    }

    pub fn id(&self) -> u32 {
        self.bare.id()
    }

    /// Waits for a line of stdout, and returns it.
    #[track_caller]
    pub fn wait_for_line(&self, wanted: impl Fn(&str) -> bool) -> String {
        let found = self.stdout.wait(PATIENCE, |text| text.lines().find(|line| wanted(line)).map(str::to_owned));
        found.unwrap_or_else(|text| panic!("the line did not come; stdout:\n{text}"))
    }

    /// Waits until stdout has so many lines that are wanted, and returns them.
    #[track_caller]
    pub fn wait_for_lines(&self, count: usize, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let found = self.stdout.wait(PATIENCE, |text| {
            let lines: Vec<_> = text.lines().filter(|line| wanted(line)).map(str::to_owned).collect();
            (lines.len() >= count).then_some(lines)
        });
        found.unwrap_or_else(|text| panic!("no {count} lines came; stdout:\n{text}"))
    }

    /// Waits until the last line of this kind is as wanted.
    #[track_caller]
    pub fn wait_for_last(&self, kind: impl Fn(&str) -> bool, wanted: impl Fn(&str) -> bool) {
        let last = |text: &str| text.lines().rfind(|line| kind(line)).is_some_and(&wanted).then_some(());
        if let Err(text) = self.stdout.wait(PATIENCE, last) {
            panic!("the line did not come; stdout:\n{text}");
        }
    }

    /// Waits for a line of stderr, and returns it.
    #[track_caller]
    pub fn wait_for_stderr(&self, wanted: impl Fn(&str) -> bool) -> String {
        self.bare.wait_for_stderr(wanted)
    }

    /// Waits until stderr has so many lines that are wanted, and returns them.
    #[track_caller]
    pub fn wait_for_stderr_lines(&self, count: usize, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let found = self.bare.stderr.wait(PATIENCE, |text| {
            let lines: Vec<_> = text.lines().filter(|line| wanted(line)).map(str::to_owned).collect();
            (lines.len() >= count).then_some(lines)
        });
        found.unwrap_or_else(|text| panic!("no {count} lines came; stderr:\n{text}"))
    }

    /// What stdout holds by now.
    pub fn stdout(&self) -> String {
        self.stdout.so_far()
    }

    /// Sends SIGINT.
    pub fn interrupt(&self) {
        self.signal(rustix::process::Signal::INT);
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        self.bare.signal(signal);
    }

    /// Waits for the end.
    #[track_caller]
    pub fn finish(mut self) -> Output {
        drop(self.stdin.take());
        let mut output = self.bare.end();
        output.stdout = self.stdout.all();
        check(&output.stdout, "");
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
        let stdout = self.stdout.so_far();
        if std::thread::panicking() {
            println!("stdout of process {}:\n{stdout}", self.id());
        } else {
            check(&stdout, "");
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
