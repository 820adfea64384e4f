//! A name server that answers what the test says, and remembers what it was asked.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA};
use hickory_resolver::proto::rr::{RData, Record, RecordType};

/// A long time to live: whoever remembers an answer for so long is found out.
const TTL: u32 = 3_600;

/// What is known of a name.
#[derive(Debug, Clone)]
pub enum Answer {
    /// These addresses, as A and AAAA records.
    Addresses(Vec<IpAddr>),
    /// The server cannot say (SERVFAIL).
    Failure,
    /// No answer at all.
    Silence,
}

/// A name server on the loopback interface. Names it was not told of do not exist (NXDOMAIN).
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Zone {
    names: BTreeMap<String, Answer>,
    asked: Vec<(String, RecordType)>,
}

impl NameServer {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// The system has no free port.
    pub fn start() -> Result<Self> {
        Self::start_on((Ipv4Addr::LOCALHOST, 0).into())
    }

    /// Starts one on an address of one's choice.
    ///
    /// # Errors
    /// It is taken.
    pub fn start_on(address: SocketAddr) -> Result<Self> {
        let socket = UdpSocket::bind(address).context("a name server's port")?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let (address, zone) = (socket.local_addr()?, Arc::new(Mutex::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (zone, stop) = (Arc::clone(&zone), Arc::clone(&stop));
            move || serve(&socket, &zone, &stop)
        });
        Ok(Self { address, zone, stop, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says what is known of a name from now on.
    pub fn set(&self, name: &str, answer: Answer) {
        lock(&self.zone).names.insert(name.to_lowercase(), answer);
    }

    /// Says which addresses a name has from now on.
    ///
    /// # Panics
    /// A text is no IP address.
    pub fn set_addresses(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|text| text.parse().expect("an IP address"));
        self.set(name, Answer::Addresses(addresses.collect()));
    }

    /// Counts the questions for a name and a type of record.
    pub fn asked(&self, name: &str, kind: RecordType) -> usize {
        let zone = lock(&self.zone);
        zone.asked.iter().filter(|(asked, of)| *asked == name && *of == kind).count()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(zone: &Mutex<Zone>) -> MutexGuard<'_, Zone> {
    zone.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(socket: &UdpSocket, zone: &Mutex<Zone>, stop: &AtomicBool) {
    let mut buffer = [0; 4_096];
    while !stop.load(Ordering::Acquire) {
        let Ok((size, from)) = socket.recv_from(&mut buffer) else { continue };
        let Ok(question) = Message::from_vec(&buffer[..size]) else { continue };
        if let Some(answer) = answer(question, &mut lock(zone))
            && let Ok(bytes) = answer.to_vec()
        {
            // Whoever asked may be gone.
            let _ = socket.send_to(&bytes, from);
        }
    }
}

fn answer(question: Message, zone: &mut Zone) -> Option<Message> {
    let query = question.queries.first()?.clone();
    let name = query.name().to_lowercase().to_string();
    let name = name.trim_end_matches('.');
    zone.asked.push((name.to_owned(), query.query_type()));
    let mut answer = question;
    answer.metadata.message_type = MessageType::Response;
    answer.metadata.recursion_available = true;
    answer.metadata.response_code = match zone.names.get(name) {
        None => ResponseCode::NXDomain,
        Some(Answer::Silence) => return None,
        Some(Answer::Failure) => ResponseCode::ServFail,
        Some(Answer::Addresses(addresses)) => {
            for address in addresses {
                let data = match (address, query.query_type()) {
                    (IpAddr::V4(v4), RecordType::A) => RData::A(A(*v4)),
                    (IpAddr::V6(v6), RecordType::AAAA) => RData::AAAA(AAAA(*v6)),
                    _ => continue,
                };
                answer.add_answer(Record::from_rdata(query.name().clone(), TTL, data));
            }
            ResponseCode::NoError
        }
    };
    Some(answer)
}
