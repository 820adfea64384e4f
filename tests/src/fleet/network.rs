//! A network of one's own: a bridge with addresses for what is outside, and a namespace with an
//! address for each pod.

use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result};

use nubium_test_kit::install::run;

const BRIDGE: &str = "fleet";
/// Where the name server listens; it is the bridge's first address.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 213, 0, 1);

/// The bridge. It is gone with the process's own network namespace.
#[derive(Debug)]
pub struct Network {
    next: AtomicU16,
}

/// The network of one pod; it is taken down when dropped.
#[derive(Debug)]
pub struct PodNetwork {
    /// The name of its namespace, for `nsenter --net=/run/netns/NAME`.
    pub name: String,
    /// The pod's address.
    pub address: Ipv4Addr,
}

impl Network {
    /// Makes the bridge.
    ///
    /// # Errors
    /// This is not root in a network namespace of its own: `scripts/test-fleet` makes one.
    pub fn start() -> Result<Self> {
        let remedy = "scripts/test-fleet runs this in namespaces of its own, as root";
        run(Command::new("mount").args(["-t", "tmpfs", "tmpfs", "/run/netns"])).context(remedy)?;
        ip("link set lo up")?;
        ip(&format!("link add {BRIDGE} type bridge")).context(remedy)?;
        // Else it takes the lowest of its ports: each pod that comes or goes could change it, and
        // all others would send to the old one for half a minute.
        ip(&format!("link set {BRIDGE} address 02:00:00:00:00:01"))?;
        ip(&format!("addr add {GATEWAY}/16 dev {BRIDGE}"))?;
        ip(&format!("link set {BRIDGE} up"))?;
        Ok(Self { next: AtomicU16::new(0) })
    }

    /// Gives this side one more address: `10.213.0.LAST`.
    ///
    /// # Errors
    /// It is taken.
    pub fn outside(&self, last: u8) -> Result<Ipv4Addr> {
        let address = Ipv4Addr::new(10, 213, 0, last);
        ip(&format!("addr add {address}/16 dev {BRIDGE}"))?;
        Ok(address)
    }

    /// Makes the network of a pod, with an address that no pod has had before.
    ///
    /// # Errors
    /// The system refuses.
    pub fn pod(&self) -> Result<PodNetwork> {
        let number = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let [high, low] = number.to_be_bytes();
        let address = Ipv4Addr::new(10, 213, 128 + high, low);
        let (name, link) = (format!("pod{number}"), format!("veth{number}"));
        ip(&format!("netns add {name}"))?;
        ip(&format!("link add {link} type veth peer name eth0 netns {name}"))?;
        ip(&format!("link set {link} master {BRIDGE} up"))?;
        ip(&format!("-n {name} link set lo up"))?;
        ip(&format!("-n {name} addr add {address}/16 dev eth0"))?;
        ip(&format!("-n {name} link set eth0 up"))?;
        Ok(PodNetwork { name, address })
    }
}

impl Drop for PodNetwork {
    fn drop(&mut self) {
        // What is left goes with the namespace of the whole test.
        let _ = ip(&format!("netns del {}", self.name));
    }
}

fn ip(arguments: &str) -> Result<()> {
    run(Command::new("ip").args(arguments.split(' '))).map(drop)
}
