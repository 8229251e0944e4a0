//! How a Docker daemon is to be started.

use crate::cgroups::Cgroups;
use crate::daemon::Daemon;
use crate::docker::release::Release;
use crate::docker::{Docker, api};
use crate::node::Node;

/// A Docker daemon before it is started, and again when it is started once more.
#[derive(Debug, Clone, Default)]
pub struct DockerPlan {
    pub(super) release: Release,
    bridge: bool,
    live_restore: bool,
    plugins: bool,
    extra: Vec<String>,
}

impl DockerPlan {
    /// With more options of `dockerd`, such as `--cluster-store=etcd://ADDRESS:2379`.
    #[must_use]
    pub fn extra(mut self, options: &[&str]) -> Self {
        self.extra.extend(options.iter().map(ToString::to_string));
        self
    }

    /// Containers run on while the daemon is away.
    #[must_use]
    pub fn live_restore(mut self) -> Self {
        self.live_restore = true;
        self
    }

    /// With Docker's own bridge `docker0`, its rules of the firewall and forwarding, for
    /// comparisons.
    #[must_use]
    pub fn with_bridge(mut self) -> Self {
        self.bridge = true;
        self
    }

    /// Able to run plugins: those have the daemon's own view of the control groups, so that
    /// has to be whole.
    #[must_use]
    pub fn with_plugins(mut self) -> Self {
        self.plugins = true;
        self
    }

    /// The Docker of Debian 13 (26.1), with the command line that belongs to it.
    #[must_use]
    pub fn newer(mut self) -> Self {
        self.release = Release::Debian13;
        self
    }

    /// Starts it and waits until it answers and has its image.
    ///
    /// # Panics
    /// With its log, if it does not within the test's patience.
    #[must_use]
    #[track_caller]
    pub fn start(self, node: &Node) -> Docker {
        let cgroups = Cgroups::on(node);
        node.write(
            &format!("{}/config.json", Docker::CLIENT_SETTINGS),
            &Release::client_settings(),
        );
        let docker = Docker {
            daemon: self.daemon(node, &cgroups),
            plan: self,
            cgroups,
        };
        api::wait_for(node, Docker::SOCKET, &docker.daemon);
        api::import(node, Docker::SOCKET, &docker.cgroups, Docker::IMAGE);
        docker
    }

    #[track_caller]
    pub(super) fn daemon(&self, node: &Node, cgroups: &Cgroups) -> Daemon {
        let data = cgroups.folder().join("data");
        let daemon = self.release.daemon();
        let mut command = if self.plugins {
            let mut command = cgroups.command(node, "unshare");
            command.args(["--cgroup", &daemon]);
            command
        } else {
            cgroups.command(node, &daemon)
        };
        command
            .args(["--host", &format!("unix://{}", Docker::SOCKET)])
            .args(["--data-root", &data.to_string_lossy()])
            .args(["--exec-root", "/run/docker", "--pidfile", "/run/docker.pid"])
            // The node sees a part of the control groups only, and a container with the
            // host's view of them would look for them elsewhere.
            .arg("--default-cgroupns-mode=private")
            .arg("--log-level=warn");
        if !self.bridge {
            // Networks are ours to give; nothing is to be changed on the node.
            command
                .args(["--bridge=none", "--iptables=false", "--ip6tables=false"])
                .args(["--ip-forward=false", "--ip-masq=false"]);
        }
        if self.live_restore {
            command.arg("--live-restore");
        }
        command
            .args(&self.extra)
            .env("PATH", self.release.search_path());
        Daemon::start(&command, "dockerd", &node.path("/run/docker.log"))
    }
}
