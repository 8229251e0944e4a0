use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use jiff::Timestamp;
use proptest::prelude::*;
use tempfile::TempDir;
use tracing::{debug, error, info, warn};

use super::line::Text;
use super::*;

struct Case {
    folder: TempDir,
    file: PathBuf,
    handle: LogHandle,
    subscriber: tracing::subscriber::DefaultGuard,
}

impl Case {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log/nuage-libnetwork.log");
        let (layer, handle) = layer(&file, "nuage-libnetwork");
        let subscriber = tracing::subscriber::set_default(Registry::default().with(layer));
        Self {
            folder,
            file,
            handle,
            subscriber,
        }
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.file).unwrap()
    }

    /// What follows the time, for each line.
    fn lines(&self) -> Vec<String> {
        let text = self.text();
        let lines = text.lines().map(|line| line.split_once(" UTC|").unwrap().1);
        lines.map(str::to_owned).collect()
    }

    /// Files beside the log.
    fn archives(&self) -> Vec<String> {
        let entries = fs::read_dir(self.file.parent().unwrap()).unwrap();
        let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|n| n != "nuage-libnetwork.log").collect();
        names.sort();
        names
    }
}

#[test]
fn a_line_has_time_level_number_program_and_fields() {
    let case = Case::new();
    info!("it begins");
    warn!(network = "Subnet 2", count = 3, "odd\nand\r\tlong");
    error!(fatal = true, "the end");
    error!(fatal = false, name = ?"a\nb", "not yet");
    assert_eq!(
        case.lines(),
        [
            "INFO|0001|nuage-libnetwork|it begins",
            r"WARNING|0002|nuage-libnetwork|odd\nand\r\tlong|network=Subnet 2|count=3",
            "FATAL|0003|nuage-libnetwork|the end",
            r#"ERROR|0004|nuage-libnetwork|not yet|name="a\nb""#,
        ]
    );
    let text = case.text();
    let time = text.lines().next().unwrap().split('|').nth(1).unwrap();
    let time = time.strip_suffix(" +0000 UTC").unwrap().replace(' ', "T");
    let time: Timestamp = format!("{time}Z").parse().unwrap();
    assert!(time <= Timestamp::now());
    drop(case.subscriber);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&case.file), 0o644);
    assert_eq!(mode(case.file.parent().unwrap()), 0o744);
}

#[test]
fn the_time_is_as_go_prints_it() {
    for (nanoseconds, shown) in [
        (
            123_456_789,
            "|2017-01-10 17:55:16.123456789 +0000 UTC|INFO|12345|p|m\n",
        ),
        (
            120_000_000,
            "|2017-01-10 17:55:16.12 +0000 UTC|INFO|12345|p|m\n",
        ),
        (0, "|2017-01-10 17:55:16 +0000 UTC|INFO|12345|p|m\n"),
    ] {
        let now = Timestamp::new(1_484_070_916, nanoseconds).unwrap();
        assert_eq!(Text::new("INFO", "m").line(now, 12345, "p"), shown);
    }
    let round = Timestamp::new(1_484_070_900, 0).unwrap();
    let line = Text::new("INFO", "m").line(round, 1, "p");
    assert_eq!(line, "|2017-01-10 17:55:00 +0000 UTC|INFO|0001|p|m\n");
}

#[test]
fn a_level_counts_from_when_it_is_set() {
    let case = Case::new();
    debug!("no");
    case.handle.set_level(LogLevel::Debug);
    debug!("yes");
    debug!(target: "hyper::client", "Authorization: XREST");
    warn!(target: "hyper::client", "foreign");
    case.handle.set_level(LogLevel::Error);
    warn!("no");
    error!("last");
    assert_eq!(
        case.lines(),
        [
            "DEBUG|0001|nuage-libnetwork|yes",
            "WARNING|0002|nuage-libnetwork|foreign",
            "ERROR|0003|nuage-libnetwork|last"
        ]
    );
}

