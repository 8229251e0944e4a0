//! A watch of etcd: a task that reads its stream and begins it anew, after the last
//! revision that was told, whenever it ends.

use super::fault::Fault;
use super::pool::{Op, Pool};
use super::{entry, prefix_end};
use crate::{Batch, Event, Feed, Revision, SharedError};
use etcd_client::{
    Client, EventType, GetOptions, KeyValue, ResponseHeader, WatchOptions, WatchResponse,
};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// How many batches wait for a slow reader before the stream is left to wait.
const AHEAD: usize = 16;

/// How long is waited before a stream is begun anew, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// See the module.
pub(super) struct EtcdFeed {
    batches: Receiver<Result<Batch, SharedError>>,
    room: Arc<Semaphore>,
    task: JoinHandle<()>,
    prefix: String,
    after: Revision,
}

impl EtcdFeed {
    pub(super) fn begin(pool: Arc<Pool>, handle: &Handle, prefix: &str, after: Revision) -> Self {
        let (sender, batches) = channel();
        let room = Arc::new(Semaphore::new(AHEAD));
        let watcher = Watcher {
            op: Op::read("watch", prefix),
            pool,
            sender,
            room: Arc::clone(&room),
            last: after,
            known: None,
            witness: None,
        };
        Self {
            batches,
            room,
            task: handle.spawn(watcher.run()),
            prefix: prefix.to_owned(),
            after,
        }
    }
}

impl Drop for EtcdFeed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Feed for EtcdFeed {
    fn recv_timeout(&mut self, limit: Duration) -> Result<Option<Batch>, SharedError> {
        match self.batches.recv_timeout(limit) {
            Ok(Ok(batch)) => {
                self.room.add_permits(1);
                self.after = batch.revision;
                Ok(Some(batch))
            }
            Ok(Err(error)) => Err(error),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            // It told its error before.
            Err(RecvTimeoutError::Disconnected) => Err(SharedError::Compacted {
                prefix: self.prefix.clone(),
                after: self.after,
            }),
        }
    }
}

/// Which history this is: another cluster, or the same one begun anew, has another
/// identifier or an earlier term.
#[derive(Debug, Clone, Copy)]
struct History {
    cluster: u64,
    term: u64,
}

/// A key as it was at the last revision told, by which the same history is known
/// again, or none where it was not there.
struct Witness {
    key: Vec<u8>,
    state: Option<State>,
}

/// The creation, modification and version of a key, and its value: a history that
/// was begun anew may well have the same numbers.
type State = (i64, i64, i64, Vec<u8>);

fn state_of(kv: &KeyValue) -> State {
    let value = kv.value().to_vec();
    (kv.create_revision(), kv.mod_revision(), kv.version(), value)
}

/// Why a stream ended.
enum End {
    /// It begins anew.
    Again,
    /// The watch ends.
    Stop(usize, Fault),
    /// The reader is gone.
    Unread,
}

struct Watcher {
    pool: Arc<Pool>,
    op: Op,
    sender: Sender<Result<Batch, SharedError>>,
    room: Arc<Semaphore>,
    last: Revision,
    known: Option<History>,
    witness: Option<Witness>,
}

