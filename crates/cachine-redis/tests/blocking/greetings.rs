//! What a server says to a new connection, and what the caller hears of it.

use std::io::Write;

use cachine_core::clock::Clock;
use cachine_redis::blocking::Blocking;
use cachine_redis::link::{Batch, Cause, Class, Fault, Sent};
use cachine_redis::settings::Settings;
use redis::Value;

use crate::calls::{call, get, incr, link_to, settings};
use crate::fake::{Fake, hold, take};
use crate::server::Server;

fn refused(settings: Settings, batch: &Batch) -> Fault {
    let fault = call(&Blocking::new(settings, Clock::System), batch).unwrap_err();
    assert_eq!((fault.cause, fault.sent), (Cause::Refused, Sent::No), "{}", fault.text);
    fault
}

#[test]
fn a_wrong_or_missing_password_is_refused_without_being_repeated() {
    let server = Server::start(&["--requirepass", "right-password"]);
    let with = |password: Option<&str>| Settings {
        password: password.map(str::to_owned),
        ..settings(server.port)
    };
    let fault = refused(with(Some("wrong-password")), &incr("hits"));
    assert!(fault.text.contains("WRONGPASS"), "{}", fault.text);
    assert!(!fault.text.contains("wrong-password"), "{}", fault.text);
    let fault = refused(with(None), &incr("hits"));
    assert!(fault.text.contains("NOAUTH"), "{}", fault.text);
    let link = Blocking::new(with(Some("right-password")), Clock::System);
    // Neither of the two refused calls has counted.
    assert_eq!(call(&link, &incr("hits")).unwrap().one(), Value::Int(1));
}

#[test]
fn a_user_of_the_server_is_let_in_by_name() {
    let server = Server::start(&["--user", "ada", "on", ">engine", "~*", "+@all"]);
    let with = |name: &str| Settings {
        username: Some(name.to_owned()),
        password: Some("engine".to_owned()),
        ..settings(server.port)
    };
    let who = Batch::one(Class::Idempotent, redis::cmd("ACL").arg("WHOAMI"));
    let reply = call(&Blocking::new(with("ada"), Clock::System), &who).unwrap().one();
    assert_eq!(reply, Value::BulkString(b"ada".to_vec()));
    refused(with("eve"), &who);
}

#[test]
fn a_renamed_command_does_not_betray_the_password() {
    let server = Server::start(&["--rename-command", "AUTH", "OPEN-SESAME"]);
    let password = Some("thirty-nine-thieves".to_owned());
    let fault = refused(Settings { password, ..settings(server.port) }, &get("key"));
    assert!(fault.text.contains("unknown command"), "{}", fault.text);
    assert!(!fault.text.contains("thieves"), "{}", fault.text);
}

#[test]
fn the_database_is_that_of_the_settings() {
    let server = Server::start(&[]);
    let with = |database| Settings { database, ..settings(server.port) };
    let link = |database| Blocking::new(with(database), Clock::System);
    let set = Batch::one(Class::Idempotent, redis::cmd("SET").arg("key").arg("three"));
    call(&link(3), &set).unwrap();
    assert_eq!(call(&link(0), &get("key")).unwrap().one(), Value::Nil);
    let three = call(&link(3), &get("key")).unwrap().one();
    assert_eq!(three, Value::BulkString(b"three".to_vec()));
    let fault = refused(with(99), &incr("hits"));
    assert!(fault.text.contains("DB index is out of range"), "{}", fault.text);
}

#[test]
fn a_server_that_is_loading_can_be_asked_again() {
    let server = Fake::counting(|number, mut stream| {
        if number == 0 {
            take(&mut stream, 1);
            let loading = "-LOADING Redis is loading the dataset in memory\r\n";
            stream.write_all(loading.as_bytes()).unwrap();
            hold(&mut stream);
        } else {
            crate::fake::reply_with(stream, |_| b":1\r\n".to_vec());
        }
    });
    let link = link_to(&server);
    let fault = call(&link, &incr("hits")).unwrap_err();
    assert_eq!((fault.cause, fault.sent), (Cause::Connection, Sent::No), "{}", fault.text);
    assert!(fault.text.contains("LOADING"), "{}", fault.text);
    assert_eq!(call(&link, &incr("hits")).unwrap().one(), Value::Int(1));
}

#[test]
fn a_full_server_can_be_asked_again() {
    let server = Server::start(&["--maxclients", "1"]);
    let first = server.link();
    call(&first, &get("key")).unwrap();
    let fault = call(&server.link(), &incr("hits")).unwrap_err();
    assert_eq!((fault.cause, fault.sent), (Cause::Connection, Sent::No), "{}", fault.text);
    assert_eq!(call(&first, &incr("hits")).unwrap().one(), Value::Int(1));
}

#[test]
fn a_proxy_that_refuses_and_closes_has_refused() {
    let server = Fake::serving(|mut stream| {
        take(&mut stream, 2);
        stream.write_all(b"-WRONGPASS invalid username-password pair\r\n").unwrap();
    });
    let password = Some("secret".to_owned());
    refused(Settings { password, ..settings(server.address.port()) }, &get("key"));
}
