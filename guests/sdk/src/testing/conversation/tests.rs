//! The runner is held against a small protocol: a room in which lines are heard by all others.

use std::time::Duration;

use super::{Conversation, Cut, Talker, Way, chunked, replay};

/// A room. `quit` ends a connection, and so does a minute; `late` answers a second later.
#[derive(Default)]
struct Room {
    peers: Vec<Peer>,
    late: Option<usize>,
    /// Breaks its promise: it looks at pieces where it should look at lines.
    sees_pieces: bool,
}

#[derive(Default)]
struct Peer {
    over: String,
    input: Vec<u8>,
    output: Vec<u8>,
    is_gone: bool,
}

impl Room {
    fn line(&mut self, from: usize, line: &[u8]) {
        match line {
            b"quit" => self.peers[from].is_gone = true,
            b"late" => self.late = Some(from),
            b"over" => {
                let over = self.peers[from].over.clone() + "\r\n";
                self.peers[from].output.extend(over.as_bytes());
            }
            _ => {
                for (number, peer) in self.peers.iter_mut().enumerate() {
                    if number != from && !peer.is_gone {
                        peer.output.extend(format!("from {from}: ").as_bytes());
                        peer.output.extend(line);
                        peer.output.extend(b"\r\n");
                    }
                }
            }
        }
    }
}

impl Talker for Room {
    fn connect(&mut self, peer: usize, way: &Way) -> Result<(), String> {
        assert_eq!(peer, self.peers.len());
        self.peers.push(Peer { over: way.over.clone(), ..Peer::default() });
        Ok(())
    }

    fn send(&mut self, peer: usize, data: &[u8]) {
        if self.sees_pieces && data.len() > 3 {
            self.peers[peer].output.extend(b"long\r\n");
        }
        self.peers[peer].input.extend(data);
        while let Some(end) = self.peers[peer].input.windows(2).position(|two| two == b"\r\n") {
            let line: Vec<_> = self.peers[peer].input.drain(..end + 2).collect();
            self.line(peer, &line[..end]);
        }
    }

    fn pass(&mut self, time: Duration) {
        if let Some(late) = self.late.take().filter(|_| time >= Duration::from_secs(1)) {
            self.peers[late].output.extend(b"\x00{late}\r\n");
        }
        if time >= Duration::from_secs(60) {
            self.peers.iter_mut().for_each(|peer| peer.is_gone = true);
        }
    }

    fn end(&mut self, peer: usize) {
        self.peers[peer].is_gone = true;
    }

    fn lose(&mut self, peer: usize) {
        self.peers[peer].is_gone = true;
    }

    fn take(&mut self, peer: usize) -> Vec<u8> {
        std::mem::take(&mut self.peers[peer].output)
    }

    fn is_cut_off(&mut self, peer: usize) -> bool {
        self.peers[peer].is_gone
    }
}

/// What becomes of a conversation.
fn outcome(text: &str) -> String {
    let scenes = [("scenes.txt", "scene greets\n    $: hello $1\n    other< {} {}: hello $1")];
    let conversation = match Conversation::parse("room.txt", text, &scenes) {
        Ok(conversation) => conversation,
        Err(fault) => return fault.to_string(),
    };
    match chunked(&conversation, || Ok(Room::default())) {
        Ok(()) => "it goes as told".to_owned(),
        Err(fault) => fault.to_string(),
    }
}

fn goes_as_told(steps: &str) {
    assert_eq!(outcome(&format!("one connects\nother connects\n{steps}")), "it goes as told");
}

fn fails(steps: &str, what: &str) {
    let outcome = outcome(&format!("one connects\nother connects\n{steps}"));
    assert!(outcome.contains(what), "{steps:?} comes to {outcome}");
}

#[test]
fn what_is_told_is_seen() {
    goes_as_told("one: a \\x00{b * 3}\\xff\nother< from 0: a \\x00bbb\\xff");
    goes_as_told("one: {ab\\r\\n * 2}\\\nother< from 0: {a * 1}b\nother< from 0: ab");
    goes_as_told("one: half \\\none: line\nother< from 0: half line\none sees nothing");
    goes_as_told("one: late\none sees nothing\nafter 1s\none< \\x00\\{late}");
    goes_as_told("one: quit\none is cut off\nother sees nothing\nother: x\n");
    goes_as_told("after 1m\none is cut off\nother is cut off");
    goes_as_told("one: quit\none is cut off\nthird connects over tls\nthird: over\nthird< tls");
    goes_as_told("one greets everybody\n# and so on\n\nother ends");
}

#[test]
fn what_is_told_otherwise_is_a_fault() {
    fails("one: a\nother< from 0: b", "room.txt:4: other sees\n    from 0: a");
    fails("one: a", "room.txt: at the end other sees\n    from 0: a");
    fails("one: a\none sees nothing\none: b", "room.txt:5: before this other sees");
    fails("one: a\nother< from 0: a\nother< more", "room.txt:5: other sees nothing");
    fails("one: quit\n", "at the end one is cut off");
    fails("one is cut off", "room.txt:3: one is still connected");
    fails("one: quit\none is cut off\none: more", "room.txt:5: one isn't connected");
    fails("third: more", "room.txt:3: third isn't connected");
    fails("one connects", "room.txt:3: this peer is there already");
    fails("one stops reading", "room.txt:3: peer 0 can't stop reading here");
    fails("one starts tls", "room.txt:3: peer 0 can't begin TLS here");
    fails("one greets nobody\none greets", "room.txt:4: greets needs more words: $1");
}

