//! `CNI_ARGS`: pairs `K=V` joined by `;`.

use crate::CniError;

/// The arguments of a call. A text that is no list of pairs is kept as well and
/// refused by [`CniArgs::check`] only: DEL must work with it, and a plugin that
/// reads no arguments must not fail on them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CniArgs {
    raw: String,
    pairs: Vec<(String, String)>,
    bad: Option<String>,
}

impl CniArgs {
    /// Takes the value of `CNI_ARGS`.
    #[must_use]
    pub fn parse(raw: &str) -> Self {
        let mut args = Self {
            raw: raw.to_owned(),
            ..Self::default()
        };
        if raw.is_empty() {
            return args;
        }
        for pair in raw.split(';') {
            match pair.split_once('=') {
                Some((key, value)) if !value.contains('=') => {
                    args.pairs.push((key.to_owned(), value.to_owned()));
                }
                _ => {
                    args.bad.get_or_insert_with(|| pair.to_owned());
                }
            }
        }
        args
    }

    /// Joins pairs.
    ///
    /// # Errors
    /// Code 4 when a key or value has a `;` or `=`, which would make another
    /// argument of it.
    pub fn from_pairs(pairs: &[(String, String)]) -> Result<Self, CniError> {
        let bad = |text: &str| text.contains([';', '=', '\0']);
        if let Some((key, value)) = pairs.iter().find(|(k, v)| bad(k) || bad(v) || k.is_empty()) {
            return Err(CniError::new(
                crate::Code::INVALID_ENVIRONMENT,
                format!(
                    "CNI_ARGS: {key:?} = {value:?} cannot be passed: a key is not empty, and ';' and '=' are not allowed"
                ),
            ));
        }
        let texts: Vec<_> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
        Ok(Self {
            raw: texts.join(";"),
            pairs: pairs.to_vec(),
            bad: None,
        })
    }

    /// The text as it was given.
    #[must_use]
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The pairs in the order given.
    #[must_use]
    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// The value of a key; of several, the last.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let pair = self.pairs.iter().rev().find(|(k, _)| k == key)?;
        Some(&pair.1)
    }

    /// Whether `IgnoreUnknown` is set: keys that a plugin does not know are no
    /// error then.
    #[must_use]
    pub fn ignore_unknown(&self) -> bool {
        self.get("IgnoreUnknown")
            .is_some_and(|v| v == "1" || v.eq_ignore_ascii_case("true"))
    }

    /// For a plugin that reads arguments: every pair is one, and every key is
    /// `IgnoreUnknown` or in `known` unless unknown ones are to be ignored.
    ///
    /// # Errors
    /// Code 999, as the reference plugins have it, naming the pairs.
    pub fn check(&self, known: &[&str]) -> Result<(), CniError> {
        if let Some(pair) = &self.bad {
            return Err(CniError::internal(format!("ARGS: invalid pair {pair:?}")));
        }
        if let Some(value) = self.get("IgnoreUnknown")
            && !["0", "1", "true", "false"].contains(&value.to_lowercase().as_str())
        {
            return Err(CniError::internal(format!(
                "ARGS: error parsing value of pair \"IgnoreUnknown={value}\": 0, 1, true or false is wanted"
            )));
        }
        if self.ignore_unknown() {
            return Ok(());
        }
        let unknown: Vec<_> = self
            .pairs
            .iter()
            .filter(|(k, _)| k != "IgnoreUnknown" && !known.contains(&k.as_str()))
            .map(|(k, v)| format!("{:?}", format!("{k}={v}")))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        Err(CniError::internal(format!(
            "ARGS: unknown args [{}]",
            unknown.join(" ")
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_and_the_last_wins() {
        let args = CniArgs::parse("IP=10.0.0.2;K8S_POD_NAME=web;IP=10.0.0.3;MAC=");
        assert_eq!(args.get("IP"), Some("10.0.0.3"));
        assert_eq!(args.get("K8S_POD_NAME"), Some("web"));
        assert_eq!(args.get("MAC"), Some(""));
        assert_eq!(args.get("X"), None);
        assert_eq!(args.pairs().len(), 4);
        assert_eq!(CniArgs::parse("").check(&[]), Ok(()));
    }

    #[test]
    fn an_unknown_key_is_refused_unless_ignored() {
        let args = CniArgs::parse("IP=10.0.0.2;FOO=1");
        let error = args.check(&["IP"]).unwrap_err();
        assert_eq!(error.to_string(), "ARGS: unknown args [\"FOO=1\"]");
        assert_eq!(error.code, crate::Code::INTERNAL);
        for yes in ["1", "true", "True", "TRUE"] {
            let args = CniArgs::parse(&format!("FOO=1;IgnoreUnknown={yes}"));
            assert_eq!(args.check(&["IP"]), Ok(()), "{yes}");
        }
        assert!(CniArgs::parse("FOO=1;IgnoreUnknown=0").check(&[]).is_err());
        assert!(CniArgs::parse("IgnoreUnknown=maybe").check(&[]).is_err());
    }

    #[test]
    fn what_is_no_pair_is_refused_by_check_only() {
        for bad in ["IP", "IP=1=2", "IP=1;", ";", "a=b;c"] {
            let args = CniArgs::parse(bad);
            assert_eq!(args.raw(), bad);
            let text = args.check(&["IP", "a"]).unwrap_err().msg;
            assert!(text.starts_with("ARGS: invalid pair"), "{text}");
        }
    }

    #[test]
    fn joined_pairs_are_read_back() {
        let pairs = [("IP".into(), "fd00::2".into()), ("A".into(), String::new())];
        let args = CniArgs::from_pairs(&pairs).unwrap();
        assert_eq!(args.raw(), "IP=fd00::2;A=");
        assert_eq!(CniArgs::parse(args.raw()), args);
        for (key, value) in [("A;B", "1"), ("A", "1;B=2"), ("A=", "1"), ("", "1")] {
            assert!(CniArgs::from_pairs(&[(key.into(), value.into())]).is_err());
        }
    }
}
