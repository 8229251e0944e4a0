//! A proxy between a client and a dockerd of the test's own, both at the level of bytes.

use fairlead_proxy::{Flags, Places, Proxy, Settings};
use fairlead_types::Root;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How long anything that must come may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A running proxy, and the socket of the dockerd behind it.
pub(crate) struct Ring {
    pub(crate) dir: TempDir,
    pub(crate) dockerd: UnixListener,
    pub(crate) runtime: Runtime,
    pub(crate) proxy: Option<Proxy>,
}

impl Ring {
    /// One that only passes on.
    pub(crate) fn new() -> Self {
        Self::with(Flags::default(), None)
    }

    pub(crate) fn with(flags: Flags, places: Option<Arc<dyn Places>>) -> Self {
        let dir = TempDir::new().unwrap();
        let dockerd = UnixListener::bind(dir.path().join("docker.sock")).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let settings = settings(&dir, flags);
        let proxy = runtime.block_on(Proxy::start(&settings, places)).unwrap();
        Self {
            dir,
            dockerd,
            runtime,
            proxy: Some(proxy),
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("barrel.sock")
    }

    /// A new client.
    pub(crate) fn client(&self) -> Line {
        Line::new(UnixStream::connect(self.socket()).unwrap())
    }

    /// The connection that dockerd gets next.
    pub(crate) fn accept(&self) -> Line {
        Line::new(accept(&self.dockerd))
    }

    /// A client that has said this, and the connection on which dockerd has heard it.
    #[track_caller]
    pub(crate) fn heard(&self, text: &str) -> (Line, Line) {
        let mut client = self.client();
        client.say(text);
        let mut dockerd = self.accept();
        dockerd.hears(text);
        (client, dockerd)
    }
}

/// The settings of a ring, changed by more of them.
pub(crate) fn settings(dir: &TempDir, flags: Flags) -> Settings {
    let unix = |name: &str| Some(format!("unix://{}", dir.path().join(name).display()));
    let flags = flags
        .with("BARREL_HOSTS", unix("barrel.sock"))
        .with("BARREL_DOCKERD_PATH", unix("docker.sock"));
    Settings::load(&Root::new(dir.path()), None, &flags, &|_| None).unwrap()
}

/// Waits for a client no longer than the test's patience.
#[track_caller]
pub(crate) fn accept(listener: &UnixListener) -> UnixStream {
    listener.set_nonblocking(true).unwrap();
    eventually(|| listener.accept().ok().map(|(stream, _)| stream))
}

/// Asks again until there is an answer.
#[track_caller]
pub(crate) fn eventually<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "it does not come");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// One end of a connection.
pub(crate) struct Line(pub(crate) UnixStream);

impl Line {
    pub(crate) fn new(stream: UnixStream) -> Self {
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    #[track_caller]
    pub(crate) fn say(&mut self, text: impl AsRef<[u8]>) {
        self.0.write_all(text.as_ref()).unwrap();
    }

    /// Reads as much as this text has; it must be the same.
    #[track_caller]
    pub(crate) fn hears(&mut self, text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        let mut heard = vec![0; text.len()];
        let mut at = 0;
        while at < heard.len() {
            match self.0.read(&mut heard[at..]) {
                Ok(0) => break,
                Ok(read) => at += read,
                Err(error) => panic!("{error} behind {:?}", shown(&heard[..at])),
            }
        }
        assert_eq!(shown(&heard[..at]), shown(text));
    }

    /// The connection ends here, or this direction of it.
    #[track_caller]
    pub(crate) fn ends(&mut self) {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => assert_eq!(shown(&rest), "", "the end is wanted"),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }

    /// A head with a body by its `Content-Length`.
    #[track_caller]
    pub(crate) fn message(&mut self) -> (String, String) {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            self.0.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = shown(&head);
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let is = name.eq_ignore_ascii_case("content-length");
            is.then(|| value.trim().parse::<usize>().unwrap())
        });
        let mut body = vec![0; length.unwrap_or(0)];
        self.0.read_exact(&mut body).unwrap();
        (head, shown(&body))
    }

    /// Says nothing more.
    pub(crate) fn finish(&self) {
        self.0.shutdown(std::net::Shutdown::Write).unwrap();
    }
}

pub(crate) fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
