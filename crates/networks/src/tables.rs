//! Routing tables by name, as `ip route` knows them (`/etc/iproute2/rt_tables`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where names are given, the first file that has a name wins.
const FILES: [&str; 3] = [
    "/etc/iproute2/rt_tables",
    "/usr/share/iproute2/rt_tables",
    "/usr/lib/iproute2/rt_tables",
];
/// A directory of more files, each ending in `.conf`.
const MORE: &str = "/etc/iproute2/rt_tables.d";

/// The main routing table.
pub(crate) const MAIN: u32 = 254;

/// The names that this machine has for routing tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tables(BTreeMap<String, u32>);

impl Default for Tables {
    /// The names that the kernel's documents give.
    fn default() -> Self {
        let known = [("default", 253), ("main", MAIN), ("local", 255)];
        Self(known.map(|(name, n)| (name.to_owned(), n)).into())
    }
}

impl Tables {
    /// Reads the machine's files. One that cannot be read names nothing.
    pub(crate) fn read() -> Self {
        let mut tables = Self::default();
        let mut files: Vec<PathBuf> = FILES.iter().map(PathBuf::from).collect();
        let entries = std::fs::read_dir(MORE).into_iter().flatten().flatten();
        let mut more: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        more.sort();
        more.retain(|path| path.extension().is_some_and(|e| e == "conf"));
        files.splice(1..1, more);
        for file in files {
            tables.add(&file);
        }
        tables
    }

    fn add(&mut self, file: &Path) {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            if let (Some(number), Some(name)) = (words.next().and_then(parse), words.next()) {
                self.0.entry(name.to_owned()).or_insert(number);
            }
        }
    }

    /// The number of a table that is given by name or by number.
    pub(crate) fn number(&self, text: &str) -> Option<u32> {
        let named = self.0.get(text).copied();
        named.or_else(|| parse(text)).filter(|number| *number > 0)
    }
}

fn parse(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_go_by_name_or_number() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("rt_tables");
        std::fs::write(
            &file,
            "# names\n254\tmain\n0x64 mesh # ours\n7 mesh\nx y\n9\n",
        )
        .unwrap();
        let mut tables = Tables::default();
        tables.add(&file);
        assert_eq!(tables.number("main"), Some(254));
        assert_eq!(tables.number("mesh"), Some(100), "the first one counts");
        assert_eq!(tables.number("1000"), Some(1000));
        assert_eq!(tables.number("0"), None);
        assert_eq!(tables.number("y"), None);
    }
}
