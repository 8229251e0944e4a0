//! Measurements, in the text format of Prometheus (OpenMetrics).

use crate::shared::locked;
use fairlead_attach::{Attachment, Node};
use fairlead_dns::Server;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Network {
    network: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    transport: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Method {
    method: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Called {
    method: &'static str,
    served: &'static str,
}

/// The codes of answers that servers of names give (RFC 1035, 4.1.1).
const CODES: [&str; 6] = [
    "noerror", "formerr", "servfail", "nxdomain", "notimp", "refused",
];

/// What is counted and measured.
pub(crate) struct Metrics {
    registry: Registry,
    reconciliations: Counter,
    failures: Counter,
    steps: Counter,
    problems: Gauge,
    reconcile_time: Histogram,
    batch_size: Histogram,
    batch_time: Histogram,
    attachments: Family<Network, Gauge>,
    addresses: Family<Network, Gauge>,
    reachable: Gauge,
    nodes_alive: Gauge,
    memory: Gauge,
    docker_calls: Family<Called, Counter>,
    docker_time: Family<Method, Histogram>,
    /// The server of names, whose own counters are read when somebody asks.
    names: Mutex<Option<Server>>,
    questions: Family<Asked, Counter>,
    answers: Family<Answered, Counter>,
    forwarded: Counter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("fairlead"),
            reconciliations: Counter::default(),
            failures: Counter::default(),
            steps: Counter::default(),
            problems: Gauge::default(),
            // 1 ms to 16 s.
            reconcile_time: Histogram::new(exponential_buckets(0.001, 2.0, 15)),
            // 1 to 1024 links, 1 ms to 2 s.
            batch_size: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            batch_time: Histogram::new(exponential_buckets(0.001, 2.0, 12)),
            attachments: Family::default(),
            addresses: Family::default(),
            reachable: Gauge::default(),
            nodes_alive: Gauge::default(),
            memory: Gauge::default(),
            docker_calls: Family::default(),
            // 0.25 ms to 4 s.
            docker_time: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.000_25, 2.0, 15))
            }),
            names: Mutex::default(),
            questions: Family::default(),
            answers: Family::default(),
            forwarded: Counter::default(),
        };
        metrics.register_counts();
        metrics.register_gauges();
        metrics.register_names();
        metrics.register_docker();
        metrics
    }

    fn register_docker(&mut self) {
        let registry = &mut self.registry;
        let text = "Calls of Docker to its drivers of networks and addresses";
        registry.register("docker_calls", text, self.docker_calls.clone());
        let text = "How long they took";
        registry.register_with_unit(
            "docker_call_time",
            text,
            Unit::Seconds,
            self.docker_time.clone(),
        );
    }

    /// Counts a call of Docker's.
    pub(crate) fn docker_called(&self, method: &'static str, took: Duration, served: bool) {
        let called = Called {
            method,
            served: if served { "yes" } else { "no" },
        };
        self.docker_calls.get_or_create(&called).inc();
        let time = self.docker_time.get_or_create(&Method { method });
        time.observe(took.as_secs_f64());
    }

    fn register_names(&mut self) {
        let registry = &mut self.registry;
        let text = "Questions for names";
        registry.register("dns_questions", text, self.questions.clone());
        let text = "Answers to them, by their code";
        registry.register("dns_answers", text, self.answers.clone());
        let text = "Questions for names of others that were passed on";
        registry.register("dns_forwarded", text, self.forwarded.clone());
    }

    /// Says which server of names there is.
    pub(crate) fn set_names(&self, server: Server) {
        *locked(&self.names) = Some(server);
    }

    fn count_names(&self) {
        let names = locked(&self.names);
        let Some(stats) = names.as_ref().map(Server::stats) else {
            return;
        };
        let set = |counter: &Counter, value| counter.inner().store(value, Ordering::Relaxed);
        for (transport, count) in [("udp", stats.udp), ("tcp", stats.tcp)] {
            set(&self.questions.get_or_create(&Asked { transport }), count);
        }
        for (code, count) in CODES.into_iter().zip(stats.answers) {
            set(&self.answers.get_or_create(&Answered { code }), count);
        }
        set(&self.forwarded, stats.forwarded);
    }

    fn register_counts(&mut self) {
        let registry = &mut self.registry;
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The agent's version", build);
        let text = "How often the node was made to follow what is declared";
        registry.register("reconciliations", text, self.reconciliations.clone());
        let text = "How often some network could not be made so";
        registry.register("reconcile_failures", text, self.failures.clone());
        let text = "Changes that were made to the node";
        registry.register("reconcile_steps", text, self.steps.clone());
        let text = "How long a reconciliation took";
        let time = self.reconcile_time.clone();
        registry.register_with_unit("reconcile_duration", text, Unit::Seconds, time);
        let text = "Links that were deleted in one step of the kernel";
        registry.register("delete_batch_size", text, self.batch_size.clone());
        let text = "How long such a step took";
        let time = self.batch_time.clone();
        registry.register_with_unit("delete_batch_duration", text, Unit::Seconds, time);
    }

    fn register_gauges(&mut self) {
        let registry = &mut self.registry;
        let text = "Networks that are not as declared";
        registry.register("problems", text, self.problems.clone());
        let text = "Interfaces of containers";
        registry.register("attachments", text, self.attachments.clone());
        let text = "Addresses that are given out";
        registry.register("addresses_used", text, self.addresses.clone());
        let text = "Whether shared state answers";
        registry.register("shared_state_reachable", text, self.reachable.clone());
        let text = "Nodes whose agent is alive, this one included";
        registry.register("nodes_alive", text, self.nodes_alive.clone());
        let text = "The agent's resident memory";
        let memory = self.memory.clone();
        registry.register_with_unit("process_resident_memory", text, Unit::Bytes, memory);
    }

    pub(crate) fn reconciled(&self, took: Duration, steps: usize, failures: usize) {
        self.reconciliations.inc();
        self.reconcile_time.observe(took.as_secs_f64());
        self.steps.inc_by(steps as u64);
        if failures > 0 {
            self.failures.inc();
        }
        self.problems.set(count(failures));
    }

    pub(crate) fn deleted(&self, links: usize, took: Duration) {
        self.batch_size
            .observe(f64::from(u32::try_from(links).unwrap_or(u32::MAX)));
        self.batch_time.observe(took.as_secs_f64());
    }

    pub(crate) fn cluster(&self, reachable: bool, nodes_alive: u64) {
        self.reachable.set(i64::from(reachable));
        self.nodes_alive
            .set(i64::try_from(nodes_alive).unwrap_or(i64::MAX));
    }

    /// The text, with what can be seen at this moment.
    pub(crate) fn text(&self, node: &Node) -> String {
        // What cannot be read keeps the values it had.
        if let Ok(attachments) = node.attachments() {
            self.count_attachments(&attachments);
        }
        self.count_names();
        if let Some(bytes) = resident_memory() {
            self.memory.set(bytes);
        }
        let mut text = String::new();
        // A String takes all that is written to it.
        let _ = encode(&mut text, &self.registry);
        text
    }

    fn count_attachments(&self, all: &[Attachment]) {
        let mut networks: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for attachment in all {
            let of = networks
                .entry(attachment.owner.network.as_str())
                .or_default();
            of.0 += 1;
            of.1 += attachment.addresses.len();
        }
        self.attachments.clear();
        self.addresses.clear();
        for (network, (attachments, addresses)) in networks {
            let label = Network {
                network: network.to_owned(),
            };
            self.attachments
                .get_or_create(&label)
                .set(count(attachments));
            self.addresses.get_or_create(&label).set(count(addresses));
        }
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// In bytes, from `/proc/self/status`, which has it in KiB.
fn resident_memory() -> Option<i64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}
