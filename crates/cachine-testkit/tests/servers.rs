//! Servers start as they were asked to, and end whatever becomes of the test.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use std::{env, panic};

use cachine_testkit::{Certificates, Redis, Reply};

const LIMIT: Option<Duration> = Some(Duration::from_secs(20));

/// Returns when the server has closed the connection, by its end.
fn await_the_end(mut connection: impl std::io::Read) {
    match connection.read(&mut [0; 16]) {
        Ok(0) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        other => panic!("the server still lives: {other:?}"),
    }
}

fn connection(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(LIMIT).unwrap();
    stream
}

#[test]
fn two_servers_know_nothing_of_each_other() {
    let (one, other) = (Redis::start(), Redis::start());
    one.command(&["SET", "key", "value"]);
    assert_eq!(one.command(&["GET", "key"]).text(), "value");
    assert_eq!(other.command(&["GET", "key"]), Reply::Nil);
    assert_ne!(one.port(), other.port());
    assert!(one.port() != 6379 && other.port() != 6379);
}

#[test]
fn nothing_is_left_of_a_server_that_was_dropped() {
    let redis = Redis::start();
    let (port, socket) = (redis.port(), redis.socket());
    let connection = connection(&socket);
    drop(redis);
    await_the_end(connection);
    assert_eq!(
        TcpStream::connect(("127.0.0.1", port)).unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );
    assert!(!socket.parent().unwrap().exists());
}

#[test]
fn a_panic_ends_the_server_even_a_frozen_one() {
    for is_frozen in [false, true] {
        let redis = Redis::start();
        let connection = connection(&redis.socket());
        let work = panic::AssertUnwindSafe(move || {
            if is_frozen {
                redis.freeze();
            }
            panic!("of the test, {}", redis.id());
        });
        panic::catch_unwind(work).unwrap_err();
        await_the_end(connection);
    }
}

