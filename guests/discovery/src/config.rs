//! What an operator says: the service's `config` table, and what is made of it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;

use crate::names::{ServiceType, check_label};

/// So many services are announced at most.
const ANNOUNCED_MAX: usize = 64;

/// So many addresses are announced at most.
const ADDRESSES_MAX: usize = 16;

/// So many types are browsed at most.
const BROWSED_MAX: usize = 32;

/// So many subtypes a service has at most.
const SUBTYPES_MAX: usize = 8;

/// The text of a service has so many bytes at most (RFC 6763, section 6.2, which has all of it fit
/// one datagram).
const TEXT_BYTES_MAX: usize = 1000;

/// One pair of the text has so many bytes at most (RFC 6763, section 6.1).
const PAIR_BYTES_MAX: usize = 255;

/// The table.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The name of this host, without `.local`; another is taken where it is in use.
    #[serde(default = "default_host")]
    pub host: String,
    /// The addresses of this host that are announced.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// The services that are announced.
    #[serde(default)]
    pub announce: Vec<Announce>,
    /// The types of services that are looked for, as `_http._tcp`.
    #[serde(default)]
    pub browse: Vec<String>,
    /// The network's interface, by its name; the system picks one where there is none.
    #[serde(default)]
    pub interface: Option<String>,
}

/// A service that is announced.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Announce {
    /// The name that people see. Without it, that of `service`.
    #[serde(default)]
    pub name: Option<String>,
    /// The type, as `_http._tcp`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The port.
    #[serde(default)]
    pub port: Option<u16>,
    /// A service of this host, whose first port is announced.
    #[serde(default)]
    pub service: Option<String>,
    /// Narrower types, as `_printer`.
    #[serde(default)]
    pub subtypes: Vec<String>,
    /// What else a client should know (RFC 6763, section 6).
    #[serde(default)]
    pub txt: BTreeMap<String, String>,
}

fn default_host() -> String {
    "torsade".into()
}

/// Where a service of this host can be reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bound {
    /// The service's name.
    pub service: String,
    /// Its endpoints, as they are bound: `tcp:8080:interface=192.0.2.7`.
    pub endpoints: Vec<String>,
}

/// The table once it is checked, and the services of this host are known.
#[derive(Clone, Debug)]
pub struct Setup {
    pub(crate) host: String,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) services: Vec<Service>,
    pub(crate) browsed: Vec<ServiceType>,
}

/// A service as it is announced.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) kind: ServiceType,
    pub(crate) port: u16,
    pub(crate) subtypes: Vec<String>,
    /// Pairs as `key=value`.
    pub(crate) text: Vec<Vec<u8>>,
}

impl Settings {
    /// Whether the services of this host are asked for.
    pub fn names_services(&self) -> bool {
        self.announce.iter().any(|announce| announce.service.is_some())
    }

    /// Checks the table, and fills in what this host's services are bound to.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn check(&self, bound: &[Bound]) -> Result<Setup, String> {
        check_label("config: host:", &self.host)?;
        if self.host.contains('.') {
            return Err(format!("config: host: {:?} is one label, without .local", self.host));
        }
        at_most("announce", self.announce.len(), ANNOUNCED_MAX)?;
        at_most("browse", self.browse.len(), BROWSED_MAX)?;
        let mut addresses = self.addresses.clone();
        let mut services = Vec::new();
        for announce in &self.announce {
            let (service, more) = announce.check(bound)?;
            services.push(service);
            // What is bound to one address is reached there alone.
            addresses.extend(more);
        }
        addresses.sort_unstable();
        addresses.dedup();
        at_most("addresses", addresses.len(), ADDRESSES_MAX)?;
        if let Some(ip) = addresses.iter().find(|ip| ip.is_unspecified() || ip.is_multicast()) {
            return Err(format!("config: addresses: {ip} is not the address of a host"));
        }
        if addresses.is_empty() && !services.is_empty() {
            let right = "write addresses = [\"192.0.2.7\"] with this host's";
            return Err(format!("config: addresses: there is none to announce; {right}"));
        }
        let browsed = self.browse.iter().map(|text| ServiceType::parse(text));
        let browsed = browsed.collect::<Result<Vec<_>, _>>();
        let browsed = browsed.map_err(|why| format!("config: browse: {why}"))?;
        Ok(Setup { host: self.host.clone(), addresses, services, browsed })
    }
}

