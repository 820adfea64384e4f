//! Leads the connections of a service to its pods, as kube-proxy does.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpStream};

type Targets = Arc<Mutex<Vec<SocketAddr>>>;

/// The address of a service.
#[derive(Debug, Clone)]
pub struct Forwarder {
    address: SocketAddr,
    ports: Arc<BTreeMap<u16, Targets>>,
}

impl Forwarder {
    /// Listens on these ports of an address, for as long as the process runs.
    ///
    /// # Errors
    /// One is taken.
    pub fn start(address: Ipv4Addr, ports: &[u16]) -> Result<Self> {
        let first = *ports.first().context("a service without ports")?;
        let mut all = BTreeMap::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut listeners = Vec::new();
        for port in ports {
            let targets = Targets::default();
            all.insert(*port, Arc::clone(&targets));
            listeners.push((runtime.block_on(TcpListener::bind((address, *port)))?, targets));
        }
        std::thread::spawn(move || {
            runtime.block_on(async {
                let tasks =
                    listeners.into_iter().map(|(l, targets)| tokio::spawn(accept(l, targets)));
                for task in tasks.collect::<Vec<_>>() {
                    let _ = task.await;
                }
            });
        });
        Ok(Self { address: (address, first).into(), ports: Arc::new(all) })
    }

    /// Where its first port is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says where new connections go; to none, they are closed.
    pub fn lead(&self, port: u16, targets: Vec<SocketAddr>) {
        if let Some(known) = self.ports.get(&port) {
            *known.lock().unwrap_or_else(PoisonError::into_inner) = targets;
        }
    }
}

async fn accept(listener: TcpListener, targets: Targets) {
    let turn = AtomicUsize::new(0);
    while let Ok((mut stream, _)) = listener.accept().await {
        let target = {
            let targets = targets.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = turn.fetch_add(1, Ordering::Relaxed);
            targets.get(turn % targets.len().max(1)).copied()
        };
        tokio::spawn(async move {
            // Whoever has nobody to go to finds the connection closed.
            if let Some(target) = target
                && let Ok(mut pod) = TcpStream::connect(target).await
            {
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut pod).await;
            }
        });
    }
}
