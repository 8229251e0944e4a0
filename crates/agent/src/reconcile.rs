//! The thread that owns the node's networks.

use crate::cluster;
use crate::names::Names;
use crate::schedule::{Cause, Schedule};
use crate::shared::Shared;
use crate::zones::News;
use fairlead_attach::{AttachError, Node};
use fairlead_config::Config;
use fairlead_control::{Problem, Reconciled};
use fairlead_networks::{Known, names_to_look_up};
use sd_notify::NotifyState;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tracing::{debug, error, info, warn};

/// What the thread is told.
pub(crate) enum Message {
    /// Something asks for a reconciliation.
    Wanted(Cause),
    /// Somebody waits for the report of one that begins from now on.
    Report(oneshot::Sender<Reconciled>),
    /// The agent is to end.
    Stop,
}

/// How often garbage is collected at most. What containers left that died without a
/// detach harms nobody until the addresses run out.
const GARBAGE: Duration = Duration::from_secs(60);
/// The thread shows that it lives at least so often.
const PULSE: Duration = Duration::from_secs(1);

/// The thread's own.
pub(crate) struct Reconciler {
    shared: Arc<Shared>,
    messages: Receiver<Message>,
    schedule: Schedule,
    waiting: Vec<oneshot::Sender<Reconciled>>,
    /// What was wrong the last time.
    known: BTreeSet<Problem>,
    collected: Option<Instant>,
    /// What collects garbage, or did last.
    collecting: Option<JoinHandle<()>>,
    names: Names,
    /// Whether somebody asks, who may know that names stand for other addresses now.
    look_anew: bool,
    /// When the service manager was last told that the thread lives, and how often it
    /// wants to be.
    pulse: Instant,
    watchdog: Option<Duration>,
    ready: bool,
}

impl Reconciler {
    pub(crate) fn new(
        shared: Arc<Shared>,
        messages: Receiver<Message>,
        interval: Duration,
    ) -> Self {
        let now = Instant::now();
        Self {
            shared,
            messages,
            schedule: Schedule::new(interval, now),
            waiting: Vec::new(),
            known: BTreeSet::new(),
            collected: None,
            collecting: None,
            names: Names::default(),
            look_anew: false,
            pulse: now,
            watchdog: sd_notify::watchdog_enabled(),
            ready: false,
        }
    }

