//! IRC as people use it: irssi, WeeChat and ii, driven as their users drive them, talk to each other
//! by the IRC plugin and by ngircd, over TLS and in clear.
//!
//! What the two servers do otherwise is said where it shows: ngircd has no SASL, so nobody logs in
//! there (irssi isn't even told to, since it would leave), and it remembers nothing of what was said.

mod person;
mod server;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::programs;

use super::trial_with;
use person::{Deed, Person, Settings};
use server::Server;

pub(super) fn trials() -> Vec<Trial> {
    let both = [("in_clear", false), ("over_tls", true)];
    let trials = both.map(|(how, tls)| {
        [
            trial_with(&format!("irc::people_talk_{how}"), programs, move |()| {
                talk(&Server::torsade()?, tls)
            }),
            trial_with(&format!("irc::ngircd_has_them_talk_{how}"), ngircd, move |()| {
                talk(&Server::ngircd()?, tls)
            }),
        ]
    });
    trials.into_iter().flatten().collect()
}

/// What the people use.
fn programs() -> Result<()> {
    for (program, package) in [
        ("ii", "ii"),
        ("irssi", "irssi"),
        ("script", "bsdutils"),
        ("weechat-headless", "weechat-headless"),
    ] {
        programs::program(program, package)?;
    }
    Ok(())
}

fn ngircd() -> Result<()> {
    programs::program("ngircd", "ngircd")?;
    programs()
}

/// The people, of whom each sees what the others do.
struct Company {
    irssi: Person,
    weechat: Person,
    ii: Person,
}

fn talk(server: &Server, tls: bool) -> Result<()> {
    let settings = |nick| Settings::new(nick, server, tls);
    let mut company = Company {
        irssi: Person::irssi(&settings("irs"))?,
        weechat: Person::weechat(&settings("wee"))?,
        // It knows no TLS.
        ii: Person::ii(&Settings::new("iii", server, false))?,
    };
    let told = |what: &str| format!("{} by {}, TLS: {tls}", what.to_owned(), server.name());
    company.log_in(server).with_context(|| told("logging in"))?;
    company.join().with_context(|| told("joining"))?;
    company.moderate().with_context(|| told("moderating"))?;
    company.be_away().with_context(|| told("being away"))?;
    company.kick().with_context(|| told("kicking"))?;
    company.leave().with_context(|| told("leaving"))?;
    company.come_back(server).with_context(|| told("coming back"))
}

impl Company {
    /// irssi logs in by PLAIN, WeeChat by SCRAM-SHA-256; ngircd welcomes them without.
    fn log_in(&mut self, server: &Server) -> Result<()> {
        self.irssi.sees(&["Welcome to the", "irs!"])?;
        self.weechat.sees(&["Welcome to the", "wee!"])?;
        self.ii.sees(&["Welcome to the", "iii!"])?;
        if server.has_accounts() {
            self.irssi.sees(&["SASL authentication succeeded"])?;
            self.weechat.sees(&["logged in as wee"])?;
            self.ii.does(Deed::Raw("WHOIS irs"))?;
            self.ii.sees(&["irs irs", "is logged in as"])?;
        }
        Ok(())
    }

    /// They meet in a channel, and talk.
    fn join(&mut self) -> Result<()> {
        self.irssi.does(Deed::Join)?;
        self.irssi.sees(&["irs [", "has joined #room"])?;
        self.weechat.does(Deed::Join)?;
        self.irssi.sees(&["wee [", "has joined #room"])?;
        self.weechat.sees(&["-->\twee ", "has joined #room"])?;
        self.ii.does(Deed::Join)?;
        self.irssi.sees(&["iii [", "has joined #room"])?;
        self.weechat.sees(&["-->\tiii ", "has joined #room"])?;
        self.ii.sees(&["iii(", "has joined #room"])?;
        self.irssi.does(Deed::Say("#room", "hello by irssi"))?;
        self.all_see(&["hello by irssi"])?;
        self.weechat.does(Deed::Say("#room", "grüße by WeeChat"))?;
        self.all_see(&["grüße by WeeChat"])?;
        self.ii.does(Deed::Say("#room", "hello by ii"))?;
        self.all_see(&["hello by ii"])?;
        self.weechat.does(Deed::Say("irs", "a word in private"))?;
        self.irssi.sees(&["wee", "a word in private"])?;
        ensure!(!self.ii.log()?.contains("in private"), "ii overhears what is private");
        Ok(())
    }