#[test]
fn a_server_does_not_outlive_a_process_that_is_killed() {
    let mut holder = Command::new(env!("CARGO_BIN_EXE_cachine-test-server"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let socket = PathBuf::from(line.trim_end().split_once(' ').unwrap().1);
    let connection = connection(&socket);
    holder.kill().unwrap();
    holder.wait().unwrap();
    await_the_end(connection);
    let folder = socket.parent().unwrap();
    // The leash removes it next.
    let is_gone = (0..10_000_000).any(|_| {
        std::thread::yield_now();
        !folder.exists()
    });
    assert!(is_gone, "{} is left", folder.display());
}

#[test]
fn a_frozen_server_answers_when_it_is_thawed() {
    let redis = Redis::start();
    let mut connection = TcpStream::connect(("127.0.0.1", redis.port())).unwrap();
    for _ in 0..3 {
        redis.freeze();
        connection.write_all(b"PING\r\n").unwrap();
        connection.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let silence = connection.read(&mut [0; 7]).unwrap_err().kind();
        assert!(matches!(silence, ErrorKind::WouldBlock | ErrorKind::TimedOut));
        redis.thaw();
        connection.set_read_timeout(LIMIT).unwrap();
        let mut answer = [0; 7];
        connection.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"+PONG\r\n");
    }
}

#[test]
fn a_killed_server_comes_back_on_its_port_and_empty() {
    let mut redis = Redis::start();
    let (port, id) = (redis.port(), redis.id());
    redis.command(&["SET", "key", "value"]);
    redis.kill();
    TcpStream::connect(("127.0.0.1", port)).unwrap_err();
    redis.restart();
    assert_eq!(redis.port(), port);
    assert_ne!(redis.id(), id);
    TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert_eq!(redis.command(&["DBSIZE"]).int(), 0);
}

#[test]
fn time_passes_for_keys_and_for_the_scores_of_an_index() {
    let redis = Redis::start();
    redis.command(&["SET", "short", "value", "EX", "10"]);
    redis.command(&["SET", "long", "value", "EX", "100"]);
    redis.command(&["SET", "for ever", "value"]);
    redis.command(&["ZADD", "ns:~cachine~i:tag", "1000000", "one", "+inf", "other"]);
    redis.command(&["ZADD", "ns:scores", "1000000", "one"]);
    redis.age(Duration::from_secs(20));
    assert_eq!(redis.command(&["EXISTS", "short"]).int(), 0);
    assert!((79_000..=80_000).contains(&redis.command(&["PTTL", "long"]).int()));
    assert_eq!(redis.command(&["PTTL", "for ever"]).int(), -1);
    let score = |key, member| redis.command(&["ZSCORE", key, member]).text();
    assert_eq!(score("ns:~cachine~i:tag", "one"), "980000");
    assert_eq!(score("ns:~cachine~i:tag", "other"), "inf");
    assert_eq!(score("ns:scores", "one"), "1000000");
}

#[test]
fn a_password_and_users_are_asked_for() {
    let redis = Redis::setup()
        .with_password("first secret")
        .with_user("app on >second ~app:* -@all +get +set +ping")
        .start();
    let mut stranger = TcpStream::connect(("127.0.0.1", redis.port())).unwrap();
    stranger.set_read_timeout(LIMIT).unwrap();
    let mut answers = BufReader::new(stranger.try_clone().unwrap()).lines();
    let mut ask = |line: &str| {
        stranger.write_all(format!("{line}\r\n").as_bytes()).unwrap();
        answers.next().unwrap().unwrap()
    };
    assert!(ask("GET app:key").starts_with("-NOAUTH"));
    assert_eq!(ask("AUTH app second"), "+OK");
    assert_eq!(ask("SET app:key value"), "+OK");
    assert!(ask("SET other:key value").starts_with("-NOPERM"));
    assert_eq!(redis.command(&["GET", "app:key"]).text(), "value");
    assert!(redis.url().starts_with("redis://:first secret@127.0.0.1:"));
}

#[test]
fn a_server_on_a_unix_socket_has_no_port() {
    let redis = Redis::setup().on_unix_socket().start();
    assert_eq!(redis.command(&["CONFIG", "GET", "port"]).list()[1].text(), "0");
    assert!(redis.url().starts_with("unix:///"));
    panic::catch_unwind(panic::AssertUnwindSafe(|| redis.port())).unwrap_err();
}

#[expect(clippy::disallowed_methods, reason = "the suite hands the program over in this way")]
fn openssl() -> OsString {
    env::var_os("CACHINE_OPENSSL").unwrap_or_else(|| "openssl".into())
}

/// A handshake by another implementation.
fn handshake(redis: &Redis, words: &[&str]) -> Output {
    let address = format!("127.0.0.1:{}", redis.port());
    let mut client = Command::new(openssl());
    client.args(["s_client", "-connect", &address, "-verify_return_error", "-quiet"]);
    client.args(["-verify_hostname", "localhost"]).args(words);
    client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut client = client.spawn().unwrap();
    // `QUIT` is answered, and then the server closes.
    let sent = client.stdin.as_mut().unwrap().write_all(b"PING\r\nQUIT\r\n");
    let output = client.wait_with_output().unwrap();
    assert!(sent.is_ok() || !output.status.success());
    output
}

#[test]
fn tls_is_trusted_with_the_authority_of_the_server_and_with_no_other() {
    let redis = Redis::setup().with_tls().start();
    let own = redis.certificates().authority.display().to_string();
    let answered = handshake(&redis, &["-CAfile", &own]);
    assert!(answered.stdout.starts_with(b"+PONG"), "{answered:?}");
    let folder = redis.socket().with_file_name("other");
    let other = Certificates::make(&folder).authority.display().to_string();
    assert!(!handshake(&redis, &["-CAfile", &other]).stdout.starts_with(b"+PONG"));
    assert_eq!(redis.command(&["PING"]).text(), "PONG", "in the clear beside the port");
}

#[test]
fn a_certificate_of_the_client_can_be_required() {
    let redis = Redis::setup().with_client_certificates().start();
    let certificates = redis.certificates();
    let [authority, certificate, key] =
        [&certificates.authority, &certificates.client.certificate, &certificates.client.key]
            .map(|path| path.display().to_string());
    let words = ["-CAfile", &authority, "-cert", &certificate, "-key", &key];
    assert!(handshake(&redis, &words).stdout.starts_with(b"+PONG"));
    assert!(!handshake(&redis, &words[..2]).stdout.starts_with(b"+PONG"));
}
