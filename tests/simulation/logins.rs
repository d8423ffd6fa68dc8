//! Peers that prove who they are, over a simulated network: what they hear, and how often they may be
//! wrong, by a clock of arithmetic.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use torsade::capability::credentials::Checker;
use torsade::census::Census;
use torsade::net::sim::Far;
use torsade::rehearsal::Stage;
use torsade::throttle::Rates;
use torsade_tests::scram::{Client, from_hexadecimal, to_hexadecimal};

use super::choices::Choices;
use super::host::serving;
use super::site::Kind;
use super::trial;

pub(super) fn trials() -> Vec<Trial> {
    let all: [(&str, Test); 9] = [
        ("a_user_is_known_by_a_password", a_user_is_known_by_a_password),
        ("a_user_is_known_by_a_proof", a_user_is_known_by_a_proof),
        ("a_name_that_nobody_has_is_not_told", a_name_that_nobody_has_is_not_told),
        ("one_exchange_ends_where_the_next_begins", one_exchange_ends_where_the_next_begins),
        ("what_is_cancelled_costs_nothing", what_is_cancelled_costs_nothing),
        ("who_guesses_has_to_wait", who_guesses_has_to_wait),
        ("who_guesses_at_once_has_no_more_guesses", who_guesses_at_once_has_no_more_guesses),
        ("all_guesses_together_have_a_limit", all_guesses_together_have_a_limit),
        ("whatever_peers_say_each_gets_an_answer", whatever_peers_say_each_gets_an_answer),
    ];
    let named = |(name, test): (&str, Test)| {
        Trial::test(format!("simulation::logins::{name}"), move || trial(test))
    };
    all.into_iter().map(named).collect()
}

type Test = fn() -> Result<()>;

/// Passwords: of alice `password`, by a hash; of user `pencil`, by keys.
const USERS: &str = "\
:decoys:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=
alice:$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4
user:SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=
";

fn host(logins: Option<u64>, logins_per_peer: Option<u64>) -> Result<Stage> {
    let checker = Checker::of(USERS, [5; 32]).map_err(anyhow::Error::msg)?;
    let rates = Rates { logins, logins_per_peer, ..Rates::default() };
    serving(Kind::Login, |settings| {
        settings.checker = Some(checker);
        settings.census = Arc::new(Census::new(1000, None).with_rates(rates));
    })
}

/// Says lines, and what comes of them in a moment.
fn say(host: &mut Stage, peer: Far, lines: &[String]) -> Result<Vec<String>> {
    host.send(peer, (lines.join("\n") + "\n").as_bytes());
    host.pass(MOMENT)?;
    Ok(host.lines(peer))
}

fn ask(host: &mut Stage, peer: Far, line: &str) -> Result<String> {
    let mut answers = say(host, peer, &[line.to_owned()])?;
    ensure!(answers.len() == 1, "{line}: {answers:?}");
    Ok(answers.remove(0))
}

fn expect(host: &mut Stage, peer: Far, line: &str, answer: &str) -> Result<()> {
    let said = ask(host, peer, line)?;
    ensure!(said.starts_with(answer), "{line}: {answer:?} was expected, not {said:?}");
    Ok(())
}

fn verify(name: &str, password: &str) -> String {
    format!("verify {name} {}", to_hexadecimal(password.as_bytes()))
}

fn plain(name: &str, password: &str) -> String {
    format!("begin PLAIN {}", to_hexadecimal(format!("\0{name}\0{password}").as_bytes()))
}

fn a_user_is_known_by_a_password() -> Result<()> {
    let mut host = host(None, None)?;
    let peer = host.peer();
    expect(&mut host, peer, "mechanisms", "ok SCRAM-SHA-256 PLAIN")?;
    for (name, password, answer) in [
        ("alice", "password", "alice"),
        ("user", "pencil", "user"),
        ("alice", "pencil", ""),
        ("nobody", "password", ""),
    ] {
        let (verified, begun) = match answer {
            "" => ("denied the name, or".to_owned(), "denied the name, or".to_owned()),
            identity => (format!("ok {identity}"), format!("ok success {identity} -")),
        };
        expect(&mut host, peer, &verify(name, password), &verified)?;
        expect(&mut host, peer, &plain(name, password), &begun)?;
    }
    // In two steps.
    expect(&mut host, peer, "begin PLAIN -", "ok challenge ")?;
    expect(&mut host, peer, "say 00616c6963650070617373776f7264", "ok success alice -")?;
    // It is over.
    expect(&mut host, peer, "say 00616c6963650070617373776f7264", "invalid there is no exchange")?;
    expect(&mut host, peer, "begin EXTERNAL -", "unsupported this transport is offered SCRAM")?;
    expect(&mut host, peer, &format!("begin PLAIN {}", "00".repeat(4097)), "invalid a name has")?;
    Ok(())
}