    /// Reconciles when it is due, until the agent ends.
    pub(crate) fn run(mut self) {
        loop {
            self.show_life();
            let now = Instant::now();
            let due = self.schedule.due();
            if due <= now {
                // What has been asked for until here is served by this one.
                if !self.take_messages() {
                    return;
                }
                self.reconcile();
                continue;
            }
            match self.messages.recv_timeout((due - now).min(PULSE)) {
                Ok(message) => {
                    if !self.heard(message) {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn take_messages(&mut self) -> bool {
        while let Ok(message) = self.messages.try_recv() {
            if !self.heard(message) {
                return false;
            }
        }
        true
    }

    /// Returns whether to go on.
    fn heard(&mut self, message: Message) -> bool {
        let now = Instant::now();
        match message {
            Message::Wanted(cause) => {
                self.look_anew |= cause == Cause::Asked;
                self.schedule.wanted(cause, now);
            }
            Message::Report(to) => {
                self.look_anew = true;
                self.waiting.push(to);
                self.schedule.wanted(Cause::Asked, now);
            }
            Message::Stop => return false,
        }
        true
    }

    fn reconcile(&mut self) {
        let begun = Instant::now();
        let mut done = Reconciled::default();
        if let Some(error) = cluster::assign(&self.shared) {
            done.problems.push(failure(&error));
        }
        if let Some(cluster) = self.shared.cluster() {
            let problems = cluster.problems();
            done.problems.extend(problems.iter().map(failure));
        }
        let mut others = self.shared.name_problems();
        others.extend(self.shared.docker_problems());
        // The networks are as declared all the same.
        done.problems.extend(others.iter().map(|text| Problem {
            warning: true,
            ..failure(text)
        }));
        self.read_configuration(&mut done);
        let node = self.shared.node();
        set_up(&node, &mut done);
        note(&mut done, node.restore(false), |element| {
            format!("restore {element}")
        });
        note(&mut done, node.fit(), |step| step);
        let took = begun.elapsed();
        done.problems.sort();
        done.problems.dedup();
        done.at = fairlead_store::now();
        done.took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let failures = done.problems.iter().filter(|p| !p.warning).count();
        self.shared
            .metrics
            .reconciled(took, done.steps.len(), failures);
        self.schedule
            .done(!done.steps.is_empty(), failures > 0, Instant::now());
        self.tell(&done);
        self.shared.tell_zones(News::Declared);
        self.shared.set_reconciled(done.clone());
        self.notify(&done);
        for to in self.waiting.drain(..) {
            // Who no longer waits does not need it.
            let _ = to.send(done.clone());
        }
        self.collect(&node);
    }

    /// A configuration that cannot be read leaves the networks as they are.
    fn read_configuration(&mut self, done: &mut Reconciled) {
        let config = Config::load(&self.shared.root, &self.shared.name);
        let node = config
            .map_err(AttachError::from)
            .and_then(|config| Node::on(Arc::clone(&self.shared.host), config));
        match node {
            Ok(mut node) => {
                node.know(self.look_up(node.config()));
                self.shared.set_node(node);
            }
            Err(error) => done.problems.push(failure(&error)),
        }
    }

    /// Where the nodes are.
    fn look_up(&mut self, config: &Config) -> Known {
        let wanted = names_to_look_up(config);
        if std::mem::take(&mut self.look_anew) {
            self.names.forget();
        }
        let resolved = self.names.look_up(&self.shared.root, &wanted);
        cluster::known(&self.shared, resolved)
    }

    /// Garbage is collected by a thread of its own: a plugin of another maker may take its
    /// time for each container, and the networks do not wait for it.
    fn collect(&mut self, node: &Arc<Node>) {
        let rests = self.collected.is_some_and(|at| at.elapsed() < GARBAGE);
        let under_way = self.collecting.as_ref().is_some_and(|t| !t.is_finished());
        if rests || under_way {
            return;
        }
        self.collected = Some(Instant::now());
        let node = Arc::clone(node);
        let collect = move || match node.gc(false) {
            Ok(report) => report
                .actions
                .iter()
                .for_each(|action| info!("remove {action}")),
            Err(error) => error!("{error}"),
        };
        let thread = std::thread::Builder::new().name("garbage".into());
        match thread.spawn(collect) {
            Ok(thread) => self.collecting = Some(thread),
            Err(error) => error!("start a thread that collects garbage: {error}"),
        }
    }

    /// Each problem once, when it appears and when it is gone.
    fn tell(&mut self, done: &Reconciled) {
        for step in &done.steps {
            info!("{step}");
        }
        let now: BTreeSet<Problem> = done.problems.iter().cloned().collect();
        for problem in now.difference(&self.known) {
            match problem.warning {
                true => warn!("{}", problem.text),
                false => error!("{}", problem.text),
            }
        }
        for problem in self.known.difference(&now) {
            info!("mended: {}", problem.text);
        }
        self.known = now;
        debug!(
            "reconciled in {} us, {} steps, {} problems",
            done.took_us,
            done.steps.len(),
            done.problems.len()
        );
    }

    /// Tells the service manager.
    fn notify(&mut self, done: &Reconciled) {
        let status = match done.problems.len() {
            0 => "the node is as declared".to_owned(),
            count => format!("{count} problems; see the log, or fairlead net setup --dry-run"),
        };
        let mut news = vec![NotifyState::Status(&status)];
        if !self.ready {
            self.ready = true;
            info!("ready");
            news.push(NotifyState::Ready);
        }
        tell_manager(&news);
    }

    /// What hangs does not come here, and the service manager starts the agent anew.
    fn show_life(&mut self) {
        let Some(limit) = self.watchdog else {
            return;
        };
        if self.pulse.elapsed() >= limit / 4 {
            self.pulse = Instant::now();
            tell_manager(&[NotifyState::Watchdog]);
        }
    }
}

/// Without a service manager there is nobody to tell, which is no error.
pub(crate) fn tell_manager(news: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(news) {
        debug!("tell the service manager: {error}");
    }
}

/// Bridges, files, routes, tunnels and ranges, as declared.
fn set_up(node: &Node, done: &mut Reconciled) {
    match fairlead_networks::setup(node.config(), node.known(), false) {
        Ok(report) => {
            let steps = report.steps.iter().map(ToString::to_string);
            done.steps.extend(steps);
            let problems = report.problems.iter().map(|problem| Problem {
                network: problem.network().map(str::to_owned),
                word: problem.word().to_owned(),
                text: problem.to_string(),
                warning: problem.is_warning(),
            });
            done.problems.extend(problems);
        }
        Err(error) => done.problems.push(failure(&error)),
    }
}

fn note<T>(done: &mut Reconciled, made: Result<Vec<T>, AttachError>, step: impl Fn(T) -> String) {
    match made {
        Ok(made) => done.steps.extend(made.into_iter().map(step)),
        Err(error) => done.problems.push(failure(&error)),
    }
}

fn failure(error: &impl ToString) -> Problem {
    Problem {
        network: None,
        word: "failed".to_owned(),
        text: error.to_string(),
        warning: false,
    }
}