#[test]
fn holes_stand_for_what_varies() {
    goes_as_told("one: a b c\nother< from {}: {...}");
    goes_as_told("one: a b c\nother< {} 0: {first} {rest...}\none: {first}\nother< {} 0: {first}");
    fails("one: a b\nother< from 0: {}", "room.txt:4: other sees");
    fails("one: a\nother< from 0: {word}\none: b\nother< from 0: {word}", "room.txt:6:");
    fails("one: {}", "room.txt:3: what is sent can't be just anything");
    fails("one: {unknown}", "room.txt:3: nothing that was seen is called {unknown}");
}

#[test]
fn what_does_not_matter_is_skipped() {
    let three = "one: 1\none: 2\none: 3\n";
    goes_as_told(&format!("{three}other< ..."));
    goes_as_told(&format!("{three}other< ...\nother< from 0: 3"));
    goes_as_told(&format!("{three}everybody< ...\none: 4\nother< from 0: 4"));
    fails(&format!("{three}other< ...\nother< from 0: 2"), "at the end other sees\n    from 0: 3");
    fails(&format!("{three}other< ...\nother< from 0: 4"), "other doesn't see this, but");
}

#[test]
fn some_come_in_any_order() {
    let both = "one: 1\none: 2\n";
    goes_as_told(&format!("{both}in any order\n    other< {{}} 0: 2\n    other< {{}} 0: 1"));
    fails(
        &format!("{both}in any order\n    other< {{}} 0: 2\n    other< 3"),
        "of these 2 are left",
    );
}

#[test]
fn streams_have_no_lines() {
    let text =
        "lines end in nothing\none connects\nother connects\none: a\\r\\n\nother< from {n}: \n";
    let wrong = Conversation::parse("a", text, &[]).unwrap_err().to_string();
    assert_eq!(wrong, "a:5: a blank there can't be seen: right is \\x20 or \\t");
    let text = text.replace(
        ": \n",
        ":\\x20\nother< a\\r\nother< \\n\none: b\\r\\n\nother< ...\nother< b{...}\\n",
    );
    let conversation = Conversation::parse("a", &text, &[]).unwrap();
    chunked(&conversation, || Ok(Room::default())).unwrap();
}

#[test]
fn a_cut_that_shows_is_a_fault() {
    let conversation =
        Conversation::parse("a", "one connects\none: xy\none< {...}\none sees nothing", &[])
            .unwrap();
    let room = || Room { sees_pieces: true, ..Room::default() };
    let seen = replay(&conversation, &mut room(), Cut::Never).unwrap();
    assert_eq!((seen.sent, seen.by), (4, vec![b"long\r\n".to_vec()]));
    let fault = chunked(&conversation, || Ok(room())).unwrap_err().to_string();
    assert!(fault.contains("cut EveryByte: one sees nothing"), "{fault}");
}

#[test]
fn a_file_begins_with_what_there_is() {
    let text = "name a.example is 192.0.2.1 ::1\nfuel 7\nb listens on tcp:192.0.2.1:80\na connects";
    let conversation = Conversation::parse("a", text, &[]).unwrap();
    let addresses = ["192.0.2.1", "::1"].map(|ip| ip.parse().unwrap()).to_vec();
    assert_eq!(conversation.hosts, [("a.example".to_owned(), addresses)]);
    assert_eq!(conversation.fuel, Some(7));
    assert_eq!(conversation.listeners, [(0, "tcp:192.0.2.1:80".to_owned())]);
    assert_eq!(conversation.names(), ["b", "a"]);
}

#[test]
fn a_file_that_is_wrong_says_where_and_what_is_right() {
    for (text, place, what) in [
        ("alice says hello", "room.txt:1", "nor a scene's name: right is `NAME: TEXT`"),
        ("alice! hello", "room.txt:1", "is no step: right is"),
        ("a connects by tls", "room.txt:1", "behind it `over WAY`"),
        ("\na: \\y", "room.txt:2", "`\\y` is none of"),
        ("a< {b", "room.txt:1", "a brace itself is \\{"),
        ("a< {b c}", "room.txt:1", "is no hole"),
        ("a: {b * many}", "room.txt:1", "is no number"),
        ("after noon", "room.txt:1", "right are 50ms, 30s, 5m, 1h"),
        ("a connects\n    a: b", "room.txt:2", "only what is in a scene or in any order"),
        ("in any order\n    a< b", "room.txt:1", "two or more"),
        ("in any order\n    a< b\n    a: b", "room.txt:3", "right is `NAME< TEXT`"),
        ("a connects\nconfig x", "room.txt:2", "stands before all steps"),
        ("a connects\nfuel 1", "room.txt:2", "stands before all steps"),
        ("fuel much", "room.txt:1", "right is `fuel 200000`"),
        ("name a.example is", "room.txt:1", "right is `name HOST is ADDRESS`"),
        ("a connects\nb listens on tcp:1", "room.txt:2", "stands before all steps"),
        ("b listens on tcp:1\nb is reached", "room.txt:2", "can't be reached here"),
        ("the next question fails", "room.txt:1", "can be made to fail here"),
        ("scene greets\n    $: x", "room.txt:1", "there is a scene greets already"),
        ("scene x\n", "room.txt:1", "indented steps below it"),
        ("scene x\n    $ x\n\na x", "room.txt:4 (room.txt:2)", "scenes without end"),
    ] {
        let outcome = outcome(text);
        assert!(outcome.starts_with(place) && outcome.contains(what), "{text:?}: {outcome}");
    }
    let scenes = Conversation::parse("a", "", &[("scenes.txt", "a: x")]).unwrap_err();
    assert!(scenes.to_string().starts_with("scenes.txt:1: here only scenes may stand"));
}
