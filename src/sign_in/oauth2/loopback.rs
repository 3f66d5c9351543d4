//! A redirect to this machine, for when the provider's answer cannot come
//! through the server.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::address::Redirect;
use crate::{Error, ErrorKind, Result, Secret};

/// Where the provider sends the browser.
const PATH: &str = "/oauth2-redirect";

/// The longest request that is read.
const MAX_REQUEST: usize = 16 * 1024;

/// How long a browser may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);

/// Waits for the browser on a port of this machine.
#[derive(Debug)]
pub(super) struct Loopback {
    listener: TcpListener,
    port: u16,
}

impl Loopback {
    /// Port 0 is any free one.
    pub(super) async fn listen(port: u16) -> Result<Self> {
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::Network, format!("port {port} of this machine cannot be listened on: {error}"))
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        Ok(Self { listener, port })
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}{PATH}", self.port)
    }

    /// Answers browsers until one brings what belongs to this state. What any
    /// other page sends here is answered and forgotten.
    pub(super) async fn answer(&self, state: &str) -> Result<Secret> {
        loop {
            let Ok((browser, _)) = self.listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            if let Ok(Some(answer)) = tokio::time::timeout(PATIENCE, serve(browser, state)).await {
                return answer;
            }
        }
    }
}

/// Answers one request; `None` where it was not the provider's answer.
async fn serve(mut browser: TcpStream, state: &str) -> Option<Result<Secret>> {
    let mut request = Vec::new();
    let mut buffer = [0; 2048];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < MAX_REQUEST {
        match browser.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(read) => request.extend_from_slice(&buffer[..read]),
        }
    }
    let request = String::from_utf8_lossy(&request);
    let target = request.lines().next()?.strip_prefix("GET ")?.split(' ').next()?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if path != PATH {
        reply(&mut browser, "404 Not Found", "Nothing is here.").await;
        return None;
    }
    let redirect = Redirect::from_query(query);
    let is_ours = redirect.state.as_deref() == Some(state) || (redirect.state.is_none() && redirect.error.is_some());
    if !is_ours {
        reply(&mut browser, "400 Bad Request", "This belongs to another sign-in.").await;
        return None;
    }
    let answer = redirect.code_for(state);
    let text = match &answer {
        Ok(_) => "Signed in: you can close this page and go back to the terminal.",
        Err(_) => "The sign-in failed: the terminal says why.",
    };
    reply(&mut browser, "200 OK", text).await;
    Some(answer)
}

async fn reply(browser: &mut TcpStream, status: &str, text: &str) {
    let page = format!("<!doctype html><meta charset=\"utf-8\"><title>bosbase-watch</title><p>{text}</p>\n");
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    // A browser that has gone needs no answer.
    let _ = browser.write_all(answer.as_bytes()).await;
    let _ = browser.shutdown().await;
}
