//! Certificate authorities from a file, checked when the settings are read.

use std::fmt;
use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::parse::Refusal;
use super::reader::reason;

/// Holds the certificates of a PEM file; there is at least one.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificates {
    path: PathBuf,
    pem: Vec<u8>,
}

impl Certificates {
    pub(super) fn read(path: &str) -> Result<Self, Refusal> {
        let pem = std::fs::read(path).map_err(|error| reason(&error).to_owned())?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        match certificates {
            Ok(certificates) if !certificates.is_empty() => Ok(Self { path: path.into(), pem }),
            Ok(_) => Err("it holds no certificate in PEM format".into()),
            Err(_) => Err("a certificate in it is damaged".into()),
        }
    }

    /// Gives the file's content.
    #[must_use]
    pub fn pem(&self) -> &[u8] {
        &self.pem
    }

    /// Tells where they came from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Certificates").field(&self.path).finish()
    }
}
