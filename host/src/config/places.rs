//! Where in the file a plugin's own configuration is wrong, which only its plugin could say.

use toml::de::DeTable;

use super::error::{ConfigError, Mistake, Mistakes};
use super::field::{Field, Lines, Section};
use super::{Config, on_deep_stack};

/// Something in a service's `config` that its plugin doesn't take.
#[derive(Clone, Debug)]
pub struct WrongConfig {
    /// The service's name.
    pub service: String,
    /// The value: a JSON Pointer (RFC 6901) from the root of `config`.
    pub at: String,
    /// The key in it that is the mistake, where the value isn't.
    pub key: Option<String>,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl Config {
    /// The error of a file whose services have wrong `config` tables, each mistake with its place
    /// as far as the file has it.
    pub fn wrong(&self, wrong: &[WrongConfig]) -> ConfigError {
        let found = on_deep_stack(|| {
            let mut mistakes = Mistakes::default();
            // It was found to be TOML before.
            if let Ok(root) = DeTable::parse(&self.text) {
                let lines = Lines::of(&self.text);
                let tables = Section::root(root.get_ref(), &lines).field("service");
                for wrong in wrong {
                    mistakes.push(mistake(wrong, tables.as_ref()));
                }
            }
            ConfigError::new(&self.file, &self.text, mistakes)
        });
        found.unwrap_or_else(|error| {
            let problem =
                format!("a `config` is wrong, and there is no thread to say where: {error}");
            ConfigError::whole_file(&self.file, problem)
        })
    }
}

/// Its name is that of the whole way to the value. Its place is that of the last value on the way
/// that is there: `config` may be missing.
fn mistake(wrong: &WrongConfig, tables: Option<&Field<'_>>) -> Mistake {
    let WrongConfig { service, at, key, problem } = wrong;
    let mut name = format!("service.{service}.config");
    let mut last = tables.and_then(|tables| tables.below(service));
    let config = last.as_ref().and_then(|service| service.below("config"));
    let mut on_the_way = config.is_some();
    last = config.or(last);
    for step in at.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        let next = last.as_ref().filter(|_| on_the_way).and_then(|last| last.inside(&step));
        name =
            next.as_ref().map_or_else(|| format!("{name}.{step}"), |next| next.path().to_owned());
        on_the_way = next.is_some();
        last = next.or(last);
    }
    let key = key.as_ref().and_then(|key| last.as_ref()?.key_span(key));
    let at = key.or_else(|| Some(last?.span())).unwrap_or_default();
    Mistake { at, key: name, problem: problem.clone() }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::parse;

    /// What is said of a value, and of a key in it.
    fn told(text: &str, at: &str, key: Option<&str>) -> String {
        let config = parse(Path::new("torsade.toml"), text.as_bytes()).unwrap();
        let wrong = WrongConfig {
            service: "a".to_owned(),
            at: at.to_owned(),
            key: key.map(str::to_owned),
            problem: "is wrong".to_owned(),
        };
        config.wrong(&[wrong]).to_string()
    }

    const HEAD: &str = "[service.a]\nplugin = \"src/lib.rs\"\n";

    #[test]
    fn a_wrong_value_is_shown_where_it_stands() {
        let text = format!("{HEAD}config = {{ index = [\"b\", 7], to = {{ \"a/b\" = 1 }} }}\n");
        let shown = told(&text, "/index/1", None);
        assert_eq!(
            shown,
            "torsade.toml:3:26: service.a.config.index[1]: is wrong\n  \
             3 | config = { index = [\"b\", 7], to = { \"a/b\" = 1 } }\n    \
             |                          ^"
        );
        let shown = told(&text, "/to/a~1b", None);
        assert!(shown.starts_with("torsade.toml:3:45: service.a.config.to.a/b: is"), "{shown}");
        let shown = told(&text, "/to", Some("a/b"));
        assert!(shown.starts_with("torsade.toml:3:37: service.a.config.to: is"), "{shown}");
        let text = format!("{HEAD}[service.a.config.hosts]\n\"b.c\" = {{ lsting = 1 }}\n");
        let shown = told(&text, "/hosts/b.c", Some("lsting"));
        assert!(shown.starts_with("torsade.toml:4:11: service.a.config.hosts.b.c: is"), "{shown}");
        let text = format!("{HEAD}[[service.a.config.list]]\n[[service.a.config.list]]\nb = 1\n");
        let shown = told(&text, "/list/1/b", None);
        assert!(shown.starts_with("torsade.toml:5:5: service.a.config.list[1].b: is"), "{shown}");
    }

    #[test]
    fn what_is_missing_is_shown_where_it_would_stand() {
        let shown = told(HEAD, "", None);
        assert!(shown.starts_with("torsade.toml:1:1: service.a.config: is wrong\n"), "{shown}");
        let shown = told(HEAD, "/a/0", Some("b"));
        assert!(shown.starts_with("torsade.toml:1:1: service.a.config.a.0: is wrong"), "{shown}");
    }
}
