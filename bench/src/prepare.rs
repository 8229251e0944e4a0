//! Makes a scenario ready: a host of its own, one container attached already, the
//! state filled, and a trial that shows that the work is really done.

use crate::fill;
use crate::inside::Place;
use crate::program::{Meter, tool};
use crate::scenario::{Scenario, Who};
use crate::subject::{AtOnce, Container, Floor, Plugins, Subject};
use anyhow::{Context, Result, bail};
use fairlead_kernel::NetNs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The index of the floor's bridge.
const BRIDGE_INDEX: u32 = 100;
/// The published port of the container that is measured, and of the one that is
/// attached all the time.
const PORT: u16 = 8080;
const OTHER_PORT: u16 = 8081;

/// The programs to measure.
#[derive(Debug)]
pub struct Programs {
    /// The floor's.
    pub floor: PathBuf,
    /// The reference plugins.
    pub reference: PathBuf,
    /// Fairlead's binary.
    pub fairlead: PathBuf,
}

/// A scenario that is ready, and what was measured of it.
pub struct Bed {
    /// What it is.
    pub scenario: Scenario,
    /// What each ADD took.
    pub add: Vec<Duration>,
    /// What each DEL took.
    pub del: Vec<Duration>,
    /// The peak of memory in one ADD, in KiB, where it was measured.
    pub peak: Option<u64>,
    host: NetNs,
    subject: Box<dyn Subject>,
}

impl Bed {
    /// Makes a scenario ready.
    ///
    /// # Errors
    /// When a program is missing, or does not do what is measured.
    pub fn new(place: &Place, programs: &Programs, scenario: Scenario) -> Result<Self> {
        let host = place.namespace("host")?;
        tool(&host, &["ip", "link", "set", "lo", "up"], "")?;
        let files = place.directory("files")?;
        let subject = subject(&host, &files, programs, scenario)?;
        let (add, del) = (Vec::new(), Vec::new());
        let mut bed = Self {
            scenario,
            add,
            del,
            peak: None,
            host,
            subject,
        };
        let other = container(place, "attached", OTHER_PORT)?;
        bed.subject
            .add(&other, &mut Meter::time(&bed.host))
            .context("attach a first container")?;
        bed.fill(&files).context("fill the node")?;
        let trial = container(place, "trial", PORT)?;
        bed.trial(&trial).context("try it")?;
        Ok(bed)
    }

    fn fill(&self, files: &Path) -> Result<()> {
        let Scenario { who, case, taken } = self.scenario;
        match who {
            _ if taken == 0 => Ok(()),
            Who::Reference => fill::reference(&self.host, &files.join("data"), case, taken),
            Who::Ours | Who::OursAtOnce => {
                fill::ours(&self.host, files, &case.conflist(None), case, taken)
            }
            // The floor's elements are made with its table.
            Who::Floor | Who::FloorInTwo | Who::FloorInProcess => Ok(()),
        }
    }

    /// Attaches and detaches once, and looks whether it was done.
    fn trial(&mut self, container: &Container) -> Result<()> {
        let netns = NetNs::open(&container.netns)?;
        let measures = self.scenario.who != Who::FloorInProcess && self.scenario.taken == 0;
        let mut meter = if measures {
            Meter::memory(&self.host)
        } else {
            Meter::time(&self.host)
        };
        self.subject.add(container, &mut meter)?;
        self.peak = measures.then_some(meter.peak);
        let address = tool(&netns, &["ip", "-4", "address", "show", "dev", "eth0"], "")?;
        let route = tool(&netns, &["ip", "-4", "route"], "")?;
        if !address.contains("inet 10.88.") || !route.contains("default via 10.88.0.1") {
            bail!("the container has no address or no default route: {address}{route}");
        }
        self.subject.del(container, &mut Meter::time(&self.host))?;
        let links = tool(&netns, &["ip", "link"], "")?;
        if links.contains("eth0") {
            bail!("the container's interface is still there: {links}");
        }
        Ok(())
    }

    /// Measures one ADD and the DEL that belongs to it.
    ///
    /// # Errors
    /// When one fails.
    pub fn measure(&mut self, netns: &NetNs) -> Result<()> {
        let container = Container {
            id: format!("measured{:056}", self.add.len()),
            netns: netns.path().to_owned(),
            port: PORT,
        };
        let mut add = Meter::time(&self.host);
        self.subject.add(&container, &mut add)?;
        let mut del = Meter::time(&self.host);
        self.subject.del(&container, &mut del)?;
        self.add.push(add.elapsed);
        self.del.push(del.elapsed);
        Ok(())
    }
}

fn container(place: &Place, id: &str, port: u16) -> Result<Container> {
    let netns = place.namespace(id)?.path().to_owned();
    Ok(Container {
        id: id.into(),
        netns,
        port,
    })
}

fn subject(
    host: &NetNs,
    files: &Path,
    programs: &Programs,
    scenario: Scenario,
) -> Result<Box<dyn Subject>> {
    let Scenario { who, case, taken } = scenario;
    if who.is_ours() && !programs.fairlead.exists() {
        bail!("{} is missing: `make build`", programs.fairlead.display());
    }
    Ok(match who {
        Who::Floor | Who::FloorInTwo | Who::FloorInProcess => {
            fill::floor(host, BRIDGE_INDEX, case, taken)?;
            let program = (who != Who::FloorInProcess).then(|| programs.floor.clone());
            Box::new(Floor {
                program,
                case,
                bridge: BRIDGE_INDEX,
                in_two: who == Who::FloorInTwo,
            })
        }
        Who::Reference => {
            let data = files.join("data");
            let conflist = case.conflist(data.to_str());
            let dir = programs.reference.clone();
            Box::new(Plugins {
                dir,
                root: None,
                conflist,
                result: None,
            })
        }
        Who::Ours => {
            let dir = links(files, &programs.fairlead)?;
            let root = Some(files.to_owned());
            Box::new(Plugins {
                dir,
                root,
                conflist: case.conflist(None),
                result: None,
            })
        }
        Who::OursAtOnce => {
            let conflist = files.join("bench.conflist");
            std::fs::write(&conflist, case.conflist(None).to_string())
                .with_context(|| format!("write {}", conflist.display()))?;
            let (program, root) = (programs.fairlead.clone(), files.to_owned());
            Box::new(AtOnce {
                program,
                root,
                conflist,
                case,
            })
        }
    })
}

/// The names by which the binary is a plugin.
fn links(files: &Path, binary: &Path) -> Result<PathBuf> {
    let dir = files.join("plugins");
    std::fs::create_dir_all(&dir).with_context(|| format!("make {}", dir.display()))?;
    for name in ["bridge", "host-local", "portmap"] {
        std::os::unix::fs::symlink(binary, dir.join(name))
            .with_context(|| format!("link {name} to {}", binary.display()))?;
    }
    Ok(dir)
}
