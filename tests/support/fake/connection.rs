//! One connection: requests come in, replies are played.

use std::io::{BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::frame::{Data, chunk, connect_frame, frame};
use super::port;
use super::reply::{Act, Client, Cue, End, Pace, Performance, Source, Target, is_key_of};
use super::request::{self, Request};
use super::world::{Assignment, Connection, OpenStream, Order, Progress, Stop, World};

/// A huge line goes out in blocks of this size.
const BLOCK: usize = 64 * 1024;

/// Serves a connection on a thread of its own.
pub(super) fn start(world: &Arc<World>, stream: TcpStream, number: usize) {
    // Each piece of a script is a packet of its own.
    let _ = stream.set_nodelay(true);
    let socket = Arc::new(stream);
    // Here, where connections are in their order.
    let greeting = world.greet();
    world.change(|state| {
        if state.over {
            return;
        }
        let registered = Connection { socket: Arc::clone(&socket), idle: true, left: false, cut: false };
        state.connections.insert(number, registered);
        let world = Arc::clone(world);
        state.threads.push(thread::spawn(move || {
            serve(&world, &socket, number, greeting);
        }));
    });
}

fn serve(world: &World, socket: &TcpStream, number: usize, greeting: Option<Assignment>) {
    let _listed = Listed(world, number);
    let mut reader = BufReader::new(socket);
    let mut keep = true;
    if let Some(assignment) = greeting {
        keep = play(world, &reader, number, None, assignment);
    }
    while keep {
        let request = match request::read(&mut reader, number) {
            Ok(Some(request)) => request,
            Ok(None) => break,
            Err(failure) => {
                world.fail(failure);
                break;
            }
        };
        let (request, assignment) = world.receive(request);
        keep = play(world, &reader, number, Some(&request), assignment);
    }
}

/// Takes the connection off the list at its end, also if an `answer` of the test panics. With its
/// last owner goes the socket: this is where a reset is sent.
struct Listed<'a>(&'a World, usize);

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.connections.remove(&self.1));
    }
}

/// Plays a reply while an eye is kept on the client; true if the connection can go on.
fn play(
    world: &World,
    reader: &BufReader<&TcpStream>,
    connection: usize,
    request: Option<&Request>,
    assignment: Assignment,
) -> bool {
    let socket = *reader.get_ref();
    let player = Player {
        world,
        socket,
        connection,
        request,
        step: assignment.step,
        chunked: assignment.performance.chunked,
        pace: Pace::default(),
        streams: Vec::new(),
    };
    thread::scope(|scope| {
        let player = scope.spawn(move || player.play(assignment.performance));
        // Returns when the client leaves, when it sends its next request, or when the player shuts
        // the socket down. An end is all there is to notice before the next request is read.
        if reader.buffer().is_empty() {
            let mut byte = [0];
            if !matches!(socket.peek(&mut byte), Ok(1..)) {
                leave(world, connection);
            }
        }
        player.join().unwrap_or_else(|_| {
            world.fail("the fake itself panicked while it played a reply".into());
            false
        })
    })
}

fn leave(world: &World, connection: usize) {
    world.change(|state| {
        if let Some(left) = state.connections.get_mut(&connection) {
            left.left = true;
        }
        let streams = state.streams.iter_mut();
        streams.filter(|stream| stream.connection == connection).for_each(|stream| stream.open = false);
    });
}

/// Plays one reply.
struct Player<'a> {
    world: &'a World,
    socket: &'a TcpStream,
    connection: usize,
    request: Option<&'a Request>,
    step: Option<usize>,
    chunked: bool,
    pace: Pace,
    /// Where the streams stand that said `PB_CONNECT` here; the last one is who it is now.
    streams: Vec<usize>,
}

