//! Real packets: a server that says who asked, and a client that asks.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::process::{Child, Stdio};

use crate::built::built_binary;
use crate::place::Place;

/// What carries the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// One connection for each question.
    Tcp,
    /// One datagram for each question, repeated until answered.
    Udp,
}

impl Transport {
    /// The name in commands and in `portMappings`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A server in some place; it ends with this value.
#[derive(Debug)]
pub struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Starts a server on `port` (0: any) of every address of both families and
    /// waits until it listens. It answers with `text` and the client's address.
    ///
    /// # Panics
    /// If it cannot listen.
    #[must_use]
    #[track_caller]
    pub fn start(place: &impl Place, transport: Transport, port: u16, text: &str) -> Self {
        let mut child = place
            .command(built_binary("peer"))
            .args([transport.name(), "serve", &port.to_string(), text])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("peer can be started");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("the server's output");
        let port = line
            .strip_prefix("ready ")
            .and_then(|rest| rest.trim().parse().ok())
            .unwrap_or_else(|| panic!("no server on {transport} port {port}: '{line}'"));
        Self { child, port }
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends with its standard input; a failed kill means that it has.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The server's text: which server it was.
    pub text: String,
    /// The asker's address as the server saw it.
    pub client: IpAddr,
}

impl Transport {
    /// Asks `address` on `port` and waits at most the test's patience.
    ///
    /// # Panics
    /// If there is no answer.
    #[track_caller]
    pub fn ask(self, place: &impl Place, address: &str, port: u16) -> Reply {
        self.try_ask(place, address, port, 0, crate::patience().as_millis())
            .unwrap_or_else(|e| panic!("{self} {address} port {port}: {e}"))
    }

    /// Asks from a source port (0: any) and waits at most `limit` milliseconds.
    ///
    /// # Errors
    /// What the client printed: refused, unreachable, or no answer in time.
    #[track_caller]
    pub fn try_ask(
        self,
        place: &impl Place,
        address: &str,
        port: u16,
        source_port: u16,
        limit: u128,
    ) -> Result<Reply, String> {
        let output = place
            .command(built_binary("peer"))
            .args([self.name(), "ask", address, &port.to_string()])
            .args([source_port.to_string(), limit.to_string()])
            .output()
            .expect("peer can be started");
        let printed = String::from_utf8(output.stdout).expect("output is text");
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        let (text, client) = printed
            .trim()
            .split_once(' ')
            .unwrap_or_else(|| panic!("an answer is a text and an address, not '{printed}'"));
        Ok(Reply {
            text: text.to_owned(),
            client: client.parse().expect("the client's address"),
        })
    }

    /// Asserts that nobody answers within half a second.
    ///
    /// # Panics
    /// With the answer.
    #[track_caller]
    pub fn nobody(self, place: &impl Place, address: &str, port: u16) {
        if let Ok(reply) = self.try_ask(place, address, port, 0, 500) {
            panic!("{self} {address} port {port} answers {reply:?}");
        }
    }
}
