//! Who pushes, and to whom: passwords, tokens, certificates. And certificates of a registry.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use nubium_core::codec::{Codec, Registry};
use nubium_test_kit::checker::Extent;
use nubium_test_kit::dns::NameServer;
use nubium_test_kit::exposition::{parse, sum_by};
use nubium_test_kit::pods::Pod;
use nubium_test_kit::scenario::{Cluster, Kept};
use nubium_test_kit::tls::{Authority, Terminator};
use nubium_test_kit::wait::until;

use crate::APP;
use crate::settings::{OFTEN, SERVICE, config, start};
use crate::setup::{scenario_on, write_ledger};

#[test]
fn a_password_or_a_token_goes_along_and_a_renewed_token_is_taken() -> Result<()> {
    let dns = NameServer::start()?;
    let (port, pods) = Pod::on_one_port(&["127.0.0.2"])?;
    dns.set_addresses(SERVICE, &["127.0.0.2"]);
    let basic = [OFTEN, ("NU_METRICS_USERNAME", "ann"), ("NU_METRICS_PASSWORD", "se:cret")];
    let (_metrics, pushing) = start(&config(&dns, port, &basic)?)?;
    // base64 of ann:se:cret
    assert_eq!(pods[0].got(1)?.headers["authorization"], "Basic YW5uOnNlOmNyZXQ=");
    drop(pushing);

    let dir = tempfile::tempdir()?;
    let file = dir.path().join("token");
    std::fs::write(&file, "first\n")?;
    let path = file.display().to_string();
    let bearer = [OFTEN, ("NU_METRICS_BEARER_TOKEN_FILE", &*path)];
    let (_metrics, pushing) = start(&config(&dns, port, &bearer)?)?;
    let token = |token: &'static str| {
        pods[0].eventually(token, move |requests| {
            requests.last().is_some_and(|last| last.headers["authorization"] == token)
        })
    };
    token("Bearer first")?;
    std::fs::write(&file, "second\n")?;
    token("Bearer second")?;
    drop(pushing);
    Ok(())
}

#[test]
fn pods_are_checked_by_the_name_of_the_service_with_the_given_authority() -> Result<()> {
    let dns = NameServer::start()?;
    let dir = tempfile::tempdir()?;
    let pod = Pod::start(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let (authority, other) = (Authority::new("Ours")?, Authority::new("Theirs")?);
    authority.write(&dir.path().join("ours.pem"))?;
    let ours = dir.path().join("ours.pem").display().to_string();
    dns.set_addresses(SERVICE, &["127.0.0.1"]);
    let secure = [OFTEN, ("NU_METRICS_TLS", "true"), ("NU_METRICS_CA_FILE", &*ours)];

    // Neither another authority nor another name will do.
    for (authority, name) in [(&other, SERVICE), (&authority, "elsewhere.example")] {
        let front = Terminator::start(authority, &[name], pod.address())?;
        let (metrics, pushing) = start(&config(&dns, front.address().port(), &secure)?)?;
        let failed = || {
            let samples = parse(&metrics.text()).unwrap_or_default();
            sum_by(&samples, "nubium_metrics_pushes_total", "outcome").get("failed").copied()
        };
        let refused = || failed().is_some_and(|failed| failed >= 2.0);
        until("pushes that fail", nubium_test_kit::scenario::DEADLINE, refused)?;
        drop(pushing);
        assert!(pod.requests().is_empty(), "{name} was trusted");
    }
    let front = Terminator::start(&authority, &[SERVICE], pod.address())?;
    let (_metrics, pushing) = start(&config(&dns, front.address().port(), &secure)?)?;
    let request = pod.got(2)?;
    assert!(request.headers["host"].starts_with(SERVICE), "{:?}", request.headers);
    drop(pushing);
    Ok(())
}

#[test]
fn a_registry_with_an_authority_of_its_own_is_trusted_by_its_setting() -> Result<()> {
    let cluster = Cluster::shared();
    let dir = tempfile::tempdir()?;
    let authority = Authority::new("Registry")?;
    authority.write(&dir.path().join("ca.pem"))?;
    let ca = dir.path().join("ca.pem").display().to_string();
    let rest = cluster.registry.strip_prefix("http://").context("a plain registry")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.replace("localhost", "127.0.0.1");
    let front = Terminator::start(&authority, &["localhost"], host.parse()?)?;
    let url = format!("https://localhost:{}/{path}", front.address().port());

    let dns = NameServer::start()?;
    let url_setting = ("NU_SCHEMA_REGISTRY_URL", &*url);
    let check = |settings: &[(&str, &str)]| -> Result<()> {
        let config = config(&dns, 1, settings)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let registry = Registry::new((&config.registry).into(), runtime.handle().clone())?;
        let codec = Codec::new(registry);
        let registry = codec.registry().context("a registry")?;
        Ok(runtime.block_on(registry.check())?)
    };
    let refused = check(&[url_setting]).unwrap_err().to_string();
    assert!(refused.to_lowercase().contains("certificate"), "{refused}");
    check(&[url_setting, ("NU_SCHEMA_REGISTRY_CA_FILE", &ca)])?;

    let ledger = write_ledger(&cluster, "registry-tls", 200)?;
    let mut scenario = scenario_on(&cluster, "registry-tls", &ledger)?;
    scenario.set("NU_SCHEMA_REGISTRY_URL", url).set("NU_SCHEMA_REGISTRY_CA_FILE", ca);
    let mut app = Kept::start(&scenario, APP, "app")?;
    scenario.drained(&ledger, || app.tend())?;
    scenario.verify(&ledger, Extent::Complete).map(drop)
}
