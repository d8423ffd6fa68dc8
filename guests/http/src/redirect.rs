//! Redirects: where a path is to be looked for instead (RFC 9110, section 15.4).

use crate::config;
use crate::fields::is_authority;
use crate::pattern::Pattern;
use crate::status::Status;
use crate::target;

/// Where the paths of a pattern are to be looked for instead.
#[derive(Clone, Debug)]
pub(crate) struct Redirect {
    from: Pattern,
    /// What comes before [`REST`], or all.
    before: String,
    /// What comes behind it; none where it isn't there.
    after: Option<String>,
    /// Whether the request's query is to be kept.
    keeps_query: bool,
    /// The status.
    pub(crate) status: Status,
}

impl Redirect {
    /// Turns an element of the configuration into a redirect; says what is wrong with it, if
    /// anything, behind the key.
    pub(crate) fn new(rule: &config::Redirect) -> Result<Self, String> {
        let from = Pattern::new(&rule.from).map_err(|what| format!("from: {what}"))?;
        let status = Status::of_redirect(rule.status)
            .ok_or_else(|| format!("status: {} is none of {STATUSES}", rule.status))?;
        let wrong = |what: &str| Err(format!("to: `{}` {what}", rule.to));
        let (before, after) = match rule.to.split_once(REST) {
            Some((before, after)) => (before, Some(after)),
            None => (&*rule.to, None),
        };
        let Some(path) = path_start(before) else {
            return wrong(
                "has to be a path that begins with `/`, or `https://HOST/…`, `http://HOST/…`, \
                 or `//HOST/…`; `{rest}` comes behind the host",
            );
        };
        if after.is_some() && !from.has_rest() {
            return wrong("has `{rest}`, but `from` has no `**` that it could stand for");
        }
        if !before.bytes().chain(after.unwrap_or_default().bytes()).all(is_reference) {
            return wrong("has a character that has to be percent-encoded");
        }
        if rule.to.len() > MAX_TARGET {
            return wrong("is too long: at most 1000 bytes");
        }
        let sample =
            format!("{before}{}", after.map(|after| format!("x{after}")).unwrap_or_default());
        let end = sample.find(['?', '#']).unwrap_or(sample.len());
        if path == 0 && from.matches(sample[..end].trim_matches('/')).is_some() {
            return wrong("leads to itself: `from` has this path, too");
        }
        Ok(Self {
            from,
            keeps_query: !rule.to.contains(['?', '#']),
            before: before.to_owned(),
            after: after.map(str::to_owned),
            status,
        })
    }

    /// Whether it is about this path, which has no slashes at its ends.
    pub(crate) fn matches(&self, path: &str) -> bool {
        self.from.matches(path).is_some()
    }

    /// Where that path is to be looked for, as the value of `Location`. `is_folder` says that a
    /// slash stood at its end.
    pub(crate) fn location(&self, path: &str, is_folder: bool, query: Option<&[u8]>) -> String {
        let mut location = self.before.clone();
        if let Some(after) = &self.after {
            // No part of a path is empty, so what is put in never begins with a slash.
            let rest = self.from.matches(path).unwrap_or_default();
            location.extend(target::encoded(rest));
            if is_folder && after.is_empty() && !rest.is_empty() {
                location.push('/');
            }
            // Two slashes at the start would name a host.
            let is_doubled = rest.is_empty() && self.before.ends_with('/');
            location.push_str(after.strip_prefix('/').filter(|_| is_doubled).unwrap_or(after));
        }
        if let Some(query) = query.filter(|_| self.keeps_query) {
            location.push('?');
            location.push_str(&String::from_utf8_lossy(query));
        }
        location
    }
}

/// Where the path begins in a reference (RFC 3986, section 4.1) whose authority is complete. None
/// where it is of another form, or where its path could be taken for an authority.
fn path_start(reference: &str) -> Option<usize> {
    let schemes = ["https://", "http://", "//"];
    let scheme = schemes.into_iter().find(|scheme| reference.starts_with(scheme));
    let Some(scheme) = scheme else { return reference.starts_with('/').then_some(0) };
    let rest = &reference[scheme.len()..];
    let end = rest.find('/')?;
    let is_host = end > 0 && !rest.starts_with(':') && is_authority(&rest.as_bytes()[..end]);
    is_host.then_some(scheme.len() + end)
}

