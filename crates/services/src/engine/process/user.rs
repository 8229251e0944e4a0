//! Who a program runs as: `/etc/passwd` and `/etc/group`, read as they are. The binary is
//! static, so other sources of users are not asked; their numbers can be given.

use super::shim::Who;
use std::path::Path;

/// Someone to run a program as.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) who: Who,
    /// What the environment tells: the name, and the home directory.
    pub(super) name: String,
    pub(super) home: String,
}

/// Finds `user`, `user:group`, or numbers in place of either.
///
/// The error says what is not there.
pub(super) fn find(text: &str) -> Result<User, String> {
    let read = |path: &str| {
        std::fs::read_to_string(Path::new(path)).map_err(|error| format!("read {path}: {error}"))
    };
    look(text, &read("/etc/passwd")?, &read("/etc/group")?)
}

fn look(text: &str, passwd: &str, groups: &str) -> Result<User, String> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let known = entry(passwd, user).or_else(|| entry_of(passwd, user.parse().ok()?));
    let field = |number: usize| {
        known
            .as_ref()
            .and_then(|fields| fields.get(number).copied())
    };
    let number = |number: usize| field(number).and_then(|text| text.parse().ok());
    let uid: u32 = number(2).or_else(|| user.parse().ok()).ok_or_else(|| {
        format!("there is no user {user:?} in /etc/passwd; give one, or a number")
    })?;
    let gid: u32 = match group {
        None => number(3).unwrap_or(0),
        Some(group) => entry(groups, group)
            .and_then(|fields| fields.get(2)?.parse().ok())
            .or_else(|| group.parse().ok())
            .ok_or_else(|| {
                format!("there is no group {group:?} in /etc/group; give one, or a number")
            })?,
    };
    let name = field(0).unwrap_or(user).to_owned();
    let mut all = vec![gid];
    // As login has it: a group that was asked for is the only one.
    if group.is_none() {
        all.extend(groups_of(groups, &name).filter(|other| *other != gid));
    }
    Ok(User {
        who: Who {
            uid,
            gid,
            groups: all,
        },
        name,
        home: field(5)
            .filter(|home| !home.is_empty())
            .unwrap_or("/")
            .to_owned(),
    })
}

/// The fields of the line that begins with this name.
fn entry<'a>(table: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let mut lines = table
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    lines.find(|fields| fields.first() == Some(&name))
}

/// The fields of the line with this number.
fn entry_of(table: &str, id: u32) -> Option<Vec<&str>> {
    let mut lines = table
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    lines.find(|fields| fields.get(2).and_then(|text| text.parse().ok()) == Some(id))
}

/// The numbers of the groups that name this user.
fn groups_of<'a>(groups: &'a str, name: &'a str) -> impl Iterator<Item = u32> + 'a {
    groups.lines().filter_map(move |line| {
        let fields: Vec<&str> = line.split(':').collect();
        let members = fields.get(3)?;
        let is_in = members.split(',').any(|member| member == name);
        fields.get(2).filter(|_| is_in)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:44:Web:/var/www:/bin/false\n";
    const GROUPS: &str = "root:x:0:\nweb:x:44:\nlogs:x:4:sys,web\n";

    fn who(text: &str) -> Who {
        look(text, PASSWD, GROUPS).unwrap().who
    }

    #[test]
    fn a_name_has_its_groups_unless_one_is_given() {
        assert_eq!(look("web", PASSWD, GROUPS).unwrap().home, "/var/www");
        assert_eq!(who("web").groups, [44, 4]);
        assert_eq!((who("web").uid, who("web").gid), (33, 44));
        assert_eq!(who("33"), who("web"));
        assert_eq!((who("web:logs").gid, who("web:logs").groups), (4, vec![4]));
    }

    #[test]
    fn a_number_need_not_be_in_a_table() {
        assert_eq!((who("1234").uid, who("1234").gid), (1234, 0));
        assert_eq!((who("1234:5").uid, who("1234:5").gid), (1234, 5));
        for bad in ["nobody-here", "web:nobody-here", ""] {
            assert!(look(bad, PASSWD, GROUPS).is_err(), "{bad}");
        }
    }
}
