//! Settings as a URL: `redis://`, `rediss://` for TLS, `unix://` for a socket in the file system.
//!
//! ```text
//! redis[s]://[[user]:password@][host][:port][/database]
//! unix://[[user]:password@]/path/of/the.socket
//!                                 ... [?db=database&username=user&password=password]
//! ```
//!
//! What has a meaning in URLs (`@ : / ? # %`) is percent-encoded in user, password and path, as RFC
//! 3986 has it. An option behind the question mark goes before the same thing in front of it.

use std::borrow::Cow;
use std::path::PathBuf;

use cachine_core::error::{Error, ErrorKind};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::settings::{Address, Settings, Tls};

/// The port of a Redis, with TLS too.
const PORT: u16 = 6379;

/// What a message says beside what is wrong. It never repeats the URL, which may hold a password.
const FORMS: &str = "give redis://user:password@host:6379/0, rediss:// for TLS or \
                     unix:///path/of/the.socket, with characters like @ : / ? # percent-encoded";

impl Settings {
    /// The settings that a URL names; those that none can name are the usual ones.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for what is no URL of these forms: the message says which part is wrong,
    /// and never holds the password.
    pub fn from_url(url: &str) -> Result<Self, Error> {
        let url = Url::parse(&with_host(url));
        let url = url.map_err(|error| refused(&format!("it can't be read: {error}")))?;
        if url.fragment().is_some() {
            return Err(refused("it has a # that is not percent-encoded"));
        }
        let mut settings = Self::default();
        match url.scheme() {
            "redis" => settings.tcp(&url)?,
            "rediss" => {
                settings.tcp(&url)?;
                settings.tls = Some(Tls::default());
            }
            "unix" => settings.unix(&url)?,
            other => {
                return Err(refused(&format!(
                    "the scheme {other:?} is none of redis, rediss and unix"
                )));
            }
        }
        settings.username = some(decoded(url.username(), "user")?);
        settings.password = some(decoded(url.password().unwrap_or_default(), "password")?);
        for (name, value) in url.query_pairs() {
            match &*name {
                "db" => settings.database = database(&value)?,
                "username" => settings.username = some(value),
                "password" => settings.password = some(value),
                // Not repeated: behind a question mark that was not encoded it is a password.
                _ => {
                    let what = "it has an option that is none of db, username and password (those \
                                of TLS are options of the cache)";
                    return Err(refused(what));
                }
            }
        }
        Ok(settings)
    }

    fn tcp(&mut self, url: &Url) -> Result<(), Error> {
        let host = decoded(url.host_str().unwrap_or_default(), "host")?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
        let host = if host.is_empty() { "localhost" } else { host };
        let port = url.port().unwrap_or(PORT);
        if port == 0 {
            return Err(refused("its port is 0"));
        }
        self.address = Address::Tcp(host.to_owned(), port);
        match url.path().trim_start_matches('/') {
            "" => {}
            number => self.database = database(number)?,
        }
        Ok(())
    }

    fn unix(&mut self, url: &Url) -> Result<(), Error> {
        if url.host_str().is_some_and(|host| !matches!(host, "" | "localhost")) {
            return Err(refused("before the path of a socket there are three slashes"));
        }
        let path = decoded(url.path(), "path")?;
        if path.trim_start_matches('/').is_empty() {
            return Err(refused("the path of the socket is missing"));
        }
        self.address = Address::Unix(PathBuf::from(path.into_owned()));
        Ok(())
    }
}

/// A URL with a user and no host is none to the `url` crate.
fn with_host(url: &str) -> Cow<'_, str> {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    if url[start..end].ends_with('@') {
        return [&url[..end], "localhost", &url[end..]].concat().into();
    }
    url.into()
}

fn some(text: Cow<'_, str>) -> Option<String> {
    (!text.is_empty()).then(|| text.into_owned())
}

fn decoded<'a>(text: &'a str, part: &str) -> Result<Cow<'a, str>, Error> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map_err(|_| refused(&format!("its {part} is not UTF-8 when it is decoded")))
}