/// Proves to know a password: the answer to the last message.
fn prove(host: &mut Stage, peer: Far, name: &str, password: &str) -> Result<String> {
    let (mut client, first) = Client::new(name, password.as_bytes());
    let challenge = ask(host, peer, &format!("begin SCRAM-SHA-256 {}", to_hexadecimal(&first)))?;
    let data = challenge.strip_prefix("ok challenge ").context("it is a challenge")?;
    let proof = client.prove(&from_hexadecimal(data)?)?;
    let answer = ask(host, peer, &format!("say {}", to_hexadecimal(&proof)))?;
    if let Some(data) = answer.strip_prefix(&format!("ok success {name} ")) {
        client.check(&from_hexadecimal(data)?)?;
    }
    Ok(answer)
}

fn a_user_is_known_by_a_proof() -> Result<()> {
    let mut host = host(None, None)?;
    let peer = host.peer();
    ensure!(prove(&mut host, peer, "user", "pencil")?.starts_with("ok success user "));
    for (name, password) in [("user", "pencils"), ("alice", "password"), ("nobody", "pencil")] {
        let answer = prove(&mut host, peer, name, password)?;
        ensure!(answer.starts_with("denied the name, or"), "{name}: {answer}");
    }
    expect(&mut host, peer, "say 00", "invalid there is no exchange")
}

/// The challenge for a name is the same each time but for its nonce, be there such a user or not.
fn a_name_that_nobody_has_is_not_told() -> Result<()> {
    let challenge = |host: &mut Stage, name: &str| -> Result<String> {
        let peer = host.peer();
        let (_, first) = Client::new(name, b"");
        let said = ask(host, peer, &format!("begin SCRAM-SHA-256 {}", to_hexadecimal(&first)))?;
        let data = said.strip_prefix("ok challenge ").context("it is a challenge")?;
        let text = String::from_utf8(from_hexadecimal(data)?)?;
        Ok(text.split_once(',').context("a nonce comes first")?.1.to_owned())
    };
    let (mut one, mut other) = (host(None, None)?, host(None, None)?);
    let known = challenge(&mut one, "user")?;
    for name in ["nobody", "alice"] {
        let made_up = challenge(&mut one, name)?;
        ensure!(made_up == challenge(&mut one, name)? && made_up == challenge(&mut other, name)?);
        ensure!(made_up != known && made_up.len() == known.len(), "{made_up} {known}");
        ensure!(made_up.ends_with(",i=4096"), "{made_up}");
    }
    Ok(())
}

fn one_exchange_ends_where_the_next_begins() -> Result<()> {
    let mut host = host(None, None)?;
    let peer = host.peer();
    // All at once: the second gives the first up, whose answer is looked at.
    let said = say(&mut host, peer, &[plain("alice", "password"), plain("user", "pencil")])?;
    ensure!(said.len() == 2 && said.contains(&"ok success user -".to_owned()), "{said:?}");
    ensure!(said.iter().any(|line| line.starts_with("cancelled ")), "{said:?}");
    // A peer that speaks out of turn.
    let lines = [plain("alice", "password"), "say 00".to_owned()];
    let said = say(&mut host, peer, &lines)?;
    ensure!(said.iter().any(|line| line.starts_with("invalid the peer's last")), "{said:?}");
    ensure!(said.contains(&"ok success alice -".to_owned()), "{said:?}");
    // One that gives up, before and while something is looked at.
    expect(&mut host, peer, "begin PLAIN -", "ok challenge")?;
    expect(&mut host, peer, "give up", "ok given up")?;
    expect(&mut host, peer, "say 00", "invalid there is no exchange")?;
    let lines = [plain("alice", "password"), "give up".to_owned()];
    let mut said = say(&mut host, peer, &lines)?;
    said.sort_unstable();
    ensure!(said.len() == 2 && said[0].starts_with("cancelled "), "{said:?}");
    expect(&mut host, peer, &plain("alice", "password"), "ok success alice -")
}

/// Of a peer that may be wrong once in a minute.
fn what_is_cancelled_costs_nothing() -> Result<()> {
    let mut host = host(None, Some(1))?;
    for _ in 0..5 {
        let peer = host.peer_from("192.0.2.1")?;
        host.pass(MOMENT)?;
        // Its answer may be there already: then it counts as what it was.
        expect(&mut host, peer, "cancel alice 70617373776f7264", "cancelled")?;
        // One whose connection is gone meanwhile.
        host.send(peer, (plain("alice", "password") + "\n").as_bytes());
        host.reactor.net().shut_down(peer);
        host.pass(MOMENT)?;
    }
    let peer = host.peer_from("192.0.2.1")?;
    expect(&mut host, peer, &verify("alice", "password"), "ok alice")
}

