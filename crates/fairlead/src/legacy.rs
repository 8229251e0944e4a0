//! The command lines of the systems we carry on, as command lines of ours.

use std::ffi::OsString;

/// `om [PATH] ARGUMENTS`: `om cluster set`, `om node get`, `om net status`.
pub(crate) fn om(arguments: Vec<OsString>) -> Vec<OsString> {
    arguments
}

/// `nodemgr ARGUMENTS`: the verbs of the node's configuration stand without `node`.
pub(crate) fn nodemgr(arguments: Vec<OsString>) -> Vec<OsString> {
    let verbs = ["set", "unset", "get", "eval"];
    let at = arguments
        .iter()
        .position(|a| verbs.iter().any(|verb| a == verb));
    // Only global options may stand before the verb.
    let before_is_options = |at: usize| {
        arguments[..at]
            .iter()
            .all(|a| a.to_string_lossy().starts_with("--"))
    };
    let mut arguments = arguments.clone();
    if let Some(at) = at.filter(|at| before_is_options(*at)) {
        arguments.insert(at, "node".into());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &str) -> Vec<OsString> {
        words.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn nodemgr_speaks_of_the_node() {
        let given = "set --kw cni.plugins=/usr/libexec/cni --kw cni.config=/x";
        assert_eq!(nodemgr(line(given)), line(&format!("node {given}")));
        assert_eq!(nodemgr(line("network ls")), line("network ls"));
        assert_eq!(
            nodemgr(line("--root=/x get --kw a.b")),
            line("--root=/x node get --kw a.b")
        );
    }
}
