//! SCRAM-SHA-256 in IRC's own words, with a client that computes what it proves.

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use torsade_guest::testing::conversation::{Talker, Way};
use torsade_tests::scram::Client;

use super::component::Component;

/// With the right password and a wrong one; in clear, since nothing of it is secret.
pub(super) fn a_user_proves_to_know_a_password() -> Result<()> {
    let mut component = Component::new("")?;
    let name = "alice".to_owned();
    let way = Way { name, over: "plain".to_owned(), certificate: None, from: None };
    component.connect(0, &way).map_err(anyhow::Error::msg)?;
    say(&mut component, "CAP REQ :sasl", "CAP * ACK :sasl")?;
    let (mut guessing, first) = Client::new("alice", b"looking-glass");
    let challenge = begin(&mut component, &first)?;
    let proof = STANDARD.encode(guessing.prove(&challenge)?);
    say(&mut component, &format!("AUTHENTICATE {proof}"), " 904 ")?;
    let (mut knowing, first) = Client::new("alice", b"wonderland");
    let challenge = begin(&mut component, &first)?;
    let proof = STANDARD.encode(knowing.prove(&challenge)?);
    let said = say(&mut component, &format!("AUTHENTICATE {proof}"), "AUTHENTICATE ")?;
    knowing.check(&decoded(&said)?)?;
    let said = say(&mut component, "AUTHENTICATE +", " 900 ")?;
    ensure!(said.contains(" alice :") && said.contains(" 903 "), "{said}");
    Ok(())
}

/// Begins an exchange, and gives back the challenge.
fn begin(component: &mut Component, first: &[u8]) -> Result<Vec<u8>> {
    say(component, "AUTHENTICATE SCRAM-SHA-256", "AUTHENTICATE +")?;
    let first = STANDARD.encode(first);
    decoded(&say(component, &format!("AUTHENTICATE {first}"), "AUTHENTICATE ")?)
}

fn decoded(said: &str) -> Result<Vec<u8>> {
    let data = said.trim_end().strip_prefix("AUTHENTICATE ").context("it is a challenge")?;
    Ok(STANDARD.decode(data)?)
}

/// Says a line, to which the answer has to have these words.
fn say(component: &mut Component, line: &str, words: &str) -> Result<String> {
    component.send(0, format!("{line}\r\n").as_bytes());
    let answer = String::from_utf8(component.take(0))?;
    ensure!(answer.contains(words), "{line} is answered by {answer:?}");
    Ok(answer)
}
