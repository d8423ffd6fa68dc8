//! The service's `config` table.

use serde::Deserialize;

/// What the service's `config` says.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The endpoint that connections are forwarded to: `tcp:HOST:PORT`, `tls:HOST:PORT` or
    /// `unix:PATH`, with the options of the host's `connect`.
    pub to: String,
}

impl Config {
    /// Looks at what can be seen before the first connection is forwarded.
    ///
    /// # Errors
    /// A sentence for the operator that says what would be right.
    pub fn check(&self) -> Result<(), String> {
        match self.to.split_once(':') {
            Some(("tcp" | "tls" | "unix", rest)) if !rest.is_empty() => Ok(()),
            _ => Err(format!(
                "config: `to` is {:?}; it should be an endpoint, as tcp:127.0.0.1:9000 or \
                 unix:/run/a.sock",
                self.to
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    fn check(to: &str) -> Result<(), String> {
        Config { to: to.to_owned() }.check()
    }

    #[test]
    fn the_schema_is_that_of_the_table() {
        let schema = schemars::schema_for!(Config);
        torsade_guest::testing::assert_schema(env!("CARGO_MANIFEST_DIR"), &schema);
    }

    #[test]
    fn an_endpoint_says_its_kind() {
        assert_eq!(check("tcp:example.org:80:timeout=5"), Ok(()));
        assert_eq!(check("tls:example.org:443:alpn=http/1.1"), Ok(()));
        assert_eq!(check("unix:/run/a.sock"), Ok(()));
        for wrong in ["", "example.org:80", "tcp", "tcp:", "udp:example.org:53"] {
            assert!(check(wrong).unwrap_err().contains("tcp:127.0.0.1:9000"), "{wrong:?}");
        }
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        let read = |json| serde_json::from_str::<Config>(json);
        assert_eq!(read(r#"{"to":"unix:a"}"#).unwrap(), Config { to: "unix:a".to_owned() });
        assert!(read("{}").is_err());
        assert!(read(r#"{"to":"unix:a","form":1}"#).is_err());
    }
}
