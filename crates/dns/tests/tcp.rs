//! Connections: how questions may come on one, and how many there may be.
#![forbid(unsafe_code)]

mod common;

use common::{PATIENCE, dig, instance, settings, start, wait};
use rustix::net::{AddressFamily, SocketType};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// The question for the address of `web`, with its length before it.
fn question(id: u16) -> Vec<u8> {
    let name = b"\x03web\x03ns1\x03svc\x02c1\x00";
    let mut message = id.to_be_bytes().to_vec();
    message.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    message.extend_from_slice(name);
    message.extend_from_slice(&[0, 1, 0, 1]);
    let length = u16::try_from(message.len()).unwrap();
    [&length.to_be_bytes()[..], &message].concat()
}

fn read(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(message)
}

fn id(message: &[u8]) -> u16 {
    u16::from_be_bytes([message[0], message[1]])
}

/// Connects from an address of loopback.
fn connect(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddr::new(IpAddr::V4(from), 0)).unwrap();
    rustix::net::connect(&socket, &to).unwrap();
    socket.into()
}

fn web() -> (fairlead_dns::Server, SocketAddr) {
    start(settings(), vec![instance("web", "10.22.0.5", "", "")])
}

/// Whether the other side has closed it.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let closed = match stream.read(&mut [0; 1]) {
        Ok(length) => length == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    };
    stream.set_nonblocking(false).unwrap();
    closed
}

#[test]
fn many_questions_in_one_piece_are_all_answered() {
    let (_server, at) = web();
    let mut stream = TcpStream::connect(at).unwrap();
    let all: Vec<u8> = (0..5000).flat_map(question).collect();
    let mut writer = stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || writer.write_all(&all).unwrap());
    for wanted in 0..5000 {
        let answer = read(&mut stream).unwrap();
        assert_eq!((id(&answer), answer[7]), (wanted, 1));
    }
    writing.join().unwrap();
}

#[test]
fn a_question_in_many_pieces_is_answered() {
    let (_server, at) = web();
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_nodelay(true).unwrap();
    for wanted in [7, 8] {
        for byte in question(wanted) {
            stream.write_all(&[byte]).unwrap();
        }
        assert_eq!(id(&read(&mut stream).unwrap()), wanted);
    }
    // The end of one and the start of the next, then the end of all.
    let two = [question(1), question(2)].concat();
    stream.write_all(&two[..50]).unwrap();
    assert_eq!(id(&read(&mut stream).unwrap()), 1);
    stream.write_all(&two[50..]).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(id(&read(&mut stream).unwrap()), 2);
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn who_does_not_ask_is_hung_up_on() {
    let (_server, at) = web();
    let start = Instant::now();
    let mut idle = TcpStream::connect(at).unwrap();
    let mut busy = TcpStream::connect(at).unwrap();
    // One that sends a byte of a long question now and then, and one that sends messages
    // that are none.
    let mut slow = TcpStream::connect(at).unwrap();
    let mut empty = TcpStream::connect(at).unwrap();
    let mut times = [None; 3];
    wait("all but one are closed", || {
        let _ = slow.write_all(&[0xff]);
        let _ = empty.write_all(&[0, 0]);
        busy.write_all(&question(9)).unwrap();
        assert_eq!(id(&read(&mut busy).unwrap()), 9);
        std::thread::sleep(Duration::from_millis(200));
        for (time, stream) in times.iter_mut().zip([&mut idle, &mut slow, &mut empty]) {
            if time.is_none() && is_closed(stream) {
                *time = Some(start.elapsed());
            }
        }
        times.iter().all(Option::is_some)
    });
    for time in times.into_iter().flatten() {
        assert!(
            time >= Duration::from_secs(9) && time < Duration::from_secs(20),
            "{time:?}"
        );
    }
}

#[test]
fn of_too_many_connections_the_oldest_are_closed() {
    let (server, at) = web();
    let mut open = Vec::new();
    for i in 0..300u32 {
        let from = Ipv4Addr::from_bits(0x7f00_0102 + i / 30);
        let mut stream = connect(from, at);
        stream.write_all(&question(1)).unwrap();
        assert_eq!(id(&read(&mut stream).unwrap()), 1, "connection {i}");
        open.push(stream);
    }
    wait("44 are closed", || server.stats().closed == 44);
    let closed: Vec<usize> = (0..300).filter(|i| is_closed(&mut open[*i])).collect();
    assert_eq!(closed, (0..44).collect::<Vec<_>>());
    assert_eq!(dig(at, &["web.ns1.svc.c1", "+tcp"]).status, "NOERROR");
}

#[test]
fn one_who_has_too_many_loses_his_own() {
    let (_server, at) = web();
    let mut other = connect(Ipv4Addr::new(127, 0, 1, 200), at);
    let mut open: Vec<TcpStream> = Vec::new();
    for i in 0..100 {
        let mut stream = connect(Ipv4Addr::new(127, 0, 1, 201), at);
        stream.write_all(&question(i)).unwrap();
        assert_eq!(id(&read(&mut stream).unwrap()), i);
        open.push(stream);
    }
    let count = |open: &mut Vec<TcpStream>| {
        open.iter_mut()
            .filter_map(|s| (!is_closed(s)).then_some(()))
            .count()
    };
    wait("64 are left", || count(&mut open) == 64);
    assert!(!is_closed(&mut other));
}

#[test]
fn who_does_not_read_holds_up_nobody() {
    let (server, at) = web();
    let mut stream = TcpStream::connect(at).unwrap();
    let all: Vec<u8> = (0..60_000).flat_map(question).collect();
    // Until nothing more fits, on both ways.
    stream
        .set_write_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    while stream.write_all(&all).is_ok() {}
    assert_eq!(dig(at, &["web.ns1.svc.c1", "+tcp"]).status, "NOERROR");
    assert_eq!(dig(at, &["web.ns1.svc.c1"]).status, "NOERROR");
    wait("it is hung up on", || server.stats().closed == 1);
}
