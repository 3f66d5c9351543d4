//! A real terminal that a test can read.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::support::cli::{Cli, PATIENCE, secrets};
use crate::support::pocketbase::{PASSWORD, SUPERUSER_PASSWORD, wait_for};

/// A terminal with a shell in it; gone when dropped.
pub struct Terminal {
    folder: tempfile::TempDir,
}

impl Terminal {
    pub fn start(cli: &Cli, width: u16, height: u16) -> Self {
        // What is typed here is not known to be one.
        secrets::know(PASSWORD);
        secrets::know(SUPERUSER_PASSWORD);
        crate::needs("tmux", "-V");
        let terminal = Self { folder: tempfile::tempdir().unwrap() };
        let mut command = terminal.command(&["new-session", "-d"]);
        command.args(["-x", &width.to_string(), "-y", &height.to_string()]);
        cli.prepare(&mut command);
        command.env("PATH", crate::readme::path()).env("TERM", "xterm-256color").env_remove("ENV");
        command.current_dir(terminal.folder.path());
        let output = command.arg("exec sh").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        wait_for("the shell", PATIENCE, || !terminal.screen().trim().is_empty());
        terminal.line("PS1='$ '; clear");
        terminal.wait_for("$");
        terminal
    }

    /// Where its shell works.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(self.socket()).args(["-f", "/dev/null", "-u"]).args(args);
        command
    }

    fn socket(&self) -> std::path::PathBuf {
        Path::new(self.folder.path()).join("socket")
    }

    fn tmux(&self, args: &[&str]) -> Output {
        let output = self.command(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        output
    }

    /// Types a line, or several, and Enter.
    pub fn line(&self, text: &str) {
        for line in text.lines() {
            self.keys(line);
            self.press("Enter");
        }
    }

    /// Types, and leaves it at that.
    pub fn keys(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    /// Presses a key, such as `C-c`.
    pub fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// What was written: the lines that went over into the next are whole. No secret is among it.
    #[track_caller]
    pub fn written(&self) -> String {
        let screen = self.tmux(&["capture-pane", "-p", "-J", "-S", "-"]).stdout;
        let text = String::from_utf8_lossy(&screen).into_owned();
        secrets::refuse("the terminal", &text);
        text
    }

    /// What stands on the screen and above it.
    #[track_caller]
    pub fn screen(&self) -> String {
        self.written();
        String::from_utf8_lossy(&self.tmux(&["capture-pane", "-p", "-S", "-"]).stdout).into_owned()
    }

    /// The same with its colours, as escape sequences.
    pub fn coloured(&self) -> String {
        String::from_utf8_lossy(&self.tmux(&["capture-pane", "-p", "-e", "-S", "-"]).stdout).into_owned()
    }

    /// Waits for a line of the screen that begins with the text.
    #[track_caller]
    pub fn wait_for(&self, start: &str) -> String {
        self.wait(start, |line| line.starts_with(start))
    }

    /// Waits for a line of the screen that holds the text.
    #[track_caller]
    pub fn wait_for_text(&self, text: &str) -> String {
        self.wait(text, |line| line.contains(text))
    }

    #[track_caller]
    fn wait(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen();
            if let Some(line) = screen.lines().rev().find(|line| wanted(line)) {
                return line.to_owned();
            }
            assert!(Instant::now() < end, "{what:?} is not on the screen:\n{screen}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.screen();
        }
        let _ = self.command(&["kill-server"]).output();
    }
}
