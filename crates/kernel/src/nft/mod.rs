//! nftables over netlink: typed transactions, no rule text, no program.
//!
//! A [`Batch`] gathers messages; [`Nft::commit`] sends them as one transaction.
//! Lists come from [`Nft::elements`], [`Nft::sets`] and [`Nft::rules`]. What a
//! table holds and why is the firewall crate's matter.
//!
//! Numbers are those of `linux/netfilter/nf_tables.h` and `nfnetlink.h`.

mod batch;
mod chains;
mod object;
mod rule;
pub(crate) mod wire;

pub use batch::{Batch, MAX_COMMENT};
pub use chains::{Interface, ListedChain, Outcome, ReadRule, Test};
pub use object::{
    Base, Chain, ChainKind, Concatenation, Create, DataType, Element, Family, Hook, Set, Table,
};
pub use rule::{Compare, Expression, Header, Meta, Register, Verdict};

use crate::{Dump, KernelError, Reply, Socket, SocketKind};
use batch::{SUBSYSTEM, message, nfgenmsg};
use rustix::io::Errno;

/// The default send buffer (`net.core.wmem_default`) is 208 KiB on most systems.
const SEND_BUFFER: usize = 128 * 1024;
/// What one error takes of the receive buffer, the kernel's own record included.
const ERROR_BYTES: usize = 2048;
/// So many errors fit in the default receive buffer with room to spare.
const ERRORS_THAT_FIT: usize = 64;

/// A rule as the kernel lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedRule {
    /// The number by which it can be deleted.
    pub handle: u64,
    /// Its comment; empty when it has none.
    pub comment: String,
}

/// A transaction that did not take place.
#[derive(Debug)]
pub struct Refusal {
    /// The first message that was refused, counted from 0; none when the whole was.
    pub message: Option<usize>,
    /// Why.
    pub error: KernelError,
}

impl From<Refusal> for KernelError {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}

/// A handle on the nftables of one network namespace.
#[derive(Debug)]
pub struct Nft {
    socket: Socket,
}

impl Nft {
    /// Opens a handle for the network namespace of this thread.
    ///
    /// # Errors
    /// [`KernelError::Io`] when the socket cannot be opened.
    pub fn open() -> Result<Self, KernelError> {
        Socket::open(SocketKind::Netfilter).map(Self::new)
    }

    /// Uses a socket that is open already.
    #[must_use]
    pub fn new(socket: Socket) -> Self {
        Self { socket }
    }

    /// Carries a transaction out. An empty one does nothing.
    ///
    /// One that succeeds takes microseconds. One that is refused takes
    /// milliseconds, since the kernel waits for an RCU grace period before it frees
    /// what it had begun: look before, where a refusal is likely.
    ///
    /// # Errors
    /// [`Refusal`] with the first message that was refused; nothing has changed.
    pub fn commit(&mut self, batch: &Batch) -> Result<(), Refusal> {
        if batch.is_empty() {
            return Ok(());
        }
        let (bytes, sequences) = batch.datagram(|| self.socket.next_sequence());
        if bytes.len() > SEND_BUFFER {
            self.socket.enlarge_send_buffer(clamp(bytes.len() * 2));
        }
        if batch.len() > ERRORS_THAT_FIT {
            self.socket
                .enlarge_receive_buffer(clamp(batch.len() * ERROR_BYTES));
        }
        self.socket.send(&bytes).map_err(io)?;
        self.outcome(batch, &sequences)
    }

