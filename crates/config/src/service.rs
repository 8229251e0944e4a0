//! The file of a service, as a third layer above the two files: its sections, with the same
//! scopes, references, operators and checks.

use crate::check::stored;
use crate::config::Service;
use crate::edit::{apply, judge};
use crate::file::Layer;
use crate::{Change, Config, ConfigError, Document, Problem};
use fairlead_types::ObjectName;
use std::path::PathBuf;

impl Config {
    /// The same with a service to look at: its sections are evaluated like those of the
    /// files, and references lead from it to the cluster's keywords.
    #[must_use]
    pub fn with_service(&self, name: &ObjectName, document: Document) -> Self {
        let mut config = self.clone();
        config.service = Some(Service {
            name: name.clone(),
            document,
        });
        config
    }

    /// The file of the service that is looked at.
    #[must_use]
    pub fn service_document(&self) -> Option<&Document> {
        self.layer(Layer::Service)
    }

    /// What is wrong with the keywords of the service, each for itself.
    #[must_use]
    pub fn service_problems(&self) -> Vec<Problem> {
        stored(self, Layer::Service)
    }

    /// Makes all changes to the file of the service in memory, or none of them; gives the
    /// warnings. `path` is what an error shows.
    ///
    /// # Errors
    /// [`ConfigError::Refused`] with all faults; [`ConfigError::Key`].
    pub fn change_service(
        &mut self,
        path: PathBuf,
        changes: &[Change],
    ) -> Result<Vec<Problem>, ConfigError> {
        let mut after = self.clone();
        let mut refused = Vec::new();
        for change in changes {
            refused.extend(apply(&mut after, Layer::Service, change)?);
        }
        let found = [self.service_problems(), after.service_problems()];
        let warnings = judge(changes, found, &mut refused);
        if !refused.is_empty() {
            return Err(ConfigError::Refused {
                path,
                problems: refused,
            });
        }
        *self = after;
        Ok(warnings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeyPath, Value};
    use fairlead_types::Root;

    fn config(service: &str) -> Config {
        let cluster = Document::parse(
            "[DEFAULT]\nid = 1\n[cluster]\nname = Clu\nnodes = n1 n2\ndns = 10.0.0.1\n",
        );
        let root = Root::new("/nowhere");
        let config = Config::from_documents(&root, "n1", cluster.unwrap(), Document::default());
        let name = ObjectName::new("shop/svc/web").unwrap();
        config.with_service(&name, Document::parse(service).unwrap())
    }

    fn eval(config: &Config, key: &str) -> Option<String> {
        let path: KeyPath = key.parse().unwrap();
        config.eval(&path).unwrap().map(|v| v.to_string())
    }

    #[test]
    fn a_service_has_scopes_references_and_defaults() {
        let config = config(
            "[DEFAULT]\napp = a1\n[env]\nport = 80\n[container#0]\nname = {namespace}-{name}-{nodename}\n\
             command = a {fqdn}\ncommand@n2 = b\n[ip#0]\nexpose = {env.port}/tcp\nnetns = container#0\n",
        );
        let of = |key| eval(&config, key);
        assert_eq!(of("container#0.name").as_deref(), Some("shop-web-n1"));
        assert_eq!(of("container#0.type").as_deref(), Some("docker"));
        assert_eq!(
            of("container#0.command").as_deref(),
            Some("a web.shop.svc.clu")
        );
        assert_eq!(of("ip#0.expose").as_deref(), Some("80/tcp"));
        assert_eq!(of("ip#0.network").as_deref(), Some("default"));
        assert_eq!(of("DEFAULT.app").as_deref(), Some("a1"));
        assert_eq!(of("DEFAULT.id"), None, "the cluster's is not the service's");
        assert_eq!(of("cluster.dns").as_deref(), Some("10.0.0.1"));
        let path: KeyPath = "container#0.command".parse().unwrap();
        let there = config.eval_for(&path, "n2").unwrap();
        assert_eq!(there, Some(Value::List(vec!["b".into()])));
        assert_eq!(config.service_problems(), []);
    }

    #[test]
    fn a_change_is_refused_with_section_keyword_and_reason() {
        let mut config = config("[ip#0]\nnetwork = a\n");
        let set = |text: &str| Change::Set(text.parse().unwrap());
        let path = PathBuf::from("web.conf");
        let bad = [set("ip#0.expose=80"), set("ip#0.netns=container")];
        let error = config.change_service(path.clone(), &bad).unwrap_err();
        let text = error.to_string();
        for word in ["ip#0.expose", "\"80\"", "ip#0.netns", "web.conf"] {
            assert!(text.contains(word), "{word}: {text}");
        }
        let odd = [
            set("fs#0.dev=x"),
            set("ip#0.colour=red"),
            set("ip#0.expose|=80/tcp"),
        ];
        let warnings = config.change_service(path, &odd).unwrap();
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert_eq!(eval(&config, "ip#0.expose").as_deref(), Some("80/tcp"));
    }
}
