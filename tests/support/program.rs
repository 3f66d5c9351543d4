//! The real program, built as the example was that runs it.

#![allow(dead_code, unreachable_pub, reason = "it is part of more than one program, and none needs everything")]

use super::pocketbase::{ANN, PASSWORD, target_dir};
use std::env;
use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Builds `bosbase-watch` as this example was built, into the same folder, and
/// gives its path.
pub fn build() -> Result<PathBuf, Box<dyn Error>> {
    build_into(&target_dir(), true)
}

/// The same as it is released, where this example was built for that: alone, into a folder of its
/// own. Beside an example its dependencies have the features that tests want, which takes 0.1 MB
/// and a clock that can be stopped.
pub fn build_as_released() -> Result<PathBuf, Box<dyn Error>> {
    if cfg!(debug_assertions) { build() } else { build_into(&target_dir().join("as-released"), false) }
}

fn build_into(target: &Path, beside: bool) -> Result<PathBuf, Box<dyn Error>> {
    // TARGET[/TRIPLE]/PROFILE/examples/NAME
    let example = env::current_exe()?;
    let folder = example.ancestors().nth(2).ok_or("not started from cargo's target folder")?;
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let profile = match name(folder).as_str() {
        "debug" => "dev".to_owned(),
        other => other.to_owned(),
    };
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--bin", "bosbase-watch"]);
    if beside {
        // The example too, so that the features of shared dependencies stay the same.
        cargo.arg("--example").arg(example.file_stem().ok_or("no name of its own")?);
    }
    cargo
        .args(["--profile", &profile])
        .arg("--manifest-path")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target);
    let mut built = target.to_owned();
    if let Some(parent) = folder.parent().filter(|parent| *parent != target_dir()) {
        cargo.args(["--target", &name(parent)]);
        built.push(name(parent));
    }
    // What cargo says to the program that it runs: a build script that looks at
    // it would run again, and all that depends on it be compiled again.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if ["CARGO_MANIFEST_", "CARGO_PKG_"].iter().any(|start| name.starts_with(start)) {
            cargo.env_remove(name);
        }
    }
    if !cargo.stdin(Stdio::null()).status()?.success() {
        return Err("bosbase-watch does not build".into());
    }
    Ok(built.join(name(folder)).join("bosbase-watch").with_extension(env::consts::EXE_EXTENSION))
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

/// Signs in as Ann, into the config dir.
pub fn sign_in(program: &Path, config: &Path, url: &str) -> Result<(), Box<dyn Error>> {
    let mut child = command(program, config)
        .args(["login", url, "--identity", ANN, "--collection", "users"])
        .arg("--password-stdin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // Where it has ended before, it says why.
        let _ = writeln!(stdin, "{PASSWORD}");
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("bosbase-watch login: {}\n{reason}", output.status).into())
}
