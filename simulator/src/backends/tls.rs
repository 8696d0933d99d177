//! Who a backend with TLS is: a certificate for this machine, signed by an authority that lives as long as the backend.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;

/// What clients know the backend by.
const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// A certificate with its key, and the certificate of its authority, which clients are given as a file.
#[derive(Debug)]
pub(super) struct Identity {
    authority_pem: String,
    certificate_pem: String,
    key_pem: String,
    folder: TempDir,
}

impl Identity {
    /// A new one, of a new authority.
    pub(super) fn make() -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority_key = KeyPair::generate()?;
        let authority_pem = params.self_signed(&authority_key)?.pem();
        let authority = Issuer::new(params, authority_key);
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(NAMES.map(str::to_owned))?.signed_by(&key, &authority)?;
        let folder = tempfile::Builder::new().prefix("chatwright-tls-").tempdir()?;
        let made = Self { authority_pem, certificate_pem: certificate.pem(), key_pem: key.serialize_pem(), folder };
        std::fs::write(made.authority_file(), &made.authority_pem)?;
        Ok(made)
    }

    pub(super) fn authority_pem(&self) -> &str {
        &self.authority_pem
    }

    pub(super) fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    pub(super) fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// Where clients find the certificate of the authority.
    pub(super) fn authority_file(&self) -> PathBuf {
        Path::join(self.folder.path(), "authority.pem")
    }
}
