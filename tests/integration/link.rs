//! Proxies, certificates and headers of the link, as they are typed.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio_rustls::TlsAcceptor;

use crate::kit::*;
use crate::socks::{Socks, Terms};
use crate::support::cli::{Cli, Output};
use crate::support::fake::Fake;

#[test]
fn headers_of_each_request() {
    let fake = healthy_posts().start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("headers");
    fs::write(&file, "X-Gateway: from a file\n\nX-Other: b\n").unwrap();
    let file = format!("@{}", file.display());
    let running = Cli::new(&fake.url()).watch(["posts/*", "--http-header", &file, "--http-header", "X-Typed: a: b"]);
    running.stop().expect(130);
    let requests = fake.requests();
    assert!(requests.len() >= 3);
    for request in requests {
        let headers = ["x-gateway", "x-other", "x-typed"].map(|name| request.header(name).map(str::to_owned));
        assert_eq!(headers, ["from a file", "b", "a: b"].map(|text| Some(text.to_owned())), "{}", request.target());
    }
}

/// The proxy is asked for the server by its whole URL, also for one on this machine.
#[test]
fn a_proxy() {
    for url in ["http://api.example.com", "http://127.0.0.1:1"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = format!("http://{}", listener.local_addr().unwrap());
        let asked = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
            stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
            line
        });
        let cli = Cli::new(url).with("HTTP_PROXY", "http://127.0.0.1:2");
        cli.run(["subscribe", "jobs/finished", "--no-check", "--proxy", &proxy]).expect(6);
        assert_eq!(asked.join().unwrap(), format!("GET {url}/api/realtime HTTP/1.1\r\n"));
    }
}

#[test]
fn what_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("text");
    fs::write(&file, "not PEM").unwrap();
    let path = file.to_str().unwrap();
    let cli = Cli::new("http://127.0.0.1:1");
    for (args, error, hint) in [
        (["--proxy", "http://ann:hunter2@proxy:3128"], "--proxy takes no user name and no password", "HTTPS_PROXY"),
        (
            ["--proxy", "ftp://proxy"],
            "--proxy: not a proxy: its URL begins with http, https, socks5 or socks5h",
            "--proxy http://",
        ),
        (["--proxy", "nonsense"], "--proxy: not a proxy: a proxy is written http://HOST:PORT", "--proxy http://"),
        (
            ["--http-header", "Authorization: hunter2"],
            "--http-header: an Authorization header is the login's",
            "login signs in",
        ),
        (["--http-header", "hunter2"], "--http-header takes a name, a colon and a value", "@FILE"),
        (["--http-header", "@/no/such"], "--http-header: /no/such cannot be read", "@FILE"),
        (["--ca-cert", path], "no certificate is in it: PEM is expected", "--ca-cert FILE: "),
        (["--ca-cert", "/no/such"], "--ca-cert: /no/such cannot be read", "--ca-cert FILE: "),
        (["--client-cert", path], "no certificate is in it: PEM is expected", "private key, both in PEM"),
        (
            ["--url", "http://ann:hunter2@127.0.0.1:1"],
            "must not hold a user name or a password",
            "a server URL looks like",
        ),
    ] {
        let output = cli.run([&["subscribe", "posts/*"], &args[..]].concat()).expect(2);
        assert!(output.stderr.contains(error) && output.stderr.contains(hint), "{args:?}: {}", output.stderr);
        assert!(!output.stderr.contains("hunter2"), "{}", output.stderr);
    }
}

/// By a proxy elsewhere, what is called loopback is another machine's; over https nobody reads it on the way.
#[test]
fn no_token_goes_to_a_proxy_in_clear() {
    let fake = healthy_posts().start();
    let cli = Cli::new(&fake.url()).with("BOSBASE_TOKEN", &token_for(1_000_000));
    for proxy in ["http://192.0.2.1:3128", "socks5h://proxy.example.invalid:1080"] {
        let output = cli.run(["topics", "posts/*", "--proxy", proxy]).expect(2);
        assert_eq!(
            output.stderr,
            format!(
                "error: {0} by the proxy {proxy} is plain http to another machine: passwords and tokens could be \
                 read on the way\nhint: use https, or accept the risk with --allow-http (for {0})\n",
                fake.url()
            )
        );
    }
    assert!(fake.requests().is_empty());
    // One on this machine is asked, and is not there.
    for proxy in ["http://127.0.0.1:9", "http://localhost:9", "socks5://127.0.0.1:9"] {
        let output = cli.run(["topics", "posts/*", "--proxy", proxy]).expect(6);
        assert!(!output.stderr.contains("another machine"), "{}", output.stderr);
    }
}

