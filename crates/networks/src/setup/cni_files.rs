//! The plan of CNI files: which are written, and which go.

use super::plan::{Planner, Steps};
use super::step::Step;
use crate::files::{CniFile, path_of};
use crate::{NetworkError, generate};
use fairlead_config::{Network, NetworkKind};

impl<'a> Planner<'a> {
    pub(super) fn leftovers(&mut self) {
        let paths = self.observed.scan.leftovers.iter().cloned();
        let steps = paths
            .map(|path| Step::RemoveFile {
                path,
                previous: None,
            })
            .collect();
        self.push(None, steps);
    }

    pub(super) fn stale_files(&self, steps: &mut Steps<'a>) {
        for file in self.observed.scan.files.iter().filter(|f| f.generated) {
            let name = file.list.name.as_str();
            let wanted = self.has_file(name);
            if !wanted && !self.held.contains(name) {
                steps.entry(name).or_default().push(Step::RemoveFile {
                    path: file.path.clone(),
                    previous: Some(file.text.clone()),
                });
            }
        }
    }

    /// Whether a network by that name has a file.
    fn has_file(&self, name: &str) -> bool {
        let networks = self.desired.networks.iter();
        let mut with_file = networks.filter(|n| n.bridge.is_some() || n.kind == NetworkKind::Weave);
        with_file.any(|n| n.name.as_str() == name)
    }

    /// The generated file of a network.
    pub(super) fn file_of(&self, network: &Network) -> Option<&'a CniFile> {
        let mut files = self.observed.scan.files.iter();
        files.find(|f| f.generated && f.list.name == network.name)
    }

    pub(super) fn file(
        &mut self,
        network: &Network,
        file: Option<&CniFile>,
        steps: &mut Vec<Step>,
    ) {
        let scan = &self.observed.scan;
        let path = path_of(&self.desired.dir, &network.name);
        let others = scan.files.iter().filter(|f| !f.generated);
        let named = others.filter(|f| f.list.name == network.name || f.path == path);
        let broken = scan.broken.iter().map(|(p, _)| p).filter(|p| **p == path);
        let rivals: Vec<_> = named.map(|f| &f.path).chain(broken).collect();
        for rival in &rivals {
            let (network, file) = (network.name.clone(), (*rival).clone());
            self.plan
                .problems
                .push(NetworkError::Conflict { network, file });
        }
        if rivals.contains(&&path) {
            return;
        }
        let bridge = network.bridge.as_ref();
        let link = bridge.and_then(|bridge| self.observed.link(bridge.as_str()));
        let mtu = self.mtu(network, link);
        let Ok(list) = generate::generate(network, &self.desired.node, mtu) else {
            return;
        };
        let text = generate::text(&list);
        let previous = file.map(|f| f.text.clone());
        if previous.as_ref() != Some(&text) {
            steps.push(Step::WriteFile {
                path,
                text,
                previous,
            });
        }
    }
}
