//! A browser's own `WebSocket` and `EventSource` (headless Chromium), and `curl -N`.

use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::harness::{App, DOGS};

/// Tells by records what has arrived: both streams show the record and then its change, and the event
/// source has positions.
const PAGE: &str = r#"<script>
  const tell = (id, name) => fetch(`/Dog/${id}`, {
    method: 'PUT', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ name }),
  });
  const socket = new WebSocket(`ws://${location.host}/Dog/rex`);
  socket.onmessage = ({ data }) => {
    const { type, value } = JSON.parse(data);
    tell(`socket-${value.age}`, `${type} ${value.name}`);
    if (value.age === 2) socket.send('bye');
  };
  const events = new EventSource('/Dog/rex');
  events.onmessage = ({ data, lastEventId }) => {
    const { type, value } = JSON.parse(data);
    tell(`events-${value.age}`, `${type} ${value.name} ${lastEventId === '' ? 'nowhere' : 'somewhere'}`);
  };
</script>"#;

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_browsers_web_socket_and_event_source_work() {
    let app = App::new(&[DOGS[0], DOGS[1], ("web/index.html", PAGE)]);
    let server = app.run();
    server.put("/Dog/rex", r#"{"name":"Rex","age":1}"#).await.expect(204);
    let profile = app.data().with_file_name("profile");
    let started = Command::new("chromium")
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(["--remote-debugging-port=0", &server.url("/")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(browser) = started else {
        eprintln!("SKIPPED: chromium is not installed (apt-get install chromium)");
        return;
    };
    let _browser = Running(browser);
    let mut expected = vec![("/Dog/socket-1", "put Rex"), ("/Dog/events-1", "put Rex nowhere")];
    for (path, name) in expected.drain(..) {
        let told = server.until(path, |answer| answer.status == 200).await.json();
        assert_eq!(told["name"], name, "{path}");
    }
    server.put("/Dog/rex", r#"{"name":"Max","age":2}"#).await.expect(204);
    for (path, name) in [("/Dog/socket-2", "put Max"), ("/Dog/events-2", "put Max somewhere")] {
        let told = server.until(path, |answer| answer.status == 200).await.json();
        assert_eq!(told["name"], name, "{path}");
    }
}

#[tokio::test]
async fn curl_shows_events_as_they_come() {
    let app = App::new(DOGS);
    let server = app.run();
    server.put("/Dog/rex", r#"{"name":"Rex"}"#).await.expect(204);
    let started = Command::new("curl")
        .args(["-sN", "-H", "Accept: text/event-stream", &server.url("/Dog/")])
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut curl) = started else {
        eprintln!("SKIPPED: curl is not installed (apt-get install curl)");
        return;
    };
    let output = curl.stdout.take().unwrap();
    let _curl = Running(curl);
    let lines = tokio::task::spawn_blocking(move || {
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(output));
        let mut data = move || loop {
            let line = lines.next().expect("another line").unwrap();
            if let Some(data) = line.strip_prefix("data: ") {
                return serde_json::from_str::<serde_json::Value>(data).unwrap()["value"].clone();
            }
        };
        (data(), data())
    });
    // The first is there when it is asked for, so that the second is a change.
    let writing = async {
        loop {
            server.put("/Dog/max", r#"{"name":"Max"}"#).await.expect(204);
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    let (first, second) = tokio::select! {
        lines = lines => lines.unwrap(),
        () = writing => unreachable!("it goes on for ever"),
    };
    let both = [first["name"].clone(), second["name"].clone()];
    assert!(both.contains(&json!("Rex")) && both.contains(&json!("Max")), "{both:?}");
}
