//! Has its peer prove who it is: a line a command, each answered by a line. [`Login::obey`] lists the
//! commands. Bytes are in hexadecimal; `-` is nothing where there may be something.
#![forbid(unsafe_code)]

use torsade_guest::credentials::{self, Progress, Success};
use torsade_guest::{
    Deferred, Failure, NoConfig, Origin, Plugin, Protocol, Transport, Waiting, code, tls,
};

struct Server;

impl Plugin for Server {
    type Config = NoConfig;
    type Protocol = Login;

    fn start(_config: NoConfig) -> Result<Self, String> {
        Ok(Server)
    }

    fn build_protocol(&mut self, transport: Transport<Login>, _: Origin) -> Option<Login> {
        Some(Login { transport, lines: Vec::new(), asked: Vec::new() })
    }
}

struct Login {
    transport: Transport<Login>,
    /// A line that has not ended.
    lines: Vec<u8>,
    asked: Vec<Waiting>,
}

impl Protocol for Login {
    fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
        self.lines.extend_from_slice(data);
        while let Some(end) = self.lines.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.lines.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line[..end]).into_owned();
            let words: Vec<&str> = line.split(' ').collect();
            let answer = self.obey(&words).unwrap_or_else(Deferred::fail);
            self.asked.push(answer.call_on(&self.transport, Self::answered));
        }
        None
    }
}

impl Login {
    fn obey(&mut self, words: &[&str]) -> Result<Deferred<String>, Failure> {
        let of = &self.transport;
        Ok(match words {
            ["mechanisms"] => Deferred::succeed(credentials::mechanisms(of).join(" ")),
            ["begin", mechanism, initial] => {
                let initial = if *initial == "-" { None } else { Some(bytes(initial)?) };
                credentials::authenticate(of, mechanism, initial.as_deref())?.map(line)
            }
            ["say", data] => credentials::respond(of, &bytes(data)?)?.map(line),
            ["say"] => credentials::respond(of, &[])?.map(line),
            ["give", "up"] => {
                credentials::give_up(of);
                Deferred::succeed("given up".to_owned())
            }
            ["verify", name, password] => credentials::verify(of, name, &bytes(password)?)?,
            ["cancel", name, password] => {
                let mut checked = credentials::verify(of, name, &bytes(password)?)?;
                checked.cancel();
                checked
            }
            ["secure"] => {
                of.start_tls(&tls::Side::Server, &[], &mut self.lines)?.map(|()| "secured".into())
            }
            _ => return Err(Failure::new(code::UNSUPPORTED, "there is no such command")),
        })
    }

    fn answered(&mut self, answer: Result<String, Failure>) -> Option<Waiting> {
        let line = match answer {
            Ok(value) => format!("ok {value}\n"),
            Err(Failure { code, message }) => format!("{code} {message}\n"),
        };
        self.transport.write(line.as_bytes());
        None
    }
}

fn line(progress: Progress) -> String {
    match progress {
        Progress::Challenge(data) => format!("challenge {}", hexadecimal(&data)),
        Progress::Success(Success { identity, data }) => {
            let data = data.map_or_else(|| "-".to_owned(), |data| hexadecimal(&data));
            format!("success {identity} {data}")
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(text: &str) -> Result<Vec<u8>, Failure> {
    let invalid = || Failure::new(code::INVALID, "these are no hexadecimal digits");
    let pair = |at: usize| {
        let pair = text.get(at..at + 2).ok_or_else(invalid)?;
        u8::from_str_radix(pair, 16).map_err(|_| invalid())
    };
    (0..text.len()).step_by(2).map(pair).collect()
}

torsade_guest::export!(Server, optional = ["credentials"]);
