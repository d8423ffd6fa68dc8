//! A thread that looks after certificates, so that renewed ones are shown without a restart.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
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

/// Looks while this lives, on behalf of services that are named by numbers.
#[derive(Debug, Default)]
pub struct Watching {
    thread: Option<Sender<Watched>>,
}

/// What a service has looked after from now on.
type Watched = (u64, Option<Watch>);

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

    fn is_empty(&self) -> bool {
        self.certificates.is_empty() && self.trust.is_empty()
    }
}

impl Watching {
    /// Looks after what a service has, too, if there is anything.
    ///
    /// # Errors
    /// Where there is no thread for it.
    pub fn look_after(&mut self, service: u64, watch: Watch) -> io::Result<()> {
        if watch.is_empty() {
            return Ok(());
        }
        let thread = match &self.thread {
            Some(thread) => thread,
            None => {
                let (thread, told) = mpsc::channel();
                let run = move || look(&told);
                thread::Builder::new().name("torsade-tls".to_owned()).spawn(run)?;
                self.thread.insert(thread)
            }
        };
        // It ends only once the sender is gone.
        let _ = thread.send((service, Some(watch)));
        Ok(())
    }

    /// Looks no more after what a service had.
    pub fn forget(&self, service: u64) {
        if let Some(thread) = &self.thread {
            let _ = thread.send((service, None));
        }
    }
}

fn look(told: &Receiver<Watched>) {
    let mut services = BTreeMap::new();
    loop {
        match told.recv_timeout(LOOK) {
            Ok((service, Some(watch))) => drop(services.insert(service, watch)),
            Ok((service, None)) => drop(services.remove(&service)),
            Err(RecvTimeoutError::Timeout) => {
                let now = now();
                services.values_mut().for_each(|watch: &mut Watch| watch.look(now));
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