fn database(number: &str) -> Result<u32, Error> {
    number.parse().map_err(|_| refused("its database is not a number"))
}

fn refused(what: &str) -> Error {
    Error::new(ErrorKind::Config, "url", format!("the URL of a Redis: {what}; {FORMS}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Settings {
        Settings::from_url(url).unwrap()
    }

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp(host.to_owned(), port)
    }

    #[test]
    fn every_part_of_a_url_arrives_in_its_setting() {
        let settings = read("redis://ada:s3cret@db.example:7000/3");
        assert_eq!((settings.address, settings.database), (tcp("db.example", 7000), 3));
        assert_eq!(settings.username.as_deref(), Some("ada"));
        assert_eq!(settings.password.as_deref(), Some("s3cret"));
        assert!(settings.tls.is_none());
        assert_eq!(read("rediss://h").tls, Some(Tls::default()));
    }

    #[test]
    fn what_a_url_leaves_out_is_as_usual() {
        for url in ["redis://", "redis:///", "redis://localhost", "redis://localhost:6379/0"] {
            let settings = read(url);
            assert_eq!((settings.address, settings.database), (tcp("localhost", 6379), 0), "{url}");
            assert!(settings.username.is_none() && settings.password.is_none());
        }
        assert_eq!(read("redis://[::1]:7/").address, tcp("::1", 7));
        for url in ["redis://:s3cret@h", "redis://:s3cret@", "redis://:s3cret@/1"] {
            assert_eq!(read(url).password.as_deref(), Some("s3cret"));
        }
    }

    #[test]
    fn a_socket_is_named_by_its_path() {
        let settings = read("unix://ada:s3cret@/run/my%20redis.sock?db=2");
        assert_eq!(settings.address, Address::Unix("/run/my redis.sock".into()));
        assert_eq!((settings.database, settings.username.as_deref()), (2, Some("ada")));
        let settings = read("unix:///run/redis.sock?username=bob&password=p%26q");
        assert_eq!(settings.username.as_deref(), Some("bob"));
        assert_eq!(settings.password.as_deref(), Some("p&q"));
    }

    #[test]
    fn percent_encoding_is_taken_off() {
        let settings = read("redis://a%40b:p%3A%2F%3F%23%25%C3%A9@h/1");
        assert_eq!(settings.username.as_deref(), Some("a@b"));
        assert_eq!(settings.password.as_deref(), Some("p:/?#%é"));
    }

    #[test]
    fn an_option_goes_before_the_same_thing_in_front_of_it() {
        let settings = read("redis://ada:old@h/1?db=5&password=new");
        assert_eq!((settings.database, settings.password.as_deref()), (5, Some("new")));
    }

    #[test]
    fn what_is_wrong_is_named_and_the_password_never() {
        for (url, part) in [
            ("", "can't be read"),
            ("localhost:6379", "\"localhost\""),
            ("http://:s3cret@h", "\"http\""),
            ("redis://:s3cret@h:99999", "port"),
            ("redis://:s3cret@h:0", "port is 0"),
            ("redis://:s3cret@h/x", "database"),
            ("redis://:s3cret@h/-1", "database"),
            ("redis://:s3cret@h/0/1", "database"),
            ("redis://:s3cret@h?db=", "database"),
            ("redis://:s3cret@h?socket_timeout=s3cret", "an option that is none of"),
            ("redis://u:12?s3cret@h:6379/0", "an option that is none of"),
            ("redis://:s3cret#@h", "can't be read"),
            ("redis://:s3cret@h/0#x", "#"),
            ("redis://:%FFs3cret@h", "password is not UTF-8"),
            ("unix://run/redis.sock?password=s3cret", "three slashes"),
            ("unix://?password=s3cret", "path of the socket is missing"),
        ] {
            let error = Settings::from_url(url).expect_err(url);
            assert_eq!(error.kind(), ErrorKind::Config);
            let text = format!("{error} {error:?}");
            assert!(text.contains(part) && !text.contains("s3cret"), "{url}: {text}");
        }
    }
}
