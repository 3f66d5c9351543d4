//! What people install: the `.deb` and the tarball, and what comes with them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::json;

use crate::support::cli::{Cli, binary};
use crate::support::pocketbase::{ANN, PASSWORD, Server, V0_40_6, target_dir};
use crate::tmux::Terminal;

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.current_dir(top()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let Output { status, stdout, stderr } = &output;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(status.success(), "{command:?}: {status}\n{}\n{}", text(stdout), text(stderr));
    text(stdout)
}

/// The binary under test, packed as a release is.
fn deb(folder: &Path) -> PathBuf {
    let tools = target_dir().join("tools/bin");
    let path = std::env::join_paths(
        std::iter::once(tools).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    let profile = if binary().contains("/release/") { "release" } else { "dev" };
    let file = folder.join("bosbase-watch.deb");
    let mut command = Command::new("cargo");
    command.args(["deb", "--no-build", "--fast", "--profile", profile, "--output"]).arg(&file);
    let found = command.env("PATH", path.unwrap()).current_dir(top()).output().unwrap();
    let stderr = String::from_utf8_lossy(&found.stderr).into_owned();
    let cure = "cargo install cargo-deb --locked --root target/tools";
    assert!(!stderr.contains("no such command"), "this test needs cargo-deb: try `{cure}`");
    assert!(found.status.success(), "{stderr}");
    file
}

/// A system of its own, with nothing in it but dpkg's own lists.
fn system(folder: &Path) -> PathBuf {
    let root = folder.join("root");
    for part in ["var/lib/dpkg/updates", "var/lib/dpkg/info", "var/lib/dpkg/triggers"] {
        std::fs::create_dir_all(root.join(part)).unwrap();
    }
    for part in ["var/lib/dpkg/status", "var/lib/dpkg/available"] {
        std::fs::write(root.join(part), "").unwrap();
    }
    root
}

fn dpkg(root: &Path, args: &[&str]) -> String {
    let mut command = Command::new("dpkg");
    command.arg(format!("--root={}", root.display()));
    // What it depends on is on the real system; the log is the real system's.
    command.args(["--force-depends", "--force-not-root", "--force-script-chrootless", "--log=/dev/null"]).args(args);
    run(&mut command)
}

fn files(folder: &Path) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.insert(path.display().to_string());
        }
    }
    files
}

/// A first event on the screen, with three commands: install, sign in, watch.
#[test]
fn the_deb_is_installed_used_and_removed() {
    crate::needs("dpkg", "--version");
    let folder = tempfile::tempdir().unwrap();
    let (deb, root) = (deb(folder.path()), system(folder.path()));
    dpkg(&root, &["-i", deb.to_str().unwrap()]);
    let installed = files(&root.join("usr"));
    for file in [
        "bin/bosbase-watch",
        "share/man/man1/bosbase-watch-subscribe.1.gz",
        "share/bash-completion/completions/bosbase-watch",
        "share/zsh/vendor-completions/_bosbase-watch",
        "share/fish/vendor_completions.d/bosbase-watch.fish",
        "share/doc/bosbase-watch/copyright",
        "share/doc/bosbase-watch/events.schema.json",
        "lib/systemd/system/bosbase-watch@.service",
    ] {
        let file = root.join("usr").join(file).display().to_string();
        assert!(installed.contains(&file), "{file} is missing in {installed:#?}");
    }
    let pages = std::fs::read_dir(top().join("man")).unwrap().count();
    assert_eq!(installed.iter().filter(|file| file.contains("/man1/")).count(), pages);
    let version = dpkg(&root, &["-s", "bosbase-watch"]);
    assert!(version.lines().any(|line| line.starts_with("Depends:") && line.contains("libc6")), "{version}");

    let server = Server::start(V0_40_6);
    let cli = Cli::without_url();
    let terminal = Terminal::start(&cli, 160, 40);
    terminal.line(&format!("PATH='{}'", root.join("usr/bin").display()));
    terminal.line(&format!("bosbase-watch login {}", server.url()));
    terminal.wait_for("E-mail:");
    terminal.line(ANN);
    terminal.wait_for("Password");
    terminal.line(PASSWORD);
    terminal.wait_for("Signed in");
    terminal.line("bosbase-watch subscribe posts '*'");
    terminal.wait_for("● connected");
    server.create("posts", &json!({"title": "The first"}));
    terminal.wait_for_text("title=\"The first\"");
    terminal.press("C-c");
    terminal.wait_for_text("■ ended");

    dpkg(&root, &["-r", "bosbase-watch"]);
    assert_eq!(files(&root.join("usr")), BTreeSet::new());
}