    /// Reads answers up to that for the last message, or for the batch as a whole.
    fn outcome(&mut self, batch: &Batch, sequences: &[u32]) -> Result<(), Refusal> {
        let mut first: Option<Refusal> = None;
        let mut overrun = false;
        loop {
            let replies = match self.socket.receive() {
                Ok(replies) => replies,
                // Answers were lost, but the first ones are still in the queue.
                Err(e) if Errno::from_io_error(&e) == Some(Errno::NOBUFS) => {
                    overrun = true;
                    continue;
                }
                Err(e) => return Err(io(e)),
            };
            for (_, reply) in replies {
                let (sequence, failure) = match reply {
                    Reply::Data(..) => continue,
                    Reply::Done(sequence) => (sequence, None),
                    Reply::Refused {
                        sequence,
                        errno,
                        text,
                    } => (sequence, Some((errno, text))),
                };
                let Some(position) = position(sequences, sequence) else {
                    continue;
                };
                if let Some((errno, text)) = failure {
                    first.get_or_insert_with(|| refusal(batch, position, errno, text));
                }
                if position == 0 || position + 1 == sequences.len() {
                    return first.map_or(Ok(()), Err);
                }
            }
            // The last answer may be among the lost ones.
            if overrun && let Some(first) = first {
                return Err(first);
            }
        }
    }

    /// Whether a table exists.
    ///
    /// # Errors
    /// [`KernelError::Refused`] for any refusal but 'not found'.
    pub fn has_table(&mut self, table: Table<'_>) -> Result<bool, KernelError> {
        let mut payload = nfgenmsg(table.family.number(), 0).to_vec();
        wire::put_text(&mut payload, 1, table.name);
        self.exists(message::GET_TABLE, &payload, "look up", &table)
    }

    /// Whether a chain exists.
    ///
    /// # Errors
    /// [`KernelError::Refused`] for any refusal but 'not found'.
    pub fn has_chain(&mut self, table: Table<'_>, chain: &str) -> Result<bool, KernelError> {
        let mut payload = nfgenmsg(table.family.number(), 0).to_vec();
        wire::put_text(&mut payload, 1, table.name);
        wire::put_text(&mut payload, 3, chain);
        let object = format_args!("chain {chain} of {table}");
        self.exists(message::GET_CHAIN, &payload, "look up", &object)
    }

    /// Whether a set or map exists.
    ///
    /// # Errors
    /// [`KernelError::Refused`] for any refusal but 'not found'.
    pub fn has_set(&mut self, table: Table<'_>, set: &str) -> Result<bool, KernelError> {
        let mut payload = nfgenmsg(table.family.number(), 0).to_vec();
        wire::put_text(&mut payload, 1, table.name);
        wire::put_text(&mut payload, 2, set);
        let object = format_args!("set {set} of {table}");
        self.exists(message::GET_SET, &payload, "look up", &object)
    }

    fn exists(
        &mut self,
        kind: u16,
        payload: &[u8],
        operation: &'static str,
        object: &dyn std::fmt::Display,
    ) -> Result<bool, KernelError> {
        let kind = SUBSYSTEM << 8 | kind;
        match self.socket.request(kind, 0, payload, operation, object) {
            Ok(_) => Ok(true),
            Err(e) if e.is_not_found() => Ok(false),
            Err(e) => Err(self.explained(e)),
        }
    }

    /// The names of a table's sets and maps. A table that does not exist has none.
    ///
    /// # Errors
    /// [`KernelError::Refused`], [`KernelError::Interrupted`].
    pub fn sets(&mut self, table: Table<'_>) -> Result<Vec<String>, KernelError> {
        let mut payload = nfgenmsg(table.family.number(), 0).to_vec();
        wire::put_text(&mut payload, 1, table.name);
        let answers = self.list(message::GET_SET, &payload, "list sets of", &table)?;
        Ok(parts(&answers)
            .filter_map(|bytes| wire::find(bytes, 2).map(wire::text))
            .collect())
    }

    /// The elements of a set. A set that does not exist has none.
    ///
    /// # Errors
    /// [`KernelError::Refused`], [`KernelError::Interrupted`].
    pub fn elements(&mut self, table: Table<'_>, set: &str) -> Result<Vec<Element>, KernelError> {
        let mut payload = nfgenmsg(table.family.number(), 0).to_vec();
        wire::put_text(&mut payload, 1, table.name);
        wire::put_text(&mut payload, 2, set);
        let object = format_args!("set {set} of {table}");
        let answers = self.list(message::GET_ELEMENT, &payload, "list elements of", &object)?;
        Ok(parts(&answers)
            .filter_map(|bytes| wire::find(bytes, 3))
            .flat_map(wire::attributes)
            .filter_map(|(_, bytes)| Element::read(bytes))
            .collect())
    }

