//! The real program, built as the example was that runs it.

#![allow(dead_code, unreachable_pub, reason = "it is part of more than one program, and none needs everything")]

use super::pocketbase::target_dir;
use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Builds `bosbase-watch` as this example was built, into the same folder, and
/// gives its path.
pub fn build() -> Result<PathBuf, Box<dyn Error>> {
    // TARGET[/TRIPLE]/PROFILE/examples/NAME
    let example = env::current_exe()?;
    let folder = example.ancestors().nth(2).ok_or("not started from cargo's target folder")?;
    let target = target_dir();
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let profile = match name(folder).as_str() {
        "debug" => "dev".to_owned(),
        other => other.to_owned(),
    };
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--quiet", "--bin", "bosbase-watch"])
        .args(["--profile", &profile])
        .arg("--manifest-path")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target);
    if let Some(parent) = folder.parent().filter(|parent| *parent != target) {
        cargo.args(["--target", &name(parent)]);
    }
    if !cargo.stdin(Stdio::null()).status()?.success() {
        return Err("bosbase-watch does not build".into());
    }
    Ok(folder.join("bosbase-watch").with_extension(env::consts::EXE_EXTENSION))
}

/// A command of the program that knows nothing of the settings of whoever runs
/// this, nor of a proxy.
pub fn command(program: &Path, config: &Path) -> Command {
    let mut command = Command::new(program);
    isolate(&mut command, config);
    command
}

/// The same for a command that is there already.
pub fn isolate(command: &mut Command, config: &Path) {
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("BOSBASE_") || name.to_ascii_uppercase().ends_with("_PROXY") {
            command.env_remove(name);
        }
    }
    command.env("BOSBASE_WATCH_CONFIG_DIR", config);
}
