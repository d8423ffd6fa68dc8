//! What TLS's registries call what was agreed on.

use rustls::{CipherSuite, ProtocolVersion};

/// `TLSv1.2` or `TLSv1.3`.
pub fn version(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::TLSv1_2 => "TLSv1.2",
        ProtocolVersion::TLSv1_3 => "TLSv1.3",
        // Nothing else is agreed on.
        _ => "",
    }
}

/// A cipher suite by its name in IANA's registry "TLS Cipher Suites".
pub fn cipher(suite: CipherSuite) -> &'static str {
    match suite {
        // The registry has no 13 in these names, rustls has.
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => other.as_str().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs::DEFAULT_CIPHER_SUITES;

    use super::cipher;

    #[test]
    fn every_suite_has_its_name_from_the_registry() {
        let mut names: Vec<_> = DEFAULT_CIPHER_SUITES.iter().map(|s| cipher(s.suite())).collect();
        names.sort_unstable();
        let registry = [
            "TLS_AES_128_GCM_SHA256",
            "TLS_AES_256_GCM_SHA384",
            "TLS_CHACHA20_POLY1305_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        ];
        assert_eq!(names, registry);
    }
}
