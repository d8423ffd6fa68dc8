//! The text of a conversation becomes its steps.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::text::Text;
use super::{Conversation, Does, Fault, Step, Way};

/// A line that says something, without its indentation.
#[derive(Clone, Debug)]
struct Line {
    place: String,
    indent: usize,
    text: String,
}

/// What a file is read into.
struct Reader {
    scenes: BTreeMap<String, Vec<Line>>,
    file: Conversation,
}

pub(super) fn parse(
    file: &str,
    text: &str,
    scenes: &[(&str, &str)],
) -> Result<Conversation, Fault> {
    let conversation = Conversation {
        file: file.to_owned(),
        config: String::new(),
        hosts: Vec::new(),
        listeners: Vec::new(),
        fuel: None,
        names: Vec::new(),
        line_end: b"\r\n".to_vec(),
        steps: Vec::new(),
    };
    let mut reader = Reader { scenes: BTreeMap::new(), file: conversation };
    for (name, text) in scenes {
        let rest = reader.take_scenes(&lines(name, text)?)?;
        if let Some(line) = rest.first() {
            return Err(line.fault("here only scenes may stand: `scene NAME` and indented steps"));
        }
    }
    let steps = reader.take_scenes(&lines(file, text)?)?;
    reader.read(&steps, 0)?;
    Ok(reader.file)
}

/// The lines that say something.
fn lines(file: &str, text: &str) -> Result<Vec<Line>, Fault> {
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let text = line.trim_start_matches(' ');
        let indent = line.len() - text.len();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let line = Line { place: format!("{file}:{}", number + 1), indent, text: text.to_owned() };
        if text.ends_with([' ', '\t']) || text.starts_with('\t') {
            return Err(line.fault("a blank there can't be seen: right is \\x20 or \\t"));
        }
        lines.push(line);
    }
    Ok(lines)
}

impl Line {
    fn fault(&self, what: impl Into<String>) -> Fault {
        Fault { place: self.place.clone(), what: what.into() }
    }
}

/// How many of these lines belong to the one before them, which is indented so far.
fn block(lines: &[Line], indent: usize) -> usize {
    lines.iter().take_while(|line| line.indent > indent).count()
}

impl Reader {
    /// Keeps the scenes, and gives back all other lines.
    fn take_scenes(&mut self, lines: &[Line]) -> Result<Vec<Line>, Fault> {
        let (mut rest, mut at) = (Vec::new(), 0);
        while let Some(line) = lines.get(at) {
            at += 1;
            let Some(name) = line.text.strip_prefix("scene ") else {
                rest.push(line.clone());
                continue;
            };
            let length = block(&lines[at..], line.indent);
            if !is_name(name) || length == 0 {
                return Err(line.fault("right is `scene NAME`, and indented steps below it"));
            }
            let body = lines[at..at + length].to_vec();
            if self.scenes.insert(name.to_owned(), body).is_some() {
                return Err(line.fault(format!("there is a scene {name} already")));
            }
            at += length;
        }
        Ok(rest)
    }

    /// Reads steps, which may stand in a scene that stands in others.
    fn read(&mut self, lines: &[Line], depth: usize) -> Result<(), Fault> {
        let mut at = 0;
        let indent = lines.first().map_or(0, |line| line.indent);
        while let Some(line) = lines.get(at) {
            at += 1;
            let below = block(&lines[at..], line.indent);
            if line.indent != indent || (below > 0 && line.text != "in any order") {
                let line = if line.indent == indent { &lines[at] } else { line };
                return Err(line.fault("only what is in a scene or in any order is indented"));
            }
            let Some(does) = self.step(line, &lines[at..at + below], depth)? else { continue };
            at += below;
            self.file.steps.push(Step { place: line.place.clone(), does });
        }
        Ok(())
    }