    /// The first to come is operator: sets a topic, and decides who may speak.
    fn moderate(&mut self) -> Result<()> {
        self.irssi.does(Deed::Topic("Croquet at noon"))?;
        self.all_see(&["topic", "Croquet at noon"])?;
        self.ii.does(Deed::Mode("+i"))?;
        self.ii.sees(&["#room", "operator"])?;
        self.irssi.does(Deed::Mode("+m"))?;
        self.all_see(&["#room", "+m"])?;
        self.ii.does(Deed::Say("#room", "said in vain"))?;
        self.ii.sees(&["#room", "annot send to"])?;
        self.irssi.does(Deed::Mode("+v iii"))?;
        self.all_see(&["#room", "+v iii"])?;
        self.ii.does(Deed::Say("#room", "said with a voice"))?;
        self.all_see(&["said with a voice"])?;
        for other in [&self.irssi, &self.weechat] {
            ensure!(!other.log()?.contains("said in vain"), "who has no voice is heard");
        }
        self.irssi.does(Deed::Mode("-m"))?;
        self.all_see(&["#room", "-m"])
    }

    fn be_away(&mut self) -> Result<()> {
        self.ii.does(Deed::Away("gone fishing"))?;
        self.ii.sees(&["marked as being away"])?;
        self.weechat.does(Deed::Say("iii", "are you there"))?;
        self.weechat.sees(&["iii", "gone fishing"])?;
        self.ii.sees(&["<wee> are you there"])
    }

    fn kick(&mut self) -> Result<()> {
        self.irssi.does(Deed::Kick("iii", "enough"))?;
        self.irssi.sees(&["iii was kicked", "enough"])?;
        self.weechat.sees(&["has kicked iii", "enough"])?;
        self.ii.sees(&["kicked iii", "enough"])?;
        self.ii.does(Deed::Join)?;
        self.irssi.sees_again(&["iii [", "has joined #room"], 2)
    }

    fn leave(&mut self) -> Result<()> {
        self.weechat.does(Deed::Nick("weenew"))?;
        self.irssi.sees(&["wee is now known as weenew"])?;
        self.ii.sees(&["wee changed nick to weenew"])?;
        self.weechat.does(Deed::Part("so long"))?;
        self.irssi.sees(&["weenew", "has left #room", "so long"])?;
        self.ii.does(Deed::Quit("bye now"))?;
        self.irssi.sees(&["iii", "has quit", "bye now"])
    }

    /// WeeChat connects again, and asks for what was said. ngircd knows no such command.
    fn come_back(&mut self, server: &Server) -> Result<()> {
        self.weechat.does(Deed::Quit("back soon"))?;
        self.weechat.sees(&["disconnected from server"])?;
        self.weechat.does(Deed::Reconnect)?;
        self.weechat.sees_again(&["Welcome to the"], 2)?;
        self.weechat.does(Deed::Join)?;
        self.irssi.sees_again(&["has joined #room", "wee"], 2)?;
        self.weechat.does(Deed::Raw("CHATHISTORY LATEST #room * 50"))?;
        if server.has_history() {
            self.weechat.sees_again(&["hello by irssi"], 2)?;
            self.weechat.sees_again(&["said with a voice"], 2)
        } else {
            self.weechat.sees(&["CHATHISTORY", "nknown command"])
        }
    }

    fn all_see(&self, words: &[&str]) -> Result<()> {
        [&self.irssi, &self.weechat, &self.ii].into_iter().try_for_each(|one| one.sees(words))
    }
}
