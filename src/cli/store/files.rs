//! Files that are whole at any moment and readable by their owner alone.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::cli::args::CONFIG_DIR_VARIABLE;
use crate::cli::exit::{Exit, Failure};

/// Makes the folder, for its owner alone.
pub(super) fn make_dir(dir: &Path) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|error| denied("make the config directory", dir, &error))
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
        .map_err(|error| denied("write to the config directory", dir, &error))
}

/// The contents; `None` where there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<String>> {
    // What a shell hands over, as in `--config <(command)`, is a pipe, and /dev/null is empty.
    if path.starts_with("/dev") || fs::canonicalize(path).is_ok_and(|path| path.starts_with("/dev")) {
        return contents(path, fs::read_to_string(path));
    }
    contents(path, open(path).and_then(io::read_to_string))
}

/// Opens it to be read. A pipe or a device would let whoever reads it wait for ever.
fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    let file = at_once(&mut options).open(path)?;
    // A folder is told by its own error.
    match file.metadata()?.file_type() {
        kind if kind.is_file() || kind.is_dir() => Ok(file),
        _ => Err(no_file()),
    }
}

/// Opening it waits for nobody at the other end.
fn at_once(options: &mut fs::OpenOptions) -> &mut fs::OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(options, rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    options
}

fn no_file() -> io::Error {
    io::Error::other("it is not a file, but a pipe or a device")
}

fn contents(path: &Path, read: io::Result<String>) -> Result<Option<String>> {
    match read {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(super::unreadable(path, "it is not text")),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(Failure::usage(format!("{} cannot be read: {error}", path.display())).hint(let_in(path)).into())
        }
        Err(error) => Err(super::unreadable(path, error)),
    }
}

/// [`read`] for a file with secrets: refused where others can read it.
pub(super) fn read_private(path: &Path) -> Result<Option<String>> {
    let file = match open(path) {
        Ok(file) => file,
        Err(error) => return contents(path, Err(error)),
    };
    // Of what is read, and not of what has its name by then.
    #[cfg(unix)]
    if let Ok(metadata) = file.metadata() {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        let (mode, me) = (metadata.permissions().mode() & 0o777, rustix::process::geteuid().as_raw());
        if let Some((what, hint)) = not_private(path, mode, metadata.uid(), me) {
            return Err(Failure::usage(format!("{} holds tokens and {what}", path.display())).hint(hint).into());
        }
    }
    contents(path, io::read_to_string(file))
}

/// Why others may have written or read a file, and what mends that.
#[cfg(unix)]
fn not_private(path: &Path, mode: u32, owner: u32, me: u32) -> Option<(String, String)> {
    let quoted = quoted(path);
    if owner != me && owner != 0 {
        let what = format!("belongs to another user (uid {owner}, and this is uid {me})");
        let chown = if me == 0 { "chown" } else { "sudo chown" };
        return Some((what, format!("run it as that user, or make the file yours: {chown} {me} {quoted}")));
    }
    let hint = || format!("chmod 600 {quoted}, and sign in again if others may have read it");
    (mode & 0o077 != 0).then(|| (format!("can be read by others (mode {mode:04o})"), hint()))
}

/// A path as a shell reads it.
pub(super) fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// The command that lets this user read and write what the system denies.
#[cfg(unix)]
fn let_in(path: &Path) -> String {
    use std::os::unix::fs::MetadataExt as _;
    // What cannot even be looked at is in a folder that is closed.
    let Some((closed, metadata)) = path.ancestors().find_map(|path| Some((path, fs::metadata(path).ok()?))) else {
        return "ask its owner to let you in".to_owned();
    };
    let me = rustix::process::geteuid().as_raw();
    let (quoted, mode) = (quoted(closed), if metadata.is_dir() { "u+rwx" } else { "u+rw" });
    if metadata.uid() == me {
        return format!("chmod {mode} {quoted}");
    }
    let other = format!("{quoted} belongs to another user (uid {})", metadata.uid());
    // Only what is the tool's own is to be taken over.
    if crate::cli::args::config_dir().is_some_and(|dir| closed.starts_with(dir)) {
        format!("{other}: run it as that one, or make it yours: sudo chown {me} {quoted}")
    } else {
        format!("{other}: run it as that one, or use another place")
    }
}

#[cfg(not(unix))]
fn let_in(path: &Path) -> String {
    format!("let your account read and write {}", quoted(path))
}