    /// The step of a line, if it is one.
    fn step(&mut self, line: &Line, below: &[Line], depth: usize) -> Result<Option<Does>, Fault> {
        if line.text == "in any order" {
            let seen = below.iter().map(|line| self.seen(line)).collect::<Result<Vec<_>, _>>()?;
            if seen.len() < 2 {
                return Err(line.fault("below it two or more indented `NAME< TEXT` have to stand"));
            }
            return Ok(Some(Does::AnyOrder(seen)));
        }
        if line.text == "everybody< ..." {
            return Ok(Some(Does::AllSkip));
        }
        if line.text == "the next question fails" {
            return Ok(Some(Does::FailNext));
        }
        if self.heads(line)? {
            return Ok(None);
        }
        if let Some(end) = line.text.strip_prefix("lines end in ") {
            let end = if end == "nothing" { "" } else { end };
            let end = Text::parse(end).and_then(|end| end.fill(&BTreeMap::new()));
            self.file.line_end = end.map_err(|what| line.fault(what))?;
            return Ok(None);
        }
        if let Some(time) = line.text.strip_prefix("after ") {
            let wrong = || line.fault(format!("`{time}` is no time: right are 50ms, 30s, 5m, 1h"));
            return Ok(Some(Does::Pass(duration(time).ok_or_else(wrong)?)));
        }
        let end = line.text.find(|c: char| !is_letter(c)).unwrap_or(line.text.len());
        match line.text[end..].chars().next() {
            Some(':') if end > 0 => self.sends(line, end).map(Some),
            Some('<') if end > 0 => {
                if line.text[end..] == *"< ..." {
                    return Ok(Some(Does::Skips(self.number(&line.text[..end]))));
                }
                self.seen(line).map(|(who, text)| Some(Does::Sees(who, text)))
            }
            _ => self.acts(line, depth),
        }
    }

    /// What stands before all steps: whether a line is such.
    fn heads(&mut self, line: &Line) -> Result<bool, Fault> {
        let words: Vec<_> = line.text.split(' ').collect();
        let file = &mut self.file;
        match &words[..] {
            ["config", _, ..] => line.text["config ".len()..].clone_into(&mut file.config),
            ["fuel", fuel] => {
                let wrong =
                    |_| line.fault(format!("`{fuel}` is no number: right is `fuel 200000`"));
                file.fuel = Some(fuel.parse().map_err(wrong)?);
            }
            ["name", host, "is", addresses @ ..] => {
                let addresses: Result<Vec<_>, _> =
                    addresses.iter().map(|it| it.parse::<IpAddr>()).collect();
                let addresses = addresses.ok().filter(|addresses| !addresses.is_empty());
                let right = "right is `name HOST is ADDRESS`, such as 192.0.2.1 or 2001:db8::1";
                let addresses = addresses.ok_or_else(|| line.fault(right))?;
                file.hosts.push(((*host).to_owned(), addresses));
            }
            [name, "listens", "on", endpoint] => {
                let who = self.number(name);
                self.file.listeners.push((who, (*endpoint).to_owned()));
            }
            _ => return Ok(false),
        }
        if self.file.steps.is_empty() {
            return Ok(true);
        }
        Err(line.fault("this stands before all steps"))
    }

    /// `NAME: TEXT`.
    fn sends(&mut self, line: &Line, end: usize) -> Result<Does, Fault> {
        let who = self.number(&line.text[..end]);
        let written = &line.text[end + 1..];
        let written = written.strip_prefix(' ').unwrap_or(written);
        let text = match written.strip_suffix('\\') {
            Some(open) if !open.ends_with('\\') => Text::parse(open),
            _ => Text::parse(written).map(|text| text.and(&self.file.line_end)),
        };
        Ok(Does::Sends(who, text.map_err(|what| line.fault(what))?))
    }

    /// `NAME< TEXT`.
    fn seen(&mut self, line: &Line) -> Result<(usize, Text), Fault> {
        let told = line.text.split_once('<').filter(|(name, _)| is_name(name));
        let (name, text) = told.ok_or_else(|| line.fault("right is `NAME< TEXT`"))?;
        let text = Text::parse(text.strip_prefix(' ').unwrap_or(text));
        Ok((self.number(name), text.map_err(|what| line.fault(what))?))
    }

