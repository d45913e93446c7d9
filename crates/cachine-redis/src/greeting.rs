//! The first words on a new connection, and what the answers to them mean.
//!
//! Nothing else is sent before they are answered, so a refused password or database never makes a
//! command run in the wrong place, and whatever fails until then has certainly not been carried out.
//!
//! There is no I/O in here: every link sends [`Greeting::bytes`], waits for
//! [`Greeting::replies`] replies, and asks [`Greeting::verdict`].

use std::fmt;

use redis::{ServerError, ServerErrorKind, Value};

use crate::link::{Cause, Fault, Sent};
use crate::settings::Settings;

/// What to say on a new connection.
#[derive(Clone)]
pub struct Greeting {
    /// Where it goes, for messages.
    address: String,
    /// What messages must not contain, whatever the server says.
    password: String,
    bytes: Vec<u8>,
    steps: Vec<Step>,
}

/// What one command of a greeting asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Password,
    Database,
    /// Whether it is a Redis at all, and wants no password that was not given.
    Ping,
}

impl Greeting {
    /// `AUTH` and `SELECT` as far as the settings want them, and `PING`.
    pub fn new(settings: &Settings) -> Self {
        let mut greeting = Self {
            address: settings.address.to_string(),
            password: settings.password.clone().unwrap_or_default(),
            bytes: Vec::new(),
            steps: Vec::new(),
        };
        if settings.username.is_some() || settings.password.is_some() {
            let user = settings.username.as_deref();
            let secret = settings.password.as_deref().unwrap_or_default();
            let arguments: Vec<&str> = user.into_iter().chain([secret]).collect();
            greeting.say(Step::Password, "AUTH", &arguments);
        }
        if settings.database != 0 {
            greeting.say(Step::Database, "SELECT", &[&settings.database.to_string()]);
        }
        greeting.say(Step::Ping, "PING", &[]);
        greeting
    }

    fn say(&mut self, step: Step, name: &str, arguments: &[&str]) {
        redis::cmd(name).arg(arguments).write_packed_command(&mut self.bytes);
        self.steps.push(step);
    }

    /// What to send. It holds the password.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many replies it gets; never zero.
    pub fn replies(&self) -> usize {
        self.steps.len()
    }

    /// Whether commands may follow, by the replies so far. Ask again when more have come: a server
    /// that refuses may close the connection after its first reply.
    ///
    /// # Errors
    ///
    /// [`Cause::Refused`] with the server's words if it refuses, and always [`Sent::No`].
    /// [`Cause::Connection`] if it is loading, busy or full, which passes, or no Redis.
    pub fn verdict(&self, replies: &[Value]) -> Result<(), Fault> {
        replies.iter().enumerate().try_for_each(|(place, reply)| self.judge(place, reply))
    }

    /// The same for the reply at one place.
    ///
    /// # Errors
    ///
    /// As [`verdict`](Self::verdict).
    pub fn judge(&self, place: usize, reply: &Value) -> Result<(), Fault> {
        let Some(&step) = self.steps.get(place) else { return Ok(()) };
        let Value::ServerError(error) = reply else {
            let is_welcome = match (step, reply) {
                (Step::Ping, Value::SimpleString(word)) => word == "PONG",
                (Step::Password | Step::Database, reply) => matches!(reply, Value::Okay),
                _ => false,
            };
            // Anything else is not what a Redis says; it could be our own words that come back.
            let strange = "its answer to a greeting is not that of a Redis";
            return if is_welcome { Ok(()) } else { Err(self.fault(Cause::Connection, strange)) };
        };
        if passes(error) {
            return Err(self.fault(Cause::Connection, &self.words(error)));
        }
        let what = match step {
            Step::Password => "it refuses the user or the password",
            Step::Database => "it refuses the database",
            Step::Ping if error.code() == "NOAUTH" => "it wants a password",
            // A user who may not even ask may still be allowed what matters.
            Step::Ping => return Ok(()),
        };
        Err(self.fault(Cause::Refused, &format!("{what}: {}", self.words(error))))
    }

    fn fault(&self, cause: Cause, what: &str) -> Fault {
        Fault { sent: Sent::No, cause, text: format!("{}: {what}", self.address) }
    }

    /// The server's words. A server that does not know `AUTH` (it can be renamed) repeats its
    /// arguments, so what follows that announcement is cut off, and details that hold the password
    /// in any other place are left out.
    fn words(&self, error: &ServerError) -> String {
        let details = error.details().unwrap_or_default();
        let details = details.split(", with args beginning with").next().unwrap_or_default();
        if !self.password.is_empty() && details.contains(&self.password) {
            return error.code().to_owned();
        }
        format!("{} {details}", error.code()).trim_end().to_owned()
    }
}

