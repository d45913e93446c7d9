//! What is held in a server for a short time, and renewed while its holder lives: rights to store,
//! and locks.
//!
//! The right of a computation lives for [`LEASE`], so that one whose process dies is soon another's.
//! One that takes longer renews it, but not without end: a computation that hangs must not keep
//! everybody else waiting for ever. A lock is renewed for as long as it is held, as one of a thread
//! is.

use std::sync::Arc;
use std::time::Duration;

use cachine_core::clock::{Instant, nanoseconds};
use cachine_redis::client::{Fill, Hold};
use cachine_redis::link::Link;

use crate::redis_cache::lock::Standing;
use crate::redis_cache::shelf::Shelf;
use crate::space::LEASE;
use crate::timetable::{Listed, Timetable};

/// After so long a computation is on its own.
const LONGEST: Duration = Duration::from_secs(300);

/// Something that is to be renewed.
pub(super) struct Renewal<L> {
    shelf: Arc<Shelf<L>>,
    name: Box<str>,
    what: What,
}

enum What {
    Fill { fill: Fill, until: Instant },
    Lock { hold: Hold, standing: Arc<Standing> },
}

impl<L: Link> Renewal<L> {
    /// Of the right to store the value of a key.
    pub(super) fn new(shelf: &Arc<Shelf<L>>, key: &str, fill: &Fill) -> Self {
        let until = shelf.client.link().now().saturating_add(nanoseconds(LONGEST));
        let what = What::Fill { fill: fill.clone(), until };
        Self { shelf: Arc::clone(shelf), name: key.into(), what }
    }

    /// Of a lock.
    pub(super) fn of_lock(
        shelf: &Arc<Shelf<L>>,
        name: &str,
        hold: &Hold,
        standing: &Arc<Standing>,
    ) -> Self {
        let what = What::Lock { hold: hold.clone(), standing: Arc::clone(standing) };
        Self { shelf: Arc::clone(shelf), name: name.into(), what }
    }

    /// How often it is to be renewed.
    pub(super) fn every(&self) -> Duration {
        match &self.what {
            What::Fill { .. } => LEASE / 3,
            What::Lock { standing, .. } => standing.ttl() / 3,
        }
    }

    /// Renews once; whether to go on.
    pub(super) async fn once(&self) -> bool {
        let Self { shelf, name, what } = self;
        match what {
            What::Fill { until, .. } if shelf.client.link().now() >= *until => false,
            // A server that is known not to answer may be back before the next time.
            What::Fill { .. } if shelf.client.ready("renew").is_err() => true,
            What::Fill { fill, .. } => {
                shelf.space.renew(&shelf.client, name, fill).await.unwrap_or(true)
            }
            What::Lock { hold, standing } => {
                let began = shelf.client.link().now();
                if standing.is_lost(began) {
                    return false;
                }
                match shelf.space.renew_lock(&shelf.client, name, hold, standing.ttl()).await {
                    Ok(true) => standing.renewed(began),
                    Ok(false) => standing.lose(),
                    Err(_) => {}
                }
                !standing.is_lost(shelf.client.link().now())
            }
        }
    }
}

/// Does this every so often until it says that it is enough, or what is returned is dropped.
pub(super) fn enlist(every: Duration, job: impl Fn() -> bool + Send + Sync + 'static) -> Listed {
    static RENEWALS: Timetable = Timetable::new("cachine-renewal");
    RENEWALS.add(every, job)
}
