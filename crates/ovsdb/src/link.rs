//! One connection: bytes in both directions at once, `echo` answered and asked for, and
//! whether the server is still one that is good enough.

use crate::endpoint::Endpoint;
use crate::error::LinkError;
use crate::framing::Framer;
use crate::message::{Message, answer, refuse, request};
use crate::settings::{Cluster, Settings};
use serde_json::{Value as Json, json};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Duration, Instant, sleep_until, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

/// How much is read at once, in bytes.
const CHUNK: usize = 64 << 10;
/// What the monitor of `_Server` is called; those of clients are called by numbers.
const CLUSTER: &str = "cluster";
/// What our own `echo` is called.
const PROBE: &str = "probe";

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

pub(crate) struct Link {
    /// Where to, for messages.
    pub(crate) endpoint: Arc<str>,
    /// Has the server said anything?
    pub(crate) spoke: bool,
    read: ReadHalf<Box<dyn Stream>>,
    write: WriteHalf<Box<dyn Stream>>,
    chunk: Vec<u8>,
    framer: Framer,
    out: VecDeque<u8>,
    /// How many bytes were ever put there.
    said: u64,
    unflushed: bool,
    probe: Duration,
    heard: Instant,
    probed: bool,
    cluster: Option<Cluster>,
}

impl Link {
    /// Connects, and asks for the cluster if that matters.
    pub(crate) async fn open(
        endpoint: Endpoint,
        settings: Arc<Settings>,
        tls: Option<TlsConnector>,
    ) -> Result<Self, LinkError> {
        let limit = settings.connect_limit;
        let opened = async {
            let stream = connect(&endpoint, tls).await?;
            let (read, write) = tokio::io::split(stream);
            let mut link = Self {
                endpoint: endpoint.to_string().into(),
                spoke: false,
                read,
                write,
                chunk: vec![0; CHUNK],
                framer: Framer::new(settings.max_message),
                out: VecDeque::new(),
                said: 0,
                unflushed: false,
                probe: settings.probe,
                heard: Instant::now(),
                probed: false,
                cluster: settings.cluster.clone(),
            };
            link.check_cluster().await?;
            Ok(link)
        };
        let opened = timeout(limit, opened).await;
        opened.unwrap_or(Err(LinkError::Slow(limit)))
    }

    /// Says something; it goes out while [`Link::next`] is waited for. Where it begins, among
    /// all that was ever said here.
    pub(crate) fn say(&mut self, message: &Json) -> u64 {
        let bytes = message.to_string().into_bytes();
        let begin = self.said;
        self.said += bytes.len() as u64;
        self.out.extend(bytes);
        begin
    }

    /// How much of what was said has left us.
    pub(crate) fn sent(&self) -> u64 {
        self.said - self.out.len() as u64
    }

    /// The next message that is not about the connection itself. It may be left and called
    /// again at any time; what was half read or written is kept.
    pub(crate) async fn next(&mut self) -> Result<Message, LinkError> {
        loop {
            while let Some(json) = self.framer.next_message()? {
                self.spoke = true;
                if let Some(message) = self.own(Message::read(json)?)? {
                    return Ok(message);
                }
            }
            let wake = self.heard + self.probe * (1 + u32::from(self.probed));
            let busy = !self.out.is_empty() || self.unflushed;
            tokio::select! {
                read = self.read.read(&mut self.chunk) => {
                    let size = read.map_err(LinkError::Io)?;
                    if size == 0 {
                        return Err(match self.framer.inside() {
                            true => LinkError::EndedInside,
                            false => LinkError::Ended,
                        });
                    }
                    self.framer.push(&self.chunk[..size]);
                    self.heard = Instant::now();
                    self.probed = false;
                }
                wrote = push(&mut self.write, &mut self.out), if busy => {
                    self.unflushed = wrote.map_err(LinkError::Io)?;
                }
                () = sleep_until(wake) => {
                    if self.probed {
                        return Err(LinkError::Silent(self.probe * 2));
                    }
                    self.probed = true;
                    self.say(&request("echo", PROBE, &json!([])));
                }
            }
        }
    }

