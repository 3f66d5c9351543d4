//! The real server as the test bed: `PocketBase`, each with its own folder, port,
//! collections, users and hooks, on a Unix machine.
//!
//! ```ignore
//! let mut server = Server::start(V0_40_6);
//! let post = server.create("posts", &json!({"title": "Hello"}));
//! server.emit("jobs/finished", &json!({"job": 42}));
//! server.stop();
//! server.start_again();
//! ```
//!
//! The first start of a version in a process installs it if need be and seeds a
//! folder (about 0.7 s), the later ones copy that folder (about 30 ms).
//! Whatever happens to a test or to its process, no server and no folder stays.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "it is part of more than one program, and none needs everything"
)]

mod api;
mod install;
pub mod janitor;
mod schema;

pub use api::{Api, RealtimeClient};
pub use install::{SERVER_VARIABLE, is_installed, python_package, target_dir};
pub use schema::user;

use janitor::{Process, guarded, run};
use std::collections::HashMap;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Close to what `BosBase` has been forked from.
pub const V0_30_0: &str = "0.30.0";
pub const V0_40_6: &str = "0.40.6";
pub const VERSIONS: [&str; 2] = [V0_30_0, V0_40_6];

/// Users of the collection `users`, who sign in with [`PASSWORD`].
pub const ANN: &str = "ann@example.com";
pub const BOB: &str = "bob@example.com";
pub const PASSWORD: &str = "correct-horse-7";

pub const SUPERUSER: &str = "root@example.com";
pub const SUPERUSER_PASSWORD: &str = "battery-staple-9";

/// No server and no test machine is as slow as this.
const PATIENCE: Duration = Duration::from_secs(30);

/// The versions to test: both, or the one of `BOSBASE_TEST_SERVER`, which then
/// stands in for whatever version is asked for.
pub fn versions() -> &'static [&'static str] {
    match install::replacement() {
        Some(_) => &VERSIONS[1..],
        None => &VERSIONS,
    }
}

/// Someone who is signed in.
#[derive(Clone, Debug, Default)]
pub struct Login {
    pub id: String,
    pub token: String,
}

/// A server that runs until it is dropped. Its REST API is [`Api`]; other
/// threads get a clone of [`Server::api`].
#[derive(Debug)]
pub struct Server {
    process: Option<Process>,
    home: Home,
    port: u16,
    api: Api,
    template: Arc<Template>,
}

impl Server {
    /// Starts a server of one of the [`VERSIONS`].
    #[track_caller]
    pub fn start(version: &str) -> Self {
        Self::builder(version).start()
    }

    pub fn builder(version: &str) -> Builder<'_> {
        Builder { version, port: None, hooks: Vec::new() }
    }

    pub fn api(&self) -> &Api {
        &self.api
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the executable says it is, such as `0.40.6`.
    pub fn version(&self) -> &str {
        &self.template.version
    }

    /// Is it this version or a later one?
    pub fn is_at_least(&self, version: &str) -> bool {
        let numbers = |version: &str| -> Vec<u32> {
            let parts = version.trim_start_matches('v').split('.');
            parts.map_while(|part| part.parse().ok()).collect()
        };
        numbers(self.version()) >= numbers(version)
    }

    /// Ann's id and a token of hers, without asking the server.
    pub fn ann(&self) -> &Login {
        &self.template.ann
    }

    /// Bob's id and a token of his, without asking the server.
    pub fn bob(&self) -> &Login {
        &self.template.bob
    }

    /// What the server has printed so far.
    pub fn log(&self) -> String {
        self.home.log()
    }

    /// Ends the server as a service manager does (SIGTERM) and waits for it.
    #[track_caller]
    pub fn stop(&mut self) {
        self.running().signal("TERM");
        self.wait_for_end();
    }

    /// Ends the server as a power cut does (SIGKILL).
    #[track_caller]
    pub fn kill(&mut self) {
        self.running().signal("KILL");
        self.wait_for_end();
    }

    /// Freezes the server: connections stand, and nothing is answered.
    #[track_caller]
    pub fn freeze(&self) {
        let process = self.running();
        process.signal("STOP");
        wait_for("the server to freeze", PATIENCE, || process.is_frozen());
    }

    /// Lets a frozen server go on.
    #[track_caller]
    pub fn thaw(&self) {
        self.running().signal("CONT");
    }

    /// Starts a stopped server on the same port, with the same data.
    #[track_caller]
    pub fn start_again(&mut self) {
        assert!(self.process.is_none(), "the server is running");
        let deadline = Instant::now() + PATIENCE;
        let process = loop {
            match self.home.launch(&self.template.executable, self.port) {
                Ok(process) => break process,
                Err(Failure::PortTaken(_)) if Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(50));
                }
                Err(failure) => panic!("{}", failure.text()),
            }
        };
        self.process = Some(process);
    }

    /// Another server on the same data, as the nodes of a cluster have it: each
    /// tells only of its own writes. Ends with this one at the latest.
    #[track_caller]
    pub fn second_node(&self) -> Node {
        let home = Home::node_of(&self.home).expect("a folder for a node");
        let (process, port) = home.launch_anywhere(&self.template.executable);
        let process = process.unwrap_or_else(|failure| panic!("{}", failure.text()));
        Node { _process: process, _home: home, api: Api::new(local_url(port), self.template.superuser.clone()), port }
    }

    /// Waits until someone has subscribed to the topic, with or without options.
    #[track_caller]
    pub fn wait_for_subscriber(&self, topic: &str) {
        wait_for(&format!("a subscriber of {topic}"), PATIENCE, || {
            let is_it = |key: &String| key.split('?').next() == Some(topic);
            let clients = self.clients();
            clients.iter().any(|it| it.subscriptions.iter().any(is_it))
        });
    }

    /// Waits until that many clients are connected to the realtime API.
    #[track_caller]
    pub fn wait_for_clients(&self, count: usize) {
        wait_for(&format!("{count} realtime clients"), PATIENCE, || self.clients().len() == count);
    }

    #[track_caller]
    fn running(&self) -> &Process {
        self.process.as_ref().expect("the server is not running")
    }

    #[track_caller]
    fn wait_for_end(&mut self) {
        let mut process = self.process.take().expect("the server is not running");
        wait_for("the end of the server", PATIENCE, || process.has_ended().is_some());
        // Connections that were kept are dead now.
        self.api = self.api.renewed();
    }
}

