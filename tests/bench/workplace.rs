//! What every measurement needs: two cores, the programs, and a folder with the files to serve.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::thread::{CpuSet, sched_getaffinity};
use tempfile::TempDir;
use torsade_tests::certificates::Authority;

use crate::arguments::Arguments;
use crate::hostile::Hostile;
use crate::peers::Peer;
use crate::programs;
use crate::rows::{Guest, Instances, Kind, LARGE, Load, Row, SMALL};

/// The place where the benchmark happens. The folder goes when it is dropped.
pub(crate) struct Workplace {
    folder: TempDir,
    /// Where the servers run.
    pub(crate) server_core: usize,
    /// Where the loads run.
    pub(crate) load_core: usize,
    /// The programs that the chosen rows need; empty paths for those that none needs.
    pub(crate) chrt: PathBuf,
    /// See `chrt`.
    pub(crate) haproxy: PathBuf,
    /// See `chrt`.
    pub(crate) ngircd: PathBuf,
    /// See `chrt`.
    pub(crate) nginx: PathBuf,
    /// See `chrt`.
    pub(crate) torsade: PathBuf,
    /// See `chrt`.
    pub(crate) wrk: PathBuf,
}

impl Workplace {
    /// Finds, builds and installs what the rows need.
    pub(crate) fn prepare(
        arguments: &Arguments,
        rows: &[&Row],
        hostile: &[Hostile],
    ) -> Result<Self> {
        let (server_core, load_core) = two_cores()?;
        let mut kinds: Vec<Kind> = rows.iter().flat_map(|row| row.sides(arguments.noise)).collect();
        if !hostile.is_empty() {
            // The victim, and what is attacked.
            let guests = [Guest::Http, Guest::Echo];
            kinds.extend(guests.map(|guest| Kind::Torsade(guest, Instances::PerWorker)));
        }
        let mut place = Self {
            folder: tempfile::Builder::new().prefix("torsade-bench-").tempdir()?,
            server_core,
            load_core,
            chrt: PathBuf::new(),
            haproxy: PathBuf::new(),
            ngircd: PathBuf::new(),
            nginx: PathBuf::new(),
            torsade: PathBuf::new(),
            wrk: PathBuf::new(),
        };
        place.write_public()?;
        if !hostile.is_empty() {
            place.chrt = programs::find_or_install("chrt", "util-linux")?;
        }
        if kinds.iter().any(|kind| matches!(kind, Kind::Haproxy(_))) {
            place.haproxy = programs::find_or_install("haproxy", "haproxy")?;
        }
        if kinds.contains(&Kind::Ngircd) {
            place.ngircd = programs::find_or_install("ngircd", "ngircd")?;
        }
        if kinds.contains(&Kind::NginxTls) {
            place.write_certificate()?;
        }
        if kinds.contains(&Kind::Nginx) || kinds.contains(&Kind::NginxTls) {
            place.nginx = programs::find_or_install("nginx", "nginx-light")?;
        }
        let by_wrk = |load| matches!(load, Load::Blocking(..) | Load::Http(..) | Load::Https(..));
        if rows.iter().any(|row| by_wrk(row.load)) || !hostile.is_empty() {
            place.wrk = programs::find_or_install("wrk", "wrk")?;
        }
        if kinds.iter().any(|kind| matches!(kind, Kind::Torsade(..))) {
            place.torsade = programs::torsade()?;
            place.build_guests(&kinds)?;
        }
        Ok(place)
    }

    /// The folder for configurations and logs.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folder with the files to serve.
    pub(crate) fn public(&self) -> PathBuf {
        self.folder.path().join("public")
    }

    /// Who has signed the certificate of the servers that speak TLS.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The certificate for 127.0.0.1, with a key on P-256, which all servers show; and its key.
    pub(crate) fn certificate(&self) -> [PathBuf; 2] {
        ["own.pem", "own-key.pem"].map(|name| self.folder.path().join(name))
    }

    fn write_certificate(&self) -> Result<()> {
        let authority = Authority::new("bench")?;
        fs::write(self.authority(), authority.pem())?;
        authority.sign(&["127.0.0.1"])?.write(self.path(), "own")
    }

    fn write_public(&self) -> Result<()> {
        fs::create_dir(self.public())?;
        for file in [&SMALL, &LARGE] {
            fs::write(self.public().join(file.name), file.content())?;
        }
        Ok(())
    }

    /// The first start of a plugin builds and compiles it; later ones find that done.
    fn build_guests(&self, kinds: &[Kind]) -> Result<()> {
        let mut done = Vec::new();
        for &kind in kinds {
            if let Kind::Torsade(guest, _) = kind
                && !done.contains(&guest)
            {
                eprintln!("bench: first start with {}, which builds it", guest.name());
                Peer::start(kind, self).context("the first start")?;
                done.push(guest);
            }
        }
        Ok(())
    }
}

/// The server's core and the load's: the last and the first, as the first takes most interrupts.
fn two_cores() -> Result<(usize, usize)> {
    let allowed = sched_getaffinity(None)?;
    let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
    let Some((first, last)) = cores.next().zip(cores.next_back()) else {
        bail!("two cores are needed, one for the server and one for the load");
    };
    Ok((last, first))
}
