//! A SOCKS5 proxy on this machine. Wherever it is asked to go, it goes to one port here.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A running proxy. It ends with the test.
pub struct Socks {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

/// What it makes of those who come.
#[derive(Clone, Copy)]
pub enum Terms {
    /// Everybody goes to this port.
    Forward(u16),
    /// Only with this name and password.
    Login(u16, &'static str, &'static str),
    /// Nobody gets through: "connection not allowed by ruleset".
    Refuse,
}

impl Socks {
    pub fn start(terms: Terms) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<String>>>::default());
        let told = Arc::clone(&asked);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let told = Arc::clone(&told);
                // A client that hangs up in the middle is none of the test's business.
                thread::spawn(move || drop(serve(client, terms, &told)));
            }
        });
        Self { address, asked }
    }

    /// Where it was asked to go, one for each connection: `HOST:PORT`, as it was told.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(mut client: TcpStream, terms: Terms, told: &Mutex<Vec<String>>) -> io::Result<()> {
    let take = |client: &mut TcpStream, count: usize| {
        let mut bytes = vec![0; count];
        client.read_exact(&mut bytes).map(|()| bytes)
    };
    let methods = take(&mut client, 2)?[1];
    let methods = take(&mut client, methods.into())?;
    let port = match terms {
        Terms::Forward(port) => Some(port),
        Terms::Login(port, ..) => Some(port),
        Terms::Refuse => None,
    };
    if let Terms::Login(_, name, password) = terms {
        if !methods.contains(&2) {
            return client.write_all(&[5, 0xff]);
        }
        client.write_all(&[5, 2])?;
        let length = take(&mut client, 2)?[1];
        let given = take(&mut client, length.into())?;
        let length = take(&mut client, 1)?[0];
        let fits = given == name.as_bytes() && take(&mut client, length.into())? == password.as_bytes();
        client.write_all(&[1, u8::from(!fits)])?;
        if !fits {
            return Ok(());
        }
    } else {
        client.write_all(&[5, 0])?;
    }
    let kind = take(&mut client, 4)?[3];
    let host = match kind {
        1 => <[u8; 4]>::try_from(take(&mut client, 4)?).map(|ip| Ipv4Addr::from(ip).to_string()).unwrap(),
        3 => {
            let length = take(&mut client, 1)?[0];
            String::from_utf8(take(&mut client, length.into())?).unwrap()
        }
        _ => format!("an address of 16 bytes {:?}", take(&mut client, 16)?),
    };
    let asked = take(&mut client, 2)?;
    told.lock().unwrap().push(format!("{host}:{}", u16::from_be_bytes([asked[0], asked[1]])));
    let Some(port) = port else { return client.write_all(&[5, 2, 0, 1, 0, 0, 0, 0, 0, 0]) };
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    let pump = |mut from: TcpStream, mut to: TcpStream| {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    };
    let (there, back) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || pump(there, back));
    pump(server, client);
    Ok(())
}
