//! Certificates, and a listener that takes TLS off and hands the rest on.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::{fs, thread};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

/// An authority that nobody trusts who was not given its certificate.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    /// Makes one with a key of its own.
    ///
    /// # Errors
    /// The system has no randomness left.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::new([])?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    /// Writes its certificate into a file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        fs::write(path, &self.pem).with_context(|| path.display().to_string())
    }

    /// Issues a certificate for these names: its key, then itself, as PEM.
    ///
    /// # Errors
    /// The system has no randomness left.
    pub fn issue(&self, names: &[&str]) -> Result<String> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(names)?.signed_by(&key, &self.issuer)?;
        Ok(key.serialize_pem() + &certificate.pem())
    }

    /// Its certificate, as PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    fn server(&self, names: &[&str]) -> Result<ServerConfig> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(names)?.signed_by(&key, &self.issuer)?;
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok(ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?)
    }
}

/// Takes TLS off in front of a plain server, until it is dropped.
#[derive(Debug)]
pub struct Terminator {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Terminator {
    /// Listens on a free port, with a certificate for these names.
    ///
    /// # Errors
    /// The system has no free port or thread.
    pub fn start(authority: &Authority, names: &[&str], server: SocketAddr) -> Result<Self> {
        Self::start_on((Ipv4Addr::LOCALHOST, 0).into(), authority, names, server)
    }

    /// Listens on an address of one's choice.
    ///
    /// # Errors
    /// As [`Terminator::start`], or the address is taken.
    pub fn start_on(
        address: SocketAddr,
        authority: &Authority,
        names: &[&str],
        server: SocketAddr,
    ) -> Result<Self> {
        let acceptor = TlsAcceptor::from(Arc::new(authority.server(names)?));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind(address))?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = accept(listener, acceptor, server) => {}
                }
            });
        });
        Ok(Self { address, _stop: stop })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, server: SocketAddr) {
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // A client that does not trust the certificate ends here, as one that goes away does.
            let mut secure = acceptor.accept(stream).await?;
            let mut plain = TcpStream::connect(server).await?;
            tokio::io::copy_bidirectional(&mut secure, &mut plain).await
        });
    }
}
