//! A blocking netlink socket: requests out, answers in, every error typed.
//!
//! It checks sequence numbers, takes the kernel's extended acknowledgement, asks
//! for strict checking of dumps, and repeats a dump that the kernel says was
//! interrupted (`NLM_F_DUMP_INTR`, kernel document `userspace-api/netlink/intro`).

use crate::KernelError;
use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST};
use netlink_sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd};

const HEADER: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_DUMP_INTR: u16 = 0x10;
/// Flag of an error message that has attributes (`NLM_F_ACK_TLVS`).
const NLM_F_ACK_TLVS: u16 = 0x200;
/// Flag of an error message that leaves the request's payload out (`NLM_F_CAPPED`).
const NLM_F_CAPPED: u16 = 0x100;
const NLMSGERR_ATTR_MSG: u16 = 1;
/// A dump is sent in datagrams of at most 32 KiB (`netlink_dump` in the kernel).
const DATAGRAM: usize = 64 * 1024;
const DUMP_ATTEMPTS: u32 = 10;

/// Which part of the kernel a socket speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketKind {
    /// Links, addresses, routes, rules, neighbours (`NETLINK_ROUTE`).
    Route,
    /// nftables and conntrack (`NETLINK_NETFILTER`).
    Netfilter,
}

/// A netlink socket, bound to the network namespace of the thread that opened it.
/// It stays there whichever thread uses it later.
#[derive(Debug)]
pub struct Socket {
    socket: netlink_sys::Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

/// The messages that a dump returned, each as (type, payload).
pub type Dump = Vec<(u16, Vec<u8>)>;

/// One netlink message of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A message with content: its type and its payload.
    Data(u16, Vec<u8>),
    /// The request with this sequence number was carried out.
    Done(u32),
    /// The request with this sequence number was refused.
    Refused {
        /// The sequence number of the request.
        sequence: u32,
        /// The kernel's error number.
        errno: Errno,
        /// The kernel's words.
        text: Option<String>,
    },
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Socket {
    /// Opens a socket in the network namespace of this thread.
    ///
    /// # Errors
    /// [`KernelError::Io`] when the process may not open one, or the kernel lacks
    /// the protocol.
    pub fn open(kind: SocketKind) -> Result<Self, KernelError> {
        let protocol = match kind {
            SocketKind::Route => NETLINK_ROUTE,
            SocketKind::Netfilter => NETLINK_NETFILTER,
        };
        let io = |source| KernelError::io("open netlink socket", format_args!("{kind:?}"), source);
        let socket = netlink_sys::Socket::new(protocol).map_err(io)?;
        socket.set_ext_ack(true).map_err(io)?;
        if kind == SocketKind::Route {
            socket.set_netlink_get_strict_chk(true).map_err(io)?;
        }
        Ok(Self {
            socket,
            sequence: 0,
            buffer: Vec::new(),
        })
    }

    /// The next sequence number of this socket; never 0, which the kernel uses for
    /// its own notifications.
    pub fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        self.sequence
    }

    /// Enlarges the receive buffer to `bytes`, for answers that come in bursts.
    /// Failing to is no error: the burst is then read in smaller parts.
    pub fn enlarge_receive_buffer(&self, bytes: u32) {
        let _ =
            rustix::net::sockopt::set_socket_recv_buffer_size_force(&self.socket, bytes as usize)
                .or_else(|_| {
                    rustix::net::sockopt::set_socket_recv_buffer_size(&self.socket, bytes as usize)
                });
    }

    /// Enlarges the send buffer, so that a batch of `bytes` fits in one message.
    pub fn enlarge_send_buffer(&self, bytes: u32) {
        let _ =
            rustix::net::sockopt::set_socket_send_buffer_size_force(&self.socket, bytes as usize)
                .or_else(|_| {
                    rustix::net::sockopt::set_socket_send_buffer_size(&self.socket, bytes as usize)
                });
    }

    /// Joins a group of the kernel's notifications (`RTNLGRP_*`, `NFNLGRP_*`).
    pub(crate) fn join(&mut self, group: u32) -> std::io::Result<()> {
        self.socket.add_membership(group)
    }

    /// Gives the socket its address. The kernel leaves a socket without one out when it
    /// notifies.
    pub(crate) fn bind(&mut self) -> std::io::Result<()> {
        self.socket.bind_auto().map(drop)
    }