/// Whether the byte may stand in a reference as it is.
fn is_reference(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)
}

/// What stands for that which `**` stood for.
const REST: &str = "{rest}";

/// What a redirect's status can be.
const STATUSES: &str = "301, 302, 303, 307 and 308";

/// The longest `to`, in bytes.
const MAX_TARGET: usize = 1000;

#[cfg(test)]
mod tests {
    use super::Redirect;
    use crate::config;

    fn redirect(from: &str, to: &str) -> Result<Redirect, String> {
        Redirect::new(&config::Redirect { from: from.into(), to: to.into(), status: 308 })
    }

    #[test]
    fn locations() {
        for (from, to, path, query, want) in [
            ("/a", "/b", "a", None, "/b"),
            ("/a", "/b", "a", Some("x=1"), "/b?x=1"),
            ("/a", "/b?c", "a", Some("x=1"), "/b?c"),
            ("/a", "/b#c", "a", Some("x=1"), "/b#c"),
            ("/old/**", "/new/{rest}", "old/x/y", None, "/new/x/y"),
            ("/old/**", "/new/{rest}", "old/x/", None, "/new/x/"),
            ("/old/**", "/new/{rest}", "old/", None, "/new/"),
            ("/old/**", "/new/{rest}.html", "old/x", None, "/new/x.html"),
            ("/old/**", "/new/{rest}", "old/a b\u{e4}?#%", None, "/new/a%20b%C3%A4%3F%23%25"),
            ("/old/**", "/{rest}", "old/evil.example/x", None, "/evil.example/x"),
            ("/old/**", "/{rest}", "old", None, "/"),
            ("/old/**", "/{rest}/x", "old/a", None, "/a/x"),
            ("/old/**", "/{rest}/x", "old", None, "/x"),
            ("/old/**", "/new{rest}/x", "old", None, "/new/x"),
            ("/**", "https://a.test/{rest}", "x", Some("q"), "https://a.test/x?q"),
            ("/**", "https://a.test:8443/", "x", None, "https://a.test:8443/"),
            ("/**", "//a.test/{rest}", "x", None, "//a.test/x"),
            ("/**", "//[::1]/{rest}", "", None, "//[::1]/"),
        ] {
            let redirect = redirect(from, to).unwrap();
            let is_folder = path.ends_with('/');
            let path = path.trim_end_matches('/');
            assert!(redirect.matches(path), "{from} {path}");
            let query = query.map(str::as_bytes);
            assert_eq!(redirect.location(path, is_folder, query), want, "{from} {to} {path}");
        }
    }

    #[test]
    fn targets_that_a_path_could_change_are_refused() {
        for to in [
            "",
            "new",
            "{rest}",
            "//{rest}",
            "///x",
            "https://a.test{rest}",
            "https://{rest}",
            "https://a.test",
            "https:///x",
            "https://:80/x",
            "https://user@a.test/",
            "javascript://a/%0aalert(1)",
            "ftp://a.test/",
            "/\\evil.example",
            "/a\r\nX: y",
            "/a b",
            "/{rest}/{rest}",
            "/{other}",
            "/\u{e4}",
        ] {
            assert!(redirect("/old/**", to).is_err(), "{to}");
        }
        assert!(redirect("/old/*", "/new/{rest}").is_err());
    }

    #[test]
    fn a_redirect_to_itself_is_refused() {
        for (from, to) in [
            ("/a", "/a"),
            ("/a", "/a/?b"),
            ("/**", "/new/{rest}"),
            ("/**", "/"),
            ("/old/**", "/old/new/{rest}"),
        ] {
            assert!(redirect(from, to).unwrap_err().contains("leads to itself"), "{from} {to}");
        }
        assert!(redirect("/**", "https://a.test/{rest}").is_ok());
    }
}
