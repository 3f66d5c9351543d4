//! A terminal without a screen: everything that is written to it, byte for byte.
#![allow(dead_code, reason = "it is part of more than one test binary")]

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::process::{Child, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, OutputModes, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

use super::cli::{PATIENCE, Program, secrets};

/// A program with a terminal for its stdin, stdout and stderr. Killed when dropped.
pub struct Pty {
    child: Child,
    _config: Option<Arc<tempfile::TempDir>>,
    keyboard: File,
    screen: Arc<Screen>,
}

/// What was written, and whether that is all.
type Screen = (Mutex<(Vec<u8>, bool)>, Condvar);

impl Pty {
    /// Starts the command in a terminal that is so wide.
    pub fn start(command: Program, width: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("a terminal of ours");
        let name = ptsname(&master, Vec::new()).expect("its name");
        let slave = OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).expect("its other end");
        tcsetwinsize(&slave, Winsize { ws_row: 40, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 }).expect("a width");
        // What is read is what was written.
        let mut modes = tcgetattr(&slave).expect("its modes");
        modes.output_modes.remove(OutputModes::OPOST);
        tcsetattr(&slave, OptionalActions::Now, &modes).expect("its modes");
        let (child, config) = command.spawn_in(|| Stdio::from(slave.try_clone().expect("another of it")));
        // The last one here: the terminal ends with the program.
        drop(slave);
        let keyboard = File::from(master);
        let screen = Arc::<Screen>::default();
        std::thread::spawn({
            let (screen, mut master) = (Arc::clone(&screen), keyboard.try_clone().expect("another of it"));
            move || {
                let mut bytes = [0; 64 * 1024];
                // A terminal without another end is an I/O error.
                while let Ok(read @ 1..) = master.read(&mut bytes) {
                    screen.0.lock().unwrap().0.extend_from_slice(&bytes[..read]);
                    screen.1.notify_all();
                }
                screen.0.lock().unwrap().1 = true;
                screen.1.notify_all();
            }
        });
        Self { child, _config: config, keyboard, screen }
    }

    /// Types this.
    pub fn type_keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("it reads");
    }

    /// Waits until so many of these have been written, and returns everything up to then.
    #[track_caller]
    pub fn wait_for(&self, count: usize, text: &str) -> String {
        let end = Instant::now() + PATIENCE;
        let mut screen = self.screen.0.lock().unwrap();
        loop {
            let written = String::from_utf8_lossy(&screen.0).into_owned();
            secrets::refuse("the terminal", &written);
            if written.matches(text).count() >= count {
                return written;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero() && !screen.1, "{count} × {text:?} did not come:\n{written:?}");
            screen = self.screen.1.wait_timeout(screen, left.min(Duration::from_millis(100))).unwrap().0;
        }
    }

    /// Waits for the end, and returns the code and everything that was written.
    #[track_caller]
    pub fn finish(mut self) -> (i32, String) {
        let end = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            assert!(
                Instant::now() < end,
                "it does not end: {:?}",
                String::from_utf8_lossy(&self.screen.0.lock().unwrap().0)
            );
            std::thread::sleep(Duration::from_millis(2));
        };
        let mut screen = self.screen.0.lock().unwrap();
        while !screen.1 {
            screen = self.screen.1.wait(screen).unwrap();
        }
        let written = String::from_utf8_lossy(&screen.0).into_owned();
        secrets::refuse("the terminal", &written);
        (status.code().unwrap_or(-1), written)
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            secrets::refuse("the terminal", &String::from_utf8_lossy(&self.screen.0.lock().unwrap().0));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