impl Player<'_> {
    /// True if the connection can go on.
    fn play(mut self, performance: Performance) -> bool {
        let acts = performance.acts;
        for (index, act) in acts.iter().enumerate() {
            self.progress(Progress::Playing(act.to_string()));
            if let Err(stop) = self.perform(act) {
                self.progress(match stop {
                    // Who leaves in the middle of bytes has had enough of them. Who leaves while
                    // something is to come that the script has waited for, misses it.
                    Stop::Left if acts[index..].iter().any(Act::waits) => {
                        Progress::Broken(format!("the client left while the reply was at {act}"))
                    }
                    Stop::Left | Stop::Cut => Progress::Played,
                    Stop::Over => Progress::Playing(act.to_string()),
                });
                return self.close();
            }
        }
        if let Some(request) = self.request {
            self.world.answered(request);
        }
        match performance.end {
            End::Live => self.live(),
            end => self.end(end),
        }
    }

    fn perform(&mut self, act: &Act) -> Result<(), Stop> {
        match act {
            Act::Await(cue) => self.wait_for(cue),
            Act::Refuse(until) => {
                port::refuse(self.world, until.clone());
                Ok(())
            }
            Act::Head(bytes) => self.write(bytes),
            Act::Send(Source::Bytes(bytes)) => self.send(bytes),
            Act::Send(Source::Made(make)) => self.send(&make(&self.client())),
            Act::Send(Source::Event { to, data, half }) => self.send_event(to, data, *half),
            Act::HugeLine(length) => self.send_huge_line(*length),
            Act::Repeat(bytes, times) => (0..*times).try_for_each(|_| self.send(bytes)),
            Act::Pace(pace) => {
                self.pace = *pace;
                Ok(())
            }
            Act::Connect(id) => self.connect(id.as_deref()),
        }
    }

    fn wait_for(&self, cue: &Cue) -> Result<(), Stop> {
        let first = self.request.map_or(0, |request| request.number + 1);
        let came = self.world.wait_playing(self.connection, None, |state| {
            let came = match cue {
                Cue::Gate(gate) => state.gates.contains(gate),
                Cue::Request(matcher) => state.requests.iter().skip(first).any(|request| matcher.matches(request)),
            };
            came.then_some(())
        });
        came.map(|_| ())
    }

    fn connect(&mut self, id: Option<&str>) -> Result<(), Stop> {
        let id = self.world.change(|state| {
            let number = state.streams.len();
            // Readable, and as long as the server's.
            let id = id.map_or_else(|| format!("{:0>40}", format!("client{}", number + 1)), str::to_owned);
            state.streams.push(OpenStream::new(id.clone(), self.connection));
            self.streams.push(number);
            id
        });
        self.send(&connect_frame(&id))
    }

    fn client(&self) -> Client {
        let state = self.world.look();
        let current = self.streams.last().map(|stream| state.streams[*stream].client());
        current.unwrap_or(Client { id: String::new(), keys: Vec::new() })
    }

    fn send_event(&self, to: &Target, data: &Data, half: bool) -> Result<(), Stop> {
        let names = match to {
            Target::Name(name) => vec![name.clone()],
            Target::Subscribed(topic) => self.keys_of(topic, |stream| &stream.answered)?,
            Target::Posted(topic) => self.keys_of(topic, |stream| &stream.posted)?,
        };
        let id = self.client().id;
        for name in names {
            if half {
                let mut bytes = frame(&id, &name, &data.0[..data.0.len() / 2]);
                bytes.truncate(bytes.len() - "\n\n".len());
                self.send(&bytes)?;
            } else {
                self.send(&frame(&id, &name, &data.0[..]))?;
            }
        }
        Ok(())
    }

    /// Waits until this client has keys of the topic.
    fn keys_of(&self, topic: &str, set: fn(&OpenStream) -> &[String]) -> Result<Vec<String>, Stop> {
        let keys = self.world.wait_playing(self.connection, None, |state| {
            let mine = self.streams.iter().flat_map(|stream| set(&state.streams[*stream]));
            let keys: Vec<_> = mine.filter(|key| is_key_of(key, topic)).cloned().collect();
            (!keys.is_empty()).then_some(keys)
        });
        Ok(keys?.unwrap_or_default())
    }

    fn send_huge_line(&self, length: usize) -> Result<(), Stop> {
        self.write_part(b"data:")?;
        let block = vec![b'x'; BLOCK.min(length)];
        let mut left = length;
        while left > 0 {
            self.write_part(&block[..left.min(BLOCK)])?;
            left -= left.min(BLOCK);
        }
        Ok(())
    }

    fn send(&self, bytes: &[u8]) -> Result<(), Stop> {
        if self.pace.piece == 0 {
            return self.write_part(bytes);
        }
        for piece in bytes.chunks(self.pace.piece) {
            self.write_part(piece)?;
            if !self.pace.pause.is_zero() {
                let next = Instant::now() + self.pace.pause;
                self.world.wait_playing(self.connection, Some(next), |_| None::<()>)?;
            }
        }
        Ok(())
    }

    fn write_part(&self, bytes: &[u8]) -> Result<(), Stop> {
        if self.chunked { self.write(&chunk(bytes)) } else { self.write(bytes) }
    }

    fn write(&self, bytes: &[u8]) -> Result<(), Stop> {
        let mut socket = self.socket;
        socket.write_all(bytes).map_err(|_| self.world.look().stop(self.connection).unwrap_or(Stop::Left))
    }

    /// Does what the test says, for as long as the client listens.
    fn live(&self) -> bool {
        let Some(stream) = self.streams.last().copied() else {
            return self.end(End::Hold);
        };
        self.world.change(|state| state.streams[stream].live = true);
        self.progress(Progress::Played);
        loop {
            let orders = self.world.wait_playing(self.connection, None, |state| {
                let outbox = &mut state.streams[stream].outbox;
                (!outbox.is_empty()).then(|| std::mem::take(outbox))
            });
            for order in orders.ok().flatten().unwrap_or_else(|| vec![Order::Close]) {
                match order {
                    Order::Send(bytes) if self.send(&bytes).is_ok() => {}
                    Order::Send(_) | Order::Close => return self.end(End::Close),
                    Order::End => return self.end(End::Complete),
                    Order::Reset => return self.end(End::Reset),
                }
            }
        }
    }

    fn end(&self, end: End) -> bool {
        match end {
            End::Complete => {
                self.forget_streams();
                let written = if self.chunked { self.write(b"0\r\n\r\n") } else { Ok(()) };
                self.progress(Progress::Played);
                if written.is_ok() && self.rest() { true } else { self.close() }
            }
            End::Hold | End::Live => {
                self.progress(Progress::Played);
                // Ends with the client or with the test: that there is a stop is all it says.
                let _ = self.world.wait_playing(self.connection, None, |_| None::<()>);
                self.close()
            }
            End::Close => {
                self.progress(Progress::Played);
                self.close()
            }
            End::Reset => {
                self.forget_streams();
                // With no time to linger, closing sends a reset in place of a FIN.
                if let Err(error) = SockRef::from(self.socket).set_linger(Some(Duration::ZERO)) {
                    self.world.fail(format!("no reset could be prepared: {error}"));
                }
                self.progress(Progress::Played);
                // Sends nothing, but wakes the thread that watches the client, the last owner.
                let _ = self.socket.shutdown(Shutdown::Read);
                false
            }
        }
    }

    /// The connection waits for its next request, unless connects are refused: then whoever
    /// refuses has closed the idle ones before this one was idle.
    fn rest(&self) -> bool {
        if self.request.is_some_and(Request::wants_close) {
            return false;
        }
        self.world.change(|state| {
            if let Some(connection) = state.connections.get_mut(&self.connection) {
                connection.idle = true;
            }
            state.refused.is_none()
        })
    }

    fn close(&self) -> bool {
        self.forget_streams();
        // The client may have been faster.
        let _ = self.socket.shutdown(Shutdown::Both);
        false
    }

    fn forget_streams(&self) {
        self.world.change(|state| {
            for stream in &self.streams {
                state.streams[*stream].open = false;
            }
        });
    }

    fn progress(&self, progress: Progress) {
        if let Some(step) = self.step {
            self.world.change(|state| state.steps[step].1 = progress);
        }
    }
}
