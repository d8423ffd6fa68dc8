//! What is to be done with the history's database, in order: messages that came before a question
//! are on the disk before it is asked. One transaction is under way at a time, and takes all that
//! have come meanwhile.

use std::collections::VecDeque;

use torsade_guest::Failure;
use torsade_guest::sql::{Rows, Statement};

use crate::history::Entry;
use crate::{Answer, Config, Question, store};

/// Messages and questions that may wait; beyond them messages are not kept.
const WAITING_MAX: usize = 2_000;

/// Messages of one transaction, which has two statements for each.
const MESSAGES_A_TRANSACTION: usize = 200;

/// What waits for the database.
pub(crate) struct Keeper {
    waiting: VecDeque<Waiting>,
    is_keeping: bool,
    keeps: bool,
    /// Messages that are kept of a conversation, and of all.
    kept: (u32, u32),
}

enum Waiting {
    Ask(u64, Question),
    Keep(Entry),
}

/// What is to be done next.
pub(crate) enum Step {
    /// A question, and how its answer is read.
    Ask { question: u64, statement: Statement, read: fn(Rows) -> Result<Answer, Failure> },
    /// A transaction, after which [`Keeper::kept`] is called.
    Keep(Vec<Statement>),
}

impl Keeper {
    pub(crate) fn new(config: &Config) -> Self {
        Keeper {
            waiting: VecDeque::new(),
            is_keeping: false,
            keeps: config.history,
            kept: (config.history_kept, config.history_kept_total),
        }
    }

    /// Whether there is a history.
    pub(crate) fn keeps(&self) -> bool {
        self.keeps
    }

    /// Takes a message, or a question about messages.
    pub(crate) fn take(&mut self, question: u64, what: Question) {
        match what {
            Question::Keep(entry) if self.waiting.len() < WAITING_MAX => {
                self.waiting.push_back(Waiting::Keep(entry));
            }
            // The database is too slow for what is said.
            Question::Keep(_) => {}
            // A client asks one at a time.
            what => self.waiting.push_back(Waiting::Ask(question, what)),
        }
    }

    /// The transaction is over.
    pub(crate) fn kept(&mut self) {
        self.is_keeping = false;
    }

    /// What is next; none while a transaction is under way, or nothing waits.
    pub(crate) fn next_step(&mut self) -> Option<Step> {
        if self.is_keeping {
            return None;
        }
        match self.waiting.pop_front()? {
            Waiting::Ask(question, what) => {
                let (statement, read) = store::ask(&what)?;
                Some(Step::Ask { question, statement, read })
            }
            Waiting::Keep(entry) => {
                let mut entries = vec![entry];
                while entries.len() < MESSAGES_A_TRANSACTION
                    && let Some(Waiting::Keep(_)) = self.waiting.front()
                    && let Some(Waiting::Keep(entry)) = self.waiting.pop_front()
                {
                    entries.push(entry);
                }
                self.is_keeping = true;
                Some(Step::Keep(store::keep(entries, self.kept)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Keeper, MESSAGES_A_TRANSACTION, Step, WAITING_MAX};
    use crate::history::{Entry, Selection};
    use crate::{Config, Question};

    fn keep() -> Question {
        let text = String::new;
        Question::Keep(Entry {
            target: "#a".into(),
            msgid: text(),
            time: 1,
            command: "PRIVMSG".into(),
            source: text(),
            account: None,
            recipient: text(),
            tags: text(),
            text: text(),
        })
    }

    fn history() -> Question {
        Question::History { target: "#a".into(), selection: Selection::Latest(None), limit: 9 }
    }

    #[test]
    fn what_came_before_a_question_is_kept_before_it_is_asked() {
        let mut keeper = Keeper::new(&Config::default());
        for (question, what) in [keep(), keep(), history(), keep()].into_iter().enumerate() {
            keeper.take(question as u64, what);
        }
        assert!(
            matches!(keeper.next_step(), Some(Step::Keep(statements)) if statements.len() == 4)
        );
        assert!(keeper.next_step().is_none(), "one transaction is under way");
        keeper.kept();
        assert!(matches!(keeper.next_step(), Some(Step::Ask { question: 2, .. })));
        assert!(matches!(keeper.next_step(), Some(Step::Keep(_))));
    }

    #[test]
    fn a_database_that_hangs_does_not_eat_the_memory() {
        let mut keeper = Keeper::new(&Config::default());
        for _ in 0..WAITING_MAX * 2 {
            keeper.take(0, keep());
        }
        let mut kept = 0;
        while let Some(Step::Keep(statements)) = keeper.next_step() {
            assert!(statements.len() <= MESSAGES_A_TRANSACTION + 2);
            kept += statements.len() - 2;
            keeper.kept();
        }
        assert_eq!(kept, WAITING_MAX);
    }
}
