//! What stands between the tool and the server: TLS, certificates, proxies. Each is told in words
//! that need no looking up, with what mends it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::kit::*;
use crate::support::cli::{Cli, Output};

const DAY: Duration = Duration::from_hours(24);

/// `exit N` and stderr, with what differs from run to run replaced.
#[track_caller]
fn said(output: &Output, address: SocketAddr) -> String {
    assert_eq!(output.stdout, "");
    let text = output
        .stderr
        .replace(&address.to_string(), "HOST:PORT")
        .replace(&format!("localhost:{}", address.port()), "localhost:PORT");
    let text = text.replace(&format!(":{}", address.port()), ":PORT");
    let today = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    format!("exit {}\n{}", output.code, text.replace(&today, "TODAY"))
}

// ---------------------------------------------------------------------------------------------
// Certificates

/// An authority of the tests, and the file by which the tool trusts it.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: tempfile::NamedTempFile,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "an authority of the tests");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(issuer.pem().as_bytes()).unwrap();
        Self { issuer, file }
    }

    /// A server with a certificate for this name, good from the one moment to the other, counted from now.
    fn serve(&self, name: &str, from: SystemTime, to: SystemTime) -> SocketAddr {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (from.into(), to.into());
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        serve(certificate.der().clone(), &key)
    }

    fn trusted_by(&self, url: &str) -> Cli {
        Cli::new(url).with("SSL_CERT_FILE", self.file.path().to_str().unwrap())
    }
}

