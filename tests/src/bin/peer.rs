//! The other end of a test's packets.
//!
//! `peer tcp|udp serve PORT TEXT` prints `ready PORT` and answers each question
//! with `TEXT ADDRESS`, the address being the asker's; it ends with its standard
//! input. `peer tcp|udp ask ADDRESS PORT SOURCE-PORT MILLISECONDS` prints the answer.
#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["tcp", "serve", port, text] => tcp_serve(port, text),
        ["udp", "serve", port, text] => udp_serve(port, text),
        ["tcp", "ask", address, port, "0", limit] => tcp_ask(address, port, limit),
        ["udp", "ask", address, port, from, limit] => udp_ask(address, port, from, limit),
        _ => Err("usage: see the head of peer.rs; tcp has source port 0 only".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn tcp_serve(port: &str, text: &str) -> Outcome {
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port.parse()?))?;
    let port = listener.local_addr()?.port();
    let text = text.to_owned();
    thread::spawn(move || {
        for stream in listener.incoming() {
            // A client that is gone already needs no answer.
            let _ = stream.and_then(|s| tcp_answer(s, &text));
        }
    });
    until_input_ends(port)
}

fn tcp_answer(mut stream: TcpStream, text: &str) -> io::Result<()> {
    let client = stream.peer_addr()?.ip().to_canonical();
    writeln!(stream, "{text} {client}")
}

fn udp_serve(port: &str, text: &str) -> Outcome {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port.parse()?))?;
    let port = socket.local_addr()?.port();
    let text = text.to_owned();
    thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((_, client)) = socket.recv_from(&mut buffer) {
            let answer = format!("{text} {}\n", client.ip().to_canonical());
            // An unreachable client is not this server's trouble.
            let _ = socket.send_to(answer.as_bytes(), client);
        }
    });
    until_input_ends(port)
}

fn until_input_ends(port: u16) -> Outcome {
    println!("ready {port}");
    io::stdout().flush()?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

fn tcp_ask(address: &str, port: &str, limit: &str) -> Outcome {
    let limit = Duration::from_millis(limit.parse()?);
    let server = SocketAddr::new(address.parse()?, port.parse()?);
    let mut stream = TcpStream::connect_timeout(&server, limit)?;
    stream.set_read_timeout(Some(limit))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    print!("{answer}");
    Ok(())
}

fn udp_ask(address: &str, port: &str, from: &str, limit: &str) -> Outcome {
    let limit = Duration::from_millis(limit.parse()?);
    let server = SocketAddr::new(address.parse()?, port.parse()?);
    let any = match server.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, from.parse()?))?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    let start = Instant::now();
    let mut buffer = [0; 256];
    loop {
        // A refused datagram shows up as an error of either call: ask again.
        let answer = socket.send(b"?").and_then(|_| socket.recv(&mut buffer));
        match answer {
            Ok(length) => {
                io::stdout().write_all(&buffer[..length])?;
                return Ok(());
            }
            Err(error) if start.elapsed() >= limit => return Err(error.into()),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}
