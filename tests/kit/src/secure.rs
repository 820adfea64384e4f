//! A broker of one's own that asks who is there: TLS listeners for passwords, for
//! certificates and for tokens.
//!
//! The certificates are made anew at each start, by an authority that nobody else trusts.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::broker::{Broker, Options};
use crate::ports;
use crate::reaper;
use crate::scenario::Cluster;
use crate::services::{installed, shared};
use crate::tokens::Provider;

const PROPERTIES: &str = include_str!("../services/secure.properties");

// With KRaft the controller asks too, over the listener where everybody is ANONYMOUS.
const AUTHORIZER: &str = "\
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
";

/// The user that the broker knows.
pub const USER: &str = "ledger";
/// The user's password, for PLAIN and for both kinds of SCRAM.
pub const PASSWORD: &str = "correct-horse-71c5";

/// A broker with a listener of each kind.
#[derive(Debug)]
pub struct Secure {
    broker: Broker,
    sasl: u16,
    mtls: u16,
    token: u16,
    provider: Provider,
    dir: TempDir,
}

impl Secure {
    /// The one that tests share; it ends with the process.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Secure> = OnceLock::new();
        SHARED.get_or_init(|| Self::start("").unwrap_or_else(|error| panic!("{error:#}")))
    }

    /// One that knows rights besides (ACLs), which has nobody else's rules in it: [`USER`] may do
    /// nothing yet, and those who need not prove anything may do all. It ends with the process.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn guarded() -> &'static Self {
        static GUARDED: OnceLock<Secure> = OnceLock::new();
        GUARDED.get_or_init(|| Self::start(AUTHORIZER).unwrap_or_else(|error| panic!("{error:#}")))
    }

    fn start(further: &str) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("nubium-secure-").tempdir()?;
        reaper::clean(dir.path())?;
        write_certificates(dir.path())?;
        let provider = Provider::start()?;
        let keys = dir.path().join("jwks.json");
        provider.write_keys(&keys)?;
        let keys = format!("file://{}", keys.display());
        let [sasl, mtls, token] = ports::free()?;
        let properties = format!("{PROPERTIES}\n{further}")
            .replace("{sasl}", &sasl.to_string())
            .replace("{mtls}", &mtls.to_string())
            .replace("{token}", &token.to_string())
            .replace("{keys}", &keys)
            .replace("{user}", USER)
            .replace("{password}", PASSWORD);
        let scram = |bits| format!("SCRAM-SHA-{bits}=[name={USER},password={PASSWORD}]");
        let format = [256, 512].map(|bits| ["--add-scram".to_owned(), scram(bits)]).concat();
        // Kafka reads keys from places alone that it is started with.
        let java = vec![format!("-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={keys}")];
        let options = Options { heap_mb: 512, properties, java, format, ..Options::default() };
        let broker = Broker::start(&installed()?, dir.path(), &options)?;
        Ok(Self { broker, sasl, mtls, token, provider, dir })
    }

    /// The addresses for the test's own clients, which need not prove anything.
    pub fn cluster(&self) -> Cluster {
        Cluster {
            bootstrap: self.broker.bootstrap(),
            app_bootstrap: self.broker.bootstrap(),
            registry: shared().registry.clone(),
        }
    }

    /// The listener that asks for a password (SASL_SSL).
    pub fn sasl(&self) -> String {
        format!("127.0.0.1:{}", self.sasl)
    }

    /// The listener that asks for a certificate (SSL).
    pub fn mtls(&self) -> String {
        format!("127.0.0.1:{}", self.mtls)
    }

    /// The listener that asks for a signed token (SASL_SSL), again every few seconds.
    pub fn token(&self) -> String {
        format!("127.0.0.1:{}", self.token)
    }

    /// Whose tokens that listener takes.
    pub fn provider(&self) -> &Provider {
        &self.provider
    }

    /// Changes rights with Kafka's own tool (`kafka-acls`), of a broker that knows them.
    ///
    /// # Errors
    /// The tool fails: shows what it says.
    pub fn change_rights(&self, arguments: &[&str]) -> Result<()> {
        let installed = installed()?;
        let output = Command::new(&installed.java)
            .arg("-cp")
            .arg(installed.kafka.join("*"))
            .arg("org.apache.kafka.tools.AclCommand")
            .args(["--bootstrap-server", &self.broker.bootstrap()])
            .args(arguments)
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// The path of `ca.pem`, `client.pem` or `client.key`.
    pub fn file(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }
}

fn write_certificates(dir: &Path) -> Result<()> {
    let mut authority = named("Ledger tests", &[])?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    fs::write(dir.join("ca.pem"), authority.self_signed(&key)?.pem())?;
    let authority = Issuer::new(authority, key);
    let key = KeyPair::generate()?;
    let broker = named("broker", &["127.0.0.1"])?.signed_by(&key, &authority)?;
    fs::write(dir.join("broker.pem"), key.serialize_pem() + &broker.pem())?;
    let key = KeyPair::generate()?;
    let client = named("client", &[])?.signed_by(&key, &authority)?;
    fs::write(dir.join("client.pem"), client.pem())?;
    Ok(fs::write(dir.join("client.key"), key.serialize_pem())?)
}

fn named(name: &str, addresses: &[&str]) -> Result<CertificateParams> {
    let addresses: Vec<_> = addresses.iter().map(|address| (*address).to_owned()).collect();
    let mut params = CertificateParams::new(addresses)?;
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}
