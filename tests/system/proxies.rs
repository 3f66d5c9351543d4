//! nginx and Caddy before the server, as people put them there, with what they do by themselves.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use serde_json::json;

use crate::daemon::Daemon;
use crate::readme::block;
use crate::records;
use crate::support::cli::{Cli, PATIENCE, Running};
use crate::support::pocketbase::{ANN, PASSWORD, Server, V0_40_6, VERSIONS, free_port, wait_for};

/// A proxy that runs; gone when dropped.
struct Front {
    daemon: Daemon,
    /// Plain http, where it is offered, and https.
    http: u16,
    https: u16,
}

impl Front {
    fn folder_with_certificate() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority of the tests");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        let mut client = CertificateParams::new(vec!["a watcher".to_owned()]).unwrap();
        client.distinguished_name.push(DnType::CommonName, "a watcher");
        client.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        let client_key = KeyPair::generate().unwrap();
        let client = client.signed_by(&client_key, &authority).unwrap();
        write("client.pem", client.pem() + &client_key.serialize_pem());
        write("ca.pem", authority.pem());
        write("cert.pem", certificate.pem());
        write("key.pem", key.serialize_pem());
        folder
    }

    fn nginx(server: u16, location: &str) -> Self {
        Self::nginx_with(server, location, |_| String::new())
    }

    /// With more said of its server, which is told its folder.
    fn nginx_with(server: u16, location: &str, more: impl Fn(&str) -> String) -> Self {
        crate::needs("nginx", "-v");
        let folder = Self::folder_with_certificate();
        let (http, https, path) = (free_port(), free_port(), folder.path().display());
        let more = more(&path.to_string());
        let config = format!(
            "    ssl_certificate {path}/cert.pem; ssl_certificate_key {path}/key.pem;
    server {{
        {more}
        listen 127.0.0.1:{http}; listen [::1]:{http};
        listen 127.0.0.1:{https} ssl http2; listen [::1]:{https} ssl http2;
        location /moved {{ return 301 https://localhost:{https}$request_uri; }}
        location / {{ proxy_pass http://127.0.0.1:{server}; {location} }}
    }}"
        );
        Self { daemon: Daemon::nginx(folder, &config, &[http, https]), http, https }
    }

    /// As the README has it, and no more than it takes to be one.
    fn nginx_as_printed(server: u16) -> Self {
        crate::needs("nginx", "-v");
        let http = free_port();
        let location = block("nginx").replace("8090", &server.to_string());
        let config = format!("server {{ listen 127.0.0.1:{http};\n{location}\n}}");
        Self { daemon: Daemon::nginx(tempfile::tempdir().unwrap(), &config, &[http]), http, https: 0 }
    }

    /// The same, at another address than the README's, which has a certificate from elsewhere.
    fn caddy_as_printed(server: u16) -> Self {
        crate::needs("caddy", "version");
        let (http, folder) = (free_port(), tempfile::tempdir().unwrap());
        let site = block("caddy").replace("api.example.com", &format!("http://127.0.0.1:{http}"));
        let config = format!("{{\n    admin off\n}}\n{}\n", site.replace("8090", &server.to_string()));
        Self { daemon: Daemon::caddy(folder, &config, &[http]), http, https: 0 }
    }

    fn caddy(server: u16) -> Self {
        crate::needs("caddy", "version");
        let folder = Self::folder_with_certificate();
        let (http, https, path) = (free_port(), free_port(), folder.path().display());
        let config = format!(
            "{{
    admin off
    auto_https disable_redirects
}}
http://127.0.0.1:{http}, https://localhost:{https} {{
    tls {path}/cert.pem {path}/key.pem
    log {{
        output file {path}/access.log
    }}
    reverse_proxy 127.0.0.1:{server}
}}
"
        );
        // TLS belongs to the second address alone.
        let config = config.replace(
            &format!("http://127.0.0.1:{http}, https"),
            &format!("http://127.0.0.1:{http} {{\n    reverse_proxy 127.0.0.1:{server}\n}}\nhttps"),
        );
        Self { daemon: Daemon::caddy(folder, &config, &[http, https]), http, https }
    }

    fn ca(&self) -> PathBuf {
        self.daemon.folder().join("ca.pem")
    }
}

fn titles(running: &Running) -> Vec<String> {
    records(running).iter().map(|record| record["record"]["title"].as_str().unwrap().to_owned()).collect()
}

