//! The commands that are sent, and how times are written in them.

use std::time::Duration;

use redis::{Cmd, cmd};

use crate::link::Batch;

/// Everything that is sent, inside of scripts too: what the access list of a user has to allow,
/// beside the keys of the namespace (`~namespace:*`).
pub const COMMANDS: &[&str] = &[
    "eval", "evalsha", "exec", "exists", "get", "getdel", "getrange", "incrby", "mget", "multi",
    "persist", "pexpire", "ping", "pttl", "scan", "set", "time", "touch", "unlink", "zadd",
    "zcard", "zrange", "zrem",
];

/// The longest life, in milliseconds: 500 years. Redis refuses what does not fit 64 bits when its
/// clock is added, and nobody will see the difference.
const LONGEST: u64 = 500 * 365 * 24 * 60 * 60 * 1000;

/// The bytes of a head that are fetched with a look at an entry: enough for some dozen tags.
pub(super) const HEAD: usize = 512;
/// At most so many keys go in one batch.
pub(super) const BATCH: usize = 500;

/// A time in milliseconds: rounded, a positive one at least 1, a huge one at most 500 years.
pub(super) fn milliseconds(time: Duration) -> u64 {
    if time.is_zero() {
        return 0;
    }
    let rounded = time.saturating_add(Duration::from_micros(500)).as_millis();
    u64::try_from(rounded).unwrap_or(LONGEST).clamp(1, LONGEST)
}

/// A life as scripts take it: milliseconds, or nothing for ever.
pub(super) fn life(ttl: Option<Duration>) -> String {
    ttl.map(|ttl| milliseconds(ttl).to_string()).unwrap_or_default()
}

/// A command with a key.
pub(super) fn on(name: &'static str, key: &[u8]) -> Cmd {
    let mut command = cmd(name);
    command.arg(key);
    command
}

/// The beginning of a value.
pub(super) fn beginning(key: &[u8], length: usize) -> Cmd {
    let mut command = on("GETRANGE", key);
    command.arg(0).arg(length.saturating_sub(1));
    command
}

/// `SET`, with a life in milliseconds.
pub(super) fn set(key: &[u8], value: &[u8], ttl: Option<Duration>) -> Cmd {
    let mut command = on("SET", key);
    command.arg(value);
    if let Some(ttl) = ttl {
        command.arg("PX").arg(milliseconds(ttl));
    }
    command
}

/// Sets a record that does not exist yet, and lets one that does live at least as long. Two replies:
/// the record that was there, and one of no interest.
pub(super) fn create(batch: &mut Batch, key: &[u8], value: &[u8], ttl: Option<Duration>) {
    let mut command = on("SET", key);
    command.arg(value).arg("NX").arg("GET");
    if let Some(ttl) = ttl {
        command.arg("PX").arg(milliseconds(ttl));
    }
    batch.push(&command);
    prolong(batch, key, ttl);
}

/// Lets a record live at least so long. One reply.
pub(super) fn prolong(batch: &mut Batch, key: &[u8], ttl: Option<Duration>) {
    match ttl {
        None => batch.push(&on("PERSIST", key)),
        Some(ttl) => {
            let mut command = on("PEXPIRE", key);
            command.arg(milliseconds(ttl)).arg("GT");
            batch.push(&command);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_to_milliseconds_and_saturate() {
        for (time, expected) in [
            (Duration::ZERO, 0),
            (Duration::from_nanos(1), 1),
            (Duration::from_micros(1499), 1),
            (Duration::from_micros(1500), 2),
            (Duration::from_secs(60), 60_000),
            (Duration::MAX, LONGEST),
            (Duration::from_secs(u64::MAX / 1000), LONGEST),
        ] {
            assert_eq!(milliseconds(time), expected);
        }
    }
}
