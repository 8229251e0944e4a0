//! Datagrams in batches: many are received by one system call, and many answers go out by
//! one (recvmmsg(2), sendmmsg(2)).

use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};

/// Room for so many datagrams, and for an answer to each.
#[derive(Debug)]
pub struct Exchange {
    /// The longest datagram that is taken whole, in bytes.
    size: usize,
    bytes: Vec<u8>,
    /// The length of each datagram that was received last.
    lengths: Vec<usize>,
    senders: Vec<Sender>,
    answers: Vec<Vec<u8>>,
}

/// The address of a sender as the kernel wrote it.
#[derive(Clone, Copy)]
struct Sender {
    storage: libc::sockaddr_storage,
    length: libc::socklen_t,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.address())
    }
}

/// One datagram and the place for its answer.
#[derive(Debug)]
pub struct Turn<'a> {
    /// What was received. It was cut where it was longer than there was room.
    pub datagram: &'a [u8],
    /// Who sent it; none for a kind of address that is not of IP.
    pub from: Option<SocketAddr>,
    /// What is to be sent back; nothing where it stays empty.
    pub answer: &'a mut Vec<u8>,
}

impl Exchange {
    /// Room for `count` datagrams of `size` bytes.
    #[must_use]
    pub fn new(count: usize, size: usize) -> Self {
        Self {
            size,
            bytes: vec![0; count * size],
            lengths: Vec::with_capacity(count),
            senders: vec![Sender::none(); count],
            answers: vec![Vec::with_capacity(size); count],
        }
    }

    /// Receives what has arrived, without waiting. Answers of before are forgotten.
    ///
    /// # Errors
    /// That of recvmmsg(2); `WouldBlock` when nothing has arrived.
    pub fn receive(&mut self, socket: impl AsFd) -> io::Result<usize> {
        self.lengths.clear();
        let chunks = self.bytes.chunks_exact_mut(self.size);
        let mut vectors: Vec<libc::iovec> = chunks
            .map(|chunk| libc::iovec {
                iov_base: chunk.as_mut_ptr().cast(),
                iov_len: chunk.len(),
            })
            .collect();
        let pairs = vectors.iter_mut().zip(&mut self.senders);
        let mut headers: Vec<libc::mmsghdr> = pairs
            .map(|(vector, sender)| {
                let length = size_of_val(&sender.storage);
                header(vector, &mut sender.storage, length)
            })
            .collect();
        let count = libc::c_uint::try_from(headers.len()).unwrap_or(libc::c_uint::MAX);
        // SAFETY: `headers` has at least `count` entries. Each points to one entry of
        // `vectors`, whose base and length are those of its own piece of `self.bytes`, and to
        // an address of `self.senders` with its size. All of these are exclusively borrowed
        // here and live until the call returns; no timeout is given.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_fd().as_raw_fd(),
                headers.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        let filled = headers.iter().zip(&mut self.senders).take(received);
        for ((header, sender), answer) in filled.zip(&mut self.answers) {
            sender.length = header.msg_hdr.msg_namelen;
            // No datagram is longer than 64 KiB.
            let length = usize::try_from(header.msg_len).unwrap_or(0);
            self.lengths.push(length.min(self.size));
            answer.clear();
        }
        Ok(received)
    }

    /// What was received last, with the places for the answers.
    pub fn turns(&mut self) -> impl Iterator<Item = Turn<'_>> {
        let datagrams = self.bytes.chunks_exact(self.size).zip(&self.lengths);
        let places = self.senders.iter().zip(&mut self.answers);
        datagrams
            .zip(places)
            .map(|((bytes, length), (sender, answer))| Turn {
                datagram: &bytes[..*length],
                from: sender.address(),
                answer,
            })
    }

    /// Sends the answers that are there, without waiting. Returns how many could not be
    /// sent.
    pub fn send(&mut self, socket: impl AsFd) -> usize {
        let places = self.senders.iter_mut().zip(&mut self.answers);
        let used = places.take(self.lengths.len());
        let used: Vec<_> = used.filter(|(_, answer)| !answer.is_empty()).collect();
        let mut vectors = Vec::with_capacity(used.len());
        let mut senders = Vec::with_capacity(used.len());
        for (sender, answer) in used {
            vectors.push(libc::iovec {
                iov_base: answer.as_mut_ptr().cast(),
                iov_len: answer.len(),
            });
            senders.push(sender);
        }
        let pairs = vectors.iter_mut().zip(&mut senders);
        let mut headers: Vec<libc::mmsghdr> = pairs
            .map(|(vector, sender)| {
                // It fits in its own storage: the kernel wrote it there.
                let length = usize::try_from(sender.length).unwrap_or(0);
                header(vector, &mut sender.storage, length)
            })
            .collect();
        send_all(socket, &mut headers)
    }
}

