//! Debian's mosquitto, to compare with: as it comes, with what it would throw away or hold back unbounded.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::http1::PATIENCE;

/// A running broker; killed when dropped.
pub(crate) struct Mosquitto {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Mosquitto {
    /// Starts it; `None` if it is not installed.
    pub(crate) fn start(scratch: &Path) -> Result<Option<Mosquitto>> {
        // Debian puts it where only root looks.
        let places = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"];
        let Some(program) = places.iter().find(|place| Path::new(place).exists()) else {
            return Ok(None);
        };
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = scratch.join("mosquitto.conf");
        std::fs::write(
            &config,
            format!(
                "listener {} 127.0.0.1\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\n\
                 max_inflight_messages 0\nmax_queued_messages 0\nlog_dest none\nuser root\n",
                address.port()
            ),
        )?;
        let child = Command::new(program)
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start mosquitto")?;
        let broker = Mosquitto { child, address };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            if Instant::now() > deadline {
                bail!("mosquitto does not listen");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Some(broker))
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
