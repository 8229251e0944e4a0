//! The control group that holds all processes of one program, so that none is forgotten
//! when it ends: a child may leave its session and its parent, but not this.

use super::watch;
use rustix::io::Errno;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What `statfs` tells of a hierarchy of version 2 (`CGROUP2_SUPER_MAGIC`).
const V2: u64 = 0x6367_7270;

/// The same of version 1 (`CGROUP_SUPER_MAGIC`).
const V1: u64 = 0x0027_e0eb;

/// Which hierarchy of version 1 is taken where there is none of version 2, the first one
/// first. By the one named `systemd` it sees to what it has started; a program that is
/// still in it would end with the agent.
const OLD: [&str; 4] = ["name=systemd", "pids", "freezer", "cpu"];

/// How long processes may take to die of SIGKILL, and a group to be removable.
const KILLING: Duration = Duration::from_secs(10);

/// How often a group is made again when what is above has just gone.
const ATTEMPTS: u32 = 8;

/// How long to rest before something is asked again that cannot be waited for.
const REST: Duration = Duration::from_millis(5);

/// One control group; whether it exists is seen when it is used.
#[derive(Debug, Clone)]
pub(super) struct Cgroup {
    dir: PathBuf,
}

impl Cgroup {
    /// Where the group of that name would be on this system; `None`: there are no groups.
    pub(super) fn named(name: &str) -> io::Result<Option<Self>> {
        let mounts = std::fs::read_to_string("/proc/self/mounts")?;
        Ok(hierarchies(&mounts)
            .next()
            .map(|path| Self::at(path.join("fairlead").join(name))))
    }

    /// The group of that directory.
    pub(super) fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn make(&self) -> io::Result<()> {
        let mut attempts = 0..ATTEMPTS;
        loop {
            match std::fs::create_dir_all(&self.dir) {
                // The end of another one has just removed what is above.
                Err(error) if is_gone(&error) && attempts.next().is_some() => {}
                made => return made,
            }
        }
    }

    /// Moves a process into it, and with it all that it will start.
    pub(super) fn join(&self, pid: u32) -> io::Result<()> {
        std::fs::write(self.dir.join("cgroup.procs"), pid.to_string())
    }

    /// Ends all processes in it, and `main` if that is elsewhere: asks them to (SIGTERM),
    /// kills what is left after `grace`, and removes the group. A group that is not there
    /// is fine.
    pub(super) fn end(&self, main: Option<&OwnedFd>, grace: Duration) -> io::Result<()> {
        let deadline = Instant::now() + grace;
        for process in self.members()? {
            watch::send(&process, rustix::process::Signal::TERM)?;
        }
        if let Some(main) = main {
            watch::send(main, rustix::process::Signal::TERM)?;
            watch::ends_before(main, deadline)?;
        }
        self.wait_until_empty(deadline)?;
        self.kill(main)?;
        self.remove()
    }

    fn kill(&self, main: Option<&OwnedFd>) -> io::Result<()> {
        let deadline = Instant::now() + KILLING;
        if let Some(main) = main {
            watch::send(main, rustix::process::Signal::KILL)?;
        }
        // Linux 5.14; it reaches also what is being forked at this moment.
        let at_once = std::fs::write(self.dir.join("cgroup.kill"), "1").is_ok();
        while Instant::now() < deadline {
            let members = self.members()?;
            let Some(first) = members.first() else {
                return Ok(());
            };
            for process in members.iter().filter(|_| !at_once) {
                watch::send(process, rustix::process::Signal::KILL)?;
            }
            watch::ends_before(first, deadline)?;
        }
        let left = self.ids()?;
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("the processes {left:?} do not die of SIGKILL; they wait in the kernel"),
        ))
    }

    fn wait_until_empty(&self, deadline: Instant) -> io::Result<()> {
        while let Some(first) = self.members()?.first() {
            if !watch::ends_before(first, deadline)? {
                break;
            }
        }
        Ok(())
    }

    /// The processes in it and below that live, each held so that its number cannot
    /// become another's.
    fn members(&self) -> io::Result<Vec<OwnedFd>> {
        let mut members = Vec::new();
        for pid in self.ids()? {
            if let Some(process) = watch::open(pid)?
                && !watch::ends_before(&process, Instant::now())?
            {
                members.push(process);
            }
        }
        Ok(members)
    }

    fn ids(&self) -> io::Result<Vec<u32>> {
        let mut ids = Vec::new();
        for dir in self.tree()? {
            let text = match std::fs::read_to_string(dir.join("cgroup.procs")) {
                // ENODEV: it was removed between opening and reading.
                Err(error) if is_gone(&error) => continue,
                text => text?,
            };
            // 0 is a process that this namespace of numbers does not have.
            let found = text.lines().filter_map(|line| line.parse::<u32>().ok());
            ids.extend(found.filter(|pid| *pid != 0));
        }
        Ok(ids)
    }

    /// The group and those that its processes have made below it, each before what is
    /// below it.
    fn tree(&self) -> io::Result<Vec<PathBuf>> {
        let mut all = vec![self.dir.clone()];
        let mut next = 0;
        while let Some(dir) = all.get(next).cloned() {
            next += 1;
            let entries = match std::fs::read_dir(&dir) {
                Err(error) if is_gone(&error) => continue,
                entries => entries?,
            };
            for entry in entries.flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    all.push(entry.path());
                }
            }
        }
        Ok(all)
    }

    fn remove(&self) -> io::Result<()> {
        let deadline = Instant::now() + KILLING;
        loop {
            let mut result = Ok(());
            for dir in self.tree()?.iter().rev() {
                result = result.and(match std::fs::remove_dir(dir) {
                    Err(error) if is_gone(&error) => Ok(()),
                    other => other,
                });
            }
            match result {
                // A process that has ended still counts for a moment.
                Err(error)
                    if error.raw_os_error() == Some(Errno::BUSY.raw_os_error())
                        && Instant::now() < deadline =>
                {
                    std::thread::sleep(REST);
                }
                Err(error) => return Err(error),
                Ok(()) => break,
            }
        }
        // The last one takes away what is above; there are others as a rule.
        if let Some(above) = self.dir.parent() {
            let _ = std::fs::remove_dir(above);
        }
        Ok(())
    }
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(Errno::NODEV.raw_os_error())
}