/// A TLS server whose answer to any request is a healthy BosBase server's. It ends with the test.
fn serve(certificate: CertificateDer<'static>, key: &KeyPair) -> SocketAddr {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let mut connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::Stream::new(&mut connection, &mut socket);
            // Where the client breaks the handshake off, that is all.
            let mut request = [0; 4096];
            if stream.read(&mut request).is_ok() {
                let body = r#"{"code":200,"message":"API is healthy.","data":{}}"#;
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close", body.len());
                let _ = write!(stream, "{head}\r\n\r\n{body}");
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    address
}

#[test]
fn a_certificate_that_is_good() {
    let authority = Authority::new();
    let now = SystemTime::now();
    let address = authority.serve("localhost", now - DAY, now + DAY);
    let cli = authority.trusted_by(&format!("https://localhost:{}", address.port()));
    let output = cli.run(["status"]).expect(4);
    assert!(output.stdout.contains("reachable"), "{}", output.stdout);
}

/// Named by a flag, and not by the system.
#[test]
fn an_authority_that_a_flag_names() {
    let authority = Authority::new();
    let now = SystemTime::now();
    let address = authority.serve("localhost", now - DAY, now + DAY);
    let cli = Cli::new(&format!("https://localhost:{}", address.port()));
    cli.run(["subscribe", "posts/*"]).expect(6);
    let output = cli.run(["status", "--ca-cert", authority.file.path().to_str().unwrap()]).expect(4);
    assert!(output.stdout.contains("reachable"), "{}", output.stdout);
    // Another name is another server, also with an authority that is trusted.
    let other = authority.serve("api.example.com", now - DAY, now + DAY);
    let cli = Cli::new(&format!("https://localhost:{}", other.port()));
    cli.run(["subscribe", "posts/*", "--ca-cert", authority.file.path().to_str().unwrap()]).expect(6);
    let output = cli.run(["status", "--insecure"]).expect(4);
    assert!(output.stdout.contains("reachable"), "{}", output.stdout);
    assert!(output.stderr.contains("warning: certificates are not checked"), "{}", output.stderr);
}

#[test]
fn certificates_that_are_not_accepted() {
    let authority = Authority::new();
    let now = SystemTime::now();
    let hour = Duration::from_hours(1);
    let new_year = SystemTime::UNIX_EPOCH + Duration::from_secs(4_102_444_800);
    let mut all = String::new();
    for (what, name, from, to) in [
        ("expired 3 days ago", "localhost", now - 90 * DAY, now - 3 * DAY - hour),
        ("expired yesterday", "localhost", now - 90 * DAY, now - DAY - hour),
        ("expired an hour ago", "localhost", now - 90 * DAY, now - hour),
        ("from 2100 on", "localhost", new_year, new_year + 90 * DAY),
        ("of another name", "api.example.com", now - DAY, now + DAY),
    ] {
        let address = authority.serve(name, from, to);
        let cli = authority.trusted_by(&format!("https://localhost:{}", address.port()));
        let runs = [&["subscribe", "posts/*"][..], &["login", "--token-stdin"], &["topics", "posts/*"]]
            .map(|args| said(&cli.run_with_stdin(args, "a token\n"), address));
        assert!(runs.iter().all(|run| *run == runs[0]), "{runs:#?}");
        all.push_str(&format!("# {what}\n{}\n", runs[0]));
    }
    insta::assert_snapshot!(all, @"
    # expired 3 days ago
    exit 6
    error: the certificate of localhost:PORT is not accepted: it expired 3 days ago
    hint: the server needs a new certificate, unless this machine's clock is wrong: it says TODAY

    # expired yesterday
    exit 6
    error: the certificate of localhost:PORT is not accepted: it expired yesterday
    hint: the server needs a new certificate, unless this machine's clock is wrong: it says TODAY

    # expired an hour ago
    exit 6
    error: the certificate of localhost:PORT is not accepted: it expired today
    hint: the server needs a new certificate, unless this machine's clock is wrong: it says TODAY

    # from 2100 on
    exit 6
    error: the certificate of localhost:PORT is not accepted: it is not valid before 2100-01-01
    hint: is this machine's clock right? it says TODAY

    # of another name
    exit 6
    error: the certificate of localhost:PORT is not accepted: it was issued for api.example.com
    hint: use the name that the certificate is for: --url or BOSBASE_URL sets it
    ");
}

#[test]
fn an_authority_that_nobody_knows() {
    let (trusted, other) = (Authority::new(), Authority::new());
    let now = SystemTime::now();
    let address = other.serve("localhost", now - DAY, now + DAY);
    let cli = trusted.trusted_by(&format!("https://localhost:{}", address.port()));
    insta::assert_snapshot!(said(&cli.run(["subscribe", "posts/*"]), address), @"
    exit 6
    error: the certificate of localhost:PORT is not accepted: the authority that it names has not signed it; is there another of the same name?
    hint: let this system trust the authority, or name its certificate: --ca-cert ca.pem
    ");
    // As the hint says.
    let cli = cli.with("SSL_CERT_FILE", other.file.path().to_str().unwrap());
    assert!(cli.run(["status"]).stdout.contains("reachable"));
    // Signed by itself.
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let address = serve(own.der().clone(), &key);
    let cli = trusted.trusted_by(&format!("https://localhost:{}", address.port()));
    insta::assert_snapshot!(said(&cli.run(["subscribe", "posts/*", "--no-check"]), address), @"
    exit 6
    error: the certificate of localhost:PORT is not accepted: no authority that this system trusts has signed it
    hint: let this system trust the authority, or name its certificate: --ca-cert ca.pem
    ");
    // An authority's own certificate in place of a server's.
    let address = serve(trusted.issuer.der().clone(), trusted.issuer.key());
    let cli = trusted.trusted_by(&format!("https://localhost:{}", address.port()));
    insta::assert_snapshot!(said(&cli.run(["subscribe", "posts/*"]), address), @"
    exit 6
    error: the certificate of localhost:PORT is not accepted: it is the own one of an authority, and not one for a server
    hint: the server needs a certificate that the authority has signed for its name
    ");
}

#[test]
fn a_system_without_authorities() {
    let authority = Authority::new();
    let now = SystemTime::now();
    let address = authority.serve("localhost", now - DAY, now + DAY);
    let empty = tempfile::NamedTempFile::new().unwrap();
    let url = format!("https://localhost:{}", address.port());
    let cli = Cli::new(&url).with("SSL_CERT_FILE", empty.path().to_str().unwrap());
    insta::assert_snapshot!(said(&cli.run(["subscribe", "posts/*"]), address), @"
    exit 6
    error: the certificate of localhost:PORT is not accepted: no authority that this system trusts has signed it
    hint: let this system trust the authority, or name its certificate: --ca-cert ca.pem
    ");
}

// ---------------------------------------------------------------------------------------------
// The wrong scheme

#[test]
fn plain_http_where_tls_is_spoken() {
    let authority = Authority::new();
    let now = SystemTime::now();
    // rustls breaks off with an alert.
    let address = authority.serve("localhost", now - DAY, now + DAY);
    let cli = Cli::new(&format!("http://localhost:{}", address.port()));
    let runs = [&["subscribe", "posts/*"][..], &["subscribe", "posts/*", "--no-check"]]
        .map(|args| said(&cli.run(args), address));
    assert_eq!(runs[0], runs[1]);
    insta::assert_snapshot!(runs[0], @"
    exit 6
    error: localhost:PORT does not answer with HTTP on this port
    hint: try https: --url https://localhost:PORT
    ");
    // Go answers in plain text, nginx with a page.
    for answer in [
        "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nContent-Length: 64\r\nConnection: close\r\n\r\n\
         <center>The plain HTTP request was sent to HTTPS port</center>\n\n",
    ] {
        let address = stranger(answer);
        let cli = Cli::new(&format!("http://localhost:{}", address.port()));
        let runs = [&["subscribe", "posts/*"][..], &["subscribe", "posts/*", "--no-check"]]
            .map(|args| said(&cli.run(args), address));
        assert_eq!(runs[0], runs[1]);
        insta::allow_duplicates!(insta::assert_snapshot!(runs[0], @"
        exit 6
        error: this port speaks https, and was asked in plain http (400)
        hint: try https: --url https://localhost:PORT
        "));
    }
}

/// A server that reads a request and answers with these bytes. It ends with the test.
fn stranger(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            read_head(&socket);
            let _ = socket.write_all(answer.as_bytes());
        }
    });
    address
}

/// Reads a request up to the blank line.
fn read_head(socket: &TcpStream) {
    let mut lines = BufReader::new(socket).lines();
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
}

// ---------------------------------------------------------------------------------------------
// Proxies

/// What is said with this proxy, for a server over https and over http.
fn by_proxy(proxy: &str, address: SocketAddr) -> String {
    let hosts = ["https://api.example.invalid", "http://api.example.invalid"];
    let runs = hosts.map(|host| {
        let cli = Cli::new(host).with("HTTPS_PROXY", proxy).with("HTTP_PROXY", proxy);
        let runs = [&["subscribe", "posts/*"][..], &["subscribe", "posts/*", "--no-check"]].map(|args| cli.run(args));
        assert!(runs.iter().all(|run| !run.stderr.contains("hunter2")), "{runs:#?}");
        let [one, other] = runs.map(|run| said(&run, address));
        assert_eq!(one, other);
        format!("# {host}\n{one}\n")
    });
    runs.concat()
}

#[test]
fn a_proxy_that_is_not_there() {
    // Held, and not listened to.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    insta::assert_snapshot!(by_proxy(&format!("http://ann:hunter2@{address}"), address), @"
    # https://api.example.invalid
    exit 6
    error: nothing listens at the proxy http://HOST:PORT: connection refused
    hint: the proxy comes from HTTPS_PROXY, HTTP_PROXY or ALL_PROXY; NO_PROXY=api.example.invalid goes without it

    # http://api.example.invalid
    exit 6
    error: nothing listens at the proxy http://HOST:PORT: connection refused
    hint: the proxy comes from HTTPS_PROXY, HTTP_PROXY or ALL_PROXY; NO_PROXY=api.example.invalid goes without it
    ");
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 3128));
    insta::assert_snapshot!(by_proxy("http://ann:hunter2@no-such-proxy.invalid:3128", nowhere), @"
    # https://api.example.invalid
    exit 6
    error: the name of the proxy http://no-such-proxy.invalid:PORT does not resolve
    hint: the proxy comes from HTTPS_PROXY, HTTP_PROXY or ALL_PROXY; NO_PROXY=api.example.invalid goes without it

    # http://api.example.invalid
    exit 6
    error: the name of the proxy http://no-such-proxy.invalid:PORT does not resolve
    hint: the proxy comes from HTTPS_PROXY, HTTP_PROXY or ALL_PROXY; NO_PROXY=api.example.invalid goes without it
    ");
}

#[test]
fn a_proxy_that_asks_for_a_password() {
    let address = stranger(
        "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"proxy\"\r\n\
         Content-Length: 0\r\nConnection: close\r\n\r\n",
    );
    insta::assert_snapshot!(by_proxy(&format!("http://{address}"), address), @"
    # https://api.example.invalid
    exit 6
    error: the proxy http://HOST:PORT asks for a user name and a password (407)
    hint: put them into the variable that names it: HTTPS_PROXY=http://NAME:PASSWORD@HOST:PORT

    # http://api.example.invalid
    exit 6
    error: the proxy asks for a user name and a password (407)
    hint: put them into the variable that names it: HTTPS_PROXY=http://NAME:PASSWORD@HOST:PORT
    ");
}

#[test]
fn a_proxy_that_refuses() {
    let address = stranger("HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\nConnection: close\r\n\r\nForbidden");
    insta::assert_snapshot!(by_proxy(&format!("http://{address}"), address), @"
    # https://api.example.invalid
    exit 6
    error: the proxy http://HOST:PORT lets no connection to api.example.invalid through
    hint: it may allow other servers or ports only; it comes from HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, and NO_PROXY=api.example.invalid goes without it

    # http://api.example.invalid
    exit 6
    error: something before the server refuses this (403)
    hint: is it a proxy or a firewall? and is http://api.example.invalid the base URL of the API?
    ");
}

/// What is said of a proxy that was typed names the flag, and not the variables.
#[test]
fn a_proxy_that_was_typed() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let nobody = socket.local_addr().unwrap().as_socket().unwrap();
    let asks = stranger(
        "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"proxy\"\r\n\
         Content-Length: 0\r\nConnection: close\r\n\r\n",
    );
    let refuses = stranger("HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\nConnection: close\r\n\r\nForbidden");
    let cli = Cli::new("https://api.example.invalid").with("HTTPS_PROXY", "http://127.0.0.1:9");
    let runs = [nobody, asks, refuses].map(|address| {
        let run = cli.run(["subscribe", "posts/*", "--proxy", &format!("http://{address}")]);
        format!("{}\n", said(&run, address))
    });
    insta::assert_snapshot!(runs.concat(), @"
    exit 6
    error: nothing listens at the proxy http://HOST:PORT: connection refused
    hint: is the proxy running? it comes from --proxy, or from proxy in the config

    exit 6
    error: the proxy http://HOST:PORT asks for a user name and a password (407)
    hint: --proxy takes none: leave it out, and put HTTPS_PROXY=http://NAME:PASSWORD@HOST:PORT into the environment

    exit 6
    error: the proxy http://HOST:PORT lets no connection to api.example.invalid through
    hint: it may allow other servers or ports only; it comes from --proxy, or from proxy in the config
    ");
}

#[test]
fn what_stays_on_this_machine_goes_to_no_proxy() {
    let fake = healthy_posts().start();
    let cli = Cli::new(&fake.url()).with("HTTP_PROXY", "http://127.0.0.1:9").with("ALL_PROXY", "http://127.0.0.1:9");
    cli.run(["subscribe", "posts/*", "--duration", "0s"]).expect(0);
}