    /// The types of the messages in the next datagram that has come; none when none
    /// has. A datagram that is cut short yields the messages that are whole.
    pub(crate) fn try_receive_kinds(&mut self) -> std::io::Result<Option<Vec<u16>>> {
        self.buffer.clear();
        self.buffer.reserve(DATAGRAM);
        match self.socket.recv(&mut self.buffer, libc::MSG_DONTWAIT) {
            Ok(size) => {
                let whole = messages(&self.buffer[..size]).filter_map(Result::ok);
                Ok(Some(whole.map(|message| message.kind).collect()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends `bytes`, one or more whole netlink messages, as one datagram.
    ///
    /// # Errors
    /// The system call's error.
    pub fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let kernel = netlink_sys::SocketAddr::new(0, 0);
        self.socket.send_to(bytes, &kernel, 0).map(drop)
    }

    /// Waits for one datagram and returns the messages in it, with their flags.
    ///
    /// # Errors
    /// The system call's error; `InvalidData` for a datagram that is no sequence of
    /// netlink messages or was longer than the buffer.
    pub fn receive(&mut self) -> std::io::Result<Vec<(u16, Reply)>> {
        let size = self.receive_datagram()?;
        let mut replies = Vec::new();
        for message in messages(&self.buffer[..size]) {
            let message = message?;
            replies.push((message.flags, message.reply()?));
        }
        Ok(replies)
    }

    /// Sends one request of `kind` with `payload` and waits for its
    /// acknowledgement. Answers with content that come before it are returned.
    ///
    /// # Errors
    /// [`KernelError::Refused`] with the kernel's number and words.
    pub fn request(
        &mut self,
        kind: u16,
        flags: u16,
        payload: &[u8],
        operation: &'static str,
        object: &dyn std::fmt::Display,
    ) -> Result<Dump, KernelError> {
        let sequence = self.next_sequence();
        let request = frame(kind, NLM_F_REQUEST | NLM_F_ACK | flags, sequence, payload);
        let io = |source| KernelError::io(operation, object, source);
        self.send(&request).map_err(io)?;
        let mut answers = Vec::new();
        loop {
            let size = self.receive_datagram().map_err(io)?;
            for message in messages(&self.buffer[..size]) {
                let message = message.map_err(io)?;
                if message.sequence != sequence {
                    continue;
                }
                match message.reply().map_err(io)? {
                    Reply::Data(kind, payload) => answers.push((kind, payload)),
                    Reply::Done(_) => return Ok(answers),
                    Reply::Refused { errno, text, .. } => {
                        return Err(refused(operation, object, errno, text));
                    }
                }
            }
        }
    }

    /// Lists objects: sends a dump request and gathers every part of the answer.
    /// A dump that was interrupted by a change is repeated, ten times at most.
    ///
    /// # Errors
    /// [`KernelError::Refused`], or [`KernelError::Interrupted`] when it never came
    /// through whole.
    pub fn dump(
        &mut self,
        kind: u16,
        payload: &[u8],
        operation: &'static str,
        object: &dyn std::fmt::Display,
    ) -> Result<Dump, KernelError> {
        for _ in 0..DUMP_ATTEMPTS {
            if let Some(answers) = self.dump_once(kind, payload, operation, object)? {
                return Ok(answers);
            }
        }
        let object = object.to_string();
        Err(KernelError::Interrupted {
            operation,
            object,
            attempts: DUMP_ATTEMPTS,
        })
    }

    fn dump_once(
        &mut self,
        kind: u16,
        payload: &[u8],
        operation: &'static str,
        object: &dyn std::fmt::Display,
    ) -> Result<Option<Dump>, KernelError> {
        let sequence = self.next_sequence();
        let request = frame(kind, NLM_F_REQUEST | NLM_F_DUMP, sequence, payload);
        let io = |source| KernelError::io(operation, object, source);
        self.send(&request).map_err(io)?;
        let mut answers = Vec::new();
        let mut interrupted = false;
        loop {
            let size = self.receive_datagram().map_err(io)?;
            for message in messages(&self.buffer[..size]) {
                let message = message.map_err(io)?;
                if message.sequence != sequence {
                    continue;
                }
                interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
                match message.reply().map_err(io)? {
                    Reply::Data(kind, payload) => answers.push((kind, payload)),
                    Reply::Done(_) => return Ok((!interrupted).then_some(answers)),
                    Reply::Refused { errno, text, .. } => {
                        return Err(refused(operation, object, errno, text));
                    }
                }
            }
        }
    }

    fn receive_datagram(&mut self) -> std::io::Result<usize> {
        self.buffer.clear();
        self.buffer.reserve(DATAGRAM);
        loop {
            // MSG_TRUNC makes the call return the datagram's real length.
            match self.socket.recv(&mut self.buffer, libc::MSG_TRUNC) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Ok(size) if size > self.buffer.len() => return Err(invalid("datagram too long")),
                other => return other,
            }
        }
    }
}

fn refused(
    operation: &'static str,
    object: &dyn std::fmt::Display,
    errno: Errno,
    text: Option<String>,
) -> KernelError {
    KernelError::Refused {
        operation,
        object: object.to_string(),
        errno,
        text,
    }
}

/// One whole netlink message: header and payload.
pub(crate) fn frame(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let length = HEADER + payload.len();
    let mut message = Vec::with_capacity(length.next_multiple_of(4));
    message.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
    message.extend_from_slice(&kind.to_ne_bytes());
    message.extend_from_slice(&flags.to_ne_bytes());
    message.extend_from_slice(&sequence.to_ne_bytes());
    message.extend_from_slice(&0_u32.to_ne_bytes());
    message.extend_from_slice(payload);
    message.resize(length.next_multiple_of(4), 0);
    message
}

/// A message inside a received datagram.
struct Message<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    payload: &'a [u8],
}

impl Message<'_> {
    fn reply(&self) -> std::io::Result<Reply> {
        match self.kind {
            NLMSG_ERROR => self.status(true),
            // A dump ends with DONE, whose payload is 0 or a negative error number.
            NLMSG_DONE => self.status(false),
            kind => Ok(Reply::Data(kind, self.payload.to_vec())),
        }
    }

    fn status(&self, echoes_request: bool) -> std::io::Result<Reply> {
        let Some(code) = self.payload.first_chunk::<4>() else {
            return if echoes_request {
                Err(invalid("short error message"))
            } else {
                Ok(Reply::Done(self.sequence))
            };
        };
        let code = i32::from_ne_bytes(*code);
        if code >= 0 {
            return Ok(Reply::Done(self.sequence));
        }
        let text = (self.flags & NLM_F_ACK_TLVS != 0)
            .then(|| self.text(echoes_request))
            .flatten();
        Ok(Reply::Refused {
            sequence: self.sequence,
            errno: Errno::from_raw_os_error(-code),
            text,
        })
    }

    /// The kernel's words, in the attributes behind the error number and, for an
    /// error message, the request's header (and its payload unless it was capped).
    fn text(&self, echoes_request: bool) -> Option<String> {
        let mut at = 4;
        if echoes_request {
            let request = u32::from_ne_bytes(*self.payload.get(4..8)?.first_chunk()?) as usize;
            at += if self.flags & NLM_F_CAPPED != 0 {
                HEADER
            } else {
                request.next_multiple_of(4)
            };
        }
        while let Some(header) = self.payload.get(at..at + 4) {
            let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
            let kind = u16::from_ne_bytes([header[2], header[3]]);
            let value = self.payload.get(at + 4..at + length)?;
            if kind == NLMSGERR_ATTR_MSG {
                let value = value.strip_suffix(&[0]).unwrap_or(value);
                return Some(String::from_utf8_lossy(value).into_owned());
            }
            at += length.max(4).next_multiple_of(4);
        }
        None
    }
}

/// The messages of a datagram.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = std::io::Result<Message<'_>>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let message = split_message(bytes);
        match message {
            Some((message, rest)) => {
                bytes = rest;
                Some(Ok(message))
            }
            None => {
                bytes = &[];
                Some(Err(invalid("a netlink message is cut short")))
            }
        }
    })
}

