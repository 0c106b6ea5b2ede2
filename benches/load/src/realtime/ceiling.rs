//! What the machine gives: the bytes of WebSocket messages written to sockets by a loop with no server behind it.
//! This program again, as a process of its own, so that the generator has as many cores as beside a server.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use memchr::memmem;

use crate::app;

/// Listens, takes `subscribers` connections, and writes `changes` messages to each of them: one write a message and
/// socket, in turns, the next message no sooner than `interval` after the one before.
pub(crate) fn serve(subscribers: usize, changes: usize, interval: Duration) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("successfully started on http://{}/", listener.local_addr()?);
    let mut sockets = Vec::with_capacity(subscribers);
    while sockets.len() < subscribers {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        sockets.push(answer(stream)?);
    }
    for change in 0..changes {
        let began = Instant::now();
        let frame = frame(change);
        for socket in &mut sockets {
            socket.write_all(&frame)?;
        }
        std::thread::sleep(interval.saturating_sub(began.elapsed()));
    }
    // Until the subscribers are done and the process is ended.
    std::thread::park();
    Ok(())
}

fn answer(mut stream: TcpStream) -> Result<TcpStream> {
    let mut request = Vec::new();
    let mut chunk = [0; 1024];
    while memmem::find(&request, b"\r\n\r\n").is_none() {
        let read = stream.read(&mut chunk)?;
        ensure!(read > 0, "a subscriber has gone");
        request.extend_from_slice(&chunk[..read]);
    }
    stream.write_all(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    )?;
    Ok(stream)
}

/// A message of the size that a change has as an event.
fn frame(change: usize) -> Vec<u8> {
    let (id, json) = app::tick(change);
    let time = "1761843000000.1";
    let event = format!(
        r#"{{"id":"{id}","localTime":{time},"value":{json},"version":{time},"type":"put"}}"#
    );
    let mut frame = vec![0x81, 126];
    frame.extend_from_slice(&(event.len() as u16).to_be_bytes());
    frame.extend_from_slice(event.as_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::realtime::transport::Transport;

    #[test]
    fn a_message_is_a_frame() {
        let bytes = frame(7);
        assert_eq!(Transport::WebSocket.split(&bytes).unwrap().end, bytes.len());
    }
}