/// A server on another one's data. See [`Server::second_node`].
#[derive(Debug)]
pub struct Node {
    _process: Process,
    _home: Home,
    api: Api,
    port: u16,
}

impl Node {
    pub fn api(&self) -> &Api {
        &self.api
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Deref for Server {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

/// How a server is to be started.
#[derive(Clone, Debug)]
pub struct Builder<'a> {
    version: &'a str,
    port: Option<u16>,
    hooks: Vec<(&'a str, &'a str)>,
}

impl<'a> Builder<'a> {
    /// This port instead of a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// One more file of hooks; its name ends with `.pb.js`.
    pub fn hook(mut self, name: &'a str, code: &'a str) -> Self {
        self.hooks.push((name, code));
        self
    }

    #[track_caller]
    pub fn start(self) -> Server {
        match self.try_start() {
            Ok(server) => server,
            Err(reason) => panic!("{reason}"),
        }
    }

    /// The error says what to do, where something is missing on the machine.
    pub fn try_start(self) -> Result<Server, String> {
        let template = Template::of(self.version)?;
        let home = Home::new().map_err(|error| error.to_string())?;
        copy_folder(&template.data, &home.data())
            .and_then(|()| home.write_hooks(&self.hooks))
            .map_err(|error| format!("{}: {error}", home.0.display()))?;
        let (process, port) = match self.port {
            Some(port) => (home.launch(&template.executable, port), port),
            None => home.launch_anywhere(&template.executable),
        };
        Ok(Server {
            process: Some(process.map_err(Failure::text)?),
            api: Api::new(local_url(port), template.superuser.clone()),
            home,
            port,
            template,
        })
    }
}

/// What all servers of a version begin with, made once a process.
#[derive(Debug)]
struct Template {
    executable: PathBuf,
    version: String,
    data: PathBuf,
    superuser: Login,
    ann: Login,
    bob: Login,
}

impl Template {
    fn of(version: &str) -> Result<Arc<Self>, String> {
        type Slot = Arc<OnceLock<Result<Arc<Template>, String>>>;
        static ALL: LazyLock<Mutex<HashMap<String, Slot>>> = LazyLock::new(Mutex::default);

        let slot = {
            let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
            all.entry(version.to_owned()).or_default().clone()
        };
        slot.get_or_init(|| Self::make(version).map(Arc::new)).clone()
    }

    fn make(version: &str) -> Result<Self, String> {
        let executable = install::executable(version)?;
        let version = install::label(&executable)?;
        let home = Home::new().map_err(|error| error.to_string())?;
        home.write_hooks(&[]).map_err(|error| error.to_string())?;

        run(guarded(&executable).args(["superuser", "upsert", SUPERUSER, SUPERUSER_PASSWORD]).args(home.options()))
            .map_err(|reason| format!("cannot make a superuser: {reason}"))?;

        let (process, port) = home.launch_anywhere(&executable);
        let mut process = process.map_err(Failure::text)?;
        let guest = Api::new(local_url(port), Login::default());
        let superuser = guest.login("_superusers", SUPERUSER, SUPERUSER_PASSWORD);
        let api = Api::new(local_url(port), superuser.clone());
        schema::create(&api);
        let [ann, bob] = [ANN, BOB].map(|email| api.login("users", email, PASSWORD));

        process.signal("TERM");
        wait_for("the end of the server", PATIENCE, || process.has_ended().is_some());
        drop(process);
        Ok(Self { executable, version, data: home.into_data(), superuser, ann, bob })
    }
}

/// The folder of one server, removed when dropped.
#[derive(Debug)]
struct Home(PathBuf);

impl Home {
    fn new() -> io::Result<Self> {
        static COUNT: AtomicU16 = AtomicU16::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = janitor::root().join(format!("server-{number}"));
        fs::create_dir(&path).map(|()| Self(path))
    }

    /// With the data and hooks of another one.
    fn node_of(other: &Self) -> io::Result<Self> {
        let home = Self::new()?;
        for name in ["data", "hooks"] {
            std::os::unix::fs::symlink(other.0.join(name), home.0.join(name))?;
        }
        Ok(home)
    }

    fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    fn log(&self) -> String {
        let bytes = fs::read(self.0.join("server.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Gives up the folder: its data stay until the janitor comes.
    fn into_data(mut self) -> PathBuf {
        std::mem::take(&mut self.0).join("data")
    }

    fn write_hooks(&self, more: &[(&str, &str)]) -> io::Result<()> {
        let folder = self.0.join("hooks");
        fs::create_dir(&folder)?;
        let ours = [("main.pb.js", include_str!("hooks/main.pb.js")), ("lab.js", include_str!("hooks/lab.js"))];
        ours.iter().chain(more).try_for_each(|(name, code)| fs::write(folder.join(name), code))
    }

    /// The options of all commands of the server.
    fn options(&self) -> Vec<String> {
        let folder = |name: &str| format!("--{name}={}", self.0.join(&name[..name.len() - 3]).display());
        vec![
            format!("--dir={}", self.data().display()),
            folder("hooksDir"),
            folder("migrationsDir"),
            folder("publicDir"),
            "--hooksWatch=false".to_owned(),
            "--hooksPool=2".to_owned(),
            "--automigrate=false".to_owned(),
        ]
    }

    fn launch_anywhere(&self, executable: &Path) -> (Result<Process, Failure>, u16) {
        for _ in 0..20 {
            let port = free_port();
            match self.launch(executable, port) {
                Err(Failure::PortTaken(_)) => {}
                done => return (done, port),
            }
        }
        let reason = "20 free ports in a row were taken by others".to_owned();
        (Err(Failure::Other(reason)), 0)
    }

    /// Starts the server and waits until it answers.
    fn launch(&self, executable: &Path, port: u16) -> Result<Process, Failure> {
        let other = |error: io::Error| Failure::Other(format!("cannot start a server: {error}"));
        let log = File::create(self.0.join("server.log")).map_err(other)?;
        let mut command = guarded(executable);
        command
            .arg("serve")
            .arg(format!("--http=127.0.0.1:{port}"))
            .args(self.options())
            .env("BOSBASE_LAB_ID", &self.0)
            .stdout(log);
        let mut process = Process::start(&mut command).map_err(other)?;

        // An answer alone may be the one of another server on this port.
        let api = Api::new(local_url(port), Login::default());
        let is_up = || {
            let answer = api.try_request("GET", "/api/lab/id", None, None);
            answer.is_ok_and(|(_, answer)| answer["id"].as_str().map(Path::new) == Some(&self.0))
        };
        let deadline = Instant::now() + PATIENCE;
        while !is_up() {
            let end = process.has_ended();
            if end.is_none() && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(3));
                continue;
            }
            let log = self.log();
            let state = end.map_or("does not answer".to_owned(), |end| end.to_string());
            let text = format!("the server on port {port} did not start ({state}):\n{log}");
            return Err(if log.contains("address already in use") {
                Failure::PortTaken(text)
            } else {
                Failure::Other(text)
            });
        }
        Ok(process)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

enum Failure {
    PortTaken(String),
    Other(String),
}

impl Failure {
    fn text(self) -> String {
        let (Self::PortTaken(text) | Self::Other(text)) = self;
        text
    }
}

/// Waits until the condition holds, and panics when it does not in time.
#[track_caller]
pub fn wait_for(what: &str, timeout: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + timeout;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {timeout:?} in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A folder of this process for a test to use, removed when the process ends.
pub fn temporary_folder(name: &str) -> PathBuf {
    let path = janitor::root().join(name);
    fs::create_dir_all(&path).expect("cannot make a temporary folder");
    path
}

fn local_url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// A port that is free now, and below those that systems take for outgoing
/// connections: such a one would come in the way of a start on the same port.
pub fn free_port() -> u16 {
    const FIRST: u16 = 15_000;
    const COUNT: u16 = 17_000;
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| {
        let random = RandomState::new().hash_one(std::process::id()) % u64::from(COUNT);
        AtomicU16::new(u16::try_from(random).unwrap_or_default())
    });
    loop {
        let port = FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
