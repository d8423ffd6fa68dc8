//! Questions that are asked and not answered yet.

use std::collections::BTreeMap;

use crate::action::{Action, Answer, Question};
use crate::client::{Client, Held, Hold};
use crate::command::shown;
use crate::label::Label;
use crate::server::Server;

/// The numbers of questions.
pub(crate) struct Questions {
    last: u64,
    /// Who waits for which. A client waits for one at most.
    open: BTreeMap<u64, Client>,
}

/// What a client waits to know.
#[derive(Debug)]
pub(crate) enum Asked {
    /// Who it is, or what comes next in its SASL exchange.
    Authenticate,
    /// Part of a conversation, by the subcommand and the target that it has named.
    History(String, String),
    /// Whether the password of its `OPER` is right.
    Oper,
    /// Whether the password of its `PASS` is right.
    Pass,
    /// Conversations.
    Targets,
}

impl Questions {
    pub(crate) fn new() -> Self {
        Questions { last: 0, open: BTreeMap::new() }
    }
}

impl Server {
    /// Asks a question for a client, whose next line waits for the answer.
    pub(crate) fn ask(&mut self, of: Client, asked: Asked, what: Question) {
        self.questions.last += 1;
        let question = self.questions.last;
        self.questions.open.insert(question, of);
        self.clients[of].hold =
            Some(Box::new(Hold { label: Label::None, held: Held::Question(question, asked) }));
        self.act(Action::Ask { question, of: Some(of), what: Box::new(what) });
    }

    /// Says something that wants no answer.
    pub(crate) fn tell(&mut self, of: Option<Client>, what: Question) {
        self.questions.last += 1;
        self.act(Action::Ask { question: self.questions.last, of, what: Box::new(what) });
    }

    /// Nobody waits for a question any more.
    pub(crate) fn forget(&mut self, question: u64) {
        self.questions.open.remove(&question);
    }

    /// Goes on with what a question was asked for.
    pub(crate) fn answer(&mut self, question: u64, answer: Answer) {
        let Some(of) = self.questions.open.remove(&question) else { return };
        let Some(hold) = self.resume(of) else { return };
        let answer = match answer {
            // It would not be one word of a line.
            Answer::Identity { name, .. } if shown(&name) != name => {
                let message = format!("{name:?} is no name for IRC: one word of 100 bytes is");
                self.log(message.clone());
                Answer::Refused { code: "invalid".into(), message }
            }
            answer => answer,
        };
        if let Held::Question(_, asked) = hold.held {
            match asked {
                Asked::Authenticate => self.authenticated(of, answer),
                Asked::History(what, target) => self.recalled(of, &what, &target, answer),
                Asked::Oper => self.oper_verified(of, answer),
                Asked::Pass => self.pass_verified(of, answer),
                Asked::Targets => self.targets_recalled(of, answer),
            }
        }
        self.resumed(of);
    }
}
