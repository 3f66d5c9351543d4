//! The README's recipes: fenced `sh` blocks that follow `<!-- recipe: NAME -->`,
//! or `<!-- recipe: NAME (jq) -->` where they need jq. What is no recipe follows
//! `<!-- block: NAME -->`.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::support::cli::{Cli, Output, Running, binary};

const README: &str = include_str!("../../README.md");

/// What it calls the server.
pub const EXAMPLE: &str = "https://api.example.com";

/// The recipes by name, with what they need beside a shell.
pub fn recipes() -> BTreeMap<&'static str, (Option<&'static str>, &'static str)> {
    let mut recipes = BTreeMap::new();
    for part in README.split("<!-- recipe: ").skip(1) {
        let (head, rest) = part.split_once(" -->\n").expect("the marker stands on a line of its own");
        let (name, needs) = match head.strip_suffix(')').and_then(|head| head.split_once(" (")) {
            Some((name, needs)) => (name, Some(needs)),
            None => (head, None),
        };
        let block = rest.strip_prefix("```sh\n").unwrap_or_else(|| panic!("no sh block follows the marker of {name}"));
        let (block, _) = block.split_once("\n```\n").expect("the block is closed");
        assert!(recipes.insert(name, (needs, block)).is_none(), "two recipes are called {name}");
    }
    recipes
}

/// The other fenced blocks by name, of whatever language.
pub fn blocks() -> BTreeMap<&'static str, &'static str> {
    let mut blocks = BTreeMap::new();
    for part in README.split("<!-- block: ").skip(1) {
        let (name, rest) = part.split_once(" -->\n```").expect("a block follows the marker");
        let (_, block) = rest.split_once('\n').expect("it has lines");
        let (block, _) = block.split_once("\n```\n").expect("it is closed");
        assert!(blocks.insert(name, block).is_none(), "two blocks are called {name}");
    }
    blocks
}

pub fn block(name: &str) -> &'static str {
    blocks().get(name).unwrap_or_else(|| panic!("the README has no block {name}"))
}

/// How many fenced blocks there are; those of Rust are compiled by the documentation's tests.
pub fn fences() -> usize {
    let openers = README.lines().filter(|line| line.len() > 3 && line.starts_with("```"));
    openers.filter(|line| !line.starts_with("```rust")).count()
}

pub fn recipe(name: &str) -> &'static str {
    recipes().get(name).unwrap_or_else(|| panic!("the README has no recipe {name}")).1
}

/// The names of the recipes that need this.
pub fn names(needs: Option<&str>) -> Vec<&'static str> {
    recipes().into_iter().filter(|(_, (needed, _))| *needed == needs).map(|(name, _)| name).collect()
}

/// A recipe at work, in a process group and a folder of its own.
pub struct Recipe {
    group: Pid,
    running: Option<Running>,
    folder: tempfile::TempDir,
    /// Its config dir goes with it.
    _cli: Arc<Cli>,
}

impl Recipe {
    /// Starts a recipe of the README as it is printed.
    pub fn start(name: &str, cli: impl Into<Arc<Cli>>) -> Self {
        Self::start_with(name, cli, &[])
    }

    /// The same with files in its folder.
    pub fn start_with(name: &str, cli: impl Into<Arc<Cli>>, files: &[(&str, &str)]) -> Self {
        Self::start_commands(recipe(name), cli, files)
    }

    /// The same for any commands. Programs in its folder come first in the PATH.
    pub fn start_commands(commands: &str, cli: impl Into<Arc<Cli>>, files: &[(&str, &str)]) -> Self {
        let cli = cli.into();
        let folder = tempfile::tempdir().unwrap();
        for (file, content) in files {
            let file = folder.path().join(file);
            std::fs::write(&file, content).unwrap();
            let mode = if content.starts_with("#!") { 0o755 } else { 0o644 };
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let mut command = Command::new("sh");
        command.args(["-c", commands]);
        let mut command = cli.around(command);
        let path = std::env::join_paths([folder.path().into()].into_iter().chain(std::env::split_paths(&path())));
        command.current_dir(folder.path()).env("PATH", path.expect("a PATH")).process_group(0);
        let running = Running::start(command);
        let group = Pid::from_raw(i32::try_from(running.id()).unwrap()).unwrap();
        Self { group, running: Some(running), folder, _cli: cli }
    }

    pub fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// Where a file of its folder is.
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub fn truncate(&self, name: &str) {
        std::fs::File::options().write(true).truncate(true).open(self.folder.path().join(name)).unwrap();
    }

    /// What Ctrl-C does.
    pub fn interrupt(&self) {
        kill_process_group(self.group, Signal::INT).expect("it runs");
    }

    pub fn group(&self) -> i32 {
        self.group.as_raw_nonzero().get()
    }

    #[track_caller]
    pub fn finish(&mut self) -> Output {
        self.running.take().expect("it is finished once").finish()
    }

    /// Ctrl-C, and all that it printed.
    #[track_caller]
    pub fn stop(mut self) -> Output {
        self.interrupt();
        self.finish()
    }
}

impl std::ops::Deref for Recipe {
    type Target = Running;

    fn deref(&self) -> &Running {
        self.running.as_ref().expect("it is not finished")
    }
}

impl Drop for Recipe {
    fn drop(&mut self) {
        if self.running.is_some() {
            let _ = kill_process_group(self.group, Signal::KILL);
        }
    }
}

/// The PATH with the program under test first.
pub fn path() -> std::ffi::OsString {
    let folder = Path::new(binary()).parent().expect("a file has a folder").to_owned();
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::iter::once(folder).chain(std::env::split_paths(&rest)).collect();
    std::env::join_paths(folders).expect("a PATH")
}
