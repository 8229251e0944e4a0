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

/// How long to rest before something is asked again that cannot be waited for.
const REST: Duration = Duration::from_millis(5);

/// One control group; whether it exists is seen when it is used.
#[derive(Debug, Clone)]
pub(super) struct Cgroup {
    dir: PathBuf,
}

impl Cgroup {
    /// Where the group of that name would be on this system.
    pub(super) fn named(name: &str) -> io::Result<Self> {
        let mounts = std::fs::read_to_string("/proc/self/mounts")?;
        let hierarchy = candidates(&mounts)
            .into_iter()
            .find(|(path, magic)| is_mounted(path, *magic));
        match hierarchy {
            Some((path, _)) => Ok(Self::at(path.join("fairlead").join(name))),
            None => Err(io::Error::other(
                "no cgroup hierarchy is mounted; mount one: mount -t cgroup2 none /sys/fs/cgroup",
            )),
        }
    }

    /// The group of that directory.
    pub(super) fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn make(&self) -> io::Result<()> {
        std::fs::create_dir_all(&self.dir)
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
                other => return other,
            }
        }
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
        let group = Cgroup::named("fairlead-test-absent").unwrap();
        group.end(None, Duration::ZERO).unwrap();
    }
}