/// The same bytes whenever it is made, with a checksum that holds.
#[test]
fn the_tarball_is_the_same_twice() {
    let folder = tempfile::tempdir().unwrap();
    // A tenth of the size.
    let program = folder.path().join("bosbase-watch");
    run(Command::new("strip").arg("-o").arg(&program).arg(binary()));
    let pack = |out: &str| {
        let out = folder.path().join(out);
        let tarball = run(Command::new("packaging/tarball").arg(&out).env("BINARY", &program));
        let tarball = PathBuf::from(tarball.trim());
        run(Command::new("sh").arg("-c").arg(format!("cd '{}' && sha256sum --check --quiet *.sha256", out.display())));
        tarball
    };
    let (first, second) = (pack("first"), pack("second"));
    assert!(std::fs::read(&first).unwrap() == std::fs::read(&second).unwrap());
    run(Command::new("tar").arg("-xzf").arg(&first).arg("-C").arg(folder.path()));
    let name = first.file_name().unwrap().to_str().unwrap().strip_suffix(".tar.gz").unwrap();
    let version = run(Command::new(folder.path().join(name).join("bosbase-watch")).arg("--version"));
    assert_eq!(version, format!("bosbase-watch {}\n", env!("CARGO_PKG_VERSION")));
    for file in ["README.md", "LICENSE", "completions/bosbase-watch.bash", "man/bosbase-watch.1"] {
        assert!(folder.path().join(name).join(file).exists(), "{file}");
    }
}

/// What the Dockerfile copies is enough to build with; the image itself needs a
/// registry of images.
#[test]
fn the_dockerfile_copies_what_is_built() {
    let dockerfile = std::fs::read_to_string(top().join("packaging/Dockerfile")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let copied =
        dockerfile.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|line| !line.starts_with("--"));
    for line in copied {
        let (from, _to) = line.rsplit_once(' ').unwrap();
        run(Command::new("cp").arg("-r").args(from.split(' ')).arg(folder.path()));
    }
    let manifest = folder.path().join("Cargo.toml");
    let mut check = Command::new("cargo");
    check.args(["check", "--quiet", "--locked", "--bin", "bosbase-watch", "--manifest-path"]).arg(manifest);
    // What is built already is the same there, but for the package itself.
    run(check.arg("--target-dir").arg(target_dir()));
}

/// systemd understands every line of the unit.
#[test]
fn the_unit_is_sound() {
    crate::needs("systemd-analyze", "--version");
    let folder = tempfile::tempdir().unwrap();
    let unit = std::fs::read_to_string(top().join("packaging/bosbase-watch@.service")).unwrap();
    // The program and its man page are where the package puts them, which is not here.
    let unit = unit.replace("/usr/bin/bosbase-watch", binary());
    let unit: String =
        unit.lines().filter(|line| !line.starts_with("Documentation=")).flat_map(|line| [line, "\n"]).collect();
    let file = folder.path().join("bosbase-watch@orders.service");
    std::fs::write(&file, unit).unwrap();
    let output = Command::new("systemd-analyze").arg("verify").arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // Other units of the machine are not ours to judge.
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("bosbase-watch@")).collect();
    assert!(output.status.success() && ours.is_empty(), "{said}");
}

/// A man page that a reader of pages finds nothing to say about.
#[test]
fn the_man_pages_are_sound() {
    crate::needs("man", "--version");
    for page in std::fs::read_dir(top().join("man")).unwrap() {
        let page = page.unwrap().path();
        let output = Command::new("man")
            .args(["--warnings", "-E", "UTF-8", "-l"])
            .arg(&page)
            .env("MANWIDTH", "80")
            .env("LC_ALL", "C.UTF-8")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.is_empty(), "{}: {said}", page.display());
        assert!(String::from_utf8_lossy(&output.stdout).contains("EXIT STATUS"), "{}", page.display());
    }
}
