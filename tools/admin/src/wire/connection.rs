//! One connection to one broker: requests and answers, one after the other.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::time::Instant;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use kafka_protocol::messages::{ApiVersionsRequest, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable as _, Encodable as _, HeaderVersion as _, StrBytes};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::access::Access;
use super::address::Address;
use super::api::Ask;
use super::sasl;
use crate::error::AdminError;

/// Answers above this are not read: a stream that is no Kafka would be taken for a huge one.
const ANSWER_MAX: usize = 256 << 20;

/// What carries the bytes, protected or not.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An open connection that is let in and knows the broker's versions.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    broker: String,
    client_id: StrBytes,
    versions: HashMap<i16, (i16, i16)>,
    next: i32,
    /// When the broker wants to be shown who we are again (KIP-368).
    session: Option<Instant>,
}

impl Connection {
    /// Connects, protects, asks for versions and proves who we are.
    ///
    /// # Errors
    /// [`AdminError::Lost`] when another broker may do better.
    pub(super) async fn open(access: &Access, address: &Address) -> Result<Self, AdminError> {
        let broker = address.to_string();
        let lost = |error: io::Error| lost("connect", &broker, &error);
        let tcp = TcpStream::connect((address.host.as_str(), address.port)).await.map_err(lost)?;
        tcp.set_nodelay(true).map_err(lost)?;
        let stream: Box<dyn Stream> = match &access.tls {
            None => Box::new(tcp),
            Some(connector) => {
                let name = ServerName::try_from(address.host.clone()).map_err(|error| {
                    AdminError::Settings { what: "url".into(), why: format!("{broker}: {error}") }
                })?;
                Box::new(connector.connect(name, tcp).await.map_err(lost)?)
            }
        };
        let client_id = StrBytes::from_string(access.client_id.clone());
        let versions = HashMap::new();
        let mut connection = Self { stream, broker, client_id, versions, next: 0, session: None };
        connection.learn_versions().await?;
        connection.prove(access).await?;
        Ok(connection)
    }

    /// Proves who we are, on a new connection or again on one whose session is about to end.
    pub(super) async fn prove(&mut self, access: &Access) -> Result<(), AdminError> {
        if let Some(proof) = &access.proof {
            let session = sasl::authenticate(self, proof).await?;
            // A little early: what is asked meanwhile must still be answered.
            self.session = session.map(|lasts| Instant::now() + lasts * 17 / 20);
        }
        Ok(())
    }

    /// Tells whether we must prove who we are before anything else is asked.
    pub(super) fn is_due(&self) -> bool {
        self.session.is_some_and(|session| session <= Instant::now())
    }

    pub(super) fn broker(&self) -> &str {
        &self.broker
    }

    /// Sends a request and reads its answer. Must not be used again if that fails or is cancelled.
    pub(super) async fn ask<R: Ask>(
        &mut self,
        what: &str,
        request: &R,
    ) -> Result<R::Answer, AdminError> {
        let version = self.version::<R>().ok_or_else(|| AdminError::Unsupported {
            what: what.into(),
            api: format!("{:?}", R::KEY),
            broker: self.broker.clone(),
        })?;
        self.ask_version(what, request, version).await
    }

    async fn learn_versions(&mut self) -> Result<(), AdminError> {
        // Version 0 is what every broker answers, and says as much.
        let request = ApiVersionsRequest::default();
        let answer = self.ask_version("learn the broker's versions", &request, 0).await?;
        let versions = answer.api_keys.iter();
        self.versions =
            versions.map(|api| (api.api_key, (api.min_version, api.max_version))).collect();
        Ok(())
    }

    /// The newest version that both sides speak.
    fn version<R: Ask>(&self) -> Option<i16> {
        let (least, most) = *self.versions.get(&(R::KEY as i16))?;
        let (own_least, own_most) = R::versions();
        let version = most.min(own_most);
        (version >= least.max(own_least)).then_some(version)
    }

    async fn ask_version<R: Ask>(
        &mut self,
        what: &str,
        request: &R,
        version: i16,
    ) -> Result<R::Answer, AdminError> {
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        let frame = self.frame(request, version, id).map_err(|why| self.malformed(what, why))?;
        let broker = self.broker.clone();
        let lost = |error: io::Error| lost(what, &broker, &error);
        self.stream.write_all(&frame).await.map_err(lost)?;
        self.stream.flush().await.map_err(lost)?;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).await.map_err(lost)?;
        let length = usize::try_from(i32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > ANSWER_MAX {
            return Err(self.malformed(
                what,
                "its length is out of bounds: is it Kafka, and is the \
                security protocol right?",
            ));
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).await.map_err(lost)?;
        let mut answer = Bytes::from(answer);
        self.read::<R>(&mut answer, version, id).map_err(|why| self.malformed(what, why))
    }

    fn frame<R: Ask>(&self, request: &R, version: i16, id: i32) -> Result<BytesMut, String> {
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY as i16)
            .with_request_api_version(version)
            .with_correlation_id(id)
            .with_client_id(Some(self.client_id.clone()));
        let mut frame = BytesMut::new();
        frame.put_i32(0);
        let encoded = header
            .encode(&mut frame, R::header_version(version))
            .and_then(|()| request.encode(&mut frame, version));
        encoded.map_err(|error| error.to_string())?;
        let length = i32::try_from(frame.len() - 4).map_err(|_| "it is too long")?;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        Ok(frame)
    }

    fn read<R: Ask>(&self, answer: &mut Bytes, version: i16, id: i32) -> Result<R::Answer, String> {
        let header = ResponseHeader::decode(answer, R::Answer::header_version(version))
            .map_err(|error| error.to_string())?;
        if header.correlation_id != id {
            return Err(format!("it answers request {}, not {id}", header.correlation_id));
        }
        let body = R::Answer::decode(answer, version).map_err(|error| error.to_string())?;
        match answer.remaining() {
            0 => Ok(body),
            left => Err(format!("{left} bytes are left over")),
        }
    }

    fn malformed(&self, what: &str, why: impl Into<String>) -> AdminError {
        let (what, broker) = (what.to_owned(), self.broker.clone());
        AdminError::Malformed { what, broker, why: why.into() }
    }
}

fn lost(what: &str, broker: &str, error: &io::Error) -> AdminError {
    let why = match error.kind() {
        io::ErrorKind::UnexpectedEof => "the broker closed it; does it expect another security \
            protocol?"
            .to_owned(),
        _ => error.to_string(),
    };
    AdminError::Lost { what: what.into(), broker: broker.into(), why }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("broker", &self.broker).finish_non_exhaustive()
    }
}
