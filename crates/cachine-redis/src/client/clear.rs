//! Clearing a namespace, or the keys that begin alike, without ever holding the server up.
//!
//! Two passes: the tokens first, so that no fill that is under way is stored behind the second, which
//! takes everything else. A stamp and the index of its tag leave in one step, whichever is met first
//! (A7). What is stored while it runs may go or stay. Locks stay: they are no entries, and whoever holds
//! one counts on it.

use cachine_core::error::Error;
use redis::cmd;

use super::Client;
use super::call::Call;
use super::commands::{BATCH, on};
use super::replies;
use crate::link::{Batch, Class, Link};
use crate::names::{Kind, Names, Record};

/// How many keys of the database a step of `SCAN` looks at.
const STEP: usize = 1000;

impl<L: Link> Client<L> {
    /// Removes every entry and record of the namespace and of those inside it; without a namespace
    /// everything in the database. Only locks stay.
    ///
    /// # Errors
    ///
    /// As [`Client::get`]; the deadline is for each batch. What was removed before stays removed.
    pub async fn clear(&self, names: &Names) -> Result<(), Error> {
        let mut call = self.call("clear");
        call.pass(&names.every_token(), is_token).await?;
        call.pass(&names.entries(""), |name| !is_lock(name)).await
    }

    /// Removes the entries whose keys begin with `prefix`, and fences their fills.
    ///
    /// # Errors
    ///
    /// As [`Client::clear`].
    pub async fn clear_prefix(&self, names: &Names, prefix: &str) -> Result<(), Error> {
        let mut call = self.call("clear");
        call.pass(&names.tokens(prefix), is_token).await?;
        call.pass(&names.entries(prefix), |name| Record::of(name).is_none()).await
    }
}

impl<L: Link> Call<'_, L> {
    /// Removes what matches a pattern and is `wanted`. Each trip removes what the one before found.
    async fn pass(
        &mut self,
        pattern: &[u8],
        wanted: impl Fn(&[u8]) -> bool + Send,
    ) -> Result<(), Error> {
        let mut cursor = b"0".to_vec();
        let mut found: Vec<Vec<u8>> = Vec::new();
        loop {
            self.renew();
            let now = found.split_off(found.len().saturating_sub(BATCH));
            let mut batch = Batch::new(Class::Idempotent);
            for name in &now {
                remove(&mut batch, name);
            }
            // The names that are left have to go before there may be more.
            let is_scanning = found.is_empty() && !cursor.is_empty();
            if is_scanning {
                let mut scan = cmd("SCAN");
                scan.arg(&cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(STEP);
                batch.push(&scan);
            }
            if batch.is_empty() {
                return Ok(());
            }
            let mut answers = self.run(&batch).await?;
            answers.skip(batch.len() - usize::from(is_scanning))?;
            if is_scanning {
                let mut page = answers.list()?.into_iter();
                let (next, names) = (page.next().unwrap_or_default(), page.next());
                cursor = replies::bytes(next, self.operation)?.unwrap_or_default();
                if cursor == b"0" {
                    cursor.clear();
                }
                for name in replies::list(names.unwrap_or_default(), self.operation)? {
                    let name = replies::bytes(name, self.operation)?.unwrap_or_default();
                    if wanted(&name) {
                        found.push(name);
                    }
                }
            }
        }
    }
}

fn is_token(name: &[u8]) -> bool {
    Record::of(name).is_some_and(|record| record.kind == Some(Kind::Token))
}

fn is_lock(name: &[u8]) -> bool {
    let kind = Record::of(name).and_then(|record| record.kind);
    matches!(kind, Some(Kind::Lock | Kind::Fence))
}

/// Adds the command that removes a key. One key a command, since each may lie in another slot; but the
/// two records of a tag share one.
fn remove(batch: &mut Batch, name: &[u8]) {
    match Record::of(name) {
        Some(record) if matches!(record.kind, Some(Kind::Stamp | Kind::Index)) => {
            let [stamp, index] = record.pair();
            let mut command = on("UNLINK", &stamp);
            command.arg(index);
            batch.push(&command);
        }
        _ => batch.push(&on("UNLINK", name)),
    }
}
