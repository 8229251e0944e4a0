//! Deleting links for many callers at once. The kernel waits for a grace period when a
//! link is deleted, once for a whole group of them. So one thread deletes: what is asked
//! for while it does waits, and is deleted together the next time. When other requests
//! are on their way to it, it waits a moment for them: a batch costs as much as all that.

use crate::metrics::Metrics;
use fairlead_cni::{CniError, Code};
use fairlead_kernel::{KernelError, Route};
use fairlead_plugins::DeleteLinks;
use fairlead_types::IfName;
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

/// How long the thread waits for the next wish of requests that are under way. They come
/// at a distance of some hundred microseconds, more on a busy machine, and a batch costs
/// twenty milliseconds.
const NEXT: Duration = Duration::from_millis(5);
/// How long it waits for all of them.
const GATHER: Duration = Duration::from_millis(60);
/// So many are deleted in one batch at most: its callers wait for all of it.
const AT_ONCE: usize = 1000;

type Answer = Result<bool, CniError>;

struct Wish {
    link: IfName,
    answer: SyncSender<Answer>,
}

/// The callers' end.
#[derive(Clone)]
pub(crate) struct Links {
    wishes: Sender<Wish>,
}

/// How many requests are under way that may come to delete a link.
#[derive(Clone, Default)]
pub(crate) struct Requests(Arc<AtomicUsize>);

/// One of them, until it ends.
pub(crate) struct UnderWay(Requests);