    /// `NAME does something`, or plays a scene.
    fn acts(&mut self, line: &Line, depth: usize) -> Result<Option<Does>, Fault> {
        let words: Vec<_> = line.text.split(' ').collect();
        let (name, rest) = words.split_first().unwrap_or((&"", &[]));
        if !is_name(name) {
            return Err(line.fault(format!("`{}` is no step: {STEPS}", line.text)));
        }
        let simple = |who: usize| match rest {
            ["ends"] => Some(Does::Ends(who)),
            ["is", "cut", "off"] => Some(Does::IsCutOff(who)),
            ["is", "lost"] => Some(Does::IsLost(who)),
            ["is", "reached"] => Some(Does::IsReached(who)),
            ["reads", "on"] => Some(Does::Reads(who, true)),
            ["sees", "nothing"] => Some(Does::SeesNothing(who)),
            ["starts", "tls"] => Some(Does::Secures(who)),
            ["stops", "reading"] => Some(Does::Reads(who, false)),
            _ => None,
        };
        if let ["connects", how @ ..] = rest {
            let way = way(name, how).ok_or_else(|| line.fault(CONNECTS))?;
            return Ok(Some(Does::Connects(self.number(name), way)));
        }
        if simple(0).is_some() {
            return Ok(simple(self.number(name)));
        }
        let scene = rest.first().and_then(|verb| self.scenes.get(*verb));
        let scene = scene.ok_or_else(|| {
            line.fault(format!("`{}` is no step, nor a scene's name: {STEPS}", line.text))
        })?;
        if depth >= DEPTH_MAX {
            return Err(line.fault("scenes stand in scenes without end"));
        }
        let lines = scene.iter().map(|step| played(step, line, name, &rest[1..]));
        self.read(&lines.collect::<Result<Vec<_>, _>>()?, depth + 1)?;
        Ok(None)
    }

    /// The number of who has this name.
    fn number(&mut self, name: &str) -> usize {
        let names = &mut self.file.names;
        names.iter().position(|other| other == name).unwrap_or_else(|| {
            names.push(name.to_owned());
            names.len() - 1
        })
    }
}

/// A line of a scene, as it is played here.
fn played(step: &Line, line: &Line, name: &str, words: &[&str]) -> Result<Line, Fault> {
    let mut parts = step.text.split('$');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.chars().next().and_then(|first| first.to_digit(10)).filter(|number| *number > 0)
        {
            None => text.extend([name, part]),
            Some(number) => {
                let word = words.get(number as usize - 1).ok_or_else(|| {
                    let scene = line.text.split(' ').nth(1).unwrap_or_default();
                    line.fault(format!("{scene} needs more words: ${number} is for one"))
                })?;
                text.extend([word, &part[1..]]);
            }
        }
    }
    let place = format!("{} ({})", line.place, step.place);
    Ok(Line { place, indent: step.indent, text })
}

/// `over WAY`, `with certificate NAME`, `from ADDRESS`, in any order.
fn way(name: &str, mut words: &[&str]) -> Option<Way> {
    let over = "plain".to_owned();
    let mut way = Way { name: name.to_owned(), over, certificate: None, from: None };
    while !words.is_empty() {
        words = match words {
            ["over", over, rest @ ..] => {
                (*over).clone_into(&mut way.over);
                rest
            }
            ["with", "certificate", certificate, rest @ ..] => {
                way.certificate = Some((*certificate).to_owned());
                rest
            }
            ["from", from, rest @ ..] => {
                way.from = Some((*from).to_owned());
                rest
            }
            _ => return None,
        };
    }
    Some(way)
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(milliseconds)?))
}

fn is_letter(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(is_letter)
}

/// How deep scenes may stand in scenes.
const DEPTH_MAX: usize = 8;

const STEPS: &str = "right is `NAME: TEXT`, `NAME< TEXT`, `NAME< ...`, `everybody< ...`, `NAME connects`, \
    `NAME sees nothing`, `NAME is cut off`, `NAME ends`, `NAME is lost`, `NAME starts tls`, \
    `NAME stops reading`, `NAME reads on`, `NAME is reached`, `the next question fails`, \
    `after TIME`, `in any order`, `scene NAME`, `lines end in TEXT`, or before all steps \
    `config TEXT`, `fuel NUMBER`, `name HOST is ADDRESS` or `NAME listens on ENDPOINT`";

const CONNECTS: &str =
    "right is `NAME connects`, and behind it `over WAY`, `with certificate NAME`, `from ADDRESS`";
