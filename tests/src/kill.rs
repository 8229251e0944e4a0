//! `kill -9` at every step of a command, injected from outside by `strace`.

use crate::node::Node;

/// More calls of one kind than any command here makes.
const MANY: u32 = 200;

/// Runs `line` once for each call of `syscall` in it, killed when it begins that call;
/// `prepare` is before each run and `settle` behind it. Returns how often it was killed.
///
/// # Panics
/// If the line does not come to an end, or strace is not there.
#[track_caller]
pub fn killed_at_each(
    node: &Node,
    syscall: &str,
    line: &str,
    prepare: impl Fn(),
    settle: impl Fn(&str),
) -> u32 {
    for number in 1..MANY {
        prepare();
        let inject = format!("{syscall}:signal=KILL:when={number}");
        let ran = node.sh(&format!(
            "exec strace -f -qq -o /dev/null -e trace={syscall} -e inject={inject} {line}"
        ));
        settle(&format!("{line}: killed at {syscall} number {number}"));
        match ran.status {
            // strace ends as the command ended: killed, done, or refused.
            None => {}
            Some(0 | 1) => {
                println!("{line}: killed at {} calls of {syscall}", number - 1);
                return number - 1;
            }
            _ => panic!("neither killed nor done, strace is needed: {ran:#?}"),
        }
    }
    panic!("{line} does not come to an end");
}
