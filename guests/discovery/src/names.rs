//! Names of hosts, types of services, and their instances, as labels (RFC 6763, section 4).

use simple_dns::{Label, Name};

/// The domain of the local network (RFC 6762, section 3).
const DOMAIN: &[u8] = b"local";

/// No label is longer, in bytes (RFC 1035, section 2.3.4).
pub(crate) const LABEL_MAX: usize = 63;

/// The name of a type without its underscore is no longer (RFC 6335, section 5.1).
const TYPE_MAX: usize = 15;

/// A type of services, as `_http._tcp` (RFC 6763, section 7).
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ServiceType {
    application: String,
    protocol: &'static str,
}

impl ServiceType {
    /// Reads one, written as `_http._tcp`.
    ///
    /// # Errors
    /// A sentence that says what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no type of services: write one as \"_http._tcp\"");
        let (application, protocol) = text.split_once('.').ok_or_else(wrong)?;
        let protocol = match protocol.to_ascii_lowercase().as_str() {
            "_tcp" => "_tcp",
            "_udp" => "_udp",
            _ => return Err(wrong()),
        };
        let word = application.strip_prefix('_').ok_or_else(wrong)?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if word.is_empty() || word.len() > TYPE_MAX || !word.chars().all(is_plain) {
            return Err(wrong());
        }
        Ok(ServiceType { application: application.to_owned(), protocol })
    }

    /// The name under which instances of it are found.
    pub(crate) fn name(&self) -> Name<'static> {
        name(&[self.application.as_bytes(), self.protocol.as_bytes(), DOMAIN])
    }

    /// The name of an instance.
    pub(crate) fn instance(&self, label: &str) -> Name<'static> {
        let (application, protocol) = (self.application.as_bytes(), self.protocol.as_bytes());
        name(&[label.as_bytes(), application, protocol, DOMAIN])
    }

    /// The name under which instances of a subtype are found (RFC 6763, section 7.1).
    pub(crate) fn subtype(&self, subtype: &str) -> Name<'static> {
        let (application, protocol) = (self.application.as_bytes(), self.protocol.as_bytes());
        name(&[subtype.as_bytes(), b"_sub", application, protocol, DOMAIN])
    }
}

impl std::fmt::Display for ServiceType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.application, self.protocol)
    }
}

/// The name under which types of services are found (RFC 6763, section 9).
pub(crate) fn all_types() -> Name<'static> {
    name(&[b"_services", b"_dns-sd", b"_udp", DOMAIN])
}

/// The name of a host.
pub(crate) fn host(label: &str) -> Name<'static> {
    name(&[label.as_bytes(), DOMAIN])
}

/// Labels are cut at [`LABEL_MAX`], so it can't fail; what is configured was checked before.
fn name(labels: &[&[u8]]) -> Name<'static> {
    let label = |bytes: &&[u8]| Label::new_unchecked(bytes[..bytes.len().min(LABEL_MAX)].to_vec());
    Name::new_with_labels(&labels.iter().map(label).collect::<Vec<_>>())
}

/// A name as a key: names that differ in case alone have the same.
pub(crate) fn key(name: &Name<'_>) -> Vec<u8> {
    let mut key = Vec::new();
    for label in name.as_bytes() {
        key.push(label.len() as u8);
        key.extend(label.iter().map(u8::to_ascii_lowercase));
    }
    key
}

/// The first label of a name for a person.
pub(crate) fn first_label(name: &Name<'_>) -> String {
    let label = name.as_bytes().next().unwrap_or_default();
    String::from_utf8_lossy(label).into_owned()
}

/// The next name of an instance whose name is taken: `Site` is followed by `Site (2)`.
pub(crate) fn next_instance(base: &str, number: u32) -> String {
    with_end(base, &format!(" ({number})"))
}

/// The next name of a host whose name is taken: `torsade` is followed by `torsade-2`.
pub(crate) fn next_host(base: &str, number: u32) -> String {
    with_end(base, &format!("-{number}"))
}

/// A label with something at its end, cut before it where it would be too long.
fn with_end(base: &str, end: &str) -> String {
    let room = LABEL_MAX.saturating_sub(end.len());
    format!("{}{end}", &base[..base.floor_char_boundary(room)])
}

/// Refuses what can't be a label.
pub(crate) fn check_label(what: &str, label: &str) -> Result<(), String> {
    if label.is_empty() || label.len() > LABEL_MAX || label.chars().any(char::is_control) {
        return Err(format!("{what} {label:?}: a name has 1 to {LABEL_MAX} bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{LABEL_MAX, ServiceType, check_label, host, key, next_host, next_instance};

    #[test]
    fn types_are_read_and_written() {
        for text in ["_http._tcp", "_a-1._udp"] {
            assert_eq!(ServiceType::parse(text).unwrap().to_string(), text);
        }
        let mut wrong = vec!["", "http._tcp", "_http", "_http._sctp", "_._tcp", "_a b._tcp"];
        wrong.extend(["_http._tcp.local", "_0123456789abcdef._tcp"]);
        for text in wrong {
            let error = ServiceType::parse(text).unwrap_err();
            assert!(error.contains("_http._tcp"), "{error}");
        }
    }

    #[test]
    fn an_instance_keeps_its_dots_and_spaces() {
        let name = ServiceType::parse("_http._tcp").unwrap().instance("Dr. Who's site");
        assert_eq!(name.to_string(), r"Dr\. Who's site._http._tcp.local");
        assert_eq!(name.get_labels().len(), 4);
    }

    #[test]
    fn the_next_name_fits_a_label() {
        assert_eq!(next_instance("Site", 2), "Site (2)");
        assert_eq!(next_host("torsade", 12), "torsade-12");
        let long = "ä".repeat(31);
        let next = next_instance(&long, 10);
        assert!(next.len() <= LABEL_MAX && next.ends_with(" (10)"), "{next}");
    }

    #[test]
    fn case_makes_no_other_key() {
        assert_eq!(key(&host("Torsade")), key(&host("tORSADE")));
        assert_ne!(key(&host("torsade")), key(&host("torsade-2")));
    }

    #[test]
    fn a_label_has_a_length() {
        assert!(check_label("host", "torsade").is_ok());
        assert!(check_label("host", "").is_err());
        assert!(check_label("host", &"a".repeat(64)).is_err());
    }
}
