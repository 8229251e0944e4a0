//! The command lines of the systems we carry on, as command lines of ours.

use std::ffi::OsString;

/// `om [PATH] ARGUMENTS`: `om cluster set`, `om node get`, `om net status`; a service stands
/// before its verb, `om shop/svc/web start`, and `daemon dns dump` is `dns dump`.
pub(crate) fn om(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let is_option = |a: &OsString| a.to_string_lossy().starts_with("--");
    let first = arguments.iter().position(|a| !is_option(a));
    let Some(at) = first else {
        return arguments;
    };
    if arguments[at] == "daemon" && arguments.get(at + 1).is_some_and(|a| a == "dns") {
        arguments.remove(at);
        return arguments;
    }
    if arguments[at].to_string_lossy().contains("/svc/") {
        let service = arguments.remove(at);
        let verb = at.min(arguments.len());
        arguments.insert(verb, "svc".into());
        let behind = (verb + 2).min(arguments.len());
        arguments.insert(behind, service);
    }
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

/// `eru-barrel OPTIONS`: the whole program is `proxy`.
pub(crate) fn barrel(mut arguments: Vec<OsString>) -> Vec<OsString> {
    arguments.insert(0, "proxy".into());
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &str) -> Vec<OsString> {
        words.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn om_names_the_service_before_the_verb() {
        let cases = [
            (
                "shop/svc/web start --rid ip#0",
                "svc start shop/svc/web --rid ip#0",
            ),
            (
                "--root=/x a/svc/b set --kw c.d=e",
                "--root=/x svc set a/svc/b --kw c.d=e",
            ),
            ("daemon dns dump", "dns dump"),
            ("dns dump", "dns dump"),
            ("net ls", "net ls"),
            ("svc ls", "svc ls"),
            ("a/svc/b", "svc a/svc/b"),
        ];
        for (given, wanted) in cases {
            assert_eq!(om(line(given)), line(wanted), "{given}");
        }
    }

    #[test]
    fn barrel_is_the_proxy() {
        let given = "--mode proxy-only -D unix:///run/docker.sock";
        assert_eq!(barrel(line(given)), line(&format!("proxy {given}")));
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
