//! Answers about names: three servers with the same names, asked in turns.

mod measure;
mod report;
mod server;
mod zone;

pub use report::write;
pub use server::{SERVE, serve};

use anyhow::{Context, Result};
use measure::{Found, Transport};
use server::{Kind, Subject};

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// Services, each with nine records.
    pub services: u32,
    /// Services where there are many.
    pub many: u32,
    /// How often everything is measured.
    pub rounds: u32,
    /// How long each measurement lasts, in seconds.
    pub seconds: u32,
}

/// What one server came to.
#[derive(Debug)]
pub struct Column {
    kind: Kind,
    services: u32,
    transport: Transport,
    found: Vec<Found>,
}

/// Starts all servers and measures them in turns, so that whatever else the machine does
/// falls on all alike.
///
/// # Errors
/// When a program is missing or a server does not answer.
pub fn run(extent: Extent) -> Result<Vec<Column>> {
    let dir = tempfile::tempdir().context("make a directory")?;
    let wanted = [
        (Kind::Fairlead, extent.services),
        (Kind::PowerDns, extent.services),
        (Kind::Dnsmasq, extent.services),
        (Kind::Fairlead, extent.many),
        // dnsmasq looks services up one by one, which takes too long for so many.
        (Kind::PowerDns, extent.many),
    ];
    let mut subjects = Vec::new();
    for (kind, services) in wanted {
        eprintln!("starting {kind} with {services} services");
        subjects.push(Subject::start(kind, services, dir.path())?);
    }
    let mut columns: Vec<Column> = Vec::new();
    for transport in [Transport::Udp, Transport::Tcp] {
        for subject in &subjects {
            // What a server keeps of answers it has given is full before it counts.
            measure::load(subject, transport, 2 * extent.seconds)?;
            columns.push(Column {
                kind: subject.kind,
                services: subject.services,
                transport,
                found: Vec::new(),
            });
        }
    }
    for round in 1..=extent.rounds {
        eprintln!("round {round} of {}", extent.rounds);
        let mut columns = columns.iter_mut();
        for transport in [Transport::Udp, Transport::Tcp] {
            for (subject, column) in subjects.iter_mut().zip(&mut columns) {
                let found = measure::measure(subject, transport, extent.seconds)?;
                column.found.push(found);
            }
        }
    }
    Ok(columns)
}
