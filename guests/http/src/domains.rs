//! What is served under which name: the rules of the configuration, checked and ready to be used.

use crate::config::{CacheControl, Config, Host};
use crate::encoding::Coding;
use crate::exchange::push_name;
use crate::fields::is_authority;
use crate::pattern::Pattern;
use crate::protection::Protection;
use crate::redirect::Redirect;
use crate::request::Head;
use crate::status::Status;
use crate::target;

/// What is served under a name, or under any.
#[derive(Clone, Debug)]
pub(crate) struct Domain {
    /// The folder that is the root of its paths, without slashes at its ends; empty for the
    /// granted folder.
    root: String,
    /// The files that stand for their folder, in the order in which they are tried.
    pub(crate) index: Vec<String>,
    pub(crate) listing: bool,
    /// The codings in which files may lie beside the originals.
    pub(crate) precompressed: Vec<Coding>,
    cache_control: Vec<(Pattern, String)>,
    error_pages: Vec<(Status, String)>,
    redirects: Vec<Redirect>,
    protections: Vec<Protection>,
}

impl Domain {
    /// Turns the configuration of a host into rules; what it doesn't say is said for all.
    fn new(config: &Config, host: &Host) -> Result<Self, String> {
        let root = host.root.clone().unwrap_or_default();
        if !root.is_empty() {
            check_path("root", &root)?;
        }
        let index = host.index.as_ref().unwrap_or(&config.index).clone();
        check_index(&index)?;
        let precompressed = host.precompressed.as_ref().unwrap_or(&config.precompressed).clone();
        check_codings(&precompressed)?;
        let rules = host.cache_control.as_ref().unwrap_or(&config.cache_control);
        let cache_control = each("cache-control", rules, cache_control)?;
        let mut error_pages = Vec::new();
        for (code, page) in host.error_pages.as_ref().unwrap_or(&config.error_pages) {
            error_pages.push(error_page(code, page).map_err(|what| format!("error-pages.{what}"))?);
        }
        let redirects = host.redirects.as_ref().unwrap_or(&config.redirects);
        let redirects = each("redirects", redirects, Redirect::new)?;
        let protections =
            each("auth", host.auth.as_ref().unwrap_or(&config.auth), Protection::new)?;
        let listing = host.listing.unwrap_or(config.listing);
        Ok(Self {
            root,
            index,
            listing,
            precompressed,
            cache_control,
            error_pages,
            redirects,
            protections,
        })
    }

    /// Begins the path of a file with the root.
    pub(crate) fn start(&self, path: &mut String) {
        path.clear();
        if !self.root.is_empty() {
            path.push_str(&self.root);
            path.push('/');
        }
    }

    /// A path that begins with the root, without the root.
    pub(crate) fn inside<'a>(&self, path: &'a str) -> &'a str {
        let rest = path.strip_prefix(&*self.root).unwrap_or(path);
        if self.root.is_empty() { rest } else { rest.strip_prefix('/').unwrap_or(rest) }
    }

    /// What `Cache-Control` is for a path that begins with the root.
    pub(crate) fn cache_control(&self, path: &str) -> Option<&str> {
        let path = self.inside(path);
        let rule = self.cache_control.iter().find(|(pattern, _)| pattern.matches(path).is_some());
        rule.map(|(_, value)| &**value)
    }

    /// Puts the path of the page that goes with a status in place of `path`; false where it has
    /// none.
    pub(crate) fn find_error_page(&self, status: Status, path: &mut String) -> bool {
        let Some((_, page)) = self.error_pages.iter().find(|(of, _)| *of == status) else {
            return false;
        };
        self.start(path);
        path.push_str(page);
        true
    }

    /// The redirect of a path that begins with the root, by its number.
    pub(crate) fn find_redirect(&self, path: &str) -> Option<usize> {
        let path = self.inside(path);
        self.redirects.iter().position(|redirect| redirect.matches(path))
    }

    /// Who may see a path that begins with the root, by the number of the rule; none where all
    /// may. A folder is also what any of its index files is.
    pub(crate) fn find_protection(&self, path: &str, is_folder: bool) -> Option<usize> {
        if self.protections.is_empty() {
            return None;
        }
        let path = self.inside(path);
        let rule = |path: &str| self.protections.iter().position(|rule| rule.covers(path));
        let index = |name: &String| {
            let mut file = path.to_owned();
            push_name(&mut file, name);
            rule(&file)
        };
        let names = self.index.iter().filter(|_| is_folder);
        rule(path).or_else(|| names.filter_map(index).next())
    }

    /// The rule of this number.
    pub(crate) fn protection(&self, number: usize) -> &Protection {
        &self.protections[number]
    }

    /// The redirect of this number.
    pub(crate) fn redirect(&self, number: usize) -> &Redirect {
        &self.redirects[number]
    }
}

/// The names that are served.
#[derive(Debug)]
pub(crate) struct Domains {
    /// What the names' places stand for. Behind them is what is said for all names together.
    domains: Vec<Domain>,
    names: Vec<Name>,
}

