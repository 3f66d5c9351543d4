//! The SDKs that the program is compared with: `bosbase` from `PyPI`,
//! `pocketbase` and `eventsource` from npm, installed into the target folder.

#![allow(dead_code, unreachable_pub, reason = "it is part of more than one program, and none needs everything")]

use super::pocketbase::janitor::{guarded, run};
use super::pocketbase::target_dir;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A command that runs a script with the Python SDK; what is added to it are
/// the script's arguments. An error says why it could not be installed.
pub fn python(script: &str) -> Result<Command, String> {
    let folder = folder("python")?;
    if !folder.join("bosbase").exists() {
        let attempt = |options: &[&str]| {
            run(guarded("python3")
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                .args(options)
                .arg("--target")
                .arg(&folder)
                .arg("bosbase"))
        };
        match attempt(&[]) {
            // Debian's pip refuses everything, though a folder of its own is harmless.
            Err(reason) if reason.contains("externally-managed-environment") => attempt(&["--break-system-packages"]),
            other => other,
        }?;
    }
    let mut command = guarded("python3");
    command.args(["-u", "-W", "ignore", "-c", script]).env("PYTHONPATH", folder);
    Ok(command)
}

/// The same with the JavaScript SDK; the script is kept under this name.
pub fn javascript(name: &str, script: &str) -> Result<Command, String> {
    let folder = folder("javascript")?;
    if !folder.join("node_modules/eventsource").exists() {
        run(guarded("npm")
            .args(["install", "--no-audit", "--no-fund", "--silent", "--prefix"])
            .arg(&folder)
            .args(["pocketbase", "eventsource"]))?;
    }
    let path = folder.join(name);
    fs::write(&path, script).map_err(|error| error.to_string())?;
    let mut command = guarded("node");
    command.arg(path);
    Ok(command)
}

fn folder(name: &str) -> Result<PathBuf, String> {
    let folder = target_dir().join("peers").join(name);
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    Ok(folder)
}