/// Whether the same greeting may be welcome later.
fn passes(error: &ServerError) -> bool {
    let is_passing_kind =
        matches!(error.kind(), Some(ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown));
    let is_full = error.details().is_some_and(|words| words.starts_with("max number of clients"));
    is_passing_kind || is_full || error.code() == "BUSY"
}

impl fmt::Debug for Greeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Greeting").field("steps", &self.steps).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use redis::parse_redis_value;

    use super::*;

    fn settings() -> Settings {
        Settings {
            database: 3,
            username: Some("ada".to_owned()),
            password: Some("s3cret".to_owned()),
            ..Settings::default()
        }
    }

    fn reply(text: &str) -> Value {
        parse_redis_value(format!("{text}\r\n").as_bytes()).unwrap()
    }

    fn refusal(replies: &[&str]) -> Fault {
        let replies: Vec<Value> = replies.iter().map(|text| reply(text)).collect();
        Greeting::new(&settings()).verdict(&replies).expect_err("it is no welcome")
    }

    #[test]
    fn it_says_user_password_and_database_and_then_asks() {
        let greeting = Greeting::new(&settings());
        let mut bytes = greeting.bytes();
        let mut parser = redis::Parser::new();
        let said: Vec<String> = (0..greeting.replies())
            .map(|_| redis::from_redis_value(parser.parse_value(&mut bytes).unwrap()).unwrap())
            .map(|words: Vec<String>| words.join(" "))
            .collect();
        assert_eq!(said, ["AUTH ada s3cret", "SELECT 3", "PING"]);
    }

    #[test]
    fn without_user_password_and_database_it_only_asks() {
        let greeting = Greeting::new(&Settings::default());
        assert_eq!((greeting.bytes(), greeting.replies()), (&b"*1\r\n$4\r\nPING\r\n"[..], 1));
    }

    #[test]
    fn a_user_who_may_not_ask_is_welcome() {
        let refused = reply("-NOPERM User ada has no permissions to run the 'ping' command");
        let replies = [Value::Okay, Value::Okay, refused];
        assert!(Greeting::new(&settings()).verdict(&replies).is_ok());
        assert!(Greeting::new(&Settings::default()).verdict(&[reply("+PONG")]).is_ok());
    }

    #[test]
    fn a_refused_password_or_database_is_told_in_the_words_of_the_server() {
        let fault = refusal(&["-WRONGPASS invalid username-password pair or user is disabled."]);
        assert_eq!((fault.cause, fault.sent), (Cause::Refused, Sent::No));
        assert!(fault.text.contains("WRONGPASS invalid username-password pair"), "{}", fault.text);
        assert!(fault.text.starts_with("localhost:6379: "), "{}", fault.text);
        let fault = refusal(&["+OK", "-ERR DB index is out of range"]);
        assert_eq!(fault.cause, Cause::Refused);
        assert!(fault.text.contains("DB index is out of range"), "{}", fault.text);
    }

    #[test]
    fn a_missing_password_is_noticed() {
        let greeting = Greeting::new(&Settings::default());
        let fault = greeting.verdict(&[reply("-NOAUTH Authentication required.")]).unwrap_err();
        assert_eq!(fault.cause, Cause::Refused);
        assert!(fault.text.contains("it wants a password"), "{}", fault.text);
    }

    #[test]
    fn a_server_that_is_loading_busy_or_full_is_to_be_asked_again() {
        for words in [
            "-LOADING Redis is loading the dataset in memory",
            "-MASTERDOWN Link with MASTER is down",
            "-BUSY Redis is busy running a script.",
            "-ERR max number of clients reached",
        ] {
            let fault = refusal(&["+OK", words]);
            assert_eq!((fault.cause, fault.sent), (Cause::Connection, Sent::No), "{words}");
            assert_eq!(refusal(&[words]).cause, Cause::Connection, "{words}");
        }
    }

    #[test]
    fn a_message_never_repeats_the_password() {
        for words in [
            "-ERR unknown command 'AUTH', with args beginning with: 'ada' 's3cr",
            "-ERR unknown command 'AUTH', with args beginning with: 'ada' 's3cret'",
            "-ERR cannot take s3cret as a password",
        ] {
            let text = refusal(&[words]).text;
            assert!(!text.contains("s3c") && text.contains("ERR"), "{text}");
        }
        assert!(!format!("{:?}", Greeting::new(&settings())).contains("s3cret"));
    }

    #[test]
    fn our_own_words_coming_back_are_no_welcome() {
        let echo = reply("*2\r\n$6\r\nSELECT\r\n$1\r\n3");
        let greeting = Greeting::new(&Settings::default());
        assert_eq!(greeting.verdict(&[echo]).unwrap_err().cause, Cause::Connection);
        assert!(greeting.verdict(&[Value::Okay]).is_err());
    }
}