impl Announce {
    /// The service, and the addresses that it alone is reached at.
    fn check(&self, bound: &[Bound]) -> Result<(Service, Vec<IpAddr>), String> {
        let kind = ServiceType::parse(&self.kind);
        let kind = kind.map_err(|why| format!("config: announce: {why}"))?;
        let name = self.name.as_ref().or(self.service.as_ref());
        let name = name.ok_or("config: announce: it needs a name, or a service of this host")?;
        check_label("config: announce:", name)?;
        let mut addresses = Vec::new();
        let port = match (&self.service, self.port) {
            (None, Some(port)) => port,
            (Some(service), None) => {
                let (port, address) = port_of(service, &kind, bound)?;
                addresses.extend(address);
                port
            }
            _ => {
                return Err(format!("config: announce: {name:?} needs either port or service"));
            }
        };
        at_most("subtypes", self.subtypes.len(), SUBTYPES_MAX)?;
        for subtype in &self.subtypes {
            check_label("config: subtypes:", subtype)?;
        }
        let text = text_of(&self.txt)?;
        let (name, subtypes) = (name.clone(), self.subtypes.clone());
        Ok((Service { name, kind, port, subtypes, text }, addresses))
    }
}

/// The pairs of a service's text.
fn text_of(txt: &BTreeMap<String, String>) -> Result<Vec<Vec<u8>>, String> {
    let mut text = Vec::new();
    for (key, value) in txt {
        let is_key = |c: char| c.is_ascii_graphic() && c != '=' || c == ' ';
        if key.is_empty() || !key.chars().all(is_key) {
            return Err(format!("config: txt: {key:?} is no key: they are of ASCII, without ="));
        }
        let pair = format!("{key}={value}").into_bytes();
        if pair.len() > PAIR_BYTES_MAX {
            return Err(format!("config: txt: {key:?} has more than {PAIR_BYTES_MAX} bytes"));
        }
        text.push(pair);
    }
    if text.iter().map(|pair| pair.len() + 1).sum::<usize>() > TEXT_BYTES_MAX {
        return Err(format!("config: txt: it has more than {TEXT_BYTES_MAX} bytes"));
    }
    Ok(text)
}

/// The port of a service of this host, and the address where it is bound to one.
fn port_of(
    service: &str,
    kind: &ServiceType,
    bound: &[Bound],
) -> Result<(u16, Option<IpAddr>), String> {
    let Some(found) = bound.iter().find(|bound| bound.service == service) else {
        let known: Vec<_> = bound.iter().map(|bound| &*bound.service).collect();
        let known = known.join(", ");
        return Err(format!("config: announce: no service {service:?}; there are: {known}"));
    };
    let ports = found.endpoints.iter().filter_map(|endpoint| place_of(endpoint, kind));
    let ports: Vec<_> = ports.filter(|(_, ip)| ip.is_none_or(|ip| !ip.is_loopback())).collect();
    ports.first().copied().ok_or_else(|| {
        let endpoints = found.endpoints.join(", ");
        let what = "no port that others can reach";
        format!("config: announce: {service:?} has {what}; its endpoints: {endpoints}")
    })
}

/// The port of an endpoint, and its address where it has one; none where the endpoint is of another
/// kind than a type of services.
fn place_of(endpoint: &str, kind: &ServiceType) -> Option<(u16, Option<IpAddr>)> {
    let is_udp = kind.to_string().ends_with("_udp");
    let mut words = split(endpoint).into_iter();
    match words.next()?.as_str() {
        "tcp" | "tcp6" | "tls" | "ssl" if !is_udp => {}
        "udp" | "udp6" if is_udp => {}
        _ => return None,
    }
    let port = words.next()?.parse().ok()?;
    let interface = words.find_map(|word| word.strip_prefix("interface=").map(str::to_owned));
    let ip = interface.and_then(|ip| ip.trim_matches(['[', ']']).parse::<IpAddr>().ok());
    Some((port, ip.filter(|ip| !ip.is_unspecified())))
}

/// The words of an endpoint: cut at colons that stand in no brackets, and behind no backslash.
fn split(endpoint: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let (mut is_escaped, mut is_bracketed) = (false, false);
    for c in endpoint.chars() {
        match (is_escaped, c) {
            (false, '\\') => is_escaped = true,
            (false, ':') if !is_bracketed => words.push(String::new()),
            _ => {
                is_escaped = false;
                is_bracketed = (is_bracketed || c == '[') && c != ']';
                words.last_mut().expect("there is always one").push(c);
            }
        }
    }
    words
}

fn at_most(what: &str, count: usize, most: usize) -> Result<(), String> {
    if count > most {
        return Err(format!("config: {what}: {count} are too many; at most {most}"));
    }
    Ok(())
}
