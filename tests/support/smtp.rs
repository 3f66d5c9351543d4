//! A mail server that keeps what it gets.

#![allow(dead_code, unreachable_pub, reason = "it is part of more than one program")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::pocketbase::{Api, wait_for};

/// A mail as it came.
#[derive(Clone, Debug)]
pub struct Mail {
    pub to: String,
    pub text: String,
}

/// A mail server on a port of this machine.
pub struct MailServer {
    port: u16,
    mails: Arc<Mutex<Vec<Mail>>>,
}

impl MailServer {
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let mails = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&mails);
        // Ends with the process of the tests: it holds nothing but a port.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                thread::spawn(move || serve(client, &kept));
            }
        });
        Self { port, mails }
    }

    /// Makes a server send its mails here.
    pub fn configure(&self, api: &Api) {
        api.patch_settings(&json!({"smtp": {"enabled": true, "host": "127.0.0.1", "port": self.port, "tls": false}}));
    }

    /// The first mail to this address after so many, once it has come.
    #[track_caller]
    pub fn wait_for(&self, to: &str, after: usize) -> Mail {
        let found = || {
            let mails = self.mails.lock().unwrap();
            mails.iter().filter(|mail| mail.to.contains(to)).nth(after).cloned()
        };
        wait_for(&format!("a mail to {to}"), Duration::from_secs(20), || found().is_some());
        found().unwrap()
    }

    pub fn count(&self) -> usize {
        self.mails.lock().unwrap().len()
    }
}

impl Mail {
    /// The one-time code in it: eight digits.
    #[track_caller]
    pub fn code(&self) -> String {
        let mut words = self.text.split(|c: char| !c.is_ascii_alphanumeric());
        words
            .find(|word| word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_digit()))
            .unwrap_or_else(|| panic!("no code in {}", self.text))
            .to_owned()
    }
}

/// As much SMTP as a client needs to get rid of a mail.
fn serve(client: TcpStream, mails: &Mutex<Vec<Mail>>) {
    let mut out = client.try_clone().unwrap();
    let mut say = move |text: &str| out.write_all(format!("{text}\r\n").as_bytes()).is_ok();
    let mut lines = BufReader::new(client).lines().map_while(Result::ok);
    let mut to = String::new();
    let mut go_on = say("220 tests");
    while let (true, Some(line)) = (go_on, lines.next()) {
        let command = line.to_ascii_uppercase();
        go_on = if command.starts_with("RCPT TO:") {
            to = line[8..].trim_matches(['<', '>', ' ']).to_owned();
            say("250 ok")
        } else if command.starts_with("DATA") {
            say("354 go on");
            let text: Vec<String> = lines.by_ref().take_while(|line| line != ".").collect();
            mails.lock().unwrap().push(Mail { to: to.clone(), text: text.join("\n") });
            say("250 ok")
        } else if command.starts_with("QUIT") {
            say("221 bye");
            false
        } else {
            say("250 ok")
        };
    }
}
