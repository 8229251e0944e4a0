//! Which call of Docker's API a request is. Only those that matter here have names.

/// A call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    /// `POST /containers/create`.
    Create,
    /// `GET /containers/NAME/json`.
    Inspect,
    /// `GET /containers/json`.
    List,
    /// `DELETE /containers/NAME`.
    Remove(String),
    /// `POST /containers/prune`.
    Prune,
    /// `POST /networks/NAME/connect` and `disconnect`.
    Join {
        /// The network.
        network: String,
        /// The last word.
        verb: &'static str,
    },
    /// `POST /containers/NAME/attach` and `/exec/ID/start`: the answer may be a raw stream.
    Stream,
    /// Any other.
    Other,
}

/// A version of the API, as 1.43.
pub(crate) type ApiVersion = (u32, u32);

/// The call, and the version of the API that the path names.
pub(crate) fn route(method: &str, target: &str) -> (Call, Option<ApiVersion>) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let Some(segments) = segments(path) else {
        return (Call::Other, None);
    };
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let (version, segments) = match segments.split_first() {
        Some((first, rest)) if version(first).is_some() => (version(first), rest),
        _ => (None, segments.as_slice()),
    };
    (call(method, segments, query), version)
}

fn call(method: &str, segments: &[&str], query: &str) -> Call {
    match (method, segments) {
        ("POST", ["containers", "create"]) => Call::Create,
        ("POST", ["containers", "prune"]) => Call::Prune,
        ("GET", ["containers", "json"]) => Call::List,
        // The name of a container may be one that it has for another: 'web/db'.
        ("GET", ["containers", _, .., "json"]) => Call::Inspect,
        ("DELETE", ["containers", name]) if !is_link(query) => Call::Remove((*name).to_owned()),
        ("POST", ["networks", network, verb @ ("connect" | "disconnect")]) => Call::Join {
            network: (*network).to_owned(),
            verb: match *verb {
                "connect" => "connect",
                _ => "disconnect",
            },
        },
        ("POST", ["containers", _, "attach"] | ["exec", _, "start"]) => Call::Stream,
        _ => Call::Other,
    }
}

/// Whether a DELETE is for a link to a container, which stays.
fn is_link(query: &str) -> bool {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let no = ["", "0", "no", "false", "none"];
    pairs.any(|(key, value)| key == "link" && !no.contains(&value.to_ascii_lowercase().as_str()))
}

fn version(segment: &str) -> Option<ApiVersion> {
    let (major, minor) = segment.strip_prefix('v')?.split_once('.')?;
    let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse().ok(),
        false => None,
    };
    Some((number(major)?, number(minor)?))
}

/// The decoded words between the slashes; none for a path that Docker would not take so.
fn segments(path: &str) -> Option<Vec<String>> {
    let words = path.strip_prefix('/')?.split('/');
    words
        .map(|word| decoded(word).filter(|word| !word.is_empty()))
        .collect()
}

fn decoded(word: &str) -> Option<String> {
    let mut bytes = word.bytes();
    let mut text = Vec::with_capacity(word.len());
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
                text.push(u8::try_from(high * 16 + low).ok()?);
            }
            byte => text.push(byte),
        }
    }
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_known_with_and_without_a_version() {
        let remove = || Call::Remove("web".to_owned());
        let join = |verb| Call::Join {
            network: "my net".to_owned(),
            verb,
        };
        let cases = [
            ("POST", "/containers/create?name=x", Call::Create),
            ("POST", "/containers/prune", Call::Prune),
            ("GET", "/containers/json?all=1", Call::List),
            ("GET", "/containers/web/json?size=1", Call::Inspect),
            ("GET", "/containers/web/db/json", Call::Inspect),
            ("DELETE", "/containers/web?force=1", remove()),
            ("DELETE", "/containers/%77eb?v=1&link=0", remove()),
            ("DELETE", "/containers/web?link=1", Call::Other),
            ("DELETE", "/containers/web/checkpoints/k", Call::Other),
            ("POST", "/networks/my%20net/connect", join("connect")),
            ("POST", "/networks/my%20net/disconnect", join("disconnect")),
            ("POST", "/containers/web/attach?stdin=1", Call::Stream),
            ("POST", "/exec/1234/start", Call::Stream),
            ("GET", "/containers/web/logs", Call::Other),
            ("GET", "/containers/create", Call::Other),
            ("GET", "/images/json", Call::Other),
            ("GET", "/images/containers/json", Call::Other),
            ("POST", "/containers//create", Call::Other),
            ("POST", "/containers/create/", Call::Other),
            ("POST", "/x/containers/create", Call::Other),
        ];
        for (method, path, call) in cases {
            assert_eq!(route(method, path), (call.clone(), None), "{method} {path}");
            let versioned = format!("/v1.43{path}");
            let version = match path
                .split('?')
                .next()
                .is_some_and(|path| path.contains("//") || path.ends_with('/'))
            {
                true => None,
                false => Some((1, 43)),
            };
            assert_eq!(route(method, &versioned), (call, version), "{versioned}");
        }
    }

    #[test]
    fn what_is_no_version_or_no_path_is_left_to_docker() {
        for target in [
            "/v1/containers/json",
            "/vx.1/containers/json",
            "/v1.+4/containers/json",
        ] {
            assert_eq!(route("GET", target), (Call::Other, None), "{target}");
        }
        for target in [
            "*",
            "",
            "containers/json",
            "/%zz/json",
            "/containers/%ff/json",
        ] {
            assert_eq!(route("GET", target), (Call::Other, None), "{target}");
        }
    }
}
