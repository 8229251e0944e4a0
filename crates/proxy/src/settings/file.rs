//! Files of settings as systemd's `EnvironmentFile=` has them, and of groups.

use std::collections::BTreeMap;

/// `KEY=VALUE` in each line, where a value may be quoted, a line goes on behind a backslash,
/// and one that begins with `#` or `;` says nothing.
pub(super) fn parse(text: &str) -> BTreeMap<String, String> {
    let joined = text.replace("\\\n", "");
    let lines = joined.lines().map(str::trim);
    lines
        .filter(|line| !line.starts_with(['#', ';']))
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| {
            let key = key.trim().trim_start_matches("export ").trim();
            (key.to_owned(), unquoted(value.trim()))
        })
        .collect()
}

fn unquoted(value: &str) -> String {
    for quote in ['"', '\''] {
        let inner = value
            .strip_prefix(quote)
            .and_then(|v| v.strip_suffix(quote));
        if let Some(inner) = inner {
            return match quote {
                '"' => inner.replace("\\\"", "\"").replace("\\\\", "\\"),
                _ => inner.to_owned(),
            };
        }
    }
    value.to_owned()
}

/// The number of a group by its name.
pub(super) fn group(name: &str) -> Option<u32> {
    let groups = std::fs::read_to_string("/etc/group").ok()?;
    number(&groups, name)
}

fn number(groups: &str, name: &str) -> Option<u32> {
    let mut lines = groups
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let found = lines.find(|fields| fields.first() == Some(&name));
    found?.get(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_systemd_reads_them() {
        let text =
            "# BARREL_MODE=x\n; y=z\nA=1\nB = \"two words\" \nC='$x'\nD=a\\\nb\nnonsense\nA=2\n";
        let read = parse(text);
        let read: Vec<(&str, &str)> = read.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(
            read,
            [("A", "2"), ("B", "two words"), ("C", "$x"), ("D", "ab")]
        );
    }

    #[test]
    fn a_group_has_a_number() {
        let groups = "root:x:0:\ndocker:x:998:a,b\n";
        assert_eq!(number(groups, "docker"), Some(998));
        assert_eq!(number(groups, "nobody"), None);
    }
}
