//! What is said through the admin socket: a request is a line of JSON, and so is its answer. Both have
//! a member `torsade` with the version of this language, which is [`VERSION`].

use serde_json::{Value, json};

use super::status::Status;

/// The version of the language. What a reader doesn't know it passes over; another version is what
/// it can't make out.
pub const VERSION: u64 = 1;

/// What can be asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// Read the configuration anew, as at SIGHUP. The answer comes when that is over, which takes as
    /// long as building plugins does.
    Reload,
    /// Tell the host's status.
    Status,
    /// Stop one service, and let its connections go on for the grace.
    Stop(String),
}

/// What comes back.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It is done.
    Done,
    /// Why it can't be.
    Failed(String),
    /// What the reload has changed, in one line.
    Reloaded(String),
    /// What was asked for.
    Status(Box<Status>),
}

impl Request {
    /// Its line, with the line feed.
    pub fn to_line(&self) -> String {
        let value = match self {
            Self::Reload => json!({ "torsade": VERSION, "ask": "reload" }),
            Self::Status => json!({ "torsade": VERSION, "ask": "status" }),
            Self::Stop(service) => {
                json!({ "torsade": VERSION, "ask": "stop", "service": service })
            }
        };
        format!("{value}\n")
    }

    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub(super) fn from_line(line: &[u8]) -> Result<Self, String> {
        let value = versioned(line)?;
        match value["ask"].as_str() {
            Some("reload") => Ok(Self::Reload),
            Some("status") => Ok(Self::Status),
            Some("stop") => match value["service"].as_str() {
                Some(service) => Ok(Self::Stop(service.to_owned())),
                None => Err("\"stop\" needs the name of a \"service\"".to_owned()),
            },
            _ => Err("\"ask\" has to be \"reload\", \"status\" or \"stop\"".to_owned()),
        }
    }
}

impl Answer {
    /// Its line, with the line feed.
    pub(super) fn to_line(&self) -> String {
        let value = match self {
            Self::Done => json!({ "torsade": VERSION, "done": true }),
            Self::Failed(why) => json!({ "torsade": VERSION, "error": why }),
            Self::Reloaded(changes) => {
                json!({ "torsade": VERSION, "done": true, "reloaded": changes })
            }
            Self::Status(status) => {
                json!({ "torsade": VERSION, "status": status.to_json(None) })
            }
        };
        format!("{value}\n")
    }

    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_line(line: &[u8]) -> Result<Self, String> {
        let value = versioned(line)?;
        match (&value["error"], &value["reloaded"], &value["status"]) {
            (Value::String(why), ..) => Ok(Self::Failed(why.clone())),
            (_, Value::String(changes), _) => Ok(Self::Reloaded(changes.clone())),
            (.., Value::Null) => Ok(Self::Done),
            (.., status) => match Status::from_json(status) {
                Some(status) => Ok(Self::Status(Box::new(status))),
                None => Err("its status is of another form than this version knows".to_owned()),
            },
        }
    }
}

fn versioned(line: &[u8]) -> Result<Value, String> {
    let value: Value = serde_json::from_slice(line).map_err(|e| format!("not JSON: {e}"))?;
    match value["torsade"].as_u64() {
        Some(VERSION) => Ok(value),
        Some(other) => Err(format!("this is version {VERSION} of the language, not {other}")),
        None => Err(format!("\"torsade\" has to be the version of the language, {VERSION}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::status::tests::status;
    use super::*;

    #[test]
    fn lines_are_read_as_they_are_written() {
        for request in [Request::Reload, Request::Status, Request::Stop("a\n\"b".to_owned())] {
            let line = request.to_line();
            assert_eq!(line.matches('\n').count(), 1, "{line}");
            assert_eq!(Request::from_line(line.as_bytes()), Ok(request));
        }
        let mut status = status();
        status.services[0].by_worker.clear();
        for answer in [
            Answer::Done,
            Answer::Failed("no".to_owned()),
            Answer::Reloaded("added a".to_owned()),
            Answer::Status(Box::new(status)),
        ] {
            assert_eq!(Answer::from_line(answer.to_line().as_bytes()), Ok(answer));
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (line, why) in [
            ("rubbish", "not JSON: "),
            ("{}", "\"torsade\" has to be the version"),
            ("{\"torsade\":2}", "this is version 1 of the language, not 2"),
            ("{\"torsade\":1}", "\"ask\" has to be "),
            ("{\"torsade\":1,\"ask\":\"stop\"}", "needs the name of a \"service\""),
        ] {
            let told = Request::from_line(line.as_bytes()).unwrap_err();
            assert!(told.contains(why), "{line}: {told}");
        }
    }
}
