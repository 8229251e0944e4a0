//! The engine of several nodes: etcd v3.

mod fault;
mod feed;
mod options;
mod pool;

use crate::{
    Change, Committed, Compare, Entry, LeaseId, Revision, SharedError, SharedState, Snapshot, Txn,
    Watch, key,
};
use etcd_client::{CompareOp, DeleteOptions, GetOptions, GetResponse, KeyValue, PutOptions, TxnOp};
use feed::EtcdFeed;
use options::Target;
use pool::{Op, Pool};
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// How many entries one request for a range brings: some megabytes at most where
/// values are small, and few enough requests where there are very many.
const PAGE: i64 = 10_000;

/// How etcd is reached: the `[etcd]` section of `node.conf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdOptions {
    /// `http://HOST:PORT` or `https://HOST:PORT`, tried in this order; without a scheme it is
    /// `https` where `ca` or `cert` is set.
    pub endpoints: Vec<String>,
    /// The certificates (PEM) that may sign the server's.
    pub ca: Option<PathBuf>,
    /// Our certificate (PEM), for servers that ask for one.
    pub cert: Option<PathBuf>,
    /// Its key (PEM).
    pub key: Option<PathBuf>,
    /// The user, where etcd has authentication on.
    pub user: Option<String>,
    /// The file whose first line is its password.
    pub password_file: Option<PathBuf>,
    /// What every key begins with in etcd; a slash follows it.
    pub prefix: String,
    /// How long one call may take.
    pub timeout: Duration,
}

impl Default for EtcdOptions {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            ca: None,
            cert: None,
            key: None,
            user: None,
            password_file: None,
            prefix: "/fairlead".to_owned(),
            timeout: Duration::from_secs(5),
        }
    }
}

/// Shared state in etcd.
///
/// Calls go to one endpoint as long as it answers, then to the next. The time limit is
/// that of a call; reading a long range is one call for each ten thousand entries.
/// Keys in etcd that are not text are not seen.
pub struct Etcd {
    pool: Arc<Pool>,
    /// None while it is dropped only.
    runtime: Option<Runtime>,
}

impl fmt::Debug for Etcd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Etcd")
            .field("endpoints", &self.pool.target.endpoints)
            .field("prefix", &self.pool.target.prefix)
            .finish_non_exhaustive()
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // The other ways wait, which a thread of another runtime must not.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The entry of `key` as etcd has it.
fn entry(key: String, kv: &KeyValue) -> Entry {
    Entry {
        key,
        value: kv.value().to_vec(),
        created: Revision(kv.create_revision()),
        modified: Revision(kv.mod_revision()),
        lease: Some(LeaseId(kv.lease())).filter(|lease| lease.0 != 0),
    }
}

/// The end of a range as etcd has it: one zero byte is the end of everything.
fn prefix_end(prefix: &str) -> Vec<u8> {
    key::end_of(prefix.as_bytes()).unwrap_or_else(|| vec![0])
}

fn header_revision(header: Option<&etcd_client::ResponseHeader>) -> Revision {
    Revision(header.map_or(0, etcd_client::ResponseHeader::revision))
}

/// A lease's time in whole seconds, rounded up.
fn seconds(ttl: Duration) -> i64 {
    let whole = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
    whole
        .saturating_add(i64::from(ttl.subsec_nanos() > 0))
        .max(1)
}

impl Etcd {
    /// Reads the files that the options name. Nothing is connected to until the
    /// first call, so it is no error that etcd is down.
    ///
    /// # Errors
    /// [`SharedError::Options`] names the keyword.
    pub fn open(options: &EtcdOptions) -> Result<Self, SharedError> {
        let target = Target::of(options)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("etcd")
            .enable_all()
            .build()
            .map_err(|source| SharedError::Thread { source })?;
        Ok(Self {
            pool: Arc::new(Pool::new(target)),
            runtime: Some(runtime),
        })
    }

    /// Runs what `f` makes on the thread of this engine, and waits for it.
    fn block<T, F, R>(&self, op: Op, f: F) -> Result<T, SharedError>
    where
        T: Send + 'static,
        F: FnOnce(Arc<Pool>, Op) -> R,
        R: Future<Output = Result<T, SharedError>> + Send + 'static,
    {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let given_up = SharedError::Unreachable {
            endpoints: self.pool.target.endpoints.join(", "),
            operation: op.name,
            key: op.key.clone(),
            reason: "the call was given up".to_owned(),
            sent: op.once,
        };
        let work = f(Arc::clone(&self.pool), op);
        if let Some(runtime) = &self.runtime {
            // Who waits cannot go away.
            runtime.spawn(async move { drop(sender.send(work.await)) });
        } else {
            drop(sender);
        }
        receiver.recv().unwrap_or(Err(given_up))
    }