    /// Deals with what is about the connection itself; gives back everything else.
    fn own(&mut self, message: Message) -> Result<Option<Message>, LinkError> {
        match &message {
            Message::Request { method, id, params } => {
                let reply = match method.as_str() {
                    "echo" => answer(id, params),
                    _ => refuse(id, "unknown method"),
                };
                self.say(&reply);
                Ok(None)
            }
            Message::Answer { id, .. } if id == PROBE => Ok(None),
            Message::Notice { method, params } if method == "update" && params[0] == CLUSTER => {
                self.judge(&params[1])?;
                Ok(None)
            }
            Message::Notice { method, .. } if method == "monitor_canceled" => {
                Err(LinkError::MonitorEnded)
            }
            _ => Ok(Some(message)),
        }
    }

    /// Asks `_Server` what this server is; from then on it tells when that changes.
    async fn check_cluster(&mut self) -> Result<(), LinkError> {
        let Some(cluster) = self.cluster.clone() else {
            return Ok(());
        };
        let columns = json!({"columns": ["name", "model", "connected", "leader"]});
        let params = json!(["_Server", CLUSTER, { "Database": columns }]);
        self.say(&request("monitor", CLUSTER, &params));
        loop {
            match self.next().await? {
                Message::Answer { id, result } if id == CLUSTER => {
                    return match result {
                        Ok(tables) if self.judge(&tables)? => Ok(()),
                        Ok(_) => Err(LinkError::NoDatabase(cluster.database)),
                        // A server from before there were clusters.
                        Err(_) => Ok(()),
                    };
                }
                _ => continue,
            }
        }
    }

    /// Is the server good enough? True if the database is among these rows.
    fn judge(&self, tables: &Json) -> Result<bool, LinkError> {
        let Some(cluster) = &self.cluster else {
            return Ok(false);
        };
        let name = &cluster.database;
        let rows = tables["Database"].as_object();
        for update in rows.into_iter().flat_map(|rows| rows.values()) {
            let (new, old) = (&update["new"], &update["old"]);
            if new.is_null() && old["name"] == name.as_str() {
                return Err(LinkError::NoDatabase(name.clone()));
            }
            if new["name"] != name.as_str() {
                continue;
            }
            if new["connected"] == false {
                return Err(LinkError::CutOff(name.clone()));
            }
            if cluster.leader_only && new["leader"] == false {
                return Err(LinkError::NotLeader(name.clone()));
            }
            return Ok(true);
        }
        Ok(false)
    }
}

/// Writes some, or flushes if there is nothing to write. Is there something to flush?
async fn push(write: &mut WriteHalf<Box<dyn Stream>>, out: &mut VecDeque<u8>) -> io::Result<bool> {
    if out.is_empty() {
        write.flush().await?;
        return Ok(false);
    }
    match write.write_buf(out).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        _ => Ok(true),
    }
}

async fn connect(
    endpoint: &Endpoint,
    tls: Option<TlsConnector>,
) -> Result<Box<dyn Stream>, LinkError> {
    match endpoint {
        Endpoint::Unix(path) => {
            let stream = UnixStream::connect(path).await;
            Ok(Box::new(stream.map_err(LinkError::Connect)?))
        }
        Endpoint::Tcp { host, port } => Ok(Box::new(tcp(host, *port).await?)),
        Endpoint::Ssl { host, port } => {
            let no = |kind, text: &str| LinkError::Handshake(io::Error::new(kind, text));
            let tls = tls.ok_or_else(|| no(io::ErrorKind::Unsupported, "it is not set up"))?;
            let name = ServerName::try_from(host.clone());
            let name = name.map_err(|e| no(io::ErrorKind::InvalidInput, &e.to_string()))?;
            let stream = tls.connect(name, tcp(host, *port).await?).await;
            Ok(Box::new(stream.map_err(LinkError::Handshake)?))
        }
    }
}

async fn tcp(host: &str, port: u16) -> Result<TcpStream, LinkError> {
    let stream = TcpStream::connect((host, port)).await;
    let stream = stream.map_err(LinkError::Connect)?;
    // Requests are small and their answers are waited for.
    stream.set_nodelay(true).map_err(LinkError::Connect)?;
    Ok(stream)
}