#[test]
fn a_full_file_is_put_away_and_old_ones_are_removed() {
    let case = Case::new();
    info!("first");
    let folder = case.file.parent().unwrap();
    for name in [
        "nuage-libnetwork-2017-01-10T17-55-16.123.log",
        "nuage-libnetwork-copy.log",
        "nuage-libnetwork-2017-01-10T17-55-16.123.log.gz",
        "other-2017-01-10T17-55-16.123.log",
    ] {
        fs::write(folder.join(name), "").unwrap();
    }
    let long = "x".repeat(300_000);
    // Up to 1 MB: three of them, and the fourth one begins anew.
    for _ in 0..4 {
        info!("{long}");
    }
    let archives = case.archives();
    assert_eq!(archives.len(), 4, "{archives:?}");
    let put_away = archives.iter().find(|n| {
        n.starts_with("nuage-libnetwork-2") && n.ends_with("log") && !n.contains("-2017-")
    });
    let put_away = put_away.unwrap();
    assert_eq!(
        put_away.len(),
        "nuage-libnetwork-2017-01-10T17-55-16.123.log".len()
    );
    let kept = fs::read_to_string(folder.join(put_away)).unwrap();
    assert_eq!((kept.lines().count(), case.lines().len()), (4, 1));
    // With more room, no further one.
    case.handle.set_file_size(10);
    for _ in 0..9 {
        info!("{long}");
    }
    assert_eq!(case.archives(), archives);
    assert_eq!(case.lines().len(), 10);
}

#[test]
fn a_file_that_was_moved_or_removed_is_made_anew() {
    let case = Case::new();
    info!("one");
    let moved = case.folder.path().join("moved");
    fs::rename(&case.file, &moved).unwrap();
    info!("two");
    assert_eq!(case.lines(), ["INFO|0002|nuage-libnetwork|two"]);
    assert_eq!(fs::read_to_string(&moved).unwrap().lines().count(), 1);
    fs::remove_dir_all(case.file.parent().unwrap()).unwrap();
    info!("three");
    assert_eq!(case.lines(), ["INFO|0003|nuage-libnetwork|three"]);
    fs::remove_file(&case.file).unwrap();
    case.handle.reopen().unwrap();
    assert_eq!(case.text(), "");
}

#[test]
fn a_file_that_cannot_be_written_is_tried_again() {
    let case = Case::new();
    // A file where its folder belongs.
    let folder = case.file.parent().unwrap().to_owned();
    fs::write(&folder, "").unwrap();
    info!("to standard error");
    case.handle.reopen().unwrap_err();
    fs::remove_file(&folder).unwrap();
    info!("back");
    assert_eq!(case.lines(), ["INFO|0002|nuage-libnetwork|back"]);
}

#[test]
fn threads_write_whole_lines_with_numbers_of_their_own() {
    const THREADS: usize = 8;
    const LINES: usize = 700;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nuage-libnetwork.log");
    let (layer, _handle) = layer(&path, "p");
    let dispatch = tracing::Dispatch::new(Registry::default().with(layer));
    let filling = "y".repeat(400);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (dispatch, filling) = (&dispatch, &filling);
            scope.spawn(move || {
                tracing::dispatcher::with_default(dispatch, || {
                    for line in 0..LINES {
                        info!(thread, line, "{filling}");
                    }
                });
            });
        }
    });
    let mut numbers = Vec::new();
    let mut said = HashSet::new();
    // The files in their order: those put away first, the newest last.
    let mut files: Vec<PathBuf> = fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort_by_key(|file| (*file == path, file.clone()));
    assert!(files.len() > 1, "{files:?}");
    for file in files {
        for line in fs::read_to_string(file).unwrap().lines() {
            let parts: Vec<&str> = line.split('|').collect();
            assert_eq!((parts.len(), parts[5]), (8, filling.as_str()));
            numbers.push(parts[3].parse::<usize>().unwrap());
            said.insert((parts[6].to_owned(), parts[7].to_owned()));
        }
    }
    assert_eq!(numbers, (1..=THREADS * LINES).collect::<Vec<_>>());
    assert_eq!(said.len(), THREADS * LINES);
}

proptest! {
    #[test]
    fn whatever_is_said_is_one_line(message in any::<String>(), value in any::<String>()) {
        let case = Case::new();
        info!(value, "{message}");
        let text = case.text();
        prop_assert_eq!(text.matches(char::is_control).count(), 1);
        prop_assert!(text.ends_with('\n'));
    }
}
