//! The servers under test, as child processes: started on a free port, killed when dropped.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::http1::{self, Exchange, PATIENCE};

pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Where it speaks MQTT over TCP, if it does.
    pub(crate) mqtt: Option<SocketAddr>,
}

impl Server {
    /// Starts a program and waits for the line that holds `successfully started` and a URL.
    fn start(mut command: Command) -> Result<Server> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .with_context(|| format!("start {:?}", command.get_program()))?;
        let stdout = child.stdout.take().context("the child's stdout")?;
        let (found, started) = mpsc::channel();
        // Reads on for as long as the child lives, so that it never blocks on a full pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if line.contains("successfully started")
                    && let Some(address) = address_in(&line, "http://")
                {
                    let _ = found.send((address, address_in(&line, "mqtt://")));
                }
            }
        });
        match started.recv_timeout(PATIENCE) {
            Ok((address, mqtt)) => Ok(Server { child, address, mqtt }),
            Err(_) => {
                let _ = child.kill();
                bail!("{:?} did not say `successfully started`", command.get_program())
            }
        }
    }

    pub(crate) fn kora(binary: &Path, app: &Path, data: &Path, threads: usize) -> Result<Server> {
        Server::kora_with(binary, app, data, threads, &[])
    }

    /// With `more` arguments.
    pub(crate) fn kora_with(
        binary: &Path,
        app: &Path,
        data: &Path,
        threads: usize,
        more: &[&str],
    ) -> Result<Server> {
        let mut command = Command::new(binary);
        command.arg("run").arg(app).args(["--port", "0", "--mqtt-port", "0"]);
        command.args(["--threads", &threads.to_string()]);
        command.arg("--data").arg(data).args(more);
        Server::start(command)
    }

    pub(crate) fn bare(recorded: &Path, threads: usize) -> Result<Server> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("bare").arg(recorded).args(["--threads", &threads.to_string()]);
        Server::start(command)
    }

    pub(crate) fn ceiling(
        subscribers: usize,
        changes: usize,
        interval: Duration,
    ) -> Result<Server> {
        let mut command = Command::new(std::env::current_exe()?);
        let microseconds = interval.as_micros();
        command.arg("ceiling").args([
            subscribers.to_string(),
            changes.to_string(),
            microseconds.to_string(),
        ]);
        Server::start(command)
    }

    /// What it has had of the processors until now.
    pub(crate) fn processor_time(&self) -> Result<Duration> {
        /// The kernel's unit for such times, on all architectures that Linux has today.
        const TICKS_A_SECOND: f64 = 100.0;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name of the program, in parentheses, may hold spaces.
        let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat")?;
        let mut fields = fields.split_ascii_whitespace().skip(11);
        let mut next = || anyhow::Ok(fields.next().context("utime, stime")?.parse::<f64>()?);
        Ok(Duration::from_secs_f64((next()? + next()?) / TICKS_A_SECOND))
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        self.memory("VmRSS:")
    }

    /// The same without the pages of mapped files, which the system takes back when it likes.
    pub(crate) fn anonymous(&self) -> Result<u64> {
        self.memory("RssAnon:")
    }

    fn memory(&self, name: &'static str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with(name)).context(name)?;
        let kib: u64 = line.split_ascii_whitespace().nth(1).context(name)?.parse()?;
        Ok(kib * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have died already; the figures are taken either way.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address_in(line: &str, scheme: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once(scheme)?;
    let authority = rest.split(['/', ' ', ',', ')', '\u{1b}']).next()?;
    authority.replace("localhost", "127.0.0.1").parse().ok()
}

/// From the start of the process to the first answered request.
pub(crate) fn start_to_first_answer(binary: &Path, app: &Path, threads: usize) -> Result<Duration> {
    let data = tempfile::tempdir()?;
    // The port is chosen here and not read from the server's output, which would hide the time before that line.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let started = Instant::now();
    let child = Command::new(binary)
        .arg("run")
        .arg(app)
        .args(["--port", &address.port().to_string(), "--threads", &threads.to_string()])
        .args(["--mqtt-port", "off"])
        .arg("--data")
        .arg(data.path())
        .stdout(Stdio::null())
        .spawn()?;
    let _server = Server { child, address, mqtt: None };
    let request = http1::get("/Greeting");
    while started.elapsed() < PATIENCE {
        if let Ok(mut exchange) = Exchange::connect(address) {
            let (response, _) = exchange.send(&request)?;
            if response.is_success() {
                return Ok(started.elapsed());
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    bail!("the starter did not answer within {PATIENCE:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_the_line_that_the_server_prints() {
        let expected = Some("127.0.0.1:9926".parse().unwrap());
        let http = |line| address_in(line, "http://");
        assert_eq!(http("kora successfully started: http://127.0.0.1:9926/"), expected);
        assert_eq!(http("successfully started at http://localhost:9926, ws://x"), expected);
        assert_eq!(http("successfully started"), None);
        let line = "on http://127.0.0.1:1/ (ws://127.0.0.1:1/, mqtt://127.0.0.1:9926)";
        assert_eq!(address_in(line, "mqtt://"), expected);
    }
}
