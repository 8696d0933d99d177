//! Several instances over one Redis: behind nginx with `ip_hash`, as documented, and with clients that move from one to the other. The shipped
//! configuration, the official client, polling and WebSocket.

use std::{
    fs,
    io::Read as _,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::support::{Served, ends_with, fixtures, have, have_node, pause, token};

const NGINX: &str = "/usr/sbin/nginx";
const REDIS: &str = "/usr/bin/redis-server";
/// A busy machine is slow; a dead one is slower.
const START_MAX: Duration = Duration::from_secs(60);
/// `ip_hash` looks at three octets: people from these networks meet different instances.
const NETWORKS: std::ops::RangeInclusive<u8> = 1..=9;

/// A child that is ended when dropped, and its folder with it.
struct Running {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a program that listens on a free port, and waits until it does.
fn start(program: &str, args: impl Fn(&Path, u16) -> Vec<String>) -> Running {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
    let mut command = Command::new(program);
    command.args(args(folder.path(), port)).current_dir(folder.path());
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut running = Running { child, port, _folder: folder };
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(running.child.try_wait().expect("a child").is_none(), "{program} ended at once");
        assert!(started.elapsed() < START_MAX, "{program} does not listen");
        pause();
    }
    running
}

fn redis() -> Running {
    start(REDIS, |_, port| {
        ["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""].map(str::to_owned).to_vec()
    })
}

/// nginx with the shipped site: only the names of the instances and the port are those of this test.
fn nginx(instances: &[Served]) -> Running {
    let shipped = fs::read_to_string(fixtures().join("deploy/nginx/rooms.conf")).expect("it is shipped");
    let instances: Vec<String> = instances.iter().map(|one| format!("127.0.0.1:{}", one.port(None))).collect();
    start(NGINX, |folder, port| {
        let mut site = shipped.replace("listen 80;", &format!("listen 127.0.0.1:{port};"));
        for (index, address) in instances.iter().enumerate() {
            let name = format!("chat-service-{}:5004", index + 1);
            assert!(site.contains(&name), "the shipped configuration names {name}");
            site = site.replace(&name, address);
        }
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let paths: String = temporary.map(|kind| format!("{kind}_temp_path {};", folder.join(kind).display())).concat();
        let file: PathBuf = folder.join("nginx.conf");
        let user = if folder.metadata().is_ok_and(|folder| std::os::unix::fs::MetadataExt::uid(&folder) == 0) {
            "user root;" // its folder is its owner's alone
        } else {
            ""
        };
        let main = format!(
            "{user} daemon off; worker_processes 1; pid {0}/pid; error_log {0}/errors; events {{}} http {{ access_log off; {paths} {site} }}",
            folder.display()
        );
        fs::write(&file, main).expect("a scratch file");
        let (file, prefix) = (file.display().to_string(), folder.display().to_string());
        ["-p", &prefix, "-e", &format!("{prefix}/errors"), "-c", &file].map(str::to_owned).to_vec()
    })
}

/// Two networks whose people meet different instances: found by asking, because the hash is nginx's own.
fn two_networks(balancer: &Running, instances: &[Served]) -> [String; 2] {
    let folder = fixtures().join("clients/js");
    let mut first: Option<(String, usize)> = None;
    for network in NETWORKS {
        let from = format!("127.0.{network}.1");
        let script = "import { Agent } from 'node:http'; import { io } from 'socket.io-client'; const [url, token, localAddress] = process.argv.slice(1); \
                      const socket = io(url, { transports: ['websocket'], auth: { token }, agent: new Agent({ localAddress }) }); \
                      socket.on('connect', () => console.log('connected')); process.stdin.resume().on('end', () => process.exit(0));";
        let mut client = Command::new("node")
            .args(["--input-type=module", "-e", script])
            .args([&format!("http://127.0.0.1:{}", balancer.port), &token("scout"), &from])
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs");
        let mut said = [0; 9];
        client.stdout.take().expect("piped").read_exact(&mut said).expect("it connects");
        let met = instances.iter().position(|instance| instance.connections() > 0).expect("it met one");
        drop(client.stdin.take());
        client.wait().expect("it ends");
        let started = Instant::now();
        while instances[met].connections() > 0 {
            assert!(started.elapsed() < START_MAX, "a client that went is gone");
            pause();
        }
        match &first {
            None => first = Some((from, met)),
            Some((other, there)) if *there != met => return [other.clone(), from],
            Some(_) => {}
        }
    }
    panic!("people of {NETWORKS:?} all meet the same instance");
}

#[test]
fn people_on_different_instances_behind_nginx_talk_over_every_transport() {
    let folder = fixtures().join("clients/js");
    let found = have("nginx", Path::new(NGINX).exists()) && have("redis-server", Path::new(REDIS).exists());
    if !found || !have_node(&folder) {
        return;
    }
    let redis = redis();
    let port = redis.port.to_string();
    let shared = [("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", port.as_str())];
    let instances: Vec<Served> = (0..3).map(|_| Served::with("rooms", &["--port-base", "0"], &shared)).collect();
    let balancer = nginx(&instances);
    let [alice, bob] = two_networks(&balancer, &instances);
    for transport in ["websocket", "polling", "upgrade"] {
        let output = Command::new("node")
            .arg(folder.join("rooms.js"))
            .args(["--url", &format!("http://127.0.0.1:{}", balancer.port), "--transport", transport])
            .args(["--timeout", "20000", "--from", &alice, "--from", &bob])
            .args(["--token", &token("alice"), "--token", &token("bob")])
            .output()
            .expect("node runs");
        ends_with(&output, 0);
    }
}

/// Two instances with connection state recovery over one Redis, and the official client that loses one of them, over each transport.
#[track_caller]
fn is_recovered_elsewhere(transports: &[&str], is_stopped: bool) {
    let folder = fixtures().join("clients/js");
    if !have("redis-server", Path::new(REDIS).exists()) || !have_node(&folder) {
        return;
    }
    let redis = redis();
    let port = redis.port.to_string();
    let shared = [("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", port.as_str())];
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let config = scratch.path().join("rooms.toml");
    fs::write(&config, "[clocks]\nrecovery = \"30s\"\n").expect("a scratch file");
    let arguments = ["--port-base", "0", "--config", config.to_str().expect("UTF-8")];
    let there = Served::with("rooms", &arguments, &shared);
    for transport in transports {
        let here = Served::with("rooms", &arguments, &shared);
        let mut driver = Command::new("node");
        driver.arg(folder.join("recovery.js")).args(["--url", &here.url, "--other", &there.url]);
        driver.args(["--transport", transport, "--timeout", "20000", "--rounds", "2"]);
        driver.args(["--alice", &token("alice"), "--bob", &token("bob")]);
        if is_stopped {
            driver.args(["--stop", &here.process().to_string()]);
        }
        ends_with(&driver.output().expect("node runs"), 0);
    }
}

#[test]
fn the_javascript_client_that_moves_between_two_instances_is_recovered() {
    is_recovered_elsewhere(&["websocket", "polling", "upgrade"], false);
}

#[test]
fn the_javascript_client_whose_instance_stops_is_recovered_by_another() {
    is_recovered_elsewhere(&["websocket", "polling", "upgrade"], true);
}
