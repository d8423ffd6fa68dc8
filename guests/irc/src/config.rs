//! What an operator can set: the `config` table of a service that runs this plugin. The limits of
//! the server's tables are here too, each beside its default.

use serde::Deserialize;

/// The `config` table. Every key has a default.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The server's name: a host's name, with a dot in it, since a nickname can't have one.
    pub name: String,
    /// The network's name, without spaces.
    pub network: String,
    /// What the server says of itself.
    pub description: String,
    /// The message of the day, a line each; none where it is empty.
    pub motd: Vec<String>,
    /// Where the server is and whom to ask: three lines at most, the last an e-mail address.
    pub admin: Vec<String>,
    /// Names of users who may become operators by `OPER`, with their own password.
    pub operators: Vec<String>,
    /// Whether only users who log in, by SASL or by `PASS`, may come.
    pub require_account: bool,
    /// Whether clients may begin TLS by `STARTTLS`.
    pub starttls: bool,
    /// Where clients are told to come encrypted only (IRCv3's strict transport security).
    pub sts: Option<Sts>,
    /// Whether messages are kept, so that clients can ask for them.
    pub history: bool,
    /// Messages that are kept of one conversation.
    pub history_kept: u32,
    /// Messages that are kept of all conversations.
    pub history_kept_total: u32,
    /// Messages that a client may ask for at once.
    pub history_replies: u32,
    /// The modes of a channel that somebody makes: letters of `imnst`.
    pub channel_modes: String,
    /// The modes of a client that comes: letters of `iw`.
    pub user_modes: String,
    /// Seconds that a client has for registering.
    pub registration_timeout: u32,
    /// Seconds without a word after which a client is sent a `PING`.
    pub ping_interval: u32,
    /// Seconds that it has for an answer.
    pub ping_timeout: u32,
    /// Lines that a client may send at once. Later ones wait.
    pub burst: u32,
    /// Lines in a second that it may send on and on; 0 for as many as it likes.
    pub rate: u32,
    /// Bytes of lines that may wait; beyond it the client has to go, as "Excess Flood".
    pub recvq: usize,
    /// Bytes that may be queued for a client that takes none; beyond it the client has to go, as
    /// "Max SendQ exceeded".
    pub sendq: usize,
    /// Channels that a client may be in.
    pub channels: usize,
    /// Channels that there may be.
    pub channels_total: usize,
    /// Bans, exceptions and invitation masks of a channel, in sum.
    pub masks: usize,
    /// Nicknames that a client may monitor.
    pub monitor: usize,
    /// Invitations of a client that it has not followed; the oldest go.
    pub invitations: usize,
    /// Clients that have gone and are remembered for `WHOWAS`.
    pub whowas: usize,
    /// Receivers of one message.
    pub targets: usize,
    /// Changes with a parameter of one `MODE`.
    pub modes: usize,
    /// Bytes of a nickname.
    pub nick_length: usize,
    /// Bytes of a channel's name.
    pub channel_length: usize,
    /// Bytes of a topic.
    pub topic_length: usize,
}

/// A policy of strict transport security.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Sts {
    /// The port where TLS is spoken from the first byte on.
    pub port: u16,
    /// Seconds that a client remembers to come encrypted.
    pub duration: u64,
    /// Whether makers of clients may list the server as one that is always encrypted.
    #[serde(default)]
    pub preload: bool,
}

impl Sts {
    /// The capability with its value: where to go, or for how long to come so.
    pub(crate) fn value(&self, is_secure: bool) -> String {
        let preload = if self.preload { ",preload" } else { "" };
        if is_secure {
            format!("sts=duration={}{preload}", self.duration)
        } else {
            format!("sts=port={}", self.port)
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            name: "irc.localhost".into(),
            network: "Torsade".into(),
            description: "An IRC server on Torsade".into(),
            motd: Vec::new(),
            admin: Vec::new(),
            operators: Vec::new(),
            require_account: false,
            starttls: false,
            sts: None,
            history: true,
            history_kept: 1_000,
            history_kept_total: 1_000_000,
            history_replies: 100,
            channel_modes: "nt".into(),
            user_modes: "i".into(),
            registration_timeout: 60,
            ping_interval: 120,
            ping_timeout: 60,
            burst: 20,
            rate: 2,
            recvq: 16 * 1024,
            sendq: 256 * 1024,
            channels: 50,
            channels_total: 10_000,
            masks: 100,
            monitor: 100,
            invitations: 20,
            whowas: 256,
            targets: 4,
            modes: 6,
            nick_length: 30,
            channel_length: 64,
            topic_length: 390,
        }
    }
}

/// Bytes of a user's name.
pub(crate) const USER_BYTES_MAX: usize = 10;
/// Bytes of a real name.
pub(crate) const REAL_BYTES_MAX: usize = 150;
/// Bytes of what one says when one is away.
pub(crate) const AWAY_BYTES_MAX: usize = 200;
/// Bytes of the reason of a kick, a part, a kill or a quit.
pub(crate) const REASON_BYTES_MAX: usize = 255;
/// Bytes of a channel's key.
pub(crate) const KEY_BYTES_MAX: usize = 23;
/// Bytes of a host's name, as other clients see it.
pub(crate) const HOST_BYTES_MAX: usize = 63;

