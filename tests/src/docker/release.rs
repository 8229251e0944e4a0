//! The Dockers that can be started: that of Debian 12, and a newer one beside it.

use std::path::Path;

/// Where `scripts/fetch-docker` has put the Docker of Debian 13.
const NEWER: &str = "/opt/fairlead-peers/docker";

/// The folder of Compose in there; it serves the command lines of both.
const PLUGINS: &str = "/opt/fairlead-peers/docker/usr/libexec/docker/cli-plugins";

/// A Docker: its daemon and its command line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Release {
    /// 20.10, a package of Debian 12.
    #[default]
    Debian12,
    /// 26.1, of Debian 13; it runs on the containerd and runc of Debian 12.
    Debian13,
}

impl Release {
    /// The daemon's program.
    #[track_caller]
    pub(super) fn daemon(self) -> String {
        self.program("usr/sbin/dockerd")
    }

    /// The program of the command line.
    #[track_caller]
    pub(super) fn client(self) -> String {
        self.program("usr/bin/docker")
    }

    /// Where the daemon finds the programs that it starts: its own come first.
    pub(super) fn search_path(self) -> String {
        let root = self.root();
        let own = format!("{root}/usr/sbin:{root}/usr/bin");
        let shared = "/usr/sbin:/usr/bin:/sbin:/bin";
        format!("{own}:{shared}")
    }

    /// The settings of the command line: where Compose is.
    pub(super) fn client_settings() -> String {
        serde_json::json!({ "cliPluginsExtraDirs": [PLUGINS] }).to_string()
    }

    fn root(self) -> &'static str {
        match self {
            Self::Debian12 => "",
            Self::Debian13 => NEWER,
        }
    }

    #[track_caller]
    fn program(self, name: &str) -> String {
        let path = format!("{}/{name}", self.root());
        assert!(
            Path::new(&path).is_file(),
            "{path} is missing: run scripts/install-deps"
        );
        path
    }
}
