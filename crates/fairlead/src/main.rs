//! The `fairlead` binary: which program it is by the name it was started with, its
//! command line, and how answers are shown. What it does is in the library crates.
#![forbid(unsafe_code)]

mod cli;
mod command;
mod legacy;
mod oci;
mod output;
mod plugin;
mod tree;

use fairlead_types::Root;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_default();
    let name = program_name(&program);
    // A plugin call is a short process: it is recognised before anything else.
    if let Some(status) = plugin::run(&name) {
        return status;
    }
    let arguments: Vec<OsString> = arguments.collect();
    if let Some(status) = oci::run(&program, &arguments) {
        return status;
    }
    if [fairlead_nuage::PROGRAM, fairlead_nuage::OLD_NAME].contains(&name.as_str()) {
        let root = Root::from_env_value(std::env::var_os(Root::ENV));
        return fairlead_nuage::run(Path::new(&program), &arguments, &root);
    }
    // The program of a service, on its way to becoming itself.
    if let Some(status) = fairlead_services::process_shim(arguments.iter().cloned()) {
        return status;
    }
    match name.as_str() {
        "om" => command::run(legacy::om(arguments)),
        "nodemgr" => command::run(legacy::nodemgr(arguments)),
        "eru-barrel" => command::run(legacy::barrel(arguments)),
        _ => command::run(arguments),
    }
}

/// The last part of the path that the program was started by.
fn program_name(program: &std::ffi::OsStr) -> String {
    let path = Path::new(program);
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}