#[test]
fn insecure_is_said_each_time() {
    let cli = Cli::new("https://127.0.0.1:1");
    let output = cli.run(["subscribe", "posts/*", "-k"]).expect(6);
    assert!(output.stderr.starts_with("warning: certificates are not checked (--insecure)"), "{}", output.stderr);
}

/// A feed behind a proxy: an event comes, so both requests have gone by it.
fn watch_through(cli: &Cli, fake: &Fake, args: &[&str]) -> Output {
    let running = cli.watch([&["posts/*", "-n", "1"], args].concat());
    fake.emit("posts/*", created("r1"));
    let output = running.finish().expect(0);
    assert_eq!(events(&output.stdout).lines().count(), 1);
    fake.wait_until_closed(FEED, SOON);
    output
}

/// `socks5h` leaves the name to the proxy; `socks5` asks for the address here.
#[test]
fn a_socks_proxy() {
    let fake = healthy_posts().start();
    let port = fake.url().rsplit(':').next().unwrap().parse().unwrap();
    let far = "http://api.example.invalid";
    let socks = Socks::start(Terms::Forward(port));
    let proxy = socks.address;
    let by_name = format!("socks5h://{proxy}");
    watch_through(&Cli::new(far), &fake, &["--proxy", &by_name]);
    let asked = socks.asked();
    assert!(asked.len() >= 2 && asked.iter().all(|host| host == "api.example.invalid:80"), "{asked:?}");
    // From the environment, and only for those that it is for.
    watch_through(&Cli::new(far).with("ALL_PROXY", &by_name), &fake, &[]);
    let before = socks.asked().len();
    assert!(before > asked.len());
    for except in ["api.example.invalid", ".example.invalid", "a.example,example.invalid", "*"] {
        let cli = Cli::new(far).with("ALL_PROXY", &by_name).with("NO_PROXY", except);
        let output = cli.run(["subscribe", "posts/*"]).expect(6);
        assert!(output.stderr.starts_with("error: the name api.example.invalid does not resolve"), "{}", output.stderr);
    }
    assert_eq!(socks.asked().len(), before);
    let cli = Cli::new(far).with("ALL_PROXY", &by_name).with("NO_PROXY", "another.example");
    watch_through(&cli, &fake, &[]);

    let by_address = format!("socks5://{proxy}");
    let before = socks.asked().len();
    watch_through(&Cli::new(&format!("http://127.0.0.1:{port}")), &fake, &["--proxy", &by_address]);
    assert_eq!(socks.asked()[before], format!("127.0.0.1:{port}"));
    let output = Cli::new(far).run(["subscribe", "posts/*", "--proxy", &by_address]).expect(6);
    assert!(output.stderr.contains("does not resolve"), "{}", output.stderr);
}

/// The login of a proxy is in the environment, and nowhere else.
#[test]
fn a_socks_proxy_that_asks_for_a_password() {
    let fake = healthy_posts().start();
    let port = fake.url().rsplit(':').next().unwrap().parse().unwrap();
    let socks = Socks::start(Terms::Login(port, "ann", "hunter2"));
    let cli = |login: &str| {
        let proxy = format!("socks5h://{login}{}", socks.address);
        Cli::new("http://api.example.invalid").with("ALL_PROXY", &proxy)
    };
    let output = watch_through(&cli("ann:hunter2@"), &fake, &["-v"]);
    assert!(!output.stderr.contains("hunter2"), "{}", output.stderr);
    let name = socks.address.to_string();
    let said = ["ann:wrong@", ""].map(|login| {
        let output = cli(login).run(["subscribe", "posts/*"]).expect(6);
        assert!(!output.stderr.contains("wrong"), "{}", output.stderr);
        output.stderr.replace(&name, "PROXY")
    });
    insta::assert_snapshot!(said.concat(), @"
    error: the proxy socks5h://PROXY does not take the user name and the password
    hint: put the right ones into the variable that names it: ALL_PROXY=socks5h://NAME:PASSWORD@HOST:PORT
    error: the proxy socks5h://PROXY asks for a user name and a password
    hint: put the right ones into the variable that names it: ALL_PROXY=socks5h://NAME:PASSWORD@HOST:PORT
    ");
}

#[test]
fn a_socks_proxy_that_lets_nobody_through() {
    let socks = Socks::start(Terms::Refuse);
    let proxy = format!("socks5h://{}", socks.address);
    let output = Cli::new("http://api.example.invalid").run(["subscribe", "posts/*", "--proxy", &proxy]).expect(6);
    insta::assert_snapshot!(output.stderr.replace(&socks.address.to_string(), "PROXY"), @"
    error: the proxy socks5h://PROXY lets no connection to api.example.invalid through
    hint: it may allow other servers or ports only; it comes from --proxy, or from proxy in the config
    ");
    // One that speaks HTTP says so in HTTP.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let proxy = format!("socks5h://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        }
    });
    let output = Cli::new("http://api.example.invalid").run(["subscribe", "posts/*", "--proxy", &proxy]).expect(6);
    assert!(output.stderr.contains("does not speak SOCKS"), "{}", output.stderr);
}

