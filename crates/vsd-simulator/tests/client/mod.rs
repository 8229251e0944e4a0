//! A client for the tests: one request, one connection.

use fairlead_vsd_simulator::{Options, Protection, Simulator};
use serde_json::{Value, json};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer, taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The ID of the first object.
    pub(crate) fn id(&self) -> String {
        self.json()[0]["ID"].as_str().expect("an ID").to_owned()
    }

    /// A header by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// Somebody who asks.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) address: String,
    pub(crate) user: String,
    pub(crate) secret: String,
    pub(crate) scheme: &'static str,
    pub(crate) headers: Vec<(String, String)>,
}

impl Client {
    /// One that has not logged in.
    pub(crate) fn new(simulator: &Simulator) -> Self {
        let url = simulator.url();
        Self {
            address: url.strip_prefix("http://").expect("plain HTTP").to_owned(),
            user: "csproot".to_owned(),
            secret: "csproot".to_owned(),
            scheme: "XREST",
            headers: vec![("X-Nuage-Organization".to_owned(), "csp".to_owned())],
        }
    }

    /// One that has.
    pub(crate) async fn logged_in(simulator: &Simulator) -> Self {
        let mut client = Self::new(simulator);
        client.log_in().await;
        client
    }

    /// Logs in by the password, and asks by the key from now on.
    pub(crate) async fn log_in(&mut self) {
        self.secret = "csproot".to_owned();
        let me = self.ask("GET", "/me", "").await.unwrap().json();
        self.secret = me[0]["APIKey"].as_str().expect("a key").to_owned();
    }

    /// The same with one more header.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.push((name.to_owned(), value.to_owned()));
        client
    }

    /// Asks once.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str) -> io::Result<Answer> {
        let mut stream = TcpStream::connect(&self.address).await?;
        self.ask_on(&mut stream, method, path, body, "close").await
    }

    /// Asks on a connection that is there; with `close` it is for the last time.
    pub(crate) async fn ask_on(
        &self,
        stream: &mut TcpStream,
        method: &str,
        path: &str,
        body: &str,
        connection: &str,
    ) -> io::Result<Answer> {
        use base64::Engine as _;
        let pair = format!("{}:{}", self.user, self.secret);
        let pair = base64::engine::general_purpose::STANDARD.encode(pair);
        let mut text = format!(
            "{method} /nuage/api/v6{path} HTTP/1.1\r\nHost: vsd\r\nConnection: {connection}\r\n\
             Authorization: {} {pair}\r\nContent-Length: {}\r\n",
            self.scheme,
            body.len()
        );
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        stream
            .write_all(format!("{text}\r\n{body}").as_bytes())
            .await?;
        read_answer(stream).await
    }
}

async fn read_answer(stream: &mut TcpStream) -> io::Result<Answer> {
    let mut seen = Vec::new();
    let mut piece = [0; 65536];
    loop {
        let text = String::from_utf8_lossy(&seen).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let answer = Answer {
                status: head[9..12].parse().expect("a status"),
                head: head.to_owned(),
                body: body.to_owned(),
            };
            let length = answer.header("content-length").unwrap_or("0");
            if body.len() >= length.parse().expect("a length") {
                return Ok(answer);
            }
        }
        match stream.read(&mut piece).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => seen.extend_from_slice(&piece[..read]),
        }
    }
}

/// Options of most tests: plain, with one subnet.
pub(crate) fn options() -> Options {
    Options {
        protection: Protection::Plain,
        seed: Some(json!({"E": {"D": {
            "policygroups": ["web"],
            "Z": {"Subnet 2": {"address": "10.21.59.0", "netmask": "255.255.255.0"}}}}})),
        ..Options::default()
    }
}

/// The ID of the only subnet.
pub(crate) fn subnet(simulator: &Simulator) -> String {
    let subnets = simulator.state(fairlead_vsd_simulator::Kind::Subnet);
    subnets[0]["ID"].as_str().expect("an ID").to_owned()
}

/// The body that asks for a container; its UUID is made from the number.
pub(crate) fn container(number: usize, subnet: &str, address: Option<&str>) -> String {
    let mac = format!("02:00:5e:00:{:02x}:{:02x}", number >> 8, number & 255);
    let mut interface = json!({"MAC": mac, "name": "nln1-1", "attachedNetworkID": subnet});
    if let Some(address) = address {
        interface["IPAddress"] = json!(address);
    }
    let uuid = format!("{number:064x}");
    json!({"UUID": uuid, "name": uuid, "interfaces": [interface]}).to_string()
}