fn who_guesses_has_to_wait() -> Result<()> {
    let mut host = host(None, Some(6))?;
    let one = host.peer_from("2001:db8::1")?;
    // Who is right may be so as often as it likes.
    for _ in 0..20 {
        expect(&mut host, one, &verify("alice", "password"), "ok alice")?;
    }
    for guess in 0..6 {
        let line = if guess % 2 == 0 { verify("alice", "guess") } else { plain("nobody", "guess") };
        expect(&mut host, one, &line, "denied")?;
    }
    // The right one isn't looked at any more, whatever connection of the network it comes from.
    let other = host.peer_from("2001:db8::2")?;
    for line in [verify("alice", "password"), plain("alice", "password")] {
        expect(&mut host, other, &line, "limit limits.logins-per-peer: too many logins have")?;
    }
    let (_, first) = Client::new("user", b"");
    let scram = format!("begin SCRAM-SHA-256 {}", to_hexadecimal(&first));
    expect(&mut host, one, &scram, "limit limits.logins-per-peer")?;
    let stranger = host.peer_from("2001:db8:0:1::1")?;
    expect(&mut host, stranger, &verify("alice", "password"), "ok alice")?;
    // After ten seconds one more may be wrong.
    host.pass(Duration::from_secs(10))?;
    expect(&mut host, one, &verify("alice", "guess"), "denied")?;
    expect(&mut host, one, &verify("alice", "guess"), "limit")?;
    host.pass(Duration::from_secs(10))?;
    expect(&mut host, one, &verify("alice", "password"), "ok alice")
}

fn who_guesses_at_once_has_no_more_guesses() -> Result<()> {
    let mut host = host(None, Some(5))?;
    for _ in 0..3 {
        let peer = host.peer_from("192.0.2.1")?;
        let lines = vec![verify("alice", "guess"); 20];
        host.send(peer, (lines.join("\n") + "\n").as_bytes());
    }
    host.pass(Duration::from_secs(1))?;
    let denied = host.failures().into_iter().filter(|code| *code == "denied").count();
    ensure!(denied == 5, "{denied} guesses were looked at");
    let limited = host.failures().into_iter().filter(|code| *code == "limit").count();
    ensure!(limited == 55, "{limited} were told to wait");
    Ok(())
}

fn all_guesses_together_have_a_limit() -> Result<()> {
    let mut host = host(Some(10), Some(3))?;
    let mut denied = 0;
    for number in 0..8 {
        let peer = host.peer_from(&format!("192.0.2.{number}"))?;
        let said = say(&mut host, peer, &vec![verify("alice", "guess"); 3])?;
        denied += said.iter().filter(|line| line.starts_with("denied")).count();
    }
    ensure!(denied == 10, "{denied} guesses were looked at");
    let peer = host.peer_from("198.51.100.1")?;
    expect(&mut host, peer, &verify("alice", "password"), "limit limits.logins: too many")?;
    host.pass(Duration::from_secs(6))?;
    expect(&mut host, peer, &verify("alice", "password"), "ok alice")
}

/// Commands in any order, from peers that come and go.
fn whatever_peers_say_each_gets_an_answer() -> Result<()> {
    for seed in 0..30 {
        let mut choices = Choices::new(seed);
        let mut host = host(Some(200), Some(50))?;
        for _ in 0..10 {
            let peer = host.peer_from(choices.of(&["192.0.2.1", "192.0.2.2", "2001:db8::1"]))?;
            let count = 1 + choices.below(12);
            let lines: Vec<_> = (0..count).map(|_| command(&mut choices)).collect();
            if choices.chance(20) {
                host.send(peer, (lines.join("\n") + "\n").as_bytes());
                host.reactor.net().shut_down(peer);
                continue;
            }
            let said = say(&mut host, peer, &lines)?;
            ensure!(said.len() == count, "seed {seed}: {lines:?}\n{said:?}");
            let known = ["ok ", "denied ", "invalid ", "limit ", "cancelled ", "unsupported "];
            let is_known = |line: &String| known.iter().any(|code| line.starts_with(code));
            ensure!(said.iter().all(is_known), "seed {seed}: {said:?}");
        }
        host.pass(Duration::from_secs(1))?;
        ensure!(host.failed() == 0, "seed {seed}: the plugin has failed");
    }
    Ok(())
}

fn command(choices: &mut Choices) -> String {
    let (_, first) = Client::new("user", b"");
    match choices.below(10) {
        0 => "mechanisms".to_owned(),
        1 => "begin PLAIN -".to_owned(),
        2 => format!("begin SCRAM-SHA-256 {}", to_hexadecimal(&first)),
        3 => "begin EXTERNAL -".to_owned(),
        4 => plain("alice", choices.of(&["password", "guess"])),
        5 => "give up".to_owned(),
        6 => "say 00616c6963650070617373776f7264".to_owned(),
        7 => format!("say {}", to_hexadecimal(&choices.bytes(20, b"cpr=,n \0\xff"))),
        8 => "cancel alice 70617373776f7264".to_owned(),
        _ => verify(choices.of(&["alice", "nobody"]), choices.of(&["password", "guess"])),
    }
}

/// Time in which everything that is under way is over.
const MOMENT: Duration = Duration::from_millis(50);