/// Signs in and watches; each change comes at once, and the connection stands.
#[track_caller]
fn is_at_once(server: &Server, cli: &Cli, ca: &[&str], what: &str) {
    let login = [&["login", "--identity", ANN, "--password-stdin"][..], ca].concat();
    cli.run_with_stdin(login, &format!("{PASSWORD}\n")).expect(0);
    let running = cli.watch([&["posts/*"][..], ca].concat());
    for n in 0..5 {
        let title = format!("{what} {n}");
        let wrote = Instant::now();
        server.create("posts", &json!({"title": title}));
        wait_for("the event", PATIENCE, || titles(&running).contains(&title));
        assert!(wrote.elapsed() < Duration::from_secs(2), "{what}: held back for {:?}", wrote.elapsed());
    }
    let output = running.stop().expect(130);
    assert!(!output.stdout.contains(r#""type":"disconnected""#), "{what}: {}", output.stdout);
}

#[test]
fn nginx_as_it_comes() {
    for version in VERSIONS {
        let server = Server::start(version);
        let front = Front::nginx(server.port(), "");
        let ca = front.ca();
        let ca = ["--ca-cert", ca.to_str().unwrap()];
        for (host, port) in [("127.0.0.1", front.http), ("[::1]", front.http)] {
            is_at_once(&server, &Cli::new(&format!("http://{host}:{port}")), &[], "nginx");
        }
        for host in ["localhost", "[::1]"] {
            is_at_once(&server, &Cli::new(&format!("https://{host}:{}", front.https)), &ca, "nginx with TLS");
        }
        wait_for("the log", PATIENCE, || front.daemon.log().matches("GET /api/realtime HTTP/2.0\" 200").count() == 2);
        assert!(front.daemon.log().contains("POST /api/realtime HTTP/2.0\" 204"), "{}", front.daemon.log());
        server.wait_for_clients(0);
    }
}

#[test]
fn caddy_as_it_comes() {
    for version in VERSIONS {
        let server = Server::start(version);
        let front = Front::caddy(server.port());
        let ca = front.ca();
        is_at_once(&server, &Cli::new(&format!("http://127.0.0.1:{}", front.http)), &[], "Caddy");
        let cli = Cli::new(&format!("https://localhost:{}", front.https));
        is_at_once(&server, &cli, &["--ca-cert", ca.to_str().unwrap()], "Caddy with TLS");
        wait_for("the log", PATIENCE, || {
            let log = front.daemon.log();
            log.lines().any(|line| line.contains(r#""proto":"HTTP/2.0""#) && line.contains("/api/realtime"))
        });
        server.wait_for_clients(0);
    }
}

#[test]
fn as_the_readme_has_them() {
    for version in VERSIONS {
        let server = Server::start(version);
        for front in [Front::nginx_as_printed(server.port()), Front::caddy_as_printed(server.port())] {
            is_at_once(&server, &Cli::new(&format!("http://127.0.0.1:{}", front.http)), &[], "as printed");
            server.wait_for_clients(0);
        }
    }
}

/// nginx cuts what is quiet for 60 s, here for 1 s: nothing is missed, and it is told.
#[test]
fn a_proxy_that_cuts_what_is_quiet() {
    let server = Server::start(V0_40_6);
    let front = Front::nginx(server.port(), "proxy_read_timeout 1s;");
    let running = Cli::new(&format!("http://127.0.0.1:{}", front.http)).watch(["posts/*"]);
    let mut wanted = Vec::new();
    for n in 0..8 {
        wanted.push(format!("post {n}"));
        server.create("posts", &json!({"title": wanted[n]}));
        // Longer than it takes for quiet, now and then.
        std::thread::sleep(Duration::from_millis(if n % 3 == 2 { 1500 } else { 300 }));
    }
    wait_for("every one of them", PATIENCE, || wanted.iter().all(|title| titles(&running).contains(title)));
    let output = running.stop().expect(130);
    let mut once = output.stdout.lines().filter(|line| line.contains(r#""type":"record""#)).count();
    once -= wanted.len();
    assert_eq!(once, 0, "each once: {}", output.stdout);
    assert!(output.stdout.contains(r#""type":"disconnected""#), "{}", output.stdout);
}

/// What moved to https is told with the address to use, and the token stays here.
#[test]
fn http_that_is_sent_to_https() {
    let server = Server::start(V0_40_6);
    let front = Front::nginx(server.port(), "");
    let cli = Cli::new(&format!("http://127.0.0.1:{}/moved", front.http));
    let output = cli.run(["subscribe", "posts/*"]).expect(6);
    assert!(output.stderr.contains(&format!("redirects to https://localhost:{}", front.https)), "{}", output.stderr);
    assert!(
        output.stderr.contains(&format!("hint: use that: --url https://localhost:{}", front.https)),
        "{}",
        output.stderr
    );
}

/// A proxy that admits only who shows a certificate: each request does.
#[test]
fn a_certificate_that_is_asked_for() {
    let server = Server::start(V0_40_6);
    let front = Front::nginx_with(server.port(), "", |folder| {
        format!("ssl_client_certificate {folder}/ca.pem; ssl_verify_client on;")
    });
    let (ca, client) = (front.ca(), front.daemon.folder().join("client.pem"));
    let ca = ["--ca-cert", ca.to_str().unwrap()];
    let cli = Cli::new(&format!("https://localhost:{}", front.https));
    is_at_once(&server, &cli, &[&ca[..], &["--client-cert", client.to_str().unwrap()]].concat(), "with a certificate");
    let output = cli.run([&["subscribe", "posts/*"][..], &ca].concat());
    assert!(matches!(output.code, 4..=6) && output.stderr.contains("hint: "), "{output:?}");
}
