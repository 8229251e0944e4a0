//! One container on one network, through one plugin or a chain of two.

use serde_json::{Value, json};

use crate::node::{Node, Sandbox};
use crate::plugins::{Call, Outcome, Plugins};
use crate::result::View;

/// What a runtime keeps about one interface of one container: enough for ADD,
/// CHECK and DEL of one plugin.
#[derive(Debug, Clone)]
pub struct Attachment<'a> {
    plugins: &'a Plugins,
    node: &'a Node,
    /// The network configuration; `type` is the plugin that is called.
    pub config: Value,
    /// `CNI_CONTAINERID`.
    pub container: String,
    /// `CNI_NETNS`.
    pub netns: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
    /// `CNI_ARGS`.
    pub args: String,
}

impl<'a> Attachment<'a> {
    /// `eth0` of this container on the network of `config`; the container's id is
    /// the sandbox's name.
    #[must_use]
    pub fn new(plugins: &'a Plugins, node: &'a Node, sandbox: &Sandbox<'_>, config: Value) -> Self {
        Self {
            plugins,
            node,
            config,
            container: sandbox.name().to_owned(),
            netns: sandbox.netns(),
            ifname: "eth0".to_owned(),
            args: String::new(),
        }
    }

    /// The same with some keys of the configuration set.
    #[must_use]
    pub fn with(mut self, keys: Value) -> Self {
        merge(&mut self.config, keys);
        self
    }

    /// The same with another `CNI_ARGS`.
    #[must_use]
    pub fn args(mut self, args: &str) -> Self {
        args.clone_into(&mut self.args);
        self
    }

    /// The same for another interface.
    #[must_use]
    pub fn ifname(mut self, ifname: &str) -> Self {
        ifname.clone_into(&mut self.ifname);
        self
    }

    /// Calls ADD.
    #[track_caller]
    #[must_use]
    pub fn try_add(&self) -> Outcome {
        self.call("ADD", &self.config)
    }

    /// Calls ADD and returns what it printed.
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    pub fn add(&self) -> Value {
        self.try_add().json()
    }

    /// Calls ADD and reads the result by the rules of the configured version.
    ///
    /// # Panics
    /// If it fails or the result has another form.
    #[track_caller]
    pub fn view(&self) -> View {
        View::of(&self.add(), &self.version())
    }

    /// The configured version.
    #[track_caller]
    #[must_use]
    pub fn version(&self) -> String {
        crate::place::text(&self.config["cniVersion"])
    }

    /// Calls DEL.
    #[track_caller]
    #[must_use]
    pub fn try_del(&self) -> Outcome {
        self.call("DEL", &self.config)
    }

    /// Calls DEL and asserts that it did its work without a word.
    ///
    /// # Panics
    /// If not.
    #[track_caller]
    pub fn del(&self) {
        self.try_del().done();
    }

    /// Calls CHECK with what ADD had printed.
    #[track_caller]
    #[must_use]
    pub fn check(&self, result: &Value) -> Outcome {
        let mut config = self.config.clone();
        config["prevResult"] = result.clone();
        self.call("CHECK", &config)
    }

    /// Calls any command with the configuration as it is.
    #[track_caller]
    #[must_use]
    pub fn command(&self, command: &str) -> Outcome {
        self.call(command, &self.config)
    }

    /// Calls a command with other text on standard input.
    #[track_caller]
    #[must_use]
    pub fn raw(&self, command: &str, stdin: &str) -> Outcome {
        self.plugins.call(
            self.node,
            &Call {
                stdin: stdin.to_owned(),
                ..self.as_call(command)
            },
        )
    }

    /// Calls a command without some of the variables.
    #[track_caller]
    #[must_use]
    pub fn without(&self, command: &str, unset: &[&str]) -> Outcome {
        self.plugins.call(
            self.node,
            &Call {
                unset,
                stdin: self.config.to_string(),
                ..self.as_call(command)
            },
        )
    }

    #[track_caller]
    fn call(&self, command: &str, config: &Value) -> Outcome {
        self.raw(command, &config.to_string())
    }

    #[track_caller]
    fn as_call<'c>(&'c self, command: &'c str) -> Call<'c> {
        Call {
            plugin: self.config["type"]
                .as_str()
                .expect("a configuration has a type"),
            command,
            container: &self.container,
            netns: &self.netns,
            ifname: &self.ifname,
            args: &self.args,
            ..Call::default()
        }
    }
}

/// A main plugin followed by `portmap`, as a runtime calls a list of the two.
#[derive(Debug, Clone)]
pub struct Chain<'a> {
    /// The first plugin.
    pub main: Attachment<'a>,
    /// The second one.
    pub portmap: Attachment<'a>,
}

impl<'a> Chain<'a> {
    /// `main` with `mappings` published; each mapping as in `portMappings`.
    #[must_use]
    pub fn new(main: Attachment<'a>, mappings: Value) -> Self {
        let mut portmap = main.clone();
        portmap.config = json!({
            "cniVersion": main.config["cniVersion"],
            "name": main.config["name"],
            "type": "portmap",
            "capabilities": {"portMappings": true},
            "runtimeConfig": {"portMappings": mappings},
        });
        Self { main, portmap }
    }

    /// The same with some keys of portmap's configuration set.
    #[must_use]
    pub fn with(mut self, keys: Value) -> Self {
        merge(&mut self.portmap.config, keys);
        self
    }

    /// Calls ADD of both; asserts that portmap passes the result on unchanged.
    ///
    /// # Panics
    /// If one fails.
    #[track_caller]
    pub fn view(&mut self) -> View {
        let result = self.main.add();
        self.portmap.config["prevResult"] = result.clone();
        assert_eq!(self.portmap.add(), result, "portmap passes on what it got");
        View::of(&result, &self.main.version())
    }

    /// Calls DEL of both, the last first.
    ///
    /// # Panics
    /// If one fails.
    #[track_caller]
    pub fn del(&self) {
        self.portmap.del();
        self.main.del();
    }
}

fn merge(config: &mut Value, keys: Value) {
    let Value::Object(keys) = keys else {
        panic!("keys are an object, not {keys}");
    };
    for (key, value) in keys {
        config[key] = value;
    }
}
