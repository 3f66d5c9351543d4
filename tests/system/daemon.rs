//! A program that runs beside a test, in a folder of its own.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::cli::PATIENCE;
use crate::support::pocketbase::wait_for;

/// Ended when dropped.
pub struct Daemon {
    child: Child,
    folder: TempDir,
}

impl Daemon {
    /// Starts it, and waits until it listens.
    pub fn start(mut command: Command, folder: TempDir, ports: &[u16]) -> Self {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let daemon = Self { child, folder };
        wait_for("the proxy", PATIENCE, || ports.iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok()));
        daemon
    }

    /// nginx, which keeps everything in the folder; `http` is what its `http` block says besides.
    pub fn nginx(folder: TempDir, http: &str, ports: &[u16]) -> Self {
        let path = folder.path().display();
        let config = format!(
            "worker_processes 1; daemon off; pid {path}/pid; error_log {path}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log {path}/access.log;
    client_body_temp_path {path}/body; proxy_temp_path {path}/proxy;
    fastcgi_temp_path {path}/fastcgi; uwsgi_temp_path {path}/uwsgi; scgi_temp_path {path}/scgi;
{http}
}}
"
        );
        std::fs::write(folder.path().join("nginx.conf"), config).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder.path()).arg("-c").arg(folder.path().join("nginx.conf"));
        command.arg("-e").arg(folder.path().join("error.log"));
        Self::start(command, folder, ports)
    }

    /// Caddy, with this for its Caddyfile.
    pub fn caddy(folder: TempDir, config: &str, ports: &[u16]) -> Self {
        std::fs::write(folder.path().join("Caddyfile"), config).unwrap();
        let mut command = Command::new("caddy");
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(folder.path().join("Caddyfile"));
        command.env("HOME", folder.path()).env("XDG_DATA_HOME", folder.path()).env("XDG_CONFIG_HOME", folder.path());
        Self::start(command, folder, ports)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The log of requests.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder().join("access.log")).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Its workers end with it.
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}
