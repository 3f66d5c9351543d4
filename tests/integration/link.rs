//! Proxies, certificates and headers of the link, as they are typed.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

use crate::kit::*;
use crate::support::cli::Cli;

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
