//! Who is measured, each behind the same two operations.

use crate::floor::Work;
use crate::program::{Call, Meter};
use crate::scenario::{Case, NETWORK, port_mappings};
use anyhow::{Context, Result};
use serde_json::Value;
use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// A container to attach and detach.
#[derive(Debug, Clone)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its network namespace.
    pub netns: PathBuf,
    /// The port of the host that is published, where the case has one.
    pub port: u16,
}

/// Someone who attaches and detaches containers.
pub trait Subject {
    /// Attaches.
    ///
    /// # Errors
    /// When it does not succeed.
    fn add(&mut self, container: &Container, meter: &mut Meter<'_>) -> Result<()>;

    /// Detaches.
    ///
    /// # Errors
    /// When it does not succeed.
    fn del(&mut self, container: &Container, meter: &mut Meter<'_>) -> Result<()>;
}

/// The floor.
#[derive(Debug)]
pub struct Floor {
    /// Its program; none runs it in this process.
    pub program: Option<PathBuf>,
    /// What it does.
    pub case: Case,
    /// The index of the bridge.
    pub bridge: u32,
    /// Whether the port is another program's work.
    pub in_two: bool,
}

impl Floor {
    fn work(&self, container: &Container) -> Work {
        let [_, last] = container.port.to_be_bytes();
        Work {
            netns: container.netns.clone(),
            host_ifname: format!("floor{}", container.port),
            host_index: container.port.into(),
            bridge: self.bridge,
            address: Ipv4Addr::new(10, 88, 0, last),
            length: 16,
            gateway: Ipv4Addr::new(10, 88, 0, 1),
            masquerade: self.case != Case::Plain,
            port: (self.case == Case::Port).then_some(container.port),
            cable: true,
        }
    }

    /// The programs' parts of the work, in the order of ADD.
    fn parts(&self, container: &Container) -> Vec<Work> {
        let whole = self.work(container);
        if !self.in_two {
            return vec![whole];
        }
        let port = Work {
            masquerade: false,
            cable: false,
            ..whole.clone()
        };
        vec![
            Work {
                port: None,
                ..whole
            },
            port,
        ]
    }

    fn run(&self, command: &str, work: Work, meter: &mut Meter<'_>) -> Result<()> {
        let Some(program) = &self.program else {
            let add = command == "add";
            return meter.run_inside(move || if add { work.add() } else { work.del() });
        };
        let arguments = work
            .arguments(command)
            .into_iter()
            .map(OsString::from)
            .collect();
        let call = Call {
            program: program.clone(),
            arguments,
            ..Call::default()
        };
        meter.run(&call).map(drop)
    }
}

impl Subject for Floor {
    fn add(&mut self, container: &Container, meter: &mut Meter<'_>) -> Result<()> {
        let mut parts = self.parts(container).into_iter();
        parts.try_for_each(|work| self.run("add", work, meter))
    }

    fn del(&mut self, container: &Container, meter: &mut Meter<'_>) -> Result<()> {
        let mut parts = self.parts(container).into_iter().rev();
        parts.try_for_each(|work| self.run("del", work, meter))
    }
}

/// Plugins as programs, called one after the other as a runtime does.
#[derive(Debug)]
pub struct Plugins {
    /// Where the programs are.
    pub dir: PathBuf,
    /// Fairlead's root, for its own.
    pub root: Option<PathBuf>,
    /// The configuration list.
    pub conflist: Value,
    /// What the last ADD returned.
    pub result: Option<Value>,
}

impl Plugins {
    fn call(&mut self, command: &str, at: usize, container: &Container) -> Result<Call> {
        let mut config = self.conflist["plugins"][at].clone();
        config["cniVersion"] = self.conflist["cniVersion"].clone();
        config["name"] = NETWORK.into();
        if config.get("capabilities").is_some() {
            config["runtimeConfig"]["portMappings"] = port_mappings(container.port);
        }
        if let Some(result) = &self.result {
            config["prevResult"] = result.clone();
        }
        let mut environment: Vec<(&'static str, OsString)> = vec![
            ("CNI_COMMAND", command.into()),
            ("CNI_CONTAINERID", container.id.clone().into()),
            ("CNI_NETNS", container.netns.clone().into()),
            ("CNI_IFNAME", "eth0".into()),
            ("CNI_PATH", self.dir.clone().into()),
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin".into()),
        ];
        environment.extend(self.root.iter().map(|root| ("FAIRLEAD_ROOT", root.into())));
        let name = config["type"].as_str().context("a plugin without a type")?;
        Ok(Call {
            program: self.dir.join(name),
            arguments: Vec::new(),
            environment,
            input: config.to_string().into_bytes(),
        })
    }

    fn count(&self) -> usize {
        self.conflist["plugins"].as_array().map_or(0, Vec::len)
    }
}

impl Subject for Plugins {
    fn add(&mut self, container: &Container, meter: &mut Meter<'_>) -> Result<()> {
        self.result = None;
        for at in 0..self.count() {
            let call = self.call("ADD", at, container)?;
            let output = meter.run(&call)?;
            self.result = Some(serde_json::from_slice(&output).context("read a plugin's result")?);
        }
        Ok(())
    }

    fn del(&mut self, container: &Container, meter: &mut Meter<'_>) -> Result<()> {
        for at in (0..self.count()).rev() {
            let call = self.call("DEL", at, container)?;
            meter.run(&call)?;
        }
        Ok(())
    }
}

/// Fairlead's runtime, which runs the chain in one process.
#[derive(Debug)]
pub struct AtOnce {
    /// The binary.
    pub program: PathBuf,
    /// Fairlead's root.
    pub root: PathBuf,
    /// The file of the configuration list.
    pub conflist: PathBuf,
    /// What it does.
    pub case: Case,
}

impl AtOnce {
    fn run(&self, command: &str, container: &Container, meter: &mut Meter<'_>) -> Result<()> {
        let mut arguments: Vec<OsString> = vec!["cni".into(), command.into()];
        arguments.extend([self.conflist.clone().into(), container.netns.clone().into()]);
        arguments.extend(["--id".into(), container.id.clone().into()]);
        if self.case == Case::Port {
            let ports = serde_json::json!({"portMappings": port_mappings(container.port)});
            arguments.extend(["--capabilities".into(), ports.to_string().into()]);
        }
        let call = Call {
            program: self.program.clone(),
            arguments,
            environment: vec![
                ("FAIRLEAD_ROOT", self.root.clone().into()),
                ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin".into()),
            ],
            input: Vec::new(),
        };
        meter.run(&call).map(drop)
    }
}

impl Subject for AtOnce {
    fn add(&mut self, container: &Container, meter: &mut Meter<'_>) -> Result<()> {
        self.run("add", container, meter)
    }

    fn del(&mut self, container: &Container, meter: &mut Meter<'_>) -> Result<()> {
        self.run("del", container, meter)
    }
}
