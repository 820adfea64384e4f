use super::*;
use hickory_resolver::proto::op::{Message, MessageType};
use hickory_resolver::proto::rr::rdata::A;
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use std::net::Ipv4Addr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

fn parsed(resolv_conf: &str) -> Result<(ResolverConfig, ResolverOpts), NetError> {
    system_conf::parse_resolv_conf(resolv_conf)
}

const POD: &str = "nameserver 10.96.0.10\nsearch marketing.svc.cluster.local svc.cluster.local\n\
                   options ndots:5\n";

#[test]
fn searches_as_a_pod_does_and_remembers_nothing() {
    let (config, options) = settle(parsed(POD), None).expect("valid");
    assert_eq!(config.name_servers()[0].ip.to_string(), "10.96.0.10");
    assert_eq!((config.search().len(), options.ndots), (2, 5));
    assert_eq!((options.cache_size, options.positive_max_ttl), (0, Some(Duration::ZERO)));
    assert_eq!(options.ip_strategy, LookupIpStrategy::Ipv4AndIpv6);
}

#[test]
fn a_server_of_ones_own_replaces_those_of_the_system_alone() {
    let server = "127.0.0.1:5300".parse().expect("an address");
    let (config, options) = settle(parsed(POD), Some(server)).expect("valid");
    assert_eq!(config.name_servers().len(), 1);
    let ports: Vec<_> = config.name_servers()[0].connections.iter().map(|c| c.port).collect();
    assert_eq!(ports, [5300, 5300]);
    assert_eq!((config.search().len(), options.ndots), (2, 5));
}

#[test]
fn a_system_without_servers_is_no_answer_unless_one_is_named() {
    assert!(settle(parsed("search a.b\n"), None).is_err());
    let server = "127.0.0.1:53".parse().expect("an address");
    assert!(settle(parsed("search a.b\n"), Some(server)).is_ok());
}

#[tokio::test]
async fn an_ip_address_needs_no_server() {
    for name in ["127.0.0.7", "::1"] {
        let service = Service::new(name, "127.0.0.1:1".parse().ok());
        let address = name.parse().expect("an address");
        assert_eq!(service.ask(parsed(POD)).await, Lookup::Found([address].into()));
    }
}

/// Starts a name server that knows one name, by its full spelling, and one address.
async fn name_server_of(name: &'static str, known: Ipv4Addr) -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = socket.local_addr().expect("bound");
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((size, from)) = socket.recv_from(&mut buffer).await {
            let mut message = Message::from_vec(&buffer[..size]).expect("a question");
            message.metadata.message_type = MessageType::Response;
            let query = message.queries[0].clone();
            if query.name().to_string() != name {
                message.metadata.response_code = ResponseCode::NXDomain;
            } else if query.query_type() == RecordType::A {
                let data = RData::A(A(known));
                message.add_answer(Record::from_rdata(query.name().clone(), 3_600, data));
            }
            let bytes = message.to_vec().expect("an answer");
            socket.send_to(&bytes, from).await.expect("sent");
        }
    });
    address
}

#[tokio::test]
async fn short_names_are_found_in_the_search_domains() {
    let known = Ipv4Addr::new(127, 0, 0, 9);
    let server = name_server_of("cache.marketing.svc.cluster.local.", known).await;
    let found = Lookup::Found([IpAddr::V4(known)].into());
    for (name, expected) in [
        ("cache", &found),
        ("cache.marketing", &found),
        ("cache.marketing.svc.cluster.local", &found),
        ("cache.marketing.svc.cluster.local.", &found),
        ("cache.sales", &Lookup::Nobody),
        // A dot at the end: no search.
        ("cache.", &Lookup::Nobody),
    ] {
        let service = Service::new(name, Some(server));
        assert_eq!(&service.ask(parsed(POD)).await, expected, "{name}");
    }
}

/// Starts a name server whose answers fit no datagram: it says so, and answers by TCP.
async fn name_server_by_tcp(addresses: Vec<Ipv4Addr>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let socket = UdpSocket::bind(address).await.expect("the same port");
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((size, from)) = socket.recv_from(&mut buffer).await {
            let mut message = Message::from_vec(&buffer[..size]).expect("a question");
            message.metadata.message_type = MessageType::Response;
            message.metadata.truncation = true;
            socket.send_to(&message.to_vec().expect("an answer"), from).await.expect("sent");
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let addresses = addresses.clone();
            tokio::spawn(async move {
                while let Ok(size) = stream.read_u16().await {
                    let mut buffer = vec![0; size.into()];
                    stream.read_exact(&mut buffer).await.expect("a question");
                    let mut message = Message::from_vec(&buffer).expect("a question");
                    message.metadata.message_type = MessageType::Response;
                    let query = message.queries[0].clone();
                    let is_a = query.query_type() == RecordType::A;
                    for address in addresses.iter().filter(|_| is_a) {
                        let data = RData::A(A(*address));
                        message.add_answer(Record::from_rdata(query.name().clone(), 0, data));
                    }
                    let bytes = message.to_vec().expect("an answer");
                    stream.write_u16(bytes.len() as u16).await.expect("sent");
                    stream.write_all(&bytes).await.expect("sent");
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn more_pods_than_fit_a_datagram_are_all_found() {
    let pods: Vec<_> = (1..=200).map(|n| Ipv4Addr::new(10, 0, 0, n)).collect();
    let server = name_server_by_tcp(pods.clone()).await;
    let service = Service::new("cache.marketing.svc.cluster.local.", Some(server));
    let found = pods.into_iter().map(IpAddr::V4).collect();
    assert_eq!(service.ask(parsed(POD)).await, Lookup::Found(found));
}
