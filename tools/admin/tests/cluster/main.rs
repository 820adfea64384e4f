//! The administration library on a real cluster.

mod groups;
mod hanging;
mod secure;
mod tokens;
mod topics;
mod transactions;

use nubium_admin::Admin;
use nubium_config::{Cluster, SecurityProtocol, Tls};
use nubium_test_kit::topics::unique;

/// The shared cluster, as settings.
fn plain() -> Cluster {
    at(&aside(|| nubium_test_kit::services::shared().bootstrap.clone()))
}

/// Runs what blocks on a runtime of its own, as starting services does, outside of the test's.
fn aside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().expect("services start"))
}

fn at(url: &str) -> Cluster {
    let (protocol, tls) = (SecurityProtocol::Plaintext, Tls::default());
    Cluster { url: url.to_owned(), protocol, sasl: None, tls, protected: false }
}

async fn admin() -> anyhow::Result<Admin> {
    Ok(Admin::connect(&plain(), "nubium-admin-tests").await?)
}

/// Creates a topic of one's own and waits until it can be used.
async fn topic(admin: &Admin, stem: &str, partitions: u32) -> anyhow::Result<String> {
    let name = unique(stem);
    let new = nubium_admin::NewTopic {
        name: name.clone(),
        partitions: Some(partitions),
        ..Default::default()
    };
    for (_, outcome) in admin.create_topics(&[new], nubium_admin::Mode::Apply).await? {
        outcome?;
    }
    admin.wait_for_leaders(&[(&name, partitions)], nubium_test_kit::scenario::DEADLINE).await?;
    Ok(name)
}
