//! Servers that are gone, silent, or not what they should be.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use cachine::{AsyncRedisCache, Clock, Error, ErrorKind, ReadThrough, RedisCache};

use crate::server::{Server, free_port};
use crate::{SECOND, on_both, runtime};

/// How long something takes.
fn took<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    let began = Clock::System.now();
    let result = act();
    (result, Duration::from_nanos(Clock::System.now() - began))
}

/// Does this with each connection that comes, for as long as the test lives.
fn listen(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let accept = move || {
        thread::scope(|scope| {
            for stream in listener.incoming().flatten() {
                scope.spawn(|| serve(stream));
            }
        });
    };
    thread::Builder::new().spawn(accept).unwrap();
    port
}

/// Takes everything and says nothing.
fn silent(mut stream: TcpStream) {
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
}

/// Greets as a Redis does, then answers each command with what `answer` writes.
fn greeting(stream: TcpStream, answer: impl Fn(&mut TcpStream)) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let count: usize = line[1..].trim().parse().unwrap();
        let words: Vec<String> = (0..count).map(|_| word(&mut reader)).collect();
        if words[0] == "PING" {
            let _ = stream.write_all(b"+PONG\r\n");
        } else {
            answer(&mut stream);
        }
    }
}

fn word(reader: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let length: usize = line[1..].trim().parse().unwrap();
    let mut bytes = vec![0; length + 2];
    reader.read_exact(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

fn kind<T>(result: Result<T, Error>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

const TIMEOUT: Duration = Duration::from_millis(300);

fn threads(port: u16) -> RedisCache {
    let builder = RedisCache::builder().host("127.0.0.1").port(port);
    builder.timeout(TIMEOUT).namespace("n").build().unwrap()
}

fn tasks(port: u16) -> AsyncRedisCache {
    let builder = AsyncRedisCache::builder().host("127.0.0.1").port(port);
    builder.timeout(TIMEOUT).namespace("n").build().unwrap()
}

#[test]
fn a_server_that_is_gone_breaks_no_computation() {
    let options = ReadThrough::new().ttl(SECOND).singleflight(true);
    let cache = threads(free_port());
    for number in 0..50 {
        let key = format!("k{number}");
        assert_eq!(cache.get_or_compute(&key, &options, || number).unwrap(), number);
    }
    let stats = cache.stats();
    assert_eq!((stats.misses, stats.errors, stats.sets), (50, 50, 0));
    assert_eq!(kind(cache.get::<u8>("k")), Some(ErrorKind::Connection));
    assert_eq!(kind(cache.set("k", &1)), Some(ErrorKind::Connection));
    let health = cache.ping().unwrap();
    assert!(!health.healthy && !cache.ping_ok());
    assert_eq!(health.error.unwrap().kind(), ErrorKind::Connection);
    runtime().block_on(async {
        let cache = tasks(free_port());
        for number in 0..50 {
            let key = format!("k{number}");
            let read = cache.get_or_compute(&key, &options, || async move { number });
            assert_eq!(read.await.unwrap(), number);
        }
        assert_eq!(cache.stats().errors, 50);
        assert_eq!(kind(cache.get::<u8>("k").await), Some(ErrorKind::Connection));
        assert!(!cache.ping().await.unwrap().healthy);
    });
}

#[test]
fn callers_of_one_key_share_a_computation_without_a_server_too() {
    let options = ReadThrough::new().singleflight(true);
    let cache = threads(free_port());
    let runs = std::sync::atomic::AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                let read = cache.get_or_compute("k", &options, || {
                    runs.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    while cache.stats().coalesced < 9 {
                        thread::yield_now();
                    }
                    7
                });
                assert_eq!(read.unwrap(), 7);
            });
        }
    });
    assert_eq!(runs.into_inner(), 1);
}

#[test]
fn a_silent_server_costs_a_computation_one_timeout_and_then_nothing() {
    let options = ReadThrough::new().ttl(SECOND).singleflight(true);
    let cache = threads(listen(silent));
    let (value, time) = took(|| cache.get_or_compute("a", &options, || 1).unwrap());
    assert!(value == 1 && time < 2 * TIMEOUT, "{time:?}");
    let (value, time) = took(|| cache.get_or_compute("b", &options, || 2).unwrap());
    assert!(value == 2 && time < TIMEOUT / 2, "it is known not to answer: {time:?}");
    let (direct, time) = took(|| kind(cache.get::<u8>("k")));
    assert!(direct == Some(ErrorKind::Timeout) && time < 2 * TIMEOUT, "{direct:?}, {time:?}");
    let tokio = runtime();
    let cache = tasks(listen(silent));
    let read = cache.get_or_compute("a", &options, || async { 1 });
    let (value, time) = took(|| tokio.block_on(read).unwrap());
    assert!(value == 1 && time < 2 * TIMEOUT, "{time:?}");
    let (direct, time) = took(|| kind(tokio.block_on(cache.get::<u8>("k"))));
    assert!(direct == Some(ErrorKind::Timeout) && time < 2 * TIMEOUT, "{direct:?}, {time:?}");
}

