//! Files that are whole at any moment and readable by their owner alone.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::cli::exit::Failure;

/// Makes the folder, for its owner alone.
pub(super) fn make_dir(dir: &Path) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).with_context(|| format!("cannot make the config directory {}", dir.display()))
}

/// The folder's mode, where it lets others than its owner in.
#[cfg(unix)]
pub(super) fn open_to_others(dir: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(dir).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

#[cfg(not(unix))]
pub(super) fn open_to_others(_: &Path) -> Option<u32> {
    None
}

/// Fails where nothing can be written.
pub(super) fn probe(dir: &Path) -> Result<()> {
    tempfile::Builder::new()
        .prefix(".probe")
        .tempfile_in(dir)
        .map(drop)
        .with_context(|| format!("cannot write to the config directory {}", dir.display()))
}

/// The contents; `None` where there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(super::unreadable(path, "it is not text")),
        Err(error) => Err(super::unreadable(path, error)),
    }
}

/// [`read`] for a file with secrets: refused where others can read it.
pub(super) fn read_private(path: &Path) -> Result<Option<String>> {
    #[cfg(unix)]
    if let Ok(metadata) = fs::metadata(path) {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(Failure::usage(format!(
                "{} holds tokens and can be read by others (mode {mode:04o})",
                path.display()
            ))
            .hint(format!("chmod 600 '{}', and sign in again if others may have read it", path.display()))
            .into());
        }
    }
    read(path)
}

/// Replaces the file in one step: written aside with mode 0600, synced, renamed.
pub(super) fn write(path: &Path, contents: &[u8]) -> Result<()> {
    let write = || -> io::Result<()> {
        // A link stays one: what it points to is replaced.
        let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let dir = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new().prefix(".tmp").tempfile_in(dir)?; // 0600 from the first byte
        file.write_all(contents)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        // The rename is on disk once the folder is; not every system lets a folder be opened.
        if let Ok(dir) = File::open(dir) {
            let _ = dir.sync_all();
        }
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Waits for the lock, which is held until it is dropped.
pub(super) fn lock(path: &Path) -> Result<File> {
    let lock = || -> io::Result<File> {
        let mut options = File::options();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        file.lock()?;
        Ok(file)
    };
    lock().with_context(|| format!("cannot lock {}", path.display()))
}
