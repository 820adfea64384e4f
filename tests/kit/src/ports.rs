//! Finds free TCP ports on the loopback interface.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, ensure};

/// Where ports are looked for: below those that Linux gives to outgoing connections (32768 and
/// above), of which any could take a port between the look and its use.
const FIRST: u32 = 12_000;
const COUNT: u32 = 20_000;

/// Returns `N` different ports that are free now.
///
/// Each process begins elsewhere and asks for none twice, so that another rarely takes one before
/// it is used; the service then fails to start with a clear message.
///
/// # Errors
/// The system has no free port.
pub fn free<const N: usize>() -> Result<[u16; N]> {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(7919);
    let mut ports = [0; N];
    for port in &mut ports {
        let mut looks = (0..COUNT).map(|_| {
            let asked = ASKED.fetch_add(1, Ordering::Relaxed);
            let place = begin.wrapping_add(asked) % COUNT;
            u16::try_from(FIRST + place).unwrap_or(u16::MAX)
        });
        let found = looks.find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
        ensure!(found.is_some(), "no free TCP port from {FIRST} to {}", FIRST + COUNT);
        *port = found.unwrap_or_default();
    }
    Ok(ports)
}