    /// Every entry under a prefix, of one revision.
    fn whole(&self, prefix: &str, keys_only: bool) -> Result<Snapshot, SharedError> {
        self.block(Op::read("read", prefix), move |pool, op| async move {
            loop {
                match range(&pool, &op, keys_only).await {
                    // The revision was compacted between two pages.
                    Err(SharedError::Compacted { .. }) => {}
                    done => return done,
                }
            }
        })
    }
}

/// The entries of one revision, page by page; with `keys_only` their values are empty.
async fn range(pool: &Pool, op: &Op, keys_only: bool) -> Result<Snapshot, SharedError> {
    let prefix = pool.full(&op.key);
    let end = prefix_end(&prefix);
    let mut from = prefix.into_bytes();
    let mut snapshot = Snapshot::default();
    loop {
        let options = GetOptions::new().with_range(end.clone()).with_limit(PAGE);
        let mut options = options.with_revision(snapshot.revision.0);
        if keys_only {
            options = options.with_keys_only();
        }
        let page = get(pool, op, from.clone(), options).await?;
        if snapshot.revision == Revision::ZERO {
            snapshot.revision = header_revision(page.header());
        }
        let entries = page.kvs().iter();
        snapshot
            .entries
            .extend(entries.filter_map(|kv| Some(entry(pool.short(kv.key())?, kv))));
        match page.kvs().last() {
            Some(last) if page.more() => {
                from = last.key().to_vec();
                from.push(0);
            }
            _ => return Ok(snapshot),
        }
    }
}

async fn get(
    pool: &Pool,
    op: &Op,
    key: Vec<u8>,
    options: GetOptions,
) -> Result<GetResponse, SharedError> {
    pool.call(op, |client| {
        let (key, options) = (key.clone(), options.clone());
        async move {
            let mut kv = client.kv_client().max_decoding_message_size(usize::MAX);
            kv.get(key, Some(options)).await
        }
    })
    .await
}

fn compare(pool: &Pool, compare: &Compare) -> etcd_client::Compare {
    let key = pool.full(compare.key());
    match compare {
        Compare::Absent(_) => etcd_client::Compare::create_revision(key, CompareOp::Equal, 0),
        Compare::Present(_) => etcd_client::Compare::create_revision(key, CompareOp::Greater, 0),
        // Revision zero is that of no key, and in etcd also that of each absent one.
        Compare::Modified(_, Revision(0)) => {
            etcd_client::Compare::mod_revision(key, CompareOp::Less, 0)
        }
        Compare::Modified(_, revision) => {
            etcd_client::Compare::mod_revision(key, CompareOp::Equal, revision.0)
        }
        Compare::Value(_, value) => {
            etcd_client::Compare::value(key, CompareOp::Equal, value.clone())
        }
    }
}

fn change(pool: &Pool, change: &Change) -> TxnOp {
    let key = pool.full(change.key());
    match change {
        Change::Put { value, lease, .. } => {
            let lease = lease.map_or(0, |lease| lease.0);
            let options = PutOptions::new().with_lease(lease);
            TxnOp::put(key, value.clone(), Some(options))
        }
        Change::Delete(_) => TxnOp::delete(key, None),
        Change::DeletePrefix(_) => {
            let options = DeleteOptions::new().with_range(prefix_end(&key));
            TxnOp::delete(key, Some(options))
        }
    }
}

/// The error with the lease that it is about, which etcd does not say.
fn about(lease: Option<LeaseId>) -> impl FnOnce(SharedError) -> SharedError {
    move |error| match (error, lease) {
        (SharedError::LeaseGone { .. }, Some(lease)) => SharedError::LeaseGone { lease },
        (error, _) => error,
    }
}

impl SharedState for Etcd {
    fn get(&self, key: &str) -> Result<Option<Entry>, SharedError> {
        key::check(key)?;
        let name = key.to_owned();
        self.block(Op::read("read", key), |pool, op| async move {
            let full = pool.full(&name).into_bytes();
            let found = get(&pool, &op, full, GetOptions::new()).await?;
            Ok(found.kvs().first().map(|kv| entry(name, kv)))
        })
    }

    fn range(&self, prefix: &str) -> Result<Snapshot, SharedError> {
        self.whole(prefix, false)
    }

    fn keys(&self, prefix: &str) -> Result<Vec<String>, SharedError> {
        let entries = self.whole(prefix, true)?.entries.into_iter();
        Ok(entries.map(|entry| entry.key).collect())
    }

