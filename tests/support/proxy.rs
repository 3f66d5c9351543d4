//! A TCP proxy on this machine that fails as networks do: it delays, pauses,
//! resets, and acknowledges what it never forwards.

#![allow(dead_code, unreachable_pub, reason = "it is part of more than one program, and none needs everything")]

use socket2::SockRef;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A running proxy; it and all its connections end when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    over: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// Which connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    All,
    /// Those that carry an event stream.
    Streams,
    /// The one that was opened at this place, from 0.
    Number(usize),
}

#[derive(Clone, Copy, Debug, Default)]
struct Weather {
    paused: bool,
    refusing: bool,
    delay: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Healthy,
    /// What the server sends is taken and thrown away, its end too.
    Swallowed,
    Reset,
    /// Both ends are closed without a word.
    Closed,
}

struct Line {
    stream: bool,
    fate: watch::Sender<Fate>,
}

struct Shared {
    target: SocketAddr,
    lines: Mutex<Lines>,
    weather: watch::Sender<Weather>,
}

#[derive(Default)]
struct Lines {
    opened: usize,
    open: BTreeMap<usize, Line>,
}

impl Proxy {
    /// A proxy before this port of this machine.
    pub fn start(target: u16) -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket that does not block");
        let address = listener.local_addr().expect("an address of our own");
        let shared = Arc::new(Shared {
            target: SocketAddr::from((Ipv4Addr::LOCALHOST, target)),
            lines: Mutex::default(),
            weather: watch::Sender::new(Weather::default()),
        });
        let (over, told) = watch::channel(false);
        let accepting = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(accept(listener, accepting, told));
        });
        Self { address, shared, over, thread: Some(thread) }
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Nothing is forwarded in either direction, until [`Proxy::resume`].
    pub fn pause(&self) {
        self.shared.weather.send_modify(|weather| weather.paused = true);
    }

    pub fn resume(&self) {
        self.shared.weather.send_modify(|weather| weather.paused = false);
    }

    /// Every piece takes so much longer.
    pub fn delay(&self, delay: Duration) {
        self.shared.weather.send_modify(|weather| weather.delay = delay);
    }

    /// New connections are reset.
    pub fn refuse(&self, refusing: bool) {
        self.shared.weather.send_modify(|weather| weather.refusing = refusing);
    }

    /// Resets connections; how many.
    pub fn reset(&self, which: Which) -> usize {
        self.doom(which, Fate::Reset)
    }

    /// Closes connections; how many.
    pub fn close(&self, which: Which) -> usize {
        self.doom(which, Fate::Closed)
    }

    /// What the server sends over these connections is acknowledged and never
    /// forwarded, nor is their end; how many.
    pub fn swallow(&self, which: Which) -> usize {
        self.doom(which, Fate::Swallowed)
    }

    /// Fair weather; the connections that swallow are reset.
    pub fn heal(&self) {
        self.shared.weather.send_replace(Weather::default());
        for line in self.shared.lines().open.values() {
            if *line.fate.borrow() == Fate::Swallowed {
                line.fate.send_replace(Fate::Reset);
            }
        }
    }

    /// The places of the open connections that carry an event stream.
    pub fn streams(&self) -> Vec<usize> {
        let lines = self.shared.lines();
        lines.open.iter().filter(|(_, line)| line.stream).map(|(number, _)| *number).collect()
    }

    /// Waits until so many connections carry an event stream.
    #[track_caller]
    pub fn wait_for_streams(&self, count: usize) -> Vec<usize> {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let streams = self.streams();
            if streams.len() == count {
                return streams;
            }
            assert!(Instant::now() < end, "there are {} streams, not {count}", streams.len());
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn doom(&self, which: Which, fate: Fate) -> usize {
        let lines = self.shared.lines();
        let meant = lines.open.iter().filter(|(number, line)| match which {
            Which::All => true,
            Which::Streams => line.stream,
            Which::Number(wanted) => **number == wanted,
        });
        meant.fold(0, |count, (_, line)| {
            line.fate.send_replace(fate);
            count + 1
        })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.over.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(listener: std::net::TcpListener, shared: Arc<Shared>, mut over: watch::Receiver<bool>) {
    let listener = TcpListener::from_std(listener).expect("a listener");
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = over.wait_for(|over| *over) => return,
        };
        // A connection that was gone again before it was accepted.
        let Ok((client, _)) = accepted else { continue };
        if shared.weather.borrow().refusing {
            let _ = SockRef::from(&client).set_linger(Some(Duration::ZERO));
            continue;
        }
        let (fate, told) = watch::channel(Fate::Healthy);
        let number = {
            let mut lines = shared.lines();
            let number = lines.opened;
            lines.opened += 1;
            lines.open.insert(number, Line { stream: false, fate });
            number
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            serve(client, &shared, number, told).await;
            shared.lines().open.remove(&number);
        });
    }
}

async fn serve(mut client: TcpStream, shared: &Shared, number: usize, mut told: watch::Receiver<Fate>) {
    let _ = client.set_nodelay(true);
    let Ok(mut server) = TcpStream::connect(shared.target).await else {
        // As a proxy does that has lost its server.
        let _ = client.read(&mut [0; 4096]).await;
        let answer = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let _ = client.write_all(answer).await;
        return;
    };
    let _ = server.set_nodelay(true);
    let fate = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let there = pump(from_client, to_server, shared, None, |piece| {
            if let Some(line) = shared.lines().open.get_mut(&number) {
                line.stream = piece.starts_with(b"GET /api/realtime");
            }
        });
        let back = pump(from_server, to_client, shared, Some(told.clone()), |_| ());
        tokio::select! {
            _ = async { tokio::join!(there, back) } => Fate::Closed,
            fate = told.wait_for(|fate| matches!(fate, Fate::Reset | Fate::Closed)) => fate.map_or(Fate::Closed, |fate| *fate),
        }
    };
    if fate == Fate::Reset {
        for socket in [&client, &server] {
            let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
    }
}

/// Forwards one direction until its end.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    shared: &Shared,
    mut fate: Option<watch::Receiver<Fate>>,
    mut look: impl FnMut(&[u8]),
) -> io::Result<()> {
    let mut weather = shared.weather.subscribe();
    let mut buffer = vec![0; 64 * 1024];
    let swallowed =
        |fate: &Option<watch::Receiver<Fate>>| fate.as_ref().is_some_and(|fate| *fate.borrow() == Fate::Swallowed);
    loop {
        let length = from.read(&mut buffer).await.unwrap_or(0);
        if swallowed(&fate) {
            if length == 0 {
                return std::future::pending().await;
            }
            continue;
        }
        let delay = weather.borrow_and_update().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let _ = weather.wait_for(|weather| !weather.paused).await;
        if swallowed(&fate) {
            continue;
        }
        if length == 0 {
            let _ = to.shutdown().await;
            return Ok(());
        }
        look(&buffer[..length]);
        tokio::select! {
            written = to.write_all(&buffer[..length]) => written?,
            // A reader that has stopped reading must not keep the rest from being swallowed.
            () = until_swallowed(&mut fate) => {}
        }
    }
}

async fn until_swallowed(fate: &mut Option<watch::Receiver<Fate>>) {
    if let Some(fate) = fate
        && fate.wait_for(|fate| *fate == Fate::Swallowed).await.is_ok()
    {
        return;
    }
    std::future::pending().await
}