impl Config {
    /// Says what is wrong with values whose types are right.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn check(&self) -> Result<(), String> {
        self.check_names()?;
        let counts = [
            ("registration-timeout", self.registration_timeout as usize, 1, 3_600),
            ("ping-interval", self.ping_interval as usize, 1, 86_400),
            ("ping-timeout", self.ping_timeout as usize, 1, 86_400),
            ("burst", self.burst as usize, 1, 1_000_000),
            ("rate", self.rate as usize, 0, 1_000_000),
            ("recvq", self.recvq, 8_192, 1 << 30),
            ("sendq", self.sendq, 8_192, 1 << 30),
            ("history-kept", self.history_kept as usize, 1, 1_000_000),
            ("history-kept-total", self.history_kept_total as usize, 1, 1_000_000_000),
            ("history-replies", self.history_replies as usize, 1, 1_000),
            ("channels", self.channels, 1, 10_000),
            ("channels-total", self.channels_total, 1, 10_000_000),
            ("masks", self.masks, 0, 10_000),
            ("monitor", self.monitor, 0, 10_000),
            ("invitations", self.invitations, 1, 10_000),
            ("whowas", self.whowas, 0, 1_000_000),
            ("targets", self.targets, 1, 100),
            ("modes", self.modes, 1, 100),
            ("nick-length", self.nick_length, 9, 60),
            ("channel-length", self.channel_length, 2, 100),
            ("topic-length", self.topic_length, 1, 390),
        ];
        for (key, value, least, most) in counts {
            if !(least..=most).contains(&value) {
                return Err(format!("config: {key} is {value}, but may be {least} to {most}"));
            }
        }
        Ok(())
    }

    fn check_names(&self) -> Result<(), String> {
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_plain(&self.name)
            || !self.name.contains('.')
            || self.name.starts_with(':')
            || self.name.contains(['!', '@', '*', '?'])
            || self.name.len() > HOST_BYTES_MAX
        {
            let name = &self.name;
            return Err(format!(
                "config: name is {name:?}, but should be a host's name with a dot in it"
            ));
        }
        if self.network.is_empty() || !is_plain(&self.network) || self.network.len() > 30 {
            let network = &self.network;
            return Err(format!("config: network is {network:?}, but should be one word"));
        }
        let lines = [&self.motd, &self.admin].into_iter().flatten();
        if let Some(line) =
            lines.chain([&self.description]).find(|line| line.contains(['\r', '\n', '\0']))
        {
            return Err(format!("config: {line:?} should be one line"));
        }
        if self.admin.len() > 3 {
            return Err("config: admin should have three lines at most".into());
        }
        let modes = [
            ("channel-modes", &self.channel_modes, "imnst"),
            ("user-modes", &self.user_modes, "iw"),
        ];
        for (key, given, known) in modes {
            if let Some(letter) = given.chars().find(|&letter| !known.contains(letter)) {
                return Err(format!("config: {key} has {letter:?}, but knows {known} only"));
            }
        }
        if self.sts.as_ref().is_some_and(|sts| sts.port == 0) {
            return Err("config: sts.port is 0, but should be where TLS is spoken".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, Sts};

    #[test]
    fn the_schema_is_that_of_the_table() {
        let schema = schemars::schema_for!(Config);
        torsade_guest::testing::assert_schema(env!("CARGO_MANIFEST_DIR"), &schema);
    }

    #[test]
    fn the_defaults_are_right() {
        assert_eq!(Config::default().check(), Ok(()));
        let config: Config = serde_json::from_str("{}").unwrap();
        assert_eq!(config.check(), Ok(()));
    }

    #[test]
    fn a_mistake_is_told_with_what_would_be_right() {
        let said = |json: &str| {
            let config: Config = serde_json::from_str(json).unwrap();
            config.check().unwrap_err()
        };
        let name = said(r#"{"name": "irc"}"#);
        assert_eq!(name, "config: name is \"irc\", but should be a host's name with a dot in it");
        assert_eq!(said(r#"{"recvq": 1}"#), "config: recvq is 1, but may be 8192 to 1073741824");
        assert!(said(r#"{"channel-modes": "nx"}"#).contains("'x', but knows imnst only"));
        assert!(said(r#"{"motd": ["a\nb"]}"#).contains("one line"));
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(serde_json::from_str::<Config>(r#"{"nick_length": 9}"#).is_err());
    }

    #[test]
    fn strict_transport_security_says_where_to_go_or_how_to_come() {
        let sts = Sts { port: 6697, duration: 300, preload: true };
        assert_eq!(sts.value(false), "sts=port=6697");
        assert_eq!(sts.value(true), "sts=duration=300,preload");
    }
}
