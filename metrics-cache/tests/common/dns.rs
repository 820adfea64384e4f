//! A DNS server that knows one name, and says of it what the test wants.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::A;
use hickory_resolver::proto::rr::{RData, Record, RecordType};

/// What the server answers to a question for addresses.
#[derive(Debug, Clone)]
pub(crate) enum Says {
    Addresses(Vec<Ipv4Addr>),
    NoSuchName,
    Failure,
}

/// The server; it runs until the test program ends.
pub(crate) struct Dns {
    pub(crate) address: SocketAddr,
    says: Arc<Mutex<Says>>,
    asked: Arc<AtomicUsize>,
}

impl Dns {
    pub(crate) fn start(says: Says) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("an address");
        let (says, asked) = (Arc::new(Mutex::new(says)), Arc::new(AtomicUsize::new(0)));
        let (now, count) = (Arc::clone(&says), Arc::clone(&asked));
        std::thread::spawn(move || {
            let mut packet = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut packet) {
                let Ok(question) = Message::from_vec(&packet[..length]) else { continue };
                let answer = answer(question, &now.lock().expect("no panic"));
                count.fetch_add(1, Ordering::SeqCst);
                let _ = socket.send_to(&answer, from);
            }
        });
        Self { address, says, asked }
    }

    /// Changes the answers from now on.
    pub(crate) fn say(&self, says: Says) {
        *self.says.lock().expect("no panic") = says;
    }

    /// Returns how many questions were answered.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// The flag that makes a replica ask this server.
    pub(crate) fn flag(&self) -> String {
        format!("--replica.dns-server={}", self.address)
    }
}

fn answer(question: Message, says: &Says) -> Vec<u8> {
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    for query in question.queries {
        match says {
            Says::Addresses(addresses) if query.query_type == RecordType::A => {
                let record = |address: &Ipv4Addr| {
                    Record::from_rdata(query.name.clone(), 30, RData::A(A(*address)))
                };
                answer.add_answers(addresses.iter().map(record));
            }
            // There are no IPv6 addresses of it.
            Says::Addresses(_) => {}
            Says::NoSuchName => answer.metadata.response_code = ResponseCode::NXDomain,
            Says::Failure => answer.metadata.response_code = ResponseCode::ServFail,
        }
        answer.add_query(query);
    }
    answer.to_vec().expect("encodes")
}