/// Replaces the file in one step: written aside with mode 0600, synced, renamed.
/// Whoever calls it holds the lock.
pub(super) fn write(path: &Path, contents: &[u8]) -> Result<()> {
    let write = || -> io::Result<()> {
        // A link stays one: what it points to is replaced, unless that is /dev/null, or the like.
        let path = &resolve(path);
        if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
            return Err(no_file());
        }
        let dir = path.parent().unwrap_or(Path::new("."));
        let prefix = format!(".{}.", path.file_name().unwrap_or_default().to_string_lossy());
        remove_leftovers(dir, &prefix);
        let mut aside = tempfile::Builder::new();
        let mut file = aside.prefix(&prefix).suffix(ASIDE).tempfile_in(dir)?; // 0600 from the first byte
        file.as_file_mut().write_all(contents)?; // whose error does not name what is aside
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        // The rename is on disk once the folder is; not every system lets a folder be opened.
        if let Ok(dir) = File::open(dir) {
            let _ = dir.sync_all();
        }
        Ok(())
    };
    write().map_err(|error| denied("write", path, &error))
}

/// The file itself: a link is followed, also where what it points to is not
/// there yet, and so are the folders. One file has one such name.
pub(crate) fn resolve(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    // So many links are followed by the system, too.
    for _ in 0..40 {
        if let Ok(whole) = fs::canonicalize(&path) {
            return whole;
        }
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
        if let Ok(target) = fs::read_link(&path) {
            path = dir.join(target);
            continue;
        }
        return match (fs::canonicalize(&dir), path.file_name()) {
            (Ok(dir), Some(name)) => dir.join(name),
            _ => path,
        };
    }
    path
}

/// How the name ends of what is to become a file.
const ASIDE: &str = ".tmp";

/// What a process that was killed has left aside: it may hold a token.
fn remove_leftovers(dir: &Path, prefix: &str) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let chance = name.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(ASIDE));
        // What is aside for `name.2` begins like that for `name`.
        if chance.is_some_and(|chance| chance.chars().all(char::is_alphanumeric)) {
            // Where that does not go, the next write tries again.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The same for text.
pub(crate) fn write_text(path: &Path, text: &str) -> Result<()> {
    write(path, text.as_bytes())
}

/// Waits for the lock, which is held until it is dropped.
pub(super) fn lock(path: &Path) -> Result<File> {
    let file = open_lock(path)?;
    let end = Instant::now() + LOCK_PATIENCE;
    while !try_lock(&file, path)? {
        if Instant::now() > end {
            return Err(held(path));
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    Ok(file)
}

/// The lock where it is free; nobody is waited for.
pub(super) fn lock_now(path: &Path) -> Result<Option<File>> {
    let file = open_lock(path)?;
    Ok(try_lock(&file, path)?.then_some(file))
}

/// [`lock`] for as long as a renewal can wait, without blocking what else goes on.
pub(super) async fn lock_soon(path: &Path) -> Result<File> {
    let file = open_lock(path)?;
    let end = Instant::now() + RENEWAL_PATIENCE;
    while !try_lock(&file, path)? {
        if Instant::now() > end {
            return Err(held(path));
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
    Ok(file)
}

/// A process that renews a token holds it for the length of a request.
const LOCK_PATIENCE: Duration = Duration::from_secs(40);
const RENEWAL_PATIENCE: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Opens a file to be locked, and makes it where it is not there.
pub(crate) fn open_lock_file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let is_file = |metadata: fs::Metadata| metadata.is_file();
    match at_once(&mut options).open(path) {
        Ok(file) if file.metadata().is_ok_and(is_file) => Ok(file),
        Ok(_) => Err(no_file()),
        // A pipe that nobody reads is no such device.
        Err(_) if path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) => Err(no_file()),
        Err(error) => Err(error),
    }
}

fn open_lock(path: &Path) -> Result<File> {
    open_lock_file(path).map_err(|error| denied("lock", path, &error))
}

/// False where another process has it.
fn try_lock(file: &File, path: &Path) -> Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(denied("lock", path, &error)),
    }
}

/// The config folder, or a file in it, cannot be changed.
fn denied(what: &str, path: &Path, error: &io::Error) -> anyhow::Error {
    // tempfile adds the name of what would have been written aside.
    let text = error.to_string();
    let why = text.split(" at path ").next().unwrap_or_default();
    Failure::new(Exit::Internal, format!("cannot {what} {}: {why}", path.display()))
        .hint(match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room there".to_owned(),
            _ if path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) => {
                format!("move it away: mv {} {}", quoted(path), quoted(&path.with_added_extension("bad")))
            }
            // What is in these files is nowhere else: another place would not do.
            io::ErrorKind::PermissionDenied if what == "lock" && path.exists() => let_in(path),
            io::ErrorKind::PermissionDenied if matches!(what, "lock" | "write") => {
                let_in(path.parent().unwrap_or(path))
            }
            io::ErrorKind::ReadOnlyFilesystem if path.exists() => {
                "make the file system that it is on writable".to_owned()
            }
            _ => format!("set {CONFIG_DIR_VARIABLE} to a directory that you may write to"),
        })
        .into()
}

