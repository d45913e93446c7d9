//! How a server is set up before it starts.

use crate::Redis;

/// What a server asks of its clients, and where it listens.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    pub(crate) password: Option<String>,
    pub(crate) users: Vec<Vec<String>>,
    pub(crate) tls: Option<ClientCertificates>,
    pub(crate) is_on_unix_socket: bool,
    pub(crate) options: Vec<String>,
}

/// Whether a client has to show a certificate.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ClientCertificates {
    Optional,
    Required,
}

impl Setup {
    /// The default user needs this password.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// One more user: the name and its rules as in an ACL file, such as
    /// `"app on >secret ~app:* +get +set"`.
    #[must_use]
    pub fn with_user(mut self, rules: &str) -> Self {
        self.users.push(rules.split_whitespace().map(str::to_owned).collect());
        self
    }

    /// The port speaks TLS, with certificates of its own; a client may show the one made for it.
    #[must_use]
    pub fn with_tls(mut self) -> Self {
        self.tls = Some(ClientCertificates::Optional);
        self
    }

    /// The port speaks TLS, and a client has to show the certificate made for it.
    #[must_use]
    pub fn with_client_certificates(mut self) -> Self {
        self.tls = Some(ClientCertificates::Required);
        self
    }

    /// No port: only a socket in the file system.
    #[must_use]
    pub fn on_unix_socket(mut self) -> Self {
        self.is_on_unix_socket = true;
        self
    }

    /// A line of the configuration, such as `["maxmemory", "2mb"]`.
    #[must_use]
    pub fn with_option(mut self, words: &[&str]) -> Self {
        self.options.extend(words.iter().enumerate().map(|(at, word)| {
            let dashes = if at == 0 { "--" } else { "" };
            format!("{dashes}{word}")
        }));
        self
    }

    /// Starts the server; it takes commands when this returns.
    ///
    /// # Panics
    ///
    /// If it does not start, with what it said.
    pub fn start(self) -> Redis {
        Redis::of(self)
    }

    /// The words after the name of the program, but for where it listens.
    pub(crate) fn words(&self) -> Vec<String> {
        // Nothing is written to disk; `DEBUG` is for tests that stop the expiry of keys.
        let fixed = ["--save", "", "--appendonly", "no", "--enable-debug-command", "local"];
        let mut words: Vec<String> = fixed.map(str::to_owned).into();
        if let Some(password) = &self.password {
            words.extend(["--requirepass".to_owned(), password.clone()]);
        }
        for user in &self.users {
            words.push("--user".to_owned());
            words.extend_from_slice(user);
        }
        words.extend_from_slice(&self.options);
        words
    }
}
