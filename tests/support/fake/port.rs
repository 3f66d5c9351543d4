//! The port: open, or refusing connects without ever giving the number away.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{SockAddr, Socket, Type};

use super::connection;
use super::reply::Until;
use super::world::World;

/// Takes a free port. A socket that is bound and does not listen refuses connects, and keeps the
/// number from everybody else.
pub(super) fn bind(address: SocketAddr) -> io::Result<Socket> {
    // A number that the system chose is given back when its socket stops listening, one that was
    // asked for is not. So it is found with one socket and asked for with another.
    let free = bound(&address.into())?;
    bound(&free.local_addr()?)
}

fn bound(address: &SockAddr) -> io::Result<Socket> {
    let socket = Socket::new(address.domain(), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Accepts, and refuses when it is told to, until the test is over.
pub(super) fn keep(world: &Arc<World>, socket: &Socket) -> io::Result<()> {
    let mut connections = 0;
    loop {
        if !refuse_while_told(world) {
            return Ok(());
        }
        socket.listen(1024)?;
        world.change(|state| state.listening = true);
        loop {
            let accepted = socket.accept();
            let state = world.look();
            if state.over {
                return Ok(());
            }
            if state.refused.is_some() {
                break;
            }
            drop(state);
            if let Ok((stream, _)) = accepted {
                connection::start(world, stream.into(), connections);
                connections += 1;
            } else {
                // The client has left already, or this process has too many files open.
                let soon = Instant::now() + Duration::from_millis(10);
                world.wait(Some(soon), |state| state.over.then_some(()));
            }
        }
        // Not closed: it stops listening, and what waits to be accepted is reset.
        socket.shutdown(Shutdown::Read)?;
        world.change(|state| {
            state.listening = false;
            state.close(|connection| connection.idle);
        });
    }
}

/// Waits as long as connects are to be refused; false when the test is over.
fn refuse_while_told(world: &World) -> bool {
    let deadline = match world.look().refused {
        Some(Until::Passed(time)) => Some(Instant::now() + time),
        _ => None,
    };
    world.wait(deadline, |state| {
        let go_on = match &state.refused {
            Some(Until::Gate(gate)) => state.gates.contains(gate),
            Some(Until::Passed(_) | Until::Told) => false,
            None => true,
        };
        (go_on || state.over).then_some(())
    });
    world.change(|state| {
        state.refused = None;
        !state.over
    })
}

/// Stops listening; when this returns, connects are refused.
pub(super) fn refuse(world: &World, until: Until) {
    world.change(|state| state.refused = Some(until));
    wake(world);
    world.wait(None, |state| (!state.listening || state.refused.is_none() || state.over).then_some(()));
}

/// Ends the refusal; when this returns, connects are accepted.
pub(super) fn listen_again(world: &World) {
    world.change(|state| state.refused = None);
    world.wait(None, |state| (state.listening || state.over).then_some(()));
}

/// Gets the thread that accepts to look at the state: it sees a connection.
pub(super) fn wake(world: &World) {
    // Where nobody listens, nobody needs to be woken.
    let _ = TcpStream::connect_timeout(&world.address, Duration::from_secs(1));
}
