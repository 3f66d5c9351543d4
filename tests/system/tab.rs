//! Tab, pressed in real shells, with the completions that are checked in.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::cli::{Cli, Running};
use crate::tmux::Terminal;

/// What the config dir of somebody who has used it holds.
const STATE: &str = r#"{
  "profile": "work",
  "seen": {"work": {"https://api.example.com": ["comments", "posts"]}},
  "custom": {"work": {"https://api.example.com": ["jobs/finished"]}},
  "providers": {"work": {"https://api.example.com": ["google"]}}
}"#;
const CONFIG: &str =
    "[profile.work]\nurl = \"https://api.example.com\"\n[profile.home]\nurl = \"https://home.example.com\"\n";

fn used_before() -> Cli {
    // No server is there to be asked.
    let cli = Cli::new("http://127.0.0.1:1");
    let dir = cli.config_dir();
    std::fs::create_dir(&dir).unwrap();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700)).unwrap();
    for (file, text) in [("state.json", STATE), ("config.toml", CONFIG)] {
        std::fs::write(dir.join(file), text).unwrap();
        std::fs::set_permissions(dir.join(file), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    cli
}

fn completions(file: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("completions").join(file).display().to_string()
}

/// Each line as it is typed before Tab is pressed, and as it stands then.
fn press(terminal: &Terminal) {
    for (typed, completed) in CASES {
        terminal.press("C-u");
        terminal.keys("clear");
        terminal.press("Enter");
        terminal.keys(&format!("bosbase-watch {typed}"));
        terminal.wait_for_text(&format!("bosbase-watch {typed}"));
        terminal.press("Tab");
        terminal.wait_for_text(&format!("bosbase-watch {completed}"));
    }
}

/// Each shell keeps the star from itself.
const CASES: [(&str, &str); 10] = [
    ("subs", "subscribe"),
    ("subscribe po", r"subscribe posts/\*"),
    ("subscribe jo", "subscribe jobs/finished"),
    ("subscribe --idle", "subscribe --idle-timeout"),
    ("--profile ho", "--profile home"),
    ("profile use wo", "profile use work"),
    ("login --oauth2 go", "login --oauth2 google"),
    ("subscribe -a create,up", "subscribe -a create,update"),
    ("subscribe -o nd", "subscribe -o ndjson"),
    // Within quotes, as the README writes it.
    ("subscribe 'po", "subscribe 'posts/*'"),
];

/// Starts a shell, reads the completions, and presses Tab.
fn in_shell(shell: &str, command: &str, set_up: &str, file: &str) {
    crate::needs(shell, "--version");
    let cli = used_before();
    let terminal = Terminal::start(&cli, 120, 40);
    terminal.line(command);
    terminal.line(set_up);
    terminal.wait_for(&format!("{shell}>"));
    terminal.line(&format!("source '{}'", completions(file)));
    press(&terminal);
}

#[test]
fn in_bash() {
    in_shell("bash", "exec bash --norc --noprofile", "PS1='bash> '", "bosbase-watch.bash");
}

#[test]
fn in_zsh() {
    in_shell("zsh", "exec zsh -f", "PS1='zsh> '; autoload -U compinit; compinit -u -D", "_bosbase-watch");
}

#[test]
fn in_fish() {
    in_shell("fish", "exec fish --no-config", "function fish_prompt; echo 'fish> '; end", "bosbase-watch.fish");
}

/// An answer that a person does not wait for, although there is no server.
#[test]
fn within_a_tenth_of_a_second() {
    let cli = used_before();
    let mut fastest = Duration::MAX;
    for _ in 0..20 {
        let started = Instant::now();
        let mut command = cli.command(["--", "bosbase-watch", "subscribe", ""]);
        command.env("BOSBASE_WATCH_COMPLETE", "fish");
        let text = Running::start(command).finish().expect(0).stdout;
        fastest = fastest.min(started.elapsed());
        assert!(text.contains("posts/*") && text.contains("jobs/finished"), "{text}");
    }
    // Of many, since the machine may be busy with other tests.
    assert!(fastest < Duration::from_millis(100), "{fastest:?}");
}