fn send_all(socket: impl AsFd, headers: &mut [libc::mmsghdr]) -> usize {
    let mut left = headers;
    let mut failed = 0;
    while !left.is_empty() {
        let count = libc::c_uint::try_from(left.len()).unwrap_or(libc::c_uint::MAX);
        // SAFETY: `left` has at least `count` entries. Its only maker is `Exchange::send`,
        // where each entry points to an iovec, an answer and an address that are exclusively
        // borrowed until this function returns, with their lengths.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_fd().as_raw_fd(),
                left.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT,
            )
        };
        match usize::try_from(sent) {
            Ok(sent) if sent > 0 => left = left.split_at_mut(sent.min(left.len())).1,
            // The first of them cannot be sent; the others may be.
            _ => {
                failed += 1;
                left = left.split_at_mut(1).1;
            }
        }
    }
    failed
}

/// A header for one datagram. It points to what it is given and must not outlive it.
fn header(
    vector: &mut libc::iovec,
    name: &mut libc::sockaddr_storage,
    length: usize,
) -> libc::mmsghdr {
    // SAFETY: all fields are integers and pointers, for which zero is a value.
    let mut header: libc::mmsghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    header.msg_hdr.msg_name = std::ptr::from_mut(name).cast();
    header.msg_hdr.msg_namelen = libc::socklen_t::try_from(length).unwrap_or(0);
    header.msg_hdr.msg_iov = vector;
    header.msg_hdr.msg_iovlen = 1;
    header
}

impl Sender {
    fn none() -> Self {
        // SAFETY: all fields are integers, or arrays of them, for which zero is a value.
        let storage = unsafe { MaybeUninit::zeroed().assume_init() };
        Self { storage, length: 0 }
    }

    fn address(&self) -> Option<SocketAddr> {
        let storage = std::ptr::from_ref(&self.storage);
        match libc::c_int::from(self.storage.ss_family) {
            libc::AF_INET => {
                // SAFETY: `sockaddr_storage` is as large and as aligned as any address, and
                // its family says that it is this one; any bytes are a value of it.
                let address = unsafe { &*storage.cast::<libc::sockaddr_in>() };
                let ip = Ipv4Addr::from(address.sin_addr.s_addr.to_ne_bytes());
                let port = u16::from_be(address.sin_port);
                Some(SocketAddrV4::new(ip, port).into())
            }
            libc::AF_INET6 => {
                // SAFETY: as above.
                let address = unsafe { &*storage.cast::<libc::sockaddr_in6>() };
                let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
                let port = u16::from_be(address.sin6_port);
                let (flow, scope) = (address.sin6_flowinfo, address.sin6_scope_id);
                Some(SocketAddrV6::new(ip, port, flow, scope).into())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::time::{Duration, Instant};

    fn receive(exchange: &mut Exchange, socket: &UdpSocket, wanted: usize) {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            // All that was sent lies in the queue of a socket on loopback; look until it does.
            let mut peeked = [0; 1];
            socket.peek_from(&mut peeked).unwrap();
            match exchange.receive(socket) {
                Ok(count) => return assert_eq!(count, wanted),
                Err(error) => assert!(Instant::now() < end, "{error}"),
            }
        }
    }

    fn echo(address: &str) {
        let server = UdpSocket::bind(address).unwrap();
        let mut exchange = Exchange::new(4, 8);
        let nothing = exchange.receive(&server).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        let clients: Vec<UdpSocket> = (0..3).map(|_| UdpSocket::bind(address).unwrap()).collect();
        for (client, text) in clients.iter().zip(["one", "", "longer than that"]) {
            client.connect(server.local_addr().unwrap()).unwrap();
            client
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            client.send(text.as_bytes()).unwrap();
        }
        receive(&mut exchange, &server, 3);
        let mut seen = Vec::new();
        for turn in exchange.turns() {
            seen.push((turn.from.unwrap(), turn.datagram.to_vec()));
            if !turn.datagram.is_empty() {
                turn.answer.extend_from_slice(turn.datagram);
                turn.answer.push(b'!');
            }
        }
        let addresses: Vec<_> = clients.iter().map(|c| c.local_addr().unwrap()).collect();
        let texts: [&[u8]; 3] = [b"one", b"", b"longer t"];
        for ((address, text), (from, datagram)) in addresses.iter().zip(texts).zip(&seen) {
            assert_eq!((address, text), (from, &datagram[..]));
        }
        assert_eq!(exchange.send(&server), 0);
        let mut buffer = [0; 16];
        let length = clients[0].recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"one!");
        let length = clients[2].recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"longer t!");
        // The empty one had no answer.
        clients[1].set_nonblocking(true).unwrap();
        assert!(clients[1].recv(&mut buffer).is_err());
    }

    #[test]
    fn each_sender_gets_its_own_answer() {
        echo("127.0.0.1:0");
        echo("[::1]:0");
    }

    #[test]
    fn one_that_cannot_be_sent_does_not_hold_up_the_others() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        client.send(b"a").unwrap();
        client.send(b"b").unwrap();
        let mut exchange = Exchange::new(2, 8);
        receive(&mut exchange, &server, 2);
        for (turn, length) in exchange.turns().zip([70_000, 1]) {
            turn.answer.resize(length, b'x');
        }
        assert_eq!(exchange.send(&server), 1);
        let mut buffer = [0; 16];
        assert_eq!(client.recv(&mut buffer).unwrap(), 1);
    }
}
