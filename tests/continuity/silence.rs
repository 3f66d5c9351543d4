//! A path that is dead and does not say so.

use serde_json::{Value, json};

use crate::kit::{guest, lines, names, of_type, post, wait_for, wait_for_record};
use crate::proxy::{Proxy, Which};
use crate::support::pocketbase::Server;

both_versions_at_once!(what_is_swallowed_is_found_at_the_next_handover);

/// A proxy that acknowledges and forwards nothing, not even the end.
fn what_is_swallowed_is_found_at_the_next_handover(version: &str) {
    let server = Server::start(version);
    let proxy = Proxy::start(server.port());
    server.limit_connections(2_000, 2_000);
    let running = guest(&proxy.url()).watch(["posts/*", "jobs/finished"]);
    let before = post(&server, "before");
    let gone = post(&server, "gone");
    wait_for("live", 3, &running);
    // The limits are learnt. From now on connections last.
    server.limit_connections(0, 0);
    wait_for_record(&running, "create", "id", &gone);
    let gaps = of_type(&lines(&running.stdout()), "gap").len();

    assert!(proxy.swallow(Which::Streams) > 0);
    post(&server, "swallowed");
    server.update("posts", &before, &json!({"title": "swallowed, too"}));
    server.delete("posts", &gone);
    let told = wait_for("gap", gaps + 1, &running).pop().unwrap();
    assert_eq!(
        (names(&told["filled"]), names(&told["unfilled"])),
        (vec!["posts/*".to_owned()], vec!["jobs/finished".to_owned()])
    );
    assert_eq!((&told["replayed"], &told["deletes"]), (&json!(3), &json!("replayed")));
    for (action, title) in [("create", "swallowed"), ("update", "swallowed, too"), ("delete", "gone")] {
        assert_eq!(wait_for_record(&running, action, "title", title)["replayed"], true);
    }
    // It lives on.
    post(&server, "after");
    let after = wait_for_record(&running, "create", "title", "after");
    assert_eq!(after["replayed"], Value::Null);
    let output = running.stop().expect(130);
    assert_eq!(
        of_type(&lines(&output.stdout), "disconnected").len(),
        2,
        "those that taught the limits: {}",
        output.stdout
    );
}

/// What the kernel has been told about the program's sockets, read back from it.
#[cfg(target_os = "linux")]
#[test]
fn the_kernel_probes_a_path_that_is_silent() {
    use std::time::Duration;

    use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
    use socket2::{SockRef, Socket};

    use crate::support::fake::healthy_feed;

    let fake = healthy_feed().start();
    let running = guest(&fake.url()).watch(["jobs/finished", "--no-check"]);
    let pid = running.id();
    let process = pidfd_open(Pid::from_raw(pid.cast_signed()).unwrap(), PidfdFlags::empty()).unwrap();
    let peer = fake.address();
    let mut found = 0;
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
        let entry = entry.unwrap();
        let target = std::fs::read_link(entry.path()).unwrap_or_default();
        if !target.to_string_lossy().starts_with("socket:") {
            continue;
        }
        let number = entry.file_name().to_string_lossy().parse().unwrap();
        let socket = match pidfd_getfd(&process, number, PidfdGetfdFlags::empty()) {
            Ok(socket) => Socket::from(socket),
            Err(error) => {
                println!("not tested: this machine does not let one look at the sockets of a child: {error}");
                return;
            }
        };
        if socket.peer_addr().ok().and_then(|address| address.as_socket()) != Some(peer) {
            continue;
        }
        found += 1;
        let socket = SockRef::from(&socket);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(15));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(10));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
        // Linux ends the probing by this, and whatever is sent and not acknowledged.
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(30)));
    }
    assert!(found >= 1, "no socket to {peer}");
    running.stop().expect(130);
}