/// A name under which something is served, in small letters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    /// This name.
    Exact(String),
    /// Names that end like this, which begins with a dot.
    Below(String),
    /// Any.
    Any,
}

impl Domains {
    /// Turns a configuration into rules; says what is wrong with it, if anything.
    pub(crate) fn new(config: &Config) -> Result<Self, String> {
        if config.hosts.len() > MAX_HOSTS {
            return Err(format!("hosts: at most {MAX_HOSTS} names"));
        }
        let mut found = Vec::new();
        for (text, host) in &config.hosts {
            let told = |what| format!("hosts.\"{text}\"{what}");
            let name = Name::new(text).map_err(|what| told(format!(": {what}")))?;
            if found.iter().any(|(other, _)| *other == name) {
                return Err(told(": is there twice, since case makes no difference".into()));
            }
            let domain = Domain::new(config, host).map_err(|what| told(format!(".{what}")))?;
            found.push((name, domain));
        }
        // The first that matches is then the one that says most.
        found.sort_by_key(|(name, _)| name.rank());
        let (names, mut domains): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        domains.push(Domain::new(config, &Host::default())?);
        Ok(Self { domains, names })
    }

    /// The domain that a request is for, by its number; none where its name is not served.
    pub(crate) fn find(&self, head: Head<'_>) -> Option<usize> {
        if self.names.is_empty() {
            return Some(0);
        }
        // The target, where it names a host, is right, and the field is not (RFC 9112, section
        // 3.2.2).
        let authority = target::authority(head.target());
        let authority = authority.or_else(|| head.values("host").next()).unwrap_or_default();
        let host = without_port(authority);
        self.names.iter().position(|name| name.matches(host))
    }

    /// What is said for all names together: for those that are not served.
    pub(crate) fn common(&self) -> usize {
        self.domains.len() - 1
    }

    /// The domain of this number.
    pub(crate) fn at(&self, number: usize) -> &Domain {
        &self.domains[number]
    }
}

impl Name {
    fn new(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let is_below = name.starts_with("*.");
        let rest = name.strip_prefix("*.").unwrap_or(&name);
        let is_address = rest.starts_with('[');
        let is_sound = !rest.is_empty()
            && !rest.contains(['*', '%'])
            && (is_address || !(rest.contains(':') || rest.split('.').any(str::is_empty)))
            && !rest.ends_with(|last: char| is_address && last != ']')
            && is_authority(rest.as_bytes());
        if !is_sound {
            let right = "`example.org`, `*.example.org` for all below it, or `*` for any other";
            return Err(format!("is no name of a host without a port: {right}"));
        }
        Ok(if is_below { Self::Below(name[1..].to_owned()) } else { Self::Exact(name) })
    }

    /// Before others that say less.
    fn rank(&self) -> (u8, usize) {
        match self {
            Self::Exact(_) => (0, 0),
            Self::Below(end) => (1, usize::MAX - end.len()),
            Self::Any => (2, 0),
        }
    }

    fn matches(&self, host: &[u8]) -> bool {
        match self {
            Self::Exact(name) => host.eq_ignore_ascii_case(name.as_bytes()),
            Self::Below(end) => match host.len().checked_sub(end.len()) {
                Some(0) | None => false,
                Some(start) => host[start..].eq_ignore_ascii_case(end.as_bytes()),
            },
            Self::Any => true,
        }
    }
}

/// The host of an authority, without the dot that may end a name.
fn without_port(authority: &[u8]) -> &[u8] {
    let end = match authority.first() {
        Some(b'[') => memchr::memchr(b']', authority).map(|end| end + 1),
        _ => memchr::memchr(b':', authority),
    };
    let host = &authority[..end.unwrap_or(authority.len())];
    host.strip_suffix(b".").unwrap_or(host)
}

/// Makes a rule of each element of a list; says which is wrong, if one is.
fn each<T, R>(
    key: &str,
    list: &[T],
    make: impl Fn(&T) -> Result<R, String>,
) -> Result<Vec<R>, String> {
    if list.len() > MAX_RULES {
        return Err(format!("{key}: at most {MAX_RULES}"));
    }
    let numbered = list.iter().enumerate();
    numbered.map(|(at, one)| make(one).map_err(|what| format!("{key}[{at}].{what}"))).collect()
}

fn check_index(names: &[String]) -> Result<(), String> {
    for name in names {
        if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\\', '\0']) {
            return Err(format!("index: `{name}` is not the name of a file in a folder"));
        }
    }
    if names.len() > MAX_INDEX_NAMES {
        return Err(format!("index: at most {MAX_INDEX_NAMES} names can be tried"));
    }
    Ok(())
}

fn check_codings(codings: &[Coding]) -> Result<(), String> {
    for (at, coding) in codings.iter().enumerate() {
        if codings[..at].contains(coding) {
            return Err(format!("precompressed[{at}]: `{}` is there twice", coding.name()));
        }
    }
    Ok(())
}