// ---------------------------------------------------------------------------------------------
// Certificates of the client

/// A certificate that an authority has signed, and its key, as PEM.
fn certificate(issuer: &CertifiedIssuer<'static, KeyPair>, name: &str) -> (CertificateDer<'static>, KeyPair, String) {
    let key = KeyPair::generate().unwrap();
    let signed = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, issuer).unwrap();
    let pem = format!("{}{}", signed.pem(), key.serialize_pem());
    (signed.der().clone(), key, pem)
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// TLS before a port of this machine, for those who show a certificate of this authority.
fn gateway(
    issuer: &CertifiedIssuer<'static, KeyPair>,
    versions: &[&'static rustls::SupportedProtocolVersion],
    port: u16,
) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(issuer.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let (certificate, key, _) = certificate(issuer, "localhost");
    let config = rustls::ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let config = config
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut client = acceptor.accept(client).await?;
                    let mut server = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
    });
    address
}

/// A gateway that wants a certificate gets it with both requests; without one,
/// or with another's, it is said what is missing.
#[test]
fn a_certificate_of_the_client() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (ours, other) = (authority("an authority of the tests"), authority("another authority"));
    let trusted = file("ca.pem", &ours.pem());
    let (_, key, ann) = certificate(&ours, "ann");
    let (_, _, bob) = certificate(&other, "bob");
    let (ann_file, bob_file) = (file("ann.pem", &ann), file("bob.pem", &bob));
    for versions in [&[&rustls::version::TLS13][..], &[&rustls::version::TLS12]] {
        let fake = healthy_posts().start();
        let port = fake.url().rsplit(':').next().unwrap().parse().unwrap();
        let address = gateway(&ours, versions, port);
        let cli = Cli::new(&format!("https://localhost:{}", address.port()));
        watch_through(&cli, &fake, &["--ca-cert", &trusted, "--client-cert", &ann_file]);
        let wrong: String = [&[][..], &["--client-cert", &bob_file]]
            .map(|args| {
                let args = [&["subscribe", "posts/*", "--ca-cert", &trusted], args].concat();
                cli.run(args).expect(6).stderr.replace(&address.port().to_string(), "PORT")
            })
            .concat();
        insta::allow_duplicates!(insta::assert_snapshot!(wrong, @"
        error: localhost:PORT breaks off the TLS handshake: it asks for a certificate of the client
        hint: name the file that holds one, with its key: --client-cert client.pem
        error: localhost:PORT does not accept the certificate of the client: UnknownCA
        hint: is it one for this server? --client-cert names another file
        "));
    }
    // A file that cannot be one is told before anything is connected.
    let cli = Cli::new("https://localhost:1");
    let bare = file("bare.pem", ann.split_once("-----BEGIN PRIVATE").unwrap().0);
    let mixed =
        file("mixed.pem", &format!("{}{}", bob.split_once("-----BEGIN PRIVATE").unwrap().0, key.serialize_pem()));
    let wrong = [&bare, &mixed].map(|path| {
        let output = cli.run(["subscribe", "posts/*", "--client-cert", path]).expect(2);
        assert!(!output.stderr.contains("PRIVATE KEY"));
        output.stderr.replace(path, "FILE")
    });
    insta::assert_snapshot!(wrong.concat(), @"
    error: --client-cert: FILE: no private key is in it: PEM is expected
    hint: --client-cert FILE: the certificate and its private key, both in PEM
    error: --client-cert: FILE: the private key in it is not that of its first certificate
    hint: --client-cert FILE: the certificate and its private key, both in PEM
    ");
}
