//! Every operation on entries, over any link.
//!
//! An operation awaits nothing but its link, so over a blocking link it is done in one poll.
//!
//! What keeps fills, writes and invalidations coherent, without a lock and without a clock of ours:
//!
//! * An entry carries the *stamps* that its tags had before it was computed, and is valid while they have
//!   them. An invalidation takes the stamps away; the next one is another random number.
//! * A fill is stored only while its *token* stands; every write takes the token away.
//! * An *epoch* guards tags that only a result names; an *index* of each tag counts and frees.
//!
//! The code cites these rules; each is there because a model of the protocol breaks without it:
//!
//! | rule | |
//! | --- | --- |
//! | A1 | a write takes the token and stores in one step |
//! | A2 | whoever does not store gives the token back, comparing |
//! | A3 | the index is written before the entry |
//! | A4 | a member of an index is stamp and key, and exactly that one is struck out |
//! | A5 | members that have the stamp read behind the list stay |
//! | A6 | what is counted had nothing but current stamps |
//! | A7 | `clear` takes a stamp and its index in one step |
//! | A8 | a longer life is filed before it begins; records outlive their entries by a margin |
//! | A10 | each try to take a token has a token of its own |
//! | A11 | an ending counts only for who waited for its token, and `None` only while the stamps are the same |
//!
//! (A9, that who joins a computation late reads again, is for callers.) The commands of a batch run in
//! their order, since there is one server; steps that only have to be ordered share a trip. Where a
//! script was unknown it runs after the rest of its batch; only `fill` minds, and looks again.
//!
//! | operations | in |
//! | --- | --- |
//! | `get`, `get_many`, `exists`, `remaining` | `read` |
//! | `set`, `set_many`, `delete`, `delete_many` | `write` |
//! | `expire`, `persist`, `touch` | `life` |
//! | `incr` | `count` |
//! | `add_tags`; `invalidate_tags` | `tags`; `invalidate` |
//! | `look`; `claim`, `renew`, `fill`, `release`, `end` | `look`; `fill` |
//! | `clear`, `clear_prefix` | `clear` |
//! | `lock`, `renew_lock`, `unlock` | `lock` |

mod call;
mod clear;
mod commands;
mod count;
mod ending;
mod fill;
mod invalidate;
mod life;
mod lock;
mod look;
mod read;
mod replies;
mod scripts;
mod tags;
mod write;

use std::sync::Arc;
use std::time::Duration;

use cachine_codec::stored::Stamp;
use cachine_core::error::{Error, ErrorKind};

use crate::breaker::Breaker;
use crate::client::lock::LostLocks;
use crate::link::{Batch, Class, Link};

pub use commands::COMMANDS;
pub use ending::Ending;
pub use lock::{Hold, Locked};

/// Speaks to one server through a link.
#[derive(Debug)]
pub struct Client<L> {
    link: L,
    timeout: Duration,
    breaker: Arc<Breaker>,
    lost_locks: LostLocks,
}

/// What a read of an entry found, with freshness by the server's own clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// No entry, or one that a tag made invalid.
    Missing,
    /// A fresh entry, as it is stored.
    Fresh(Vec<u8>),
    /// One in its stale window.
    Stale(Vec<u8>),
}

/// How long an entry lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime {
    /// Its whole life; `None` for ever. Never zero.
    pub ttl: Option<Duration>,
    /// How much of the end of it is stale.
    pub stale: Option<Duration>,
}

/// What a caller wants that is about to compute a value.
#[derive(Clone, Copy, Debug)]
pub struct Want<'a> {
    /// The tags that are known before the computation.
    pub tags: &'a [String],
    /// Whether the result will name more.
    pub has_late_tags: bool,
    /// Whether the caller waits while somebody else computes, instead of computing beside them.
    pub is_shared: bool,
    /// Whether to compute even where a fresh entry stands.
    pub is_forced: bool,
    /// How long the right to store lives unless it is renewed.
    pub lease: Duration,
    /// Whom the caller has waited for, so that it learns how that ended.
    pub awaited: Option<&'a Held>,
}

/// What a caller gets that is about to compute a value.
#[derive(Debug)]
pub enum Claim {
    /// A fresh entry stands after all.
    Found(Vec<u8>),
    /// Compute, then [`Client::fill`] or [`Client::release`].
    Compute(Fill),
    /// Somebody else computes.
    Held(Held),
    /// Whom the caller waited for had nothing to store, and so has the caller. For others who wait with
    /// it, ask [`Client::is_nothing`].
    Nothing(Nothing),
}

/// Who computes instead.
#[derive(Clone, Debug)]
pub struct Held {
    /// The token.
    pub(crate) token: Box<[u8]>,
    /// The right ends after this time unless it is renewed. Zero if it has just ended.
    pub left: Duration,
}

/// The `None` that another process came to.
#[derive(Clone, Debug)]
pub struct Nothing {
    /// What stands in the place of the token.
    pub(crate) place: Box<[u8]>,
    /// The stamps of the tags, and the epoch, as the computation began with them.
    pub(crate) stamps: Vec<Stamp>,
    pub(crate) epoch: Option<Box<[u8]>>,
}

impl Claim {
    /// The right, if one was given.
    pub const fn fill(&self) -> Option<&Fill> {
        match self {
            Self::Compute(fill) => Some(fill),
            Self::Found(_) | Self::Held(_) | Self::Nothing(_) => None,
        }
    }
}

/// The right to store a value whose computation begins after it was given.
#[derive(Clone, Debug)]
pub struct Fill {
    /// The fill token: random, new for each claim.
    pub(crate) token: Box<[u8]>,
    /// Whether it was taken here; one that was found is neither released nor renewed.
    pub(crate) is_own: bool,
    /// The stamps of the tags, read before the computation.
    pub(crate) stamps: Vec<Stamp>,
    /// The epoch of the namespace, where the result names tags.
    pub(crate) epoch: Option<Box<[u8]>>,
}

impl<L: Link> Client<L> {
    /// A client whose operations take at most `timeout` each.
    pub fn new(link: L, timeout: Duration, breaker: Arc<Breaker>) -> Self {
        Self { link, timeout, breaker, lost_locks: LostLocks::default() }
    }

    /// The link below.
    pub fn link(&self) -> &L {
        &self.link
    }

    /// Fails at once while the server is known not to answer: for callers that can do without it. When a
    /// pause is over, one caller is let through to try; it has to call an operation next.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] while there is a pause.
    pub fn ready(&self, operation: &'static str) -> Result<(), Error> {
        self.breaker.ready(self.link.now(), self.timeout * 2).map_err(|pause| {
            let message = format!(
                "the server did not answer before, and is not asked again for {} ms",
                pause.as_millis().max(1)
            );
            // As the failure that it saves from, so that whoever counts or logs sees one cause.
            let is_timeout = self.breaker.is_timeout();
            let kind = if is_timeout { ErrorKind::Timeout } else { ErrorKind::Connection };
            Error::new(kind, operation, message)
        })
    }

    /// `PING`.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn ping(&self) -> Result<(), Error> {
        let batch = Batch::one(Class::Idempotent, &redis::cmd("PING"));
        self.call("ping").run(&batch).await?.skip(1)
    }
}
