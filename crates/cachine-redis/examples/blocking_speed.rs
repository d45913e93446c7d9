//! The blocking link beside `redis::Connection`: the same GET of 100 bytes, in alternating rounds.
//!
//! `cargo run --release -p cachine-redis --example blocking_speed -- HOST:PORT` with a server that
//! may be written to. The two should not differ by more than a tenth.

use std::hint::black_box;

use cachine_core::clock::{Clock, Instant};
use cachine_redis::blocking::Blocking;
use cachine_redis::link::{Batch, Class, Link, Node, finish};
use cachine_redis::settings::{Address, Settings};

const ROUNDS: usize = 31;
const CALLS: usize = 3_000;
const SECOND: Instant = 1_000_000_000;

fn main() {
    let address = std::env::args().nth(1).expect("where a server listens, as HOST:PORT");
    let (host, port) = address.rsplit_once(':').expect("HOST:PORT");
    let address_of_link = Address::Tcp(host.to_owned(), port.parse().expect("a port"));
    let settings = Settings { address: address_of_link, ..Settings::default() };
    let link = Blocking::new(settings, Clock::System);
    let nodelay = redis::io::tcp::TcpSettings::default().set_nodelay(true);
    let info = redis::IntoConnectionInfo::into_connection_info(format!("redis://{address}"));
    let info = info.expect("an address").set_tcp_settings(nodelay);
    let client = redis::Client::open(info).expect("an address");
    let mut peer = client.get_connection().expect("a server");

    let value = "v".repeat(100);
    let set = redis::cmd("SET").arg("cachine:speed").arg(value).clone();
    set.exec(&mut peer).expect("a server that may be written to");
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for _ in 0..ROUNDS {
        ours.push(round(|| {
            let batch = Batch::one(Class::Idempotent, redis::cmd("GET").arg("cachine:speed"));
            let until = link.now() + SECOND;
            black_box(finish(link.call(Node(0), &batch, until)).unwrap().unwrap());
        }));
        theirs.push(round(|| {
            let value: redis::Value =
                redis::cmd("GET").arg("cachine:speed").query(&mut peer).unwrap();
            black_box(value);
        }));
    }
    let mut ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(our, their)| our / their).collect();
    let (our, their) = (median(&mut ours), median(&mut theirs));
    println!("the link {our:.2} us, redis::Connection {their:.2} us a call, medians of rounds");
    println!("ratio {:.3} (median of the ratios of {ROUNDS} rounds)", median(&mut ratios));
}

/// Microseconds of a call.
fn round(mut call: impl FnMut()) -> f64 {
    let clock = Clock::System;
    let begin = clock.now();
    (0..CALLS).for_each(|_| call());
    let nanoseconds =
        u32::try_from(clock.now() - begin).expect("a round of less than four seconds");
    f64::from(nanoseconds) / 1000.0 / f64::from(u32::try_from(CALLS).unwrap())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
