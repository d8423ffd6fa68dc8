//! Plugins: what makes protocols.

use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

use crate::deferred::Waiting;
use crate::manifest::NO_CONFIG;
use crate::protocol::Protocol;
use crate::transport::Transport;
use crate::types::Origin;

/// What a plugin is: it reads its configuration and makes the protocol of each connection.
///
/// Export it with [`export!`](crate::export).
pub trait Plugin: Sized + 'static {
    /// Whether connections share what the plugin keeps, as in a chat room. The manifest says so, and
    /// where the service doesn't say otherwise all of them then have one sandbox
    /// (`instances = "per-worker"`, `workers = 1`).
    const SHARED_STATE: bool = false;

    /// The service's `config` table: anything that serde can deserialize, or [`NoConfig`].
    /// Derive it with `#[serde(deny_unknown_fields)]`, so that misspelt keys are refused. Where
    /// [`export!`](crate::export) is given its schema, the host refuses them before.
    type Config: Config;

    /// What the plugin's connections mean.
    type Protocol: Protocol;

    /// Called once for each instance, before anything else.
    ///
    /// # Errors
    /// A sentence for the operator, which refuses the configuration: the host prints it and
    /// does not serve.
    fn start(config: Self::Config) -> Result<Self, String>;

    /// What must have fired before connections of peers are delivered; one that the plugin dials
    /// comes before. Called once, right after `start`.
    fn ready(&mut self) -> Option<Waiting> {
        None
    }

    /// Makes the protocol of a new connection, which may write already; or refuses the
    /// connection, and then it is closed at once.
    fn build_protocol(
        &mut self,
        transport: Transport<Self::Protocol>,
        origin: Origin,
    ) -> Option<Self::Protocol>;

    /// The host, or the service, is stopping. No connection of a peer is accepted any more, though
    /// one that was accepted before may still come, when its handshake is over; and listening
    /// fails. Connections that are still open when the host's `grace` is over are closed. An
    /// instance that starts only now is told behind its `start`.
    ///
    /// A reload that changes the service, or its plugin, is no end for connections that are open:
    /// they stay with their instance. One that they share hears of it only when the last of them is
    /// gone.
    fn stopping(&mut self) {}
}

/// A plugin's configuration, made from the service's `config` table.
pub trait Config: Sized {
    /// The JSON Schema of the table, for the manifest of a plugin that gives [`export!`] none; empty
    /// for none.
    ///
    /// [`export!`]: crate::export
    const SCHEMA: &str = "";

    /// Reads the table, given as a JSON object (RFC 8259).
    ///
    /// # Errors
    /// A sentence for the operator that says what is wrong and what would be right.
    fn parse(json: &str) -> Result<Self, String>;
}

impl<C: DeserializeOwned> Config for C {
    fn parse(json: &str) -> Result<Self, String> {
        let mut reader = serde_json::Deserializer::from_str(json);
        let config = serde_path_to_error::deserialize(&mut reader)
            .map_err(|error| wrong(Some(error.path()), error.inner()))?;
        reader.end().map_err(|error| wrong(None, &error))?;
        Ok(config)
    }
}

/// Says what is wrong, and with which value: `config.rules[2].to: invalid type: …`.
fn wrong(path: Option<&Path>, error: &serde_json::Error) -> String {
    let mut place = String::from("config");
    for segment in path.into_iter().flat_map(Path::iter) {
        match segment {
            Segment::Enum { variant: key } | Segment::Map { key } => {
                let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
                let quote = if key.bytes().all(is_plain) { "" } else { "\"" };
                place.extend([".", quote, key, quote]);
            }
            Segment::Seq { index } => place.extend(["[", &index.to_string(), "]"]),
            Segment::Unknown => place.push_str(".?"),
        }
    }
    // The operator wrote TOML: a place in the JSON would mislead.
    let message = error.to_string();
    let what = message.rsplit_once(" at line ").map_or(&*message, |(what, _)| what);
    format!("{place}: {what}")
}

/// The configuration of a plugin that has none. Any key is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoConfig;

impl Config for NoConfig {
    const SCHEMA: &str = NO_CONFIG;

    fn parse(json: &str) -> Result<Self, String> {
        let inside = json.trim_ascii().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        match inside.map(str::trim_ascii) {
            Some("") => Ok(NoConfig),
            _ => Err(format!("config: this plugin takes no configuration, but got {json}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Config, NoConfig};

    #[test]
    fn an_empty_table_is_no_config() {
        assert_eq!(NoConfig::parse("{}"), Ok(NoConfig));
        assert_eq!(NoConfig::parse(" { } "), Ok(NoConfig));
    }

    #[test]
    fn a_key_is_refused_where_there_is_no_config() {
        let error = NoConfig::parse(r#"{"a":1}"#).unwrap_err();
        assert_eq!(error, r#"config: this plugin takes no configuration, but got {"a":1}"#);
    }

    #[test]
    fn a_wrong_type_is_told_without_a_place_in_json() {
        let error = <Vec<u8> as Config>::parse("{}").unwrap_err();
        assert_eq!(error, "config: invalid type: map, expected a sequence");
    }

    #[test]
    fn a_wrong_value_is_told_with_its_path() {
        type Hosts = BTreeMap<String, Vec<u8>>;
        for (json, want) in [
            (r#"{"a":[1,2],"b":[3,"x"]}"#, "config.b[1]: invalid type: string \"x\", expected u8"),
            (
                r#"{"a.b":true}"#,
                "config.\"a.b\": invalid type: boolean `true`, expected a sequence",
            ),
            ("{} {}", "config: trailing characters"),
        ] {
            assert_eq!(<Hosts as Config>::parse(json).unwrap_err(), want);
        }
    }
}
