//! What a client changes of itself, or of its connection: `SETNAME` and `STARTTLS`.

use crate::action::Action;
use crate::cap;
use crate::client::Client;
use crate::config::REAL_BYTES_MAX;
use crate::message::Message;
use crate::output::Tags;
use crate::reply::*;
use crate::server::Server;

impl Server {
    /// `SETNAME :real name` (<https://ircv3.net/specs/extensions/setname>).
    pub(crate) fn setname(&mut self, of: Client, message: &Message<'_>) {
        let real = message.parameter(0);
        if real.is_empty() || real.len() > REAL_BYTES_MAX {
            let text = format_args!("SETNAME INVALID_REALNAME :Realname is not valid");
            return self.fail(of, text);
        }
        self.clients[of].real = real.into();
        let neighbours = self.neighbours(of).into_iter();
        let informed = neighbours.chain([of]).filter(|&client| self.has(client, cap::SETNAME));
        let informed: Vec<Client> = informed.collect();
        let session = &self.clients[of];
        let tags = Tags { account: session.account.as_deref(), ..Tags::default() };
        self.relay(informed.into_iter(), &tags, format_args!(":{session} SETNAME :{real}"));
    }

    /// `STARTTLS` (<https://ircv3.net/specs/extensions/tls-3.1>). What came behind it in clear is
    /// forgotten: nobody knows who has sent it.
    pub(crate) fn starttls(&mut self, of: Client, _: &Message<'_>) {
        let session = &self.clients[of];
        if session.is_registered() {
            return self.reply(of, ERR_ALREADYREGISTERED, format_args!(":You may not reregister"));
        }
        if session.is_secure || session.is_local || !self.config.starttls {
            return self.reply(of, ERR_STARTTLS, format_args!(":STARTTLS is not possible here"));
        }
        let text = format_args!(":STARTTLS successful, proceed with TLS handshake");
        self.reply(of, RPL_STARTTLS, text);
        self.finish_response(of);
        self.act(Action::StartTls { of });
        self.clients[of].is_starting_tls = true;
    }
}
