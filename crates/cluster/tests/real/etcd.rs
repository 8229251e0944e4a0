//! A real etcd, for one test, and what it has below the default prefix.

use fairlead_tests::LoneEtcd;

/// What the tests ask of it.
pub(crate) trait Keys {
    /// The keys, without the prefix.
    fn keys(&self) -> Vec<String>;
    /// The value of a key; empty if it is not there.
    fn text(&self, key: &str) -> String;
}

impl Keys for LoneEtcd {
    fn keys(&self) -> Vec<String> {
        let text = self.ctl(&["get", "/fairlead/", "--prefix", "--keys-only"]);
        let text = String::from_utf8(text).unwrap();
        let lines = text.lines().filter_map(|l| l.strip_prefix("/fairlead/"));
        lines.map(str::to_owned).collect()
    }

    fn text(&self, key: &str) -> String {
        let value = self.value(&format!("/fairlead/{key}")).unwrap_or_default();
        String::from_utf8(value).unwrap()
    }
}