    fn count(&self, prefix: &str) -> Result<u64, SharedError> {
        self.block(Op::read("count", prefix), |pool, op| async move {
            let full = pool.full(&op.key);
            let options = GetOptions::new().with_range(prefix_end(&full));
            let options = options.with_count_only();
            let found = get(&pool, &op, full.into_bytes(), options).await?;
            Ok(u64::try_from(found.count()).unwrap_or_default())
        })
    }

    fn put(
        &self,
        key: &str,
        value: &[u8],
        lease: Option<LeaseId>,
    ) -> Result<Revision, SharedError> {
        let txn = Txn::new().then(Change::Put {
            key: key.to_owned(),
            value: value.to_owned(),
            lease,
        });
        txn.check()?;
        let value = value.to_owned();
        let done = self.block(Op::write("write", key), |pool, op| async move {
            let full = pool.full(&op.key);
            pool.call(&op, |client| {
                let (full, value) = (full.clone(), value.clone());
                let options = PutOptions::new().with_lease(lease.map_or(0, |lease| lease.0));
                async move {
                    let done = client.kv_client().put(full, value, Some(options)).await?;
                    Ok(header_revision(done.header()))
                }
            })
            .await
        });
        done.map_err(about(lease))
    }

    fn delete(&self, key: &str) -> Result<bool, SharedError> {
        key::check(key)?;
        self.block(Op::write("delete", key), |pool, op| async move {
            let full = pool.full(&op.key);
            pool.call(&op, |client| {
                let full = full.clone();
                async move { Ok(client.kv_client().delete(full, None).await?.deleted() > 0) }
            })
            .await
        })
    }

    fn commit(&self, txn: &Txn) -> Result<Committed, SharedError> {
        txn.check()?;
        let subject = txn.then.first().map(Change::key);
        let subject = subject.or_else(|| txn.when.first().map(Compare::key));
        let lease = txn.then.iter().find_map(|change| match change {
            Change::Put { lease, .. } => *lease,
            _ => None,
        });
        let when: Vec<_> = txn
            .when
            .iter()
            .map(|one| compare(&self.pool, one))
            .collect();
        let then: Vec<_> = txn.then.iter().map(|one| change(&self.pool, one)).collect();
        let op = Op::write("write", subject.unwrap_or_default());
        let done = self.block(op, |pool, op| async move {
            pool.call(&op, |client| {
                let txn = etcd_client::Txn::new()
                    .when(when.clone())
                    .and_then(then.clone());
                async move {
                    let done = client.kv_client().txn(txn).await?;
                    Ok(if done.succeeded() {
                        Committed::Done(header_revision(done.header()))
                    } else {
                        Committed::Refused
                    })
                }
            })
            .await
        });
        done.map_err(about(lease))
    }

    fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, SharedError> {
        let Some(runtime) = &self.runtime else {
            let prefix = prefix.to_owned();
            return Err(SharedError::Compacted { prefix, after });
        };
        let pool = Arc::clone(&self.pool);
        Ok(Watch::new(EtcdFeed::begin(
            pool,
            runtime.handle(),
            prefix,
            after,
        )))
    }

    fn grant(&self, ttl: Duration) -> Result<LeaseId, SharedError> {
        // One granted twice harms nobody: it ends by itself.
        self.block(Op::read("grant", "a lease"), move |pool, op| async move {
            pool.call(&op, |client| async move {
                let granted = client.lease_client().grant(seconds(ttl), None).await?;
                Ok(LeaseId(granted.id()))
            })
            .await
        })
    }

    fn keep_alive(&self, lease: LeaseId) -> Result<Duration, SharedError> {
        let op = Op::read("keep alive", &format!("lease {lease}"));
        let done = self.block(op, move |pool, op| async move {
            pool.call(&op, |client| async move {
                let mut leases = client.lease_client();
                // It sends the first sign of life, and an error when the lease is gone.
                drop(leases.keep_alive(lease.0).await?);
                // Its time has begun anew, so it has all that it was granted.
                let told = leases.time_to_live(lease.0, None).await?;
                match u64::try_from(told.granted_ttl()) {
                    Ok(left) if told.ttl() >= 0 => Ok(Duration::from_secs(left)),
                    _ => {
                        let gone = "lease not found".to_owned();
                        Err(etcd_client::Error::LeaseKeepAliveError(gone))
                    }
                }
            })
            .await
        });
        done.map_err(about(Some(lease)))
    }

    fn revoke(&self, lease: LeaseId) -> Result<(), SharedError> {
        let op = Op::read("revoke", &format!("lease {lease}"));
        let done = self.block(op, move |pool, op| async move {
            pool.call(&op, |client| async move {
                client.lease_client().revoke(lease.0).await.map(drop)
            })
            .await
        });
        match done {
            Err(SharedError::LeaseGone { .. }) => Ok(()),
            done => done,
        }
    }
}