/// The hierarchies that `/proc/self/mounts` has, the best one first, with what `statfs`
/// must tell of them: another mount may hide one.
fn candidates(mounts: &str) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for line in mounts.lines() {
        let mut fields = line.split(' ').skip(1);
        let (Some(path), Some(kind), Some(options)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let has = |name: &&str| options.split(',').any(|option| option == *name);
        let rank = match kind {
            "cgroup2" => Some((0, V2)),
            "cgroup" => OLD.iter().position(has).map(|i| (i + 1, V1)),
            _ => None,
        };
        if let Some((rank, magic)) = rank {
            found.push((rank, PathBuf::from(unescaped(path)), magic));
        }
    }
    found.sort_by_key(|(rank, _, _)| *rank);
    found
        .into_iter()
        .map(|(_, path, magic)| (path, magic))
        .collect()
}

/// Those of them that are seen.
fn hierarchies(mounts: &str) -> impl Iterator<Item = PathBuf> {
    let seen = candidates(mounts).into_iter();
    let seen = seen.filter(|(path, magic)| is_mounted(path, *magic));
    seen.map(|(path, _)| path)
}

fn is_mounted(path: &Path, magic: u64) -> bool {
    rustix::fs::statfs(path).is_ok_and(|stat| u64::try_from(stat.f_type) == Ok(magic))
}

/// A space, a tab, a line's end and a backslash are written as `\040` and so on there
/// (proc_pid_mounts(5)).
fn unescaped(path: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .iter()
    .fold(path.to_owned(), |path, (code, text)| {
        path.replace(code, text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_2_is_taken_first_then_what_systemd_sees_to() {
        let mounts = "cgroup /sys/fs/cgroup/pids cgroup rw,relatime,pids 0 0\n\
                      cgroup /a\\040b cgroup rw,xattr,name=systemd 0 0\n\
                      tmpfs /run tmpfs rw 0 0\n\
                      none /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let found = candidates(mounts);
        let paths: Vec<_> = found
            .iter()
            .map(|(path, _)| path.to_str().unwrap())
            .collect();
        assert_eq!(
            paths,
            ["/sys/fs/cgroup/unified", "/a b", "/sys/fs/cgroup/pids"]
        );
    }

    #[test]
    fn a_group_that_is_not_there_has_ended() {
        let group = Cgroup::named("fairlead-test-absent").unwrap().unwrap();
        group.end(None, Duration::ZERO).unwrap();
    }

    #[test]
    fn in_each_hierarchy_all_processes_of_a_group_end_with_it() {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let name = format!("fairlead-unit-{}", std::process::id());
        let mut count = 0;
        for hierarchy in hierarchies(&mounts) {
            count += 1;
            let group = Cgroup::at(hierarchy.join(&name).join("one"));
            group.make().unwrap();
            let script = "read line; trap '' TERM; sleep 1001 & sleep 1002 & wait; sleep 1003";
            let mut child = std::process::Command::new("sh")
                .args(["-c", script])
                .stdin(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            group.join(child.id()).unwrap();
            drop(child.stdin.take());
            let deadline = Instant::now() + KILLING;
            while group.members().unwrap().len() < 3 && Instant::now() < deadline {
                std::thread::sleep(REST);
            }
            let members = group.members().unwrap();
            assert_eq!(members.len(), 3, "{}", hierarchy.display());
            group.end(None, Duration::from_millis(20)).unwrap();
            child.wait().unwrap();
            for process in &members {
                assert!(watch::ends_before(process, Instant::now()).unwrap());
            }
            assert!(!group.dir().exists(), "{}", group.dir().display());
        }
        assert!(count > 0, "{mounts}");
    }
}