#[test]
fn a_reply_that_comes_too_late_is_never_taken_for_another() {
    // Each command of a connection is answered when the next one comes: one reply too late.
    let port = listen(|stream| {
        let count = std::cell::Cell::new(0);
        greeting(stream, |stream| {
            let before = count.replace(count.get() + 1);
            if before > 0 {
                let _ = stream.write_all(format!("$1\r\n{before}\r\n").as_bytes());
            }
        });
    });
    let tokio = runtime();
    let cache = tasks(port);
    for _ in 0..3 {
        let read = tokio.block_on(cache.get::<u8>("k"));
        assert_eq!(kind(read), Some(ErrorKind::Timeout));
    }
}

#[test]
fn one_call_that_waits_in_vain_ends_the_connection_and_the_next_call_has_a_new_one() {
    let accepted = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let port = listen({
        let accepted = std::sync::Arc::clone(&accepted);
        move |stream| match accepted.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => greeting(stream, |_| ()),
            _ => greeting(stream, |stream| stream.write_all(b"$1\r\n7\r\n").unwrap()),
        }
    });
    let tokio = runtime();
    let cache = tasks(port);
    assert_eq!(kind(tokio.block_on(cache.get::<u8>("k"))), Some(ErrorKind::Timeout));
    assert_eq!(tokio.block_on(cache.get::<u8>("k")).unwrap(), Some(7));
    assert_eq!(accepted.load(std::sync::atomic::Ordering::Relaxed), 2);
}

macro_rules! tests {
    () => {
        #[test]
        fn a_connection_that_was_killed_is_replaced_and_nothing_is_counted_twice() {
            let server = Server::start();
            enter!({
                let cache = builder(&server).namespace("n").build().unwrap();
                for count in 1..20 {
                    let _: i64 = server.say(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
                    let number = match wait!(cache.incr("k", 1, None)) {
                        Ok(number) => number,
                        // It was killed while this was on its way: nobody knows, and so it says.
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::Connection);
                            wait!(cache.get::<i64>("k")).unwrap().unwrap_or(0)
                        }
                    };
                    assert!(number <= count, "{number} of {count}");
                    let _: i64 = server.say(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
                    assert_eq!(wait!(cache.get::<i64>("k")).unwrap_or(Some(number)), Some(number));
                }
            });
        }

        #[test]
        fn a_refused_password_is_told_without_it() {
            let server = Server::with(&["--requirepass", "s3cret"]);
            enter!({
                let cache = builder(&server).password("wr0ng").build().unwrap();
                let error = wait!(cache.get::<u8>("k")).unwrap_err();
                let text = format!("{error} {error:?} {cache:?}");
                assert!(text.contains("WRONGPASS") && !text.contains("wr0ng"), "{text}");
                let cache = builder(&server).build().unwrap();
                let error = wait!(cache.get::<u8>("k")).unwrap_err();
                assert!(error.to_string().contains("password"), "{error}");
                let cache = builder(&server).password("s3cret").database(3).build().unwrap();
                wait!(cache.set("k", &1)).unwrap();
                assert_eq!(wait!(cache.get::<u8>("k")).unwrap(), Some(1));
                assert!(!format!("{cache:?}").contains("s3cret"));
            });
        }

        #[test]
        fn a_socket_in_the_file_system_is_as_good_as_a_port() {
            let folder =
                std::env::temp_dir().join(format!("cachine-{}", crate::server::free_port()));
            std::fs::create_dir(&folder).unwrap();
            let path = folder.join("redis.sock");
            let server = Server::with(&["--unixsocket", path.to_str().unwrap()]);
            enter!({
                let url = format!("unix://{}?db=2", path.display());
                let cache = builder(&server).url(&url).unwrap().build().unwrap();
                wait!(cache.set("k", &1)).unwrap();
                assert_eq!(wait!(cache.get::<u8>("k")).unwrap(), Some(1));
                assert!(server.keys().is_empty(), "it is in database 2");
            });
            drop(server);
            std::fs::remove_dir_all(&folder).unwrap();
        }
    };
}
on_both!(tests);
