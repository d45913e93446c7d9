//! Locks that end before their holders are done: by the server's word, and by the clock alone.

use std::time::Duration;

use cachine::{Clock, Error, ErrorKind, LockOptions};

use super::until;
use crate::server::Server;
use crate::{SECOND, elsewhere, on_both};

/// How long a call may take in these tests; a frozen server makes it take so long.
const TIMEOUT: Duration = Duration::from_millis(200);
/// Long enough for a lock not to be lost because a machine has much to do.
const TTL: Duration = Duration::from_secs(6);

fn since(began: u64) -> Duration {
    Duration::from_nanos(Clock::System.now() - began)
}

fn is_told(error: &Error, why: &str) {
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, "lock"));
    assert!(!error.is_retryable());
    let text = error.to_string();
    assert!(text.contains("'a' was lost") && text.contains(why), "{text}");
}

macro_rules! tests {
    () => {
        #[test]
        fn a_holder_whose_lock_was_taken_away_is_told_by_the_renewal() {
            let server = Server::start();
            enter!({
                let cache = builder(&server).namespace("n").build().unwrap();
                let lock = wait!(cache.lock_with("a", LockOptions::new().ttl(TTL))).unwrap();
                assert!(!lock.is_lost());
                let _: () = server.say(&["DEL", &server.locks()[0]]);
                let next = elsewhere(&server).lock("a").unwrap();
                let began = Clock::System.now();
                until(|| lock.is_lost());
                assert!(since(began) < TTL, "not by the clock");
                is_told(&wait!(lock.release()).unwrap_err(), "the server had it no more");
                next.release().expect("it is the next one's, untouched");
            });
        }

        #[test]
        fn a_release_says_that_the_lock_was_lost_though_nobody_had_heard_of_it() {
            let server = Server::start();
            enter!({
                let cache = builder(&server).namespace("n").build().unwrap();
                let lock = wait!(cache.lock("a")).unwrap();
                let _: () = server.say(&["DEL", &server.locks()[0]]);
                assert!(!lock.is_lost());
                is_told(&wait!(lock.release()).unwrap_err(), "the server had it no more");
                let lock = wait!(cache.lock("a")).unwrap();
                let _: () = server.say(&["DEL", &server.locks()[0]]);
                drop(lock); // Without a word.
                wait!(wait!(cache.lock("a")).unwrap().release()).unwrap();
            });
        }

        #[test]
        fn what_a_try_took_whose_answer_was_lost_is_given_back_by_the_next() {
            let server = Server::start();
            enter!({
                let cache = builder(&server).timeout(TIMEOUT).namespace("n").build().unwrap();
                wait!(wait!(cache.lock("a")).unwrap().release()).unwrap();
                server.freeze();
                let error = wait!(cache.lock("a")).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Timeout);
                server.thaw();
                until(|| !server.locks().is_empty()); // It carries out what it had heard.
                let once = LockOptions::new().timeout(Duration::ZERO);
                wait!(wait!(cache.lock_with("a", once)).unwrap().release()).unwrap();
                assert!(server.locks().is_empty());
            });
        }

        #[test]
        fn a_lock_is_lost_by_the_clock_alone_when_the_server_is_silent() {
            let server = Server::start();
            let ttl = Duration::from_millis(600);
            enter!({
                let cache = builder(&server).timeout(TIMEOUT).namespace("n").build().unwrap();
                let other = elsewhere(&server);
                let lock = wait!(cache.lock_with("a", LockOptions::new().ttl(ttl))).unwrap();
                server.freeze();
                let began = Clock::System.now();
                until(|| lock.is_lost());
                let took = since(began);
                assert!(took <= ttl + SECOND, "{took:?}");
                server.thaw();
                // It is the next one's as soon as the server goes on; lost stays lost.
                let next = other.lock("a").unwrap();
                assert!(lock.is_lost() && next.token() > lock.token());
                is_told(&wait!(lock.release()).unwrap_err(), "could not be renewed for 0.6 s");
                next.release().unwrap();
            });
        }

        #[test]
        fn a_release_that_a_silent_server_does_not_hear_is_soon_over_and_no_error() {
            let server = Server::start();
            enter!({
                let cache = builder(&server).timeout(TIMEOUT).namespace("n").build().unwrap();
                let lock = wait!(cache.lock("a")).unwrap();
                server.freeze();
                let began = Clock::System.now();
                wait!(lock.release()).expect("it was held to the end");
                let took = since(began);
                assert!(took <= TIMEOUT + SECOND, "{took:?}");
                assert_eq!(cache.stats().errors, 1);
                // The line in this process is free: the server is asked.
                let error = wait!(cache.lock("a")).unwrap_err();
                assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, "lock"));
                server.thaw();
            });
        }

        #[test]
        fn a_lock_outlives_a_server_that_is_away_for_less_than_its_ttl() {
            let server = Server::start();
            enter!({
                let cache = builder(&server).timeout(TIMEOUT).namespace("n").build().unwrap();
                let lock = wait!(cache.lock_with("a", LockOptions::new().ttl(TTL))).unwrap();
                let calls = server.calls("pexpire");
                server.freeze();
                until(|| cache.stats().errors > 0); // A renewal has failed.
                server.thaw();
                until(|| server.calls("pexpire") > calls); // The next one has not.
                wait!(lock.release()).unwrap();
            });
        }
    };
}

on_both!(tests);
