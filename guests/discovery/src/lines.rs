//! Questions to the browser as lines of text: `browse TYPE` and `resolve NAME.TYPE`.

use crate::discovery::Discovery;
use crate::names::ServiceType;

/// The answer to a line: lines, the last of which is a dot.
///
/// `browse _http._tcp` lists the instances of a type that are known, `resolve Site._http._tcp` is
/// one of them.
pub fn answer(discovery: &Discovery, line: &str) -> String {
    match found(discovery, line.trim()) {
        Ok(lines) => lines + ".\n",
        Err(error) => format!("error: {error}\n.\n"),
    }
}

fn found(discovery: &Discovery, line: &str) -> Result<String, String> {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (name, kind) = match verb {
        "browse" => (None, rest),
        "resolve" => {
            let at = rest.rfind("._").and_then(|at| rest[..at].rfind("._"));
            let at = at.ok_or("write resolve NAME._TYPE._tcp")?;
            (Some(&rest[..at]), &rest[at + 1..])
        }
        _ => return Err("write browse TYPE, or resolve NAME.TYPE".into()),
    };
    let kind = ServiceType::parse(kind)?;
    let known = discovery.browse(&kind);
    let known = known.ok_or_else(|| format!("{kind} is not browsed: it isn't in the config"))?;
    let known = known.iter().filter(|found| name.is_none_or(|name| found.name == name));
    let lines: String = known.map(|found| format!("{found}\n")).collect();
    match name {
        Some(name) if lines.is_empty() => Err(format!("no {name:?} is known")),
        _ => Ok(lines),
    }
}