impl Requests {
    pub(crate) fn begin(&self) -> UnderWay {
        self.0.fetch_add(1, Ordering::Relaxed);
        UnderWay(self.clone())
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The thread's end.
pub(crate) struct Deleter {
    wishes: Receiver<Wish>,
    requests: Requests,
    metrics: Arc<Metrics>,
    route: Option<Route>,
}

/// Both ends. The thread ends when no caller is left.
pub(crate) fn links(requests: Requests, metrics: Arc<Metrics>) -> (Links, Deleter) {
    let (sender, receiver) = channel();
    let deleter = Deleter {
        wishes: receiver,
        requests,
        metrics,
        route: None,
    };
    (Links { wishes: sender }, deleter)
}

impl DeleteLinks for Links {
    fn delete(&self, link: &IfName) -> Answer {
        let (answer, answered) = sync_channel(1);
        let wish = Wish {
            link: link.clone(),
            answer,
        };
        let ended = |_| CniError::internal(format!("delete link {link}: the agent is ending"));
        self.wishes.send(wish).map_err(|_| ended(()))?;
        answered.recv().map_err(|_| ended(()))?
    }
}

impl Deleter {
    /// Deletes what is wished for until nobody is left to wish.
    pub(crate) fn run(mut self) {
        while let Ok(first) = self.wishes.recv() {
            let batch = self.gather(first);
            let begun = Instant::now();
            let size = batch.len();
            self.serve(batch);
            self.metrics.deleted(size, begun.elapsed());
        }
    }

    /// Everything that waits, and what comes within a moment while other requests are
    /// under way: one alone does not wait.
    fn gather(&self, first: Wish) -> Vec<Wish> {
        let mut batch = vec![first];
        batch.extend(self.wishes.try_iter().take(AT_ONCE));
        let end = Instant::now() + GATHER;
        while batch.len() < self.requests.count().min(AT_ONCE) {
            let left = end.saturating_duration_since(Instant::now());
            match self.wishes.recv_timeout(left.min(NEXT)) {
                Ok(wish) => batch.push(wish),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        batch
    }

    fn serve(&mut self, batch: Vec<Wish>) {
        // Two may wish for the same link.
        let names: Vec<IfName> = batch.iter().map(|wish| wish.link.clone()).collect();
        let mut done = self.delete(names);
        for wish in batch {
            let answer = done.get_mut(&wish.link).map_or(Ok(false), |found| {
                // Of several that wish for one link, the first has deleted it.
                match found {
                    Ok(deleted) => Ok(std::mem::take(deleted)),
                    Err(error) => Err(error.clone()),
                }
            });
            // Who no longer waits does not need to know.
            let _ = wish.answer.send(answer);
        }
    }

    fn delete(&mut self, names: Vec<IfName>) -> BTreeMap<IfName, Answer> {
        let route = match &mut self.route {
            Some(route) => route,
            empty => match Route::open() {
                Ok(route) => empty.insert(route),
                Err(error) => {
                    let error = refusal(&error);
                    return names.into_iter().map(|n| (n, Err(error.clone()))).collect();
                }
            },
        };
        match names.as_slice() {
            [name] => BTreeMap::from([(name.clone(), one(route, name))]),
            names => together(route, names),
        }
    }
}

fn one(route: &mut Route, name: &IfName) -> Answer {
    route.delete_link_named(name).map_err(|e| refusal(&e))
}

/// One that cannot be deleted makes the kernel refuse them all: then each is deleted by
/// itself, and only that one fails.
fn together(route: &mut Route, names: &[IfName]) -> BTreeMap<IfName, Answer> {
    let mut done = BTreeMap::new();
    let mut found = Vec::new();
    for name in names {
        if done.contains_key(name) {
            continue;
        }
        let answer = match route.link(name) {
            Ok(Some(link)) => {
                found.push((link.index, name.clone()));
                Ok(false)
            }
            Ok(None) => Ok(false),
            Err(error) => Err(refusal(&error)),
        };
        done.insert(name.clone(), answer);
    }
    match route.delete_links_together(&found) {
        Ok(deleted) => done.extend(deleted.into_iter().map(|name| (name, Ok(true)))),
        Err(_) => done.extend(found.into_iter().map(|(_, name)| {
            let answer = one(route, &name);
            (name, answer)
        })),
    }
    done
}

/// As the plugins tell it: `EBUSY` and `EAGAIN` are worth another try.
fn refusal(error: &KernelError) -> CniError {
    let code = match error.errno() {
        Some(Errno::BUSY | Errno::AGAIN) => Code::TRY_AGAIN_LATER,
        _ => Code::INTERNAL,
    };
    CniError::new(code, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairlead_kernel::NetNs;
    use std::process::Command;

    /// In a namespace with these cables, which has no other user.
    fn inside<T: Send>(name: &str, cables: &[&str], work: impl FnOnce() -> T + Send) -> T {
        let path = format!("/run/netns/fll-{name}-{}", std::process::id());
        let ns = NetNs::create(&path).expect("tests need root: run them by 'sudo make test'");
        let _end = End(path);
        let done = ns.run(|| {
            for cable in cables {
                let line = format!("link add name {cable} type veth peer name p{cable}");
                let made = Command::new("ip").args(line.split(' ')).status();
                assert!(made.unwrap().success());
            }
            work()
        });
        done.unwrap()
    }

    struct End(String);

    impl Drop for End {
        fn drop(&mut self) {
            let _ = NetNs::remove(&self.0);
        }
    }

    fn name(text: &str) -> IfName {
        text.parse().unwrap()
    }

    #[test]
    fn one_that_cannot_be_deleted_fails_alone() {
        let names = ["a", "lo", "gone", "b"].map(name);
        let done = inside("one", &["a", "b"], || {
            together(&mut Route::open().unwrap(), &names)
        });
        assert_eq!(done[&names[0]], Ok(true));
        assert!(done[&names[1]].is_err());
        assert_eq!(done[&names[2]], Ok(false));
        assert_eq!(done[&names[3]], Ok(true));
    }

    #[test]
    fn everybody_is_answered_and_of_two_wishes_one_has_deleted() {
        let metrics = Arc::new(Metrics::new());
        let answers = inside("two", &["a", "b"], || {
            let (links, deleter) = links(Requests::default(), metrics);
            // All wait before the thread begins.
            std::thread::scope(|scope| {
                let wishes = ["a", "a", "b", "gone"].map(|link| {
                    let links = links.clone();
                    scope.spawn(move || links.delete(&name(link)).unwrap())
                });
                drop(links);
                scope.spawn(|| deleter.run());
                wishes.map(|wish| wish.join().unwrap())
            })
        });
        assert!(answers[0] ^ answers[1]);
        assert_eq!(&answers[2..], [true, false]);
    }

    #[test]
    fn who_comes_after_the_end_is_told() {
        let (links, deleter) = links(Requests::default(), Arc::new(Metrics::new()));
        drop(deleter);
        let error = links.delete(&name("a")).unwrap_err();
        assert!(error.msg.contains("the agent is ending"), "{error}");
    }
}
