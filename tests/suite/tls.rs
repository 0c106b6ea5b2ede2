//! HTTPS and MQTT over TLS, as clients that others wrote see them: curl and Debian's mosquitto clients,
//! against certificates that `openssl` makes here.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::harness::client::JSON;
use crate::harness::{ADMINISTRATOR, App, DEADLINE, DOGS, Server, kora};

/// Whether the programs are here that the tests need; what is missing is said.
fn has(programs: &[&str]) -> bool {
    let is_missing = |program: &&&str| {
        Command::new(program)
            .arg("--help")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_err()
    };
    match programs.iter().find(is_missing) {
        Some(program) => {
            eprintln!("SKIPPED: {program} is not installed");
            false
        }
        None => true,
    }
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let ran = Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
    assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// An authority, in `ca.pem` and `ca.key`.
fn authority(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let subject = ["-subj", "/CN=Authority", "-days", "2", "-keyout", "ca.key", "-out", "ca.pem"];
    let kind = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    openssl(folder, &[&kind[..], &subject[..]].concat());
}

/// A certificate of a common name, in `<name>.pem` and `<name>.key`.
fn certify(folder: &Path, name: &str, common_name: &str) {
    let (key, request, file) =
        (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
    let subject = format!("/CN={common_name}");
    let kind = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let wanted = ["-subj", &subject, "-keyout", &key, "-out", &request];
    openssl(folder, &[&kind[..], &wanted[..]].concat());
    std::fs::write(folder.join("ext"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").unwrap();
    let sign = ["x509", "-req", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
    let result = ["-days", "2", "-extfile", "ext", "-in", &request, "-out", &file];
    openssl(folder, &[&sign[..], &result[..]].concat());
}

/// A server with both secure ports, and where they are.
struct Secure {
    server: Server,
    https: u16,
    mqtts: u16,
    folder: PathBuf,
}

fn serve(app: &App, more: &[(&str, &str)], arguments: &[&str]) -> Secure {
    let folder = app.data().with_file_name("certificates");
    let mut command = kora();
    command.envs(more.iter().copied());
    let (certificate, key) = (folder.join("server.pem"), folder.join("server.key"));
    let all = [&["run", "--tls-port", "0", "--mqtt-tls-port", "0", "--tls-certificate"], arguments];
    command.args(all[0]).arg(certificate).arg("--tls-key").arg(key).args(all[1]);
    command.arg(app.directory()).args(["--port", "0", "--data"]).arg(app.data());
    let server = Server::spawn(command);
    let said = server.stdout.wait_for("successfully started");
    let port = |scheme: &str| {
        let (_, after) = said.split_once(scheme).unwrap_or_else(|| panic!("no {scheme} in {said}"));
        let digits = after.split_once(':').unwrap().1;
        digits.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
    };
    Secure { https: port("https://"), mqtts: port("mqtts://"), server, folder }
}

impl Secure {
    async fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new("timeout");
        command.arg("40").arg(program).args(arguments).current_dir(&self.folder);
        command.stdin(Stdio::null());
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
    }

    async fn curl(&self, arguments: &[&str], path: &str) -> (bool, String) {
        let url = format!("https://localhost:{}{path}", self.https);
        let usual = ["-sS", "--resolve", &format!("localhost:{}:127.0.0.1", self.https)];
        let ran = self.run("curl", &[&usual[..], arguments, &[&url]].concat()).await;
        (ran.status.success(), String::from_utf8_lossy(&ran.stdout).into_owned())
    }

    async fn publish(&self, arguments: &[&str], text: &str) -> bool {
        let port = self.mqtts.to_string();
        let usual = ["-h", "localhost", "-p", &port, "-q", "1", "-r", "-t", "Dog/m", "-m", text];
        let ran = self.run("mosquitto_pub", &[&usual[..], arguments].concat()).await;
        ran.status.success()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_and_mqtt_are_spoken_behind_tls() {
    if !has(&["openssl", "curl", "mosquitto_pub", "mosquitto_sub"]) {
        return;
    }
    let app = App::new(DOGS);
    let folder = app.data().with_file_name("certificates");
    authority(&folder);
    certify(&folder, "server", "localhost");
    let secure = serve(&app, &[], &[]);
    let ca = ["--cacert", "ca.pem"];
    for version in ["--http1.1", "--http2"] {
        let put = ["-X", "PUT", "-H", "Content-Type: application/json", "-d", r#"{"name":"Rex"}"#];
        let (ok, said) = secure.curl(&[&ca[..], &[version], &put[..]].concat(), "/Dog/rex").await;
        assert!(ok, "{version}: {said}");
        let (ok, said) = secure.curl(&[&ca[..], &[version]].concat(), "/Dog/rex").await;
        assert!(ok && said == r#"{"id":"rex","name":"Rex"}"#, "{version}: {said}");
    }
    let (ok, _) = secure.curl(&[], "/Dog/rex").await;
    assert!(!ok, "a client that does not know the authority goes away");
    for version in ["mqttv311", "mqttv5"] {
        let text = format!(r#"{{"name":"{version}"}}"#);
        assert!(secure.publish(&["--cafile", "ca.pem", "-V", version], &text).await);
        let port = secure.mqtts.to_string();
        let arguments = ["-h", "localhost", "-p", &port, "--cafile", "ca.pem", "-V", version];
        let more = ["-q", "1", "-t", "Dog/m", "-C", "1", "-W", "20"];
        let ran = secure.run("mosquitto_sub", &[&arguments[..], &more[..]].concat()).await;
        let said = String::from_utf8(ran.stdout).unwrap();
        assert_eq!(said, format!("{{\"id\":\"m\",\"name\":\"{version}\"}}\n"));
    }
    // Plain bytes on the secure port, and a client that says nothing, are nobody's trouble.
    let mut plain = std::net::TcpStream::connect(("127.0.0.1", secure.mqtts)).unwrap();
    std::io::Write::write_all(&mut plain, b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00").unwrap();
    let _silent = std::net::TcpStream::connect(("127.0.0.1", secure.https)).unwrap();
    assert!(secure.publish(&["--cafile", "ca.pem"], r#"{"name":"still"}"#).await);

    // A new authority, and a new certificate in the place of the old one.
    authority(&folder.join("new"));
    certify(&folder.join("new"), "server", "localhost");
    for file in ["server.key", "server.pem"] {
        std::fs::copy(folder.join("new").join(file), folder.join(file)).unwrap();
    }
    let deadline = std::time::Instant::now() + DEADLINE;
    while !secure.curl(&["--cacert", "new/ca.pem"], "/Dog/m").await.0 {
        assert!(std::time::Instant::now() < deadline, "the changed certificate is not used");
    }
    while !secure.publish(&["--cafile", "new/ca.pem"], r#"{"name":"new"}"#).await {
        assert!(std::time::Instant::now() < deadline, "the changed certificate is not used");
    }
    assert!(secure.server.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_of_clients_name_their_users() {
    if !has(&["openssl", "curl", "mosquitto_pub"]) {
        return;
    }
    let config = "rest: true\ngraphqlSchema: { files: schema.graphql }\nroles: { files: roles.yaml }\n\
                  jsResource: { files: resources.js }\n";
    let operate = "import { Resource, server } from 'harperdb';\nexport class Operate extends Resource \
                   {\n\tpost(data) { return server.operation(data, this.getContext(), false); }\n}\n";
    let roles = "writer:\n  data:\n    Dog: { read: true, insert: true, update: true }\n";
    let files =
        [("config.yaml", config), DOGS[1], ("roles.yaml", roles), ("resources.js", operate)];
    let app = App::new(&files);
    let folder = app.data().with_file_name("certificates");
    authority(&folder);
    certify(&folder, "server", "localhost");
    certify(&folder, "ann", "ann");
    certify(&folder, "nobody", "nobody");
    authority(&folder.join("other"));
    certify(&folder.join("other"), "ann", "ann");
    let ca = folder.join("ca.pem");
    let forced = json!({
        "mqtt": {"network": {"mtls": true}},
        "http": {"mtls": true},
        "tls": {"certificateAuthority": ca},
    });
    let secure =
        serve(&app, &[("HARPER_SET_CONFIG", &forced.to_string())], &["--authorize-local=false"]);
    let user =
        json!({"operation": "add_user", "username": "ann", "password": "p", "role": "writer"});
    let administrator = format!("{}:{}", ADMINISTRATOR.0, ADMINISTRATOR.1);
    let post = ["-u", &administrator, "-X", "POST", "-H", "Content-Type: application/json"];
    let body = user.to_string();
    let add = [&["--cacert", "ca.pem"], &post[..], &["-d", &body]].concat();
    let (ok, said) = secure.curl(&add, "/Operate").await;
    assert!(ok && said.contains("ann"), "{said}");

    let cafile = ["--cafile", "ca.pem"];
    let with = |name: &'static str, key: &'static str| {
        [&cafile[..], &["--cert", name, "--key", key]].concat()
    };
    assert!(secure.publish(&with("ann.pem", "ann.key"), r#"{"name":"by ann"}"#).await);
    assert!(!secure.publish(&with("nobody.pem", "nobody.key"), r#"{"name":"no"}"#).await);
    assert!(!secure.publish(&cafile, r#"{"name":"no"}"#).await, "without a certificate");
    assert!(!secure.publish(&with("other/ann.pem", "other/ann.key"), r#"{"name":"no"}"#).await);
    let by_name = [&cafile[..], &["-u", "ann", "-P", "p"]].concat();
    assert!(secure.publish(&by_name, r#"{"name":"by password"}"#).await);

    let certificate = ["--cacert", "ca.pem", "--cert", "ann.pem", "--key", "ann.key"];
    let (_, said) = secure.curl(&certificate, "/Dog/m").await;
    assert_eq!(said, r#"{"id":"m","name":"by password"}"#);
    let (_, said) = secure.curl(&["--cacert", "ca.pem"], "/Dog/m").await;
    assert!(said.contains("Must login"), "{said}");

    // Where a certificate is required, and whoever has one is the same user.
    assert!(secure.server.terminate().success());
    let forced = json!({
        "mqtt": {"network": {"mtls": {"required": true, "user": "ann", "certificateAuthority": ca}}},
    });
    let secure =
        serve(&app, &[("HARPER_SET_CONFIG", &forced.to_string())], &["--authorize-local=false"]);
    assert!(secure.publish(&with("nobody.pem", "nobody.key"), r#"{"name":"as ann"}"#).await);
    assert!(!secure.publish(&by_name, r#"{"name":"no certificate"}"#).await);
}

#[tokio::test]
async fn files_that_do_not_fit_are_named() {
    if !has(&["openssl"]) {
        return;
    }
    let app = App::new(DOGS);
    let folder = app.data().with_file_name("certificates");
    authority(&folder);
    certify(&folder, "server", "localhost");
    certify(&folder, "other", "localhost");
    std::fs::write(folder.join("empty.pem"), "").unwrap();
    for (certificate, key, expected) in [
        ("absent.pem", "server.key", "absent.pem"),
        ("empty.pem", "server.key", "empty.pem has no certificate"),
        ("server.pem", "other.key", "do not belong together"),
        ("server.pem", "server.pem", "server.pem"),
    ] {
        let mut command = kora();
        command.args(["run", "--port", "0", "--mqtt-port", "off", "--tls-port", "0"]);
        command.arg("--tls-certificate").arg(folder.join(certificate));
        command.arg("--tls-key").arg(folder.join(key));
        command.arg(app.directory()).arg("--data").arg(app.data());
        let ran = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&ran.stderr);
        assert!(!ran.status.success() && stderr.contains(expected), "{expected}: {stderr}");
    }
}

/// As Harper's own configuration has it: a secure port, and no certificate of one's own.
#[tokio::test]
async fn a_secure_port_without_a_certificate_is_left_out() {
    let app = App::new(DOGS);
    let mut command = kora();
    command.env("MQTT_NETWORK_SECUREPORT", "8883");
    let server = Server::start_command(command, 1, &["run"], &app.directory(), &app.data());
    server.send("GET", "/Dog/", &[JSON], "").await.expect(200);
    server.stderr.wait_for("the secure port 8883");
}
