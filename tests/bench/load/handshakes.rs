//! New encrypted connections, each for one request, many at a time.
//!
//! It checks that the answers are right and not the server's certificate, which costs a client more
//! than anything else in a handshake: then the server is what limits the rate, whichever it is.

use std::io::Write;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use torsade_tests::{http, tls};

use super::{GO, Report, dial};

/// How long the load runs before it measures.
const WARM_UP: Duration = Duration::from_millis(300);

/// Loads a port of 127.0.0.1 over so many connections at a time, and prints `GO` when it begins to
/// measure, a report when it ends. A latency is the time from `connect` to the whole answer.
pub(crate) fn run(port: u16, connections: usize, seconds: u64, path: &str) -> Result<()> {
    let config = Arc::new(trusting_all());
    let begin = Instant::now() + WARM_UP;
    let end = begin + Duration::from_secs(seconds);
    let mut latencies = Vec::new();
    thread::scope(|scope| -> Result<()> {
        let loads: Vec<_> = (0..connections)
            .map(|first| {
                let config = &config;
                scope.spawn(move || visits(config, port, path, first, begin, end))
            })
            .collect();
        thread::sleep(begin.saturating_duration_since(Instant::now()));
        println!("{GO}");
        std::io::stdout().flush()?;
        for load in loads {
            latencies.extend(load.join().map_err(|_| anyhow!("a load panicked"))??);
        }
        Ok(())
    })?;
    println!("{}", Report::new(&mut latencies, Duration::from_secs(seconds)));
    Ok(())
}

/// The latencies of those that ended while it was measured.
fn visits(
    config: &Arc<ClientConfig>,
    port: u16,
    path: &str,
    first: usize,
    begin: Instant,
    end: Instant,
) -> Result<Vec<u32>> {
    let mut latencies = Vec::new();
    for nth in first.. {
        let start = Instant::now();
        if start >= end {
            break;
        }
        let mut stream = tls::begin(config, dial(port, nth)?)?;
        http::ask_once(&mut stream, path)?;
        let now = Instant::now();
        if (begin..end).contains(&now) {
            latencies.push(u32::try_from((now - start).as_nanos()).unwrap_or(u32::MAX));
        }
    }
    Ok(latencies)
}

fn trusting_all() -> ClientConfig {
    let builder = ClientConfig::builder().dangerous();
    let verifier = Arc::new(TrustAll(aws_lc_rs::default_provider()));
    let mut config = builder.with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.resumption = Resumption::disabled();
    config
}

#[derive(Debug)]
struct TrustAll(CryptoProvider);

impl ServerCertVerifier for TrustAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