fn split_message(bytes: &[u8]) -> Option<(Message<'_>, &[u8])> {
    let header = bytes.first_chunk::<HEADER>()?;
    let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
    let payload = bytes.get(HEADER..length)?;
    let rest = bytes.get(length.next_multiple_of(4)..).unwrap_or(&[]);
    let message = Message {
        kind: u16::from_ne_bytes([header[4], header[5]]),
        flags: u16::from_ne_bytes([header[6], header[7]]),
        sequence: u32::from_ne_bytes([header[8], header[9], header[10], header[11]]),
        payload,
    };
    Some((message, rest))
}

fn invalid(reason: &'static str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_message_is_an_error_and_not_a_panic() {
        let whole = frame(20, 0, 7, &[1, 2, 3, 4, 5]);
        for cut in 1..21 {
            assert!(messages(&whole[..cut]).any(|m| m.is_err()), "{cut}");
        }
        let read: Vec<_> = messages(&whole).map(Result::unwrap).collect();
        assert_eq!(read[0].payload, [1, 2, 3, 4, 5]);
        assert_eq!((read[0].kind, read[0].sequence), (20, 7));
    }

    #[test]
    fn a_length_shorter_than_the_header_ends_the_reading() {
        let mut bytes = frame(20, 0, 7, &[]);
        bytes[0] = 3;
        assert!(messages(&bytes).next().unwrap().is_err());
    }

    #[test]
    fn the_kernels_words_are_found_behind_the_echoed_request() {
        let mut payload = (-17_i32).to_ne_bytes().to_vec();
        payload.extend(frame(20, 0, 7, &[]));
        payload.extend([8, 0, 1, 0]);
        payload.extend(b"abc\0");
        let message = frame(NLMSG_ERROR, NLM_F_ACK_TLVS | NLM_F_CAPPED, 7, &payload);
        let read = messages(&message).next().unwrap().unwrap().reply().unwrap();
        assert_eq!(
            read,
            Reply::Refused {
                sequence: 7,
                errno: Errno::EXIST,
                text: Some("abc".into())
            }
        );
    }
}
