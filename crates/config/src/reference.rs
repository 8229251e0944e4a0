//! References: `{section.option}` and the short names, replaced at evaluation.
//!
//! `{#list}` is the number of a list's elements, `{list[0]}` one of them. Text in
//! braces that could not be a reference stays as it is.

use crate::problem::Reason;
use crate::{Config, KeyPath};

/// The greatest length of an expanded value, in bytes.
const MAX_LEN: usize = 65536;
/// The greatest number of references one evaluation may follow.
const MAX_STEPS: usize = 4096;

/// One evaluation: which node it is for and how it came here.
pub(crate) struct Expansion<'a> {
    config: &'a Config,
    node: &'a str,
    /// The keywords being expanded, outermost first.
    chain: Vec<String>,
    steps: usize,
}

impl<'a> Expansion<'a> {
    pub(crate) const fn new(config: &'a Config, node: &'a str) -> Self {
        Self {
            config,
            node,
            chain: Vec::new(),
            steps: 0,
        }
    }

    /// Expands the value stored for a keyword; `key` is the option with its scope.
    pub(crate) fn stored(&mut self, section: &str, key: &str, raw: &str) -> Result<String, Reason> {
        let name = format!("{section}.{key}");
        self.steps += 1;
        let again = self.chain.contains(&name);
        self.chain.push(name);
        if again {
            return Err(Reason::Cycle(self.chain.join(" -> ")));
        }
        if self.steps > MAX_STEPS {
            return Err(Reason::TooLong);
        }
        let text = self.text(raw)?;
        self.chain.pop();
        Ok(text)
    }

    fn text(&mut self, raw: &str) -> Result<String, Reason> {
        let mut out = String::new();
        let mut rest = raw;
        while let Some(open) = rest.find('{') {
            out.push_str(&rest[..open]);
            let inner = &rest[open + 1..];
            match inner.find('}') {
                Some(close) if is_reference(&inner[..close]) => {
                    out.push_str(&self.reference(&inner[..close])?);
                    rest = &inner[close + 1..];
                }
                _ => {
                    out.push('{');
                    rest = inner;
                }
            }
            if out.len() > MAX_LEN {
                return Err(Reason::TooLong);
            }
        }
        out.push_str(rest);
        Ok(out)
    }

    fn reference(&mut self, text: &str) -> Result<String, Reason> {
        let unset = || Reason::Reference(text.to_owned());
        let (name, count) = match text.strip_prefix('#') {
            Some(name) => (name, true),
            None => (text, false),
        };
        // The index may follow a short name, so it is split before the rest is read.
        let path: KeyPath = name.parse().map_err(|_| unset())?;
        let index = path.index;
        let path = KeyPath {
            index: None,
            ..path
        };
        let value = match self.short(&path)? {
            Some(value) => Some(value),
            None => self.keyword(&path)?,
        };
        if count {
            let value = value.unwrap_or_default();
            return Ok(value.split_whitespace().count().to_string());
        }
        let value = value.ok_or_else(unset)?;
        match index {
            Some(index) => element(&value, index).map(str::to_owned),
            None => Ok(value),
        }
    }

    /// The value of a keyword as text, or its default.
    fn keyword(&mut self, path: &KeyPath) -> Result<Option<String>, Reason> {
        let stored = match &path.scope {
            Some(_) => {
                let key = path.key();
                let raw = self.config.stored(&path.section, &key);
                raw.map(|raw| (key, raw))
            }
            None => self.config.descoped(&path.section, &path.option, self.node),
        };
        if let Some((key, raw)) = stored {
            let text = self.stored(&path.section, &key, raw)?;
            if !text.trim().is_empty() {
                return Ok(Some(text));
            }
        }
        Ok(self.config.default_of(&path.section, &path.option))
    }

    /// A short name (specification 1.2). `{name}` and `{namespace}` are those of the
    /// configuration object itself: of a service, or of the cluster.
    fn short(&mut self, path: &KeyPath) -> Result<Option<String>, Reason> {
        if path.section != "DEFAULT" || path.scope.is_some() {
            return Ok(None);
        }
        let dns = self.config.root().dns();
        Ok(Some(match path.option.as_str() {
            "nodename" => self.node.to_owned(),
            "clustername" => self.cluster_name()?,
            "clusternodes" => self.cluster("nodes")?,
            "clusterdrpnodes" => self.cluster("drpnodes")?,
            "dns" => self.cluster("dns")?,
            "dnsnodes" => {
                let dns = self.cluster("dns")?;
                self.config.nodes_at(&dns)
            }
            "dnsuxsockd" => dns.display().to_string(),
            "dnsuxsock" => dns.join("pdns.sock").display().to_string(),
            "fqdn" => {
                let cluster = self.cluster_name()?;
                match self.config.service {
                    Some(_) => {
                        let (namespace, name) = self.object();
                        format!("{name}.{namespace}.svc.{cluster}")
                    }
                    None => format!("{}.node.{cluster}", self.node),
                }
            }
            "name" | "svcname" => self.object().1.to_owned(),
            "namespace" => self.object().0.to_owned(),
            _ => return Ok(None),
        }))
    }

    /// Namespace and name of the configuration object.
    fn object(&self) -> (&'a str, &'a str) {
        let service = self.config.service.as_ref();
        let parts = service.and_then(|service| service.name.parts());
        parts.map_or(("root", "cluster"), |(namespace, _, name)| {
            (namespace, name)
        })
    }

    /// A keyword of the cluster; nothing stored is an empty text.
    fn cluster(&mut self, option: &str) -> Result<String, Reason> {
        let value = self.keyword(&KeyPath::new("cluster", option))?;
        Ok(value.unwrap_or_default())
    }

    fn cluster_name(&mut self) -> Result<String, Reason> {
        Ok(self.cluster("name")?.trim().to_lowercase())
    }
}

/// One element of a list in text form.
pub(crate) fn element(list: &str, index: usize) -> Result<&str, Reason> {
    let len = || list.split_whitespace().count();
    list.split_whitespace()
        .nth(index)
        .ok_or_else(|| Reason::Index { index, len: len() })
}

fn is_reference(text: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || "_-.#@[]".contains(c);
    !text.is_empty() && text.chars().all(word)
}
