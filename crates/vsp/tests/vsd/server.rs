//! A server that answers as a script says: for what no VSD should do, but one may.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn page(&self) -> usize {
        self.header("X-Nuage-Page").unwrap().parse().unwrap()
    }
}

/// What is answered: all of it, bytes as they are.
pub(crate) fn answer(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n{headers}\r\n{body}").into_bytes()
}

/// The answer to a login.
pub(crate) fn me(key: &str, expiry: &str) -> Vec<u8> {
    answer(
        200,
        "",
        &format!("[{{\"APIKey\":\"{key}\",\"APIKeyExpiry\":{expiry},\"userName\":\"me\"}}]"),
    )
}

type Answer = Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send>>;
type Script = Arc<dyn Fn(Seen) -> Answer + Send + Sync>;

/// It ends with this value.
pub(crate) struct Server {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Answers by the script, which answers nothing to close the connection.
    pub(crate) async fn start<F, A>(script: F) -> Self
    where
        F: Fn(Seen) -> A + Send + Sync + 'static,
        A: Future<Output = Option<Vec<u8>>> + Send + 'static,
    {
        let script: Script = Arc::new(move |seen| Box::pin(script(seen)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(accept(listener, script, Arc::clone(&seen)));
        Self { url, seen, task }
    }

    /// As [`Self::start`]; logins are granted, and the script has the rest.
    pub(crate) async fn with_login(
        script: impl Fn(&Seen) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self::start(move |seen| {
            let bytes = if is_login(&seen) {
                me("key", "null")
            } else {
                script(&seen)
            };
            async move { Some(bytes) }
        })
        .await
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn logins(&self) -> usize {
        self.seen().iter().filter(|seen| is_login(seen)).count()
    }
}

pub(crate) fn is_login(seen: &Seen) -> bool {
    seen.path.ends_with("/me")
}

async fn accept(listener: TcpListener, script: Script, seen: Arc<Mutex<Vec<Seen>>>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.spawn(serve(stream, Arc::clone(&script), Arc::clone(&seen)));
    }
}

async fn serve<S>(mut stream: S, script: Script, seen: Arc<Mutex<Vec<Seen>>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut read = Vec::new();
    while let Some(request) = request(&mut stream, &mut read).await {
        seen.lock().unwrap().push(request.clone());
        let Some(bytes) = script(request).await else {
            return;
        };
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn request<S: AsyncRead + Unpin>(stream: &mut S, read: &mut Vec<u8>) -> Option<Seen> {
    loop {
        if let Some((seen, length)) = whole(read) {
            read.drain(..length);
            return Some(seen);
        }
        if stream.read_buf(read).await.ok()? == 0 {
            return None;
        }
    }
}

fn whole(read: &[u8]) -> Option<(Seen, usize)> {
    let end = read.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8(read[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let mut words = lines.next()?.split(' ').map(ToOwned::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let pairs = lines.filter_map(|line| line.split_once(": "));
    let headers: Vec<_> = pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let mut seen = Seen {
        method,
        path,
        headers,
        body: String::new(),
    };
    let length: usize = seen
        .header("content-length")
        .map_or(0, |text| text.parse().unwrap());
    let body = read.get(end..end + length)?;
    seen.body = String::from_utf8(body.to_vec()).unwrap();
    Some((seen, end + length))
}
