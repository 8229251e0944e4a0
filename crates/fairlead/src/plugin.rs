//! The binary as a CNI plugin.

use fairlead_cni::PluginIo;
use fairlead_types::Root;
use std::process::ExitCode;

/// Answers as the plugin `name`, when there is one.
pub(crate) fn run(name: &str) -> Option<ExitCode> {
    if !fairlead_plugins::NAMES.contains(&name) {
        return None;
    }
    let root = Root::from_env_value(std::env::var_os(Root::ENV));
    let env = |key: &str| std::env::var(key).ok();
    let mut stdin = std::io::stdin().lock();
    let mut stdout = std::io::stdout().lock();
    let mut stderr = std::io::stderr().lock();
    let mut io = PluginIo {
        env: &env,
        stdin: &mut stdin,
        stdout: &mut stdout,
        stderr: &mut stderr,
    };
    let status = fairlead_plugins::run_program(name, root, &mut io)?;
    Some(ExitCode::from(u8::try_from(status).unwrap_or(1)))
}
