//! Starts a server, says where it is, and ends it when the input ends.

use std::io::{self, Read as _, Write as _};

use cachine_testkit::Redis;

fn main() -> io::Result<()> {
    let redis = Redis::start();
    let mut out = io::stdout();
    writeln!(out, "{} {}", redis.url(), redis.socket().display())?;
    out.flush()?;
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}
