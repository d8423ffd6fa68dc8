//! Conversations are replayed: steps become calls, and what comes is held against what is told.

use super::text::{Known, Text, shown};
use super::{Conversation, Does, Fault, Step, Talker};

/// Where what is sent is cut into pieces. Two texts that are sent are never one piece.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cut {
    /// Nowhere.
    Never,
    /// Into single bytes.
    EveryByte,
    /// Behind so many bytes of all that is sent.
    At(usize),
    /// At places that follow from a seed.
    Seeded(u64),
}

/// All that was sent and seen.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Seen {
    /// How many bytes were sent.
    pub sent: usize,
    /// What each peer has seen.
    pub by: Vec<Vec<u8>>,
}

/// Replays a conversation once.
///
/// # Errors
/// Says in which line it went otherwise than is told, and how.
pub fn replay<T: Talker>(
    conversation: &Conversation,
    talker: &mut T,
    cut: Cut,
) -> Result<Seen, Fault> {
    let seats = conversation.names.iter().map(|_| Seat::default()).collect();
    let mut replay =
        Replay { conversation, talker, cut, seats, known: Known::new(), sent: 0, told: false };
    for step in &conversation.steps {
        replay.step(step).map_err(|what| Fault { place: step.place.clone(), what })?;
    }
    replay.everything_is_told().map_err(|what| Fault {
        place: conversation.file.clone(),
        what: format!("at the end {what}"),
    })?;
    let by = replay.seats.into_iter().map(|seat| seat.all).collect();
    Ok(Seen { sent: replay.sent, by })
}

/// Replays a conversation uncut, at every byte, at each single place and at random ones, each time
/// with a new talker: what everybody sees has to be what is told, and the same to the byte. The
/// talkers must follow from nothing but what they are told.
///
/// # Errors
/// Says in which line and with which cut it went otherwise, and how; or why there is no talker.
pub fn chunked<T: Talker>(
    conversation: &Conversation,
    mut make: impl FnMut() -> Result<T, String>,
) -> Result<(), Fault> {
    let fault = |what| Fault { place: conversation.file.clone(), what };
    let mut once = |cut| {
        let mut talker = make().map_err(fault)?;
        replay(conversation, &mut talker, cut)
    };
    let whole = once(Cut::Never)?;
    // Of what is long enough not all places.
    let places = whole.sent.saturating_sub(1).min(PLACES_MAX);
    let places = (1..=places).map(|place| Cut::At(place * (whole.sent - 1) / places));
    for cut in [Cut::EveryByte].into_iter().chain((0..SEEDS).map(Cut::Seeded)).chain(places) {
        let seen = once(cut).map_err(|mut fault| {
            fault.what = format!("cut {cut:?}: {}", fault.what);
            fault
        })?;
        for (number, (seen, whole)) in seen.by.iter().zip(&whole.by).enumerate() {
            if seen != whole {
                let who = &conversation.names[number];
                let same = seen.iter().zip(whole).take_while(|(one, other)| one == other).count();
                let part =
                    |all: &[u8]| shown(&all[same.saturating_sub(40)..all.len().min(same + 40)]);
                let (seen, whole) = (part(seen), part(whole));
                return Err(fault(format!(
                    "cut {cut:?}, {who} sees\n    {seen}\nand uncut\n    {whole}"
                )));
            }
        }
    }
    Ok(())
}

/// What one peer has got.
#[derive(Default)]
struct Seat {
    is_there: bool,
    /// It was told that it is cut off, or it has gone itself.
    is_gone: bool,
    /// What comes is not told until a line is.
    skips: bool,
    /// What was not told yet.
    pending: Vec<u8>,
    all: Vec<u8>,
}

struct Replay<'a, T> {
    conversation: &'a Conversation,
    talker: &'a mut T,
    cut: Cut,
    seats: Vec<Seat>,
    known: Known,
    sent: usize,
    /// The step before told what somebody sees.
    told: bool,
}

