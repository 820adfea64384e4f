//! Certificates, made by openssl.

use std::path::Path;
use std::process::Command;

use super::install;

/// The name in every certificate, beside the loopback address.
pub(crate) const HOST: &str = "metrics-cache.test";

/// Makes a self-signed certificate `<name>.pem` and its key `<name>.key`.
pub(crate) fn make(directory: &Path, name: &str) {
    let file = |ending: &str| directory.join(format!("{name}.{ending}"));
    let mut openssl = Command::new(install::program("openssl", "openssl"));
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
    openssl.args(["-nodes", "-days", "2", "-subj", &format!("/CN={name}")]);
    let names = format!("subjectAltName=IP:127.0.0.1,DNS:{HOST}");
    openssl.args(["-addext", &names, "-addext", "basicConstraints=critical,CA:FALSE"]);
    openssl.arg("-keyout").arg(file("key")).arg("-out").arg(file("pem"));
    install::run(&mut openssl, "a certificate is made");
}