impl Watcher {
    async fn run(mut self) {
        let mut pause = PAUSE.0;
        loop {
            let at = self.pool.current();
            let before = self.last;
            match self.stream(at).await {
                End::Again => {}
                End::Unread => return,
                End::Stop(at, fault) => {
                    let error = match fault {
                        Fault::Compacted => SharedError::Compacted {
                            prefix: self.op.key.clone(),
                            after: self.last,
                        },
                        fault => self.pool.error(&self.op, at, fault, false),
                    };
                    // Nobody may be there to hear it.
                    let _ = self.sender.send(Err(error));
                    return;
                }
            }
            self.pool.leave(at);
            if self.last > before {
                pause = PAUSE.0;
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    /// Whether a fault ends the watch; what may mend ends the stream only.
    fn end(at: usize, fault: Fault) -> End {
        match fault {
            Fault::Compacted | Fault::Denied(_) => End::Stop(at, fault),
            _ => End::Again,
        }
    }

    async fn stream(&mut self, at: usize) -> End {
        let limit = self.pool.target.timeout;
        let begun = async {
            let client = self.pool.client(at).await?;
            self.verify(&client).await?;
            let prefix = self.pool.full(&self.op.key);
            let options = WatchOptions::new()
                .with_range(prefix_end(&prefix))
                .with_start_revision(self.last.0 + 1)
                .with_progress_notify();
            let mut watching = client.watch_client().max_decoding_message_size(usize::MAX);
            let stream = watching.watch(prefix, Some(options)).await;
            stream.map_err(|error| Fault::of(&error))
        };
        let mut stream = match timeout(limit, begun).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(fault)) => return Self::end(at, fault),
            Err(_) => return End::Again,
        };
        let mut created = false;
        loop {
            let message = if created {
                stream.message().await
            } else {
                match timeout(limit, stream.message()).await {
                    Ok(message) => message,
                    Err(_) => return End::Again,
                }
            };
            let response = match message {
                Ok(Some(response)) => response,
                Ok(None) => return End::Again,
                Err(error) => return Self::end(at, Fault::of(&error)),
            };
            created = true;
            if let Err(end) = self.take(at, &response).await {
                return end;
            }
        }
    }

    async fn take(&mut self, at: usize, response: &WatchResponse) -> Result<(), End> {
        if let Some(header) = response.header() {
            self.check(header).map_err(|fault| Self::end(at, fault))?;
        }
        if response.compact_revision() > 0 {
            return Err(End::Stop(at, Fault::Compacted));
        }
        if response.canceled() {
            let reason = response.cancel_reason().to_owned();
            return Err(Self::end(at, Fault::answer(reason)));
        }
        if response.events().is_empty() {
            // A sign of progress: everything up to here was told.
            if let Some(header) = response.header().filter(|_| !response.created()) {
                self.last = self.last.max(Revision(header.revision()));
            }
            return Ok(());
        }
        let events = self.events(response);
        if let Some(last) = events.last() {
            let revision = last.revision();
            let Ok(permit) = self.room.acquire().await else {
                return Err(End::Unread);
            };
            permit.forget();
            self.last = revision;
            let batch = Batch { revision, events };
            self.sender.send(Ok(batch)).map_err(|_| End::Unread)?;
        }
        Ok(())
    }

    /// The events that were not told yet; keeps the last as the witness.
    fn events(&mut self, response: &WatchResponse) -> Vec<Event> {
        let mut events = Vec::new();
        for event in response.events() {
            let Some(kv) = event.kv().filter(|kv| kv.mod_revision() > self.last.0) else {
                continue;
            };
            let Some(key) = self.pool.short(kv.key()) else {
                continue;
            };
            let (state, event) = match event.event_type() {
                EventType::Put => (Some(state_of(kv)), Event::Put(entry(key, kv))),
                EventType::Delete => (
                    None,
                    Event::Delete {
                        key,
                        revision: Revision(kv.mod_revision()),
                    },
                ),
            };
            let key = kv.key().to_vec();
            self.witness = Some(Witness { key, state });
            events.push(event);
        }
        events
    }

    /// Whether this etcd still has the history that was told.
    fn check(&mut self, header: &ResponseHeader) -> Result<(), Fault> {
        let found = History {
            cluster: header.cluster_id(),
            term: header.raft_term(),
        };
        // A stream tells what it has told already when it is behind; only the
        // identity and the term cannot go back.
        if let Some(known) = self.known
            && (known.cluster != found.cluster || found.term < known.term && found.term > 0)
        {
            return Err(Fault::Compacted);
        }
        self.known = Some(found);
        Ok(())
    }

    /// The same, by asking for what was there at the last revision told.
    async fn verify(&mut self, client: &Client) -> Result<(), Fault> {
        if self.last <= Revision::ZERO {
            return self.pool.probe(client).await;
        }
        let options = GetOptions::new().with_revision(self.last.0);
        let (key, options) = match &self.witness {
            Some(witness) => (witness.key.clone(), options),
            None => {
                let prefix = self.pool.full(&self.op.key);
                let end = prefix_end(&prefix);
                (prefix.into_bytes(), options.with_range(end).with_limit(1))
            }
        };
        let mut kv = client.kv_client().max_decoding_message_size(usize::MAX);
        let found = kv.get(key.clone(), Some(options)).await;
        let found = found.map_err(|error| Fault::of(&error))?;
        if let Some(header) = found.header() {
            self.check(header)?;
        }
        let first = found.kvs().first();
        let state = first.map(state_of);
        match &self.witness {
            Some(witness) if witness.state != state => return Err(Fault::Compacted),
            Some(_) => {}
            None => {
                let key = first.map_or(key, |kv| kv.key().to_vec());
                self.witness = Some(Witness { key, state });
            }
        }
        Ok(())
    }
}