impl<T: Talker> Replay<'_, T> {
    fn step(&mut self, step: &Step) -> Result<(), String> {
        let tells = matches!(
            step.does,
            Does::AllSkip
                | Does::AnyOrder(_)
                | Does::IsCutOff(_)
                | Does::IsReached(_)
                | Does::Sees(..)
                | Does::SeesNothing(_)
                | Does::Skips(_)
        );
        if !tells && std::mem::take(&mut self.told) {
            self.everything_is_told().map_err(|what| format!("before this {what}"))?;
        }
        self.told = tells;
        self.collect();
        match &step.does {
            Does::Connects(who, way) => {
                let seat = &mut self.seats[*who];
                if seat.is_there && !seat.is_gone {
                    return Err("this peer is there already".to_owned());
                }
                (seat.is_there, seat.is_gone) = (true, false);
                self.talker.connect(*who, way)
            }
            Does::FailNext => self.talker.fail_next(),
            Does::IsReached(who) => {
                let seat = &mut self.seats[*who];
                if seat.is_there && !seat.is_gone {
                    return Err("this peer is reached already".to_owned());
                }
                self.talker.reach(*who)?;
                (seat.is_there, seat.is_gone) = (true, false);
                Ok(())
            }
            Does::Pass(time) => {
                self.talker.pass(*time);
                Ok(())
            }
            Does::AllSkip => {
                self.seats.iter_mut().for_each(|seat| seat.pending.clear());
                Ok(())
            }
            Does::AnyOrder(seen) => self.any_order(seen),
            Does::Sees(who, text) => self.sees(*who, text),
            _ => self.of_a_peer(&step.does),
        }
    }

    /// The steps of somebody who has to be there.
    fn of_a_peer(&mut self, does: &Does) -> Result<(), String> {
        let (Does::Ends(who)
        | Does::IsCutOff(who)
        | Does::IsLost(who)
        | Does::Reads(who, _)
        | Does::Secures(who)
        | Does::SeesNothing(who)
        | Does::Sends(who, _)
        | Does::Skips(who)) = does
        else {
            unreachable!("these steps are done elsewhere")
        };
        let who = *who;
        if !self.seats[who].is_there || self.seats[who].is_gone {
            return Err(format!("{} isn't connected", self.name(who)));
        }
        match does {
            Does::Ends(_) => {
                self.talker.end(who);
                self.seats[who].is_gone = true;
            }
            Does::IsCutOff(_) => return self.is_cut_off(who),
            Does::IsLost(_) => {
                self.talker.lose(who);
                self.seats[who].is_gone = true;
            }
            Does::Reads(_, reads) => return self.talker.set_reading(who, *reads),
            Does::Secures(_) => return self.talker.start_tls(who),
            Does::Sends(_, text) => {
                let data = text.fill(&self.known)?;
                self.send(who, &data);
            }
            Does::Skips(_) => self.seats[who].skips = true,
            _ => return self.sees_nothing(who),
        }
        Ok(())
    }

    fn send(&mut self, who: usize, data: &[u8]) {
        let mut from = 0;
        for at in 1..=data.len() {
            let cuts = match self.cut {
                Cut::Never => false,
                Cut::EveryByte => true,
                Cut::At(place) => place == self.sent + at,
                Cut::Seeded(seed) => mixed(seed, self.sent + at).is_multiple_of(6),
            };
            if cuts || at == data.len() {
                self.talker.send(who, &data[from..at]);
                from = at;
            }
        }
        self.sent += data.len();
    }

    /// Takes what has come.
    fn collect(&mut self) {
        for (who, seat) in self.seats.iter_mut().enumerate().filter(|(_, seat)| seat.is_there) {
            let data = self.talker.take(who);
            seat.pending.extend(&data);
            seat.all.extend(data);
        }
    }

    fn name(&self, who: usize) -> &str {
        &self.conversation.names[who]
    }

    /// The next line of somebody, with its end: or nothing, if there is none.
    fn next(&self, who: usize) -> Option<&[u8]> {
        let (pending, end) = (&self.seats[who].pending, &self.conversation.line_end);
        if end.is_empty() {
            return (!pending.is_empty()).then_some(pending);
        }
        let at = pending.windows(end.len()).position(|window| window == end)?;
        Some(&pending[..at + end.len()])
    }

    /// Takes the next line, or next bytes, if they are this text.
    fn take(&mut self, who: usize, text: &Text) -> bool {
        let end = self.conversation.line_end.len();
        let Some(line) = self.next(who) else { return false };
        let mut known = self.known.clone();
        let Some(length) = text.find(&line[..line.len() - end], end > 0, &mut known) else {
            return false;
        };
        self.known = known;
        self.seats[who].pending.drain(..length + end);
        true
    }

    /// Drops the next line, or byte. There is none if it gives back false.
    fn drop_one(&mut self, who: usize) -> bool {
        let is_stream = self.conversation.line_end.is_empty();
        let Some(length) = self.next(who).map(|line| if is_stream { 1 } else { line.len() }) else {
            return false;
        };
        self.seats[who].pending.drain(..length);
        true
    }

    fn sees(&mut self, who: usize, text: &Text) -> Result<(), String> {
        let skipped = self.seats[who].pending.clone();
        loop {
            if self.take(who, text) {
                self.seats[who].skips = false;
                return Ok(());
            }
            if !self.seats[who].skips {
                return Err(self.otherwise(who));
            }
            if !self.drop_one(who) {
                let seen = lines_shown(&skipped);
                return Err(format!("{} doesn't see this, but{seen}", self.name(who)));
            }
        }
    }

    fn any_order(&mut self, texts: &[(usize, Text)]) -> Result<(), String> {
        let mut left: Vec<_> = texts.iter().collect();
        while !left.is_empty() {
            let found = left.iter().position(|(who, text)| self.take(*who, text));
            let Some(found) = found else {
                let skips = |(who, _): &&&(usize, Text)| self.seats[*who].skips;
                let skipping = left.iter().find(skips).map(|(who, _)| *who);
                if skipping.is_some_and(|who| self.drop_one(who)) {
                    continue;
                }
                return Err(format!(
                    "of these {} are left: {}",
                    left.len(),
                    self.otherwise(left[0].0)
                ));
            };
            let (who, _) = left.remove(found);
            self.seats[*who].skips = false;
        }
        Ok(())
    }

    /// What somebody sees instead of what is told.
    fn otherwise(&self, who: usize) -> String {
        let pending = &self.seats[who].pending;
        if pending.is_empty() {
            return format!("{} sees nothing", self.name(who));
        }
        format!("{} sees{}", self.name(who), lines_shown(pending))
    }

    fn sees_nothing(&mut self, who: usize) -> Result<(), String> {
        if self.seats[who].pending.is_empty() { Ok(()) } else { Err(self.otherwise(who)) }
    }

    fn is_cut_off(&mut self, who: usize) -> Result<(), String> {
        self.swallow(who);
        self.sees_nothing(who)?;
        if !self.talker.is_cut_off(who) {
            return Err(format!("{} is still connected", self.name(who)));
        }
        self.seats[who].is_gone = true;
        Ok(())
    }

    /// Drops what doesn't matter.
    fn swallow(&mut self, who: usize) {
        if std::mem::take(&mut self.seats[who].skips) {
            self.seats[who].pending.clear();
        }
    }

    /// Nobody has got what wasn't told.
    fn everything_is_told(&mut self) -> Result<(), String> {
        self.collect();
        for who in 0..self.seats.len() {
            self.swallow(who);
            self.sees_nothing(who)?;
            let seat = &self.seats[who];
            if seat.is_there && !seat.is_gone && self.talker.is_cut_off(who) {
                return Err(format!("{} is cut off", self.name(who)));
            }
        }
        Ok(())
    }
}

/// The beginning of what was seen, a line each.
fn lines_shown(seen: &[u8]) -> String {
    let lines = seen.split_inclusive(|byte| *byte == b'\n').take(LINES_SHOWN);
    lines.fold(String::new(), |text, line| {
        let end = if line.ends_with(b"\r\n") { line.len() - 2 } else { line.len() };
        text + "\n    " + &shown(&line[..end.min(BYTES_SHOWN)])
    })
}

/// SplitMix64 of Steele, Lea and Flood, of a seed and a place.
fn mixed(seed: u64, place: usize) -> u64 {
    let counter = (seed << 32 | place as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (counter ^ (counter >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// At how many single places something is cut.
const PLACES_MAX: usize = 500;

/// How many seeds of random cuts are tried.
const SEEDS: u64 = 8;

/// How much of a line is shown.
const BYTES_SHOWN: usize = 500;

/// How many lines are shown of what was seen instead.
const LINES_SHOWN: usize = 20;