fn cache_control(rule: &CacheControl) -> Result<(Pattern, String), String> {
    let pattern = Pattern::new(&rule.path).map_err(|what| format!("path: {what}"))?;
    let is_sendable = |byte| byte == b' ' || u8::is_ascii_graphic(&byte);
    if rule.value.trim().is_empty() || !rule.value.bytes().all(is_sendable) {
        return Err("value: has to be visible ASCII characters and spaces".into());
    }
    Ok((pattern, rule.value.trim().to_owned()))
}

fn error_page(code: &str, page: &str) -> Result<(Status, String), String> {
    let status = Status::with_page(code).ok_or_else(|| {
        let known = Status::WITH_PAGE.map(|status| status.code().to_string()).join(", ");
        format!("{code}: no page can be set for this status; it can for {known}")
    })?;
    check_path(code, page)?;
    Ok((status, page.to_owned()))
}

/// Whether this is a path below a folder, as a system takes it.
fn check_path(key: &str, path: &str) -> Result<(), String> {
    let is_part = |part: &str| !part.is_empty() && part != "." && part != "..";
    let is_sound = path.split('/').all(is_part) && !path.contains(['\\', '\0']);
    if !is_sound || path.len() > MAX_PATH {
        let right = "it has no `/` at its ends, and no `..`";
        return Err(format!("{key}: `{path}` is not a path below the root: {right}"));
    }
    Ok(())
}

/// How many index files are tried for one request.
const MAX_INDEX_NAMES: usize = 16;

/// How many names can be served.
const MAX_HOSTS: usize = 100;

/// How many elements a list of rules can have: each is looked at for a request.
const MAX_RULES: usize = 100;

/// The longest path in the configuration, in bytes.
const MAX_PATH: usize = 1000;

#[cfg(test)]
mod tests {
    use super::{Domains, without_port};
    use crate::config::Config;

    fn check(json: &str) -> Result<Domains, String> {
        Domains::new(&serde_json::from_str::<Config>(json).map_err(|error| error.to_string())?)
    }

    #[test]
    fn the_name_that_says_most_is_served() {
        let names = ["*", "*.example.org", "example.org", "*.a.example.org", "[::1]", "B.test."];
        let hosts =
            names.iter().enumerate().map(|(at, name)| format!("{name:?}: {{\"root\": \"{at}\"}}"));
        let domains = check(&format!("{{\"hosts\": {{{}}}}}", hosts.collect::<Vec<_>>().join(",")));
        let domains = domains.unwrap();
        for (authority, want) in [
            ("example.org", 2),
            ("EXAMPLE.org:8080", 2),
            ("example.org.", 2),
            ("example.org.:80", 2),
            ("www.example.org", 1),
            ("a.example.org", 1),
            ("x.y.a.example.org", 3),
            (".example.org", 0),
            ("notexample.org", 0),
            ("b.test", 5),
            ("[::1]:80", 4),
            ("", 0),
        ] {
            let host = without_port(authority.as_bytes());
            let found = domains.names.iter().position(|name| name.matches(host)).unwrap();
            assert_eq!(domains.at(found).root, want.to_string(), "{authority}");
        }
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        for (json, want) in [
            (r#"{"index": ["../secret"]}"#, "index: "),
            (r#"{"index": [".."]}"#, "index: "),
            (r#"{"precompressed": ["br", "gzip", "br"]}"#, "precompressed[2]: "),
            (r#"{"cache-control": [{"path": "a", "value": "x"}]}"#, "cache-control[0].path: `a` "),
            (r#"{"cache-control": [{"path": "/", "value": "a\r\nb"}]}"#, "cache-control[0].value:"),
            (r#"{"error-pages": {"404": "/404.html"}}"#, "error-pages.404: "),
            (r#"{"error-pages": {"404": "../404.html"}}"#, "error-pages.404: "),
            (r#"{"error-pages": {"200": "ok.html"}}"#, "error-pages.200: no page "),
            (r#"{"redirects": [{"from": "/", "to": "x"}]}"#, "redirects[0].to: "),
            (r#"{"hosts": {"a:80": {}}}"#, "hosts.\"a:80\": is no name "),
            (r#"{"hosts": {"": {}}}"#, "hosts.\"\": "),
            (r#"{"hosts": {"a.*": {}}}"#, "hosts.\"a.*\": "),
            (r#"{"hosts": {"a..b": {}}}"#, "hosts.\"a..b\": "),
            (r#"{"hosts": {"a": {}, "A.": {}}}"#, "hosts.\"a\": is there twice"),
            (r#"{"hosts": {"a": {"root": "../b"}}}"#, "hosts.\"a\".root: `../b` "),
            (
                r#"{"hosts": {"a": {"redirects": [{"from": "/x", "to": "/y", "status": 200}]}}}"#,
                "hosts.\"a\".redirects[0].status: ",
            ),
        ] {
            let error = check(json).map(|_| ()).expect_err(json);
            assert!(error.starts_with(want), "{json}: {error}");
        }
        let rules = vec![r#"{"path": "/", "value": "x"}"#; 101].join(",");
        let error = check(&format!("{{\"cache-control\": [{rules}]}}")).map(|_| ()).unwrap_err();
        assert_eq!(error, "cache-control: at most 100");
    }
}
