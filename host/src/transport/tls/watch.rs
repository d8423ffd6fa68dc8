//! A thread that looks after certificates, so that renewed ones are shown without a restart.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use super::certificates::CertificateFiles;
use super::resumption::Resumption;
use super::self_signed::SelfSigned;
use super::settings::now;
use super::trust::ClientTrustFile;

/// How long between two looks. What has changed is read at the second that finds it the same.
const LOOK: Duration = Duration::from_millis(500);

/// What is looked after.
#[derive(Debug, Default)]
pub struct Watch {
    /// What is made anew when it has expired.
    pub self_signed: Vec<SelfSigned>,
    /// What servers and clients show.
    pub certificates: Vec<CertificateFiles>,
    /// Whom they trust, with the sessions that end when that changes.
    pub trust: Vec<(ClientTrustFile, Arc<Resumption>)>,
}

/// Looks while this lives.
#[derive(Debug)]
pub struct Watching {
    _stop: Option<Sender<()>>,
}

impl Watch {
    /// Looks at all files once.
    pub fn look(&mut self, now: i64) {
        for kept in &mut self.self_signed {
            kept.renew(now);
        }
        for files in &mut self.certificates {
            files.look(now);
        }
        for (file, sessions) in &mut self.trust {
            file.look(sessions);
        }
    }

    /// Begins to look, if there is anything to look after.
    ///
    /// # Errors
    /// Where there is no thread for it.
    pub fn start(mut self) -> io::Result<Watching> {
        if self.certificates.is_empty() && self.trust.is_empty() {
            return Ok(Watching { _stop: None });
        }
        let (stop, stopped) = mpsc::channel();
        let run = move || {
            while stopped.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                self.look(now());
            }
        };
        thread::Builder::new().name("torsade-tls".to_owned()).spawn(run)?;
        Ok(Watching { _stop: Some(stop) })
    }
}