    /// The rules of a chain. A chain that does not exist has none.
    ///
    /// # Errors
    /// [`KernelError::Refused`], [`KernelError::Interrupted`].
    pub fn rules(&mut self, table: Table<'_>, chain: &str) -> Result<Vec<ListedRule>, KernelError> {
        let mut payload = nfgenmsg(table.family.number(), 0).to_vec();
        wire::put_text(&mut payload, 1, table.name);
        wire::put_text(&mut payload, 2, chain);
        let object = format_args!("chain {chain} of {table}");
        let answers = self.list(message::GET_RULE, &payload, "list rules of", &object)?;
        Ok(parts(&answers).filter_map(listed_rule).collect())
    }

    fn list(
        &mut self,
        kind: u16,
        payload: &[u8],
        operation: &'static str,
        object: &dyn std::fmt::Display,
    ) -> Result<Dump, KernelError> {
        let kind = SUBSYSTEM << 8 | kind;
        match self.socket.dump(kind, payload, operation, object) {
            Err(e) if e.is_not_found() => Ok(Dump::new()),
            other => other.map_err(|e| self.explained(e)),
        }
    }

    /// A kernel without nftables calls a question for its content `EINVAL`
    /// (`nfnetlink_rcv_msg`), a transaction `EOPNOTSUPP`. The second is made of the
    /// first where not even the generation can be asked for.
    fn explained(&mut self, error: KernelError) -> KernelError {
        let KernelError::Refused {
            operation,
            object,
            errno: Errno::INVAL,
            text,
        } = error
        else {
            return error;
        };
        let kind = SUBSYSTEM << 8 | message::GET_GENERATION;
        let asked = self
            .socket
            .request(kind, 0, &nfgenmsg(0, 0), operation, &object);
        let (errno, text) = match asked {
            Err(e) if e.errno() == Some(Errno::INVAL) => {
                (Errno::OPNOTSUPP, Some("the kernel has no nftables".into()))
            }
            _ => (Errno::INVAL, text),
        };
        KernelError::Refused {
            operation,
            object,
            errno,
            text,
        }
    }
}

fn listed_rule(bytes: &[u8]) -> Option<ListedRule> {
    let handle = wire::find(bytes, 3)?.try_into().ok()?;
    let comment = wire::find(bytes, 7).and_then(|data| match data {
        [0, length, rest @ ..] => rest.get(..usize::from(*length)).map(wire::text),
        _ => None,
    });
    Some(ListedRule {
        handle: u64::from_be_bytes(handle),
        comment: comment.unwrap_or_default(),
    })
}

/// The attributes of each message, behind its nfnetlink header.
fn parts(answers: &Dump) -> impl Iterator<Item = &[u8]> {
    answers.iter().filter_map(|(_, payload)| payload.get(4..))
}

/// Sequence numbers of one batch go up by one, so a guess finds most at once.
fn position(sequences: &[u32], sequence: u32) -> Option<usize> {
    let guess = sequence.wrapping_sub(*sequences.first()?) as usize;
    if sequences.get(guess) == Some(&sequence) {
        return Some(guess);
    }
    sequences.iter().position(|s| *s == sequence)
}

fn refusal(batch: &Batch, position: usize, errno: Errno, text: Option<String>) -> Refusal {
    let message = position.checked_sub(1);
    let (operation, object) = batch.subject(message.unwrap_or(usize::MAX));
    Refusal {
        message,
        error: KernelError::Refused {
            operation,
            object,
            errno,
            text,
        },
    }
}

fn io(source: std::io::Error) -> Refusal {
    Refusal {
        message: None,
        error: KernelError::io("commit", "nftables transaction", source),
    }
}

fn clamp(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX).min(1 << 30)
}