fn held(path: &Path) -> anyhow::Error {
    Failure::new(Exit::Internal, format!("another process holds {} and does not give it up", path.display()))
        .hint("is there a bosbase-watch that was stopped with Ctrl-Z?")
        .into()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn files_of_others_are_refused() {
        let path = Path::new("/home/o'brien/credentials.json");
        let refused = |mode, owner, me| not_private(path, mode, owner, me);
        assert_eq!(refused(0o600, 1000, 1000), None);
        // Put there by the administrator.
        assert_eq!(refused(0o600, 0, 1000), None);
        let (what, hint) = refused(0o600, 1001, 1000).unwrap();
        assert_eq!(what, "belongs to another user (uid 1001, and this is uid 1000)");
        assert!(hint.ends_with(r": sudo chown 1000 '/home/o'\''brien/credentials.json'"), "{hint}");
        assert!(refused(0o600, 1000, 0).unwrap().1.ends_with(r": chown 0 '/home/o'\''brien/credentials.json'"));
        assert!(refused(0o640, 1000, 1000).unwrap().0.contains("(mode 0640)"));
    }

    #[test]
    fn what_denies_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(let_in(&file), format!("chmod u+rw {}", quoted(&file)));
        assert_eq!(let_in(&folder.path().join("none")), format!("chmod u+rwx {}", quoted(folder.path())));
        let aside = tempfile::Builder::new().tempfile_in(folder.path().join("none")).unwrap_err();
        let said = denied("write", &file, &aside).to_string();
        assert_eq!(said, format!("cannot write {}: No such file or directory (os error 2)", file.display()));
    }

    /// As root, /dev/null would become a file.
    #[test]
    fn what_is_no_file_is_not_replaced_by_one() {
        let dir = tempfile::tempdir().unwrap();
        let [pipe, link] = ["pipe", "link"].map(|name| dir.path().join(name));
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        std::os::unix::fs::symlink("pipe", &link).unwrap();
        for path in [&pipe, &link] {
            let said = write(path, b"new").unwrap_err().to_string();
            assert_eq!(said, format!("cannot write {}: it is not a file, but a pipe or a device", path.display()));
            assert!(!fs::metadata(&pipe).unwrap().is_file());
            assert!(read(path).unwrap_err().to_string().ends_with(": it is not a file, but a pipe or a device"));
        }
        assert_eq!(read(Path::new("/dev/null")).unwrap().as_deref(), Some(""));
    }

    #[test]
    fn what_is_aside_for_another_file_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let aside = [".c.Ab12Cd.tmp", ".c.2.Ab12Cd.tmp", ".c.Ab12Cd.Ab12Cd.tmp", ".cc.Ab12Cd.tmp", ".c.Ab12Cd"];
        for name in aside {
            fs::write(dir.path().join(name), "").unwrap();
        }
        write(&dir.path().join("c"), b"new").unwrap();
        let left: Vec<_> = aside.iter().map(|name| dir.path().join(name).exists()).collect();
        assert_eq!(left, [false, true, true, true, true]);
    }

    #[test]
    fn a_link_to_what_is_not_there_yet_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let [file, link, second] = ["file", "link", "second"].map(|name| dir.path().join(name));
        std::os::unix::fs::symlink("file", &link).unwrap();
        std::os::unix::fs::symlink(&link, &second).unwrap();
        assert_eq!(resolve(&second), resolve(&file));
        write(&second, b"new").unwrap();
        assert!(second.is_symlink() && link.is_symlink() && !file.is_symlink());
        assert_eq!((resolve(&second), fs::read(&file).unwrap()), (resolve(&file), b"new".to_vec()));
        // One that points to itself ends.
        std::os::unix::fs::symlink("round", dir.path().join("round")).unwrap();
        resolve(&dir.path().join("round"));
    }
}
