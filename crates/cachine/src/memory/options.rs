//! What a write may say beside key and value.

use std::time::Duration;

/// How long a value lives, and its tags; for [`crate::InMemoryCache::set_with`].
///
/// Where the time is all there is to say, a `Duration` does:
///
/// ```
/// use std::time::Duration;
/// use cachine::{InMemoryCache, SetOptions};
///
/// let cache = InMemoryCache::new();
/// cache.set_with("code:1", 4711, Duration::from_secs(60))?;
/// cache.set_with("user:1", 17, SetOptions::new().ttl(Duration::from_secs(60)).tags(["users"]))?;
/// # Ok::<_, cachine::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetOptions {
    pub(crate) ttl: Option<Duration>,
    pub(crate) tags: Vec<String>,
}

impl SetOptions {
    /// A value without tags that never expires.
    #[must_use]
    pub const fn new() -> Self {
        Self { ttl: None, tags: Vec::new() }
    }

    /// It lives for `ttl`; zero: the key is deleted and nothing is stored.
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// It has these tags too: names for many entries, to remove them all at once.
    ///
    /// ```
    /// use cachine::{InMemoryCache, SetOptions};
    ///
    /// let cache = InMemoryCache::new();
    /// cache.set_with("user:1", "Ada", SetOptions::new().tags(["users", "admins"]))?;
    /// assert_eq!(cache.invalidate_tags(["users"])?, 1);
    /// assert_eq!(cache.get("user:1")?, None);
    /// # Ok::<_, cachine::Error>(())
    /// ```
    #[must_use]
    pub fn tags(mut self, tags: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.tags.extend(tags.into_iter().map(Into::into));
        self
    }
}

impl From<Duration> for SetOptions {
    fn from(ttl: Duration) -> Self {
        Self::new().ttl(ttl)
    }
}
