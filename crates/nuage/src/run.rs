//! The program `nuage-libnetwork`, and `plugin` as it was called before: from its settings to
//! its end.

use crate::audit::Suspects;
use crate::claim::{self, Claim, ClaimError};
use crate::cli::{self, Task};
use crate::door::{Door, Face, Ground};
use crate::error::DoorError;
use crate::follow::follow;
use crate::log::{self, LOG_FILE, LogHandle};
use crate::records::Records;
use crate::settings::{PluginVersion, Settings, SettingsError, Vsd as VsdPart};
use crate::tend::tend;
use fairlead_libnetwork::engine::Talk;
use fairlead_libnetwork::router;
use fairlead_serve::{NO_LIMIT, ServeError, bind};
use fairlead_store::{BootId, Store};
use fairlead_types::Root;
use fairlead_vsp::vrs::VrsError;
use fairlead_vsp::vsd::{Retries, Transport, Vsd, VsdError, VsdSettings};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tracing::{error, info, warn};

/// What the program is called.
pub const PROGRAM: &str = "nuage-libnetwork";
/// What it was called before.
pub const OLD_NAME: &str = "plugin";

/// Where the older program looks for its settings: beside itself.
const OLD_FILE: &str = "nuage.cfg";
/// Where Docker looks for drivers.
const SOCKETS: &str = "/run/docker/plugins";
/// How long calls that are under way may go on at the end.
const END: Duration = Duration::from_millis(1500);
/// How long one call of the controller's may take with all that is repeated.
const CALL: Duration = Duration::from_secs(40);

/// Why the program cannot go on.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Door(#[from] DoorError),
    #[error(transparent)]
    Socket(#[from] ServeError),
    #[error("{operation} {}: {source}", .path.display())]
    File {
        operation: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error(transparent)]
    Claim(#[from] ClaimError),
    #[error("start the program's threads: {0}")]
    Threads(io::Error),
}

/// Runs the program that was called by `program`, with every file of ours below `root`.
#[must_use]
pub fn run(program: &Path, arguments: &[OsString], root: &Root) -> ExitCode {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder_of(program).join(OLD_FILE);
    let default = (name == OLD_NAME).then_some(beside.as_path());
    let task = match cli::read(arguments, default) {
        Ok(task) => task,
        Err(error) => {
            eprintln!("{name}: {error}");
            return ExitCode::from(2);
        }
    };
    let done = match task {
        Task::Help => {
            print!("{}", cli::help(&name));
            return ExitCode::SUCCESS;
        }
        Task::Version => {
            println!("{name} {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Task::Check(file) => check(&file),
        Task::Audit(file) => audit(&file, root),
        Task::Serve(file) => serve(&file, &name, root),
    };
    match done {
        Ok(status) => status,
        Err(error) => {
            error!("{error}");
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of a program that was called so; one that is called by its name alone is where
/// the shell finds it.
fn folder_of(program: &Path) -> PathBuf {
    let folder = program.parent().unwrap_or(Path::new(""));
    if !folder.as_os_str().is_empty() {
        return folder.to_owned();
    }
    let searched = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&searched);
    let found = folders.find(|folder| folder.join(program).is_file());
    found.unwrap_or_else(|| PathBuf::from("."))
}

fn check(file: &Path) -> Result<ExitCode, RunError> {
    let (settings, warnings) = Settings::read(file)?;
    for warning in &warnings {
        println!("warning: {warning}");
    }
    if let Some(part) = &settings.vsd {
        Vsd::new(vsd_settings(part, &settings)).map_err(DoorError::from)?;
    }
    println!("{}: good, {} warnings", file.display(), warnings.len());
    Ok(ExitCode::SUCCESS)
}

fn audit(file: &Path, root: &Root) -> Result<ExitCode, RunError> {
    let (settings, _) = Settings::read(file)?;
    let folder = folder(&settings, root);
    let report = match Claim::take(&folder) {
        // Only who serves knows which calls are under way.
        Err(ClaimError::Running(_)) => claim::ask_for_audit(&folder)?,
        claim => {
            let _claim = claim?;
            threads()?.block_on(async {
                let door = open(settings, root)?;
                door.forget_asked()?;
                Ok::<_, RunError>(door.audit(&mut Suspects::once()).await)
            })?
        }
    };
    report
        .removed
        .iter()
        .for_each(|what| println!("removed {what}"));
    report
        .repaired
        .iter()
        .for_each(|what| println!("repaired {what}"));
    report.problems.iter().for_each(|what| eprintln!("{what}"));
    println!("{report}");
    Ok(match report.problems.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn threads() -> Result<Runtime, RunError> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(4)
        .thread_name("nuage")
        .enable_all()
        .build();
    runtime.map_err(RunError::Threads)
}

fn serve(file: &Path, name: &str, root: &Root) -> Result<ExitCode, RunError> {
    let log = log::begin(&root.join(LOG_FILE), name);
    let (settings, warnings) = Settings::read(file)?;
    log.set_level(settings.log_level);
    log.set_file_size(settings.log_file_size);
    warnings.iter().for_each(|warning| warn!("{warning}"));
    info!("{PROGRAM} {} begins: {settings}", env!("CARGO_PKG_VERSION"));
    let claim = Claim::take(&folder(&settings, root))?;
    let folder = claim.folder().to_owned();
    let runtime = threads()?;
    let version = settings.plugin_version;
    let done = runtime.block_on(async {
        let door = open(settings, root)?;
        let door = Arc::new(door);
        door.forget_asked()?;
        let audit = Arc::new(Notify::new());
        tokio::spawn(follow(Arc::clone(&door)));
        tokio::spawn(tend(Arc::clone(&door), Arc::clone(&audit), move |report| {
            if let Err(error) = Claim::tell(&folder, report) {
                warn!("{error}");
            }
        }));
        // Docker waits for the sockets, and may be what the rest is waiting for.
        let sockets = Sockets::open(&door, version)?;
        let ended = tokio::select! {
            failed = look(&door) => failed,
            ended = wait(file, &door, &log, &audit) => ended,
        };
        drop(sockets);
        ended?;
        if tokio::time::timeout(END, door.is_idle()).await.is_err() {
            warn!("calls of Docker's are cut off");
        }
        info!("{PROGRAM} ends");
        Ok::<_, RunError>(())
    });
    runtime.shutdown_timeout(END);
    drop(claim);
    done.map(|()| ExitCode::SUCCESS)
}

/// Where the host's records are: with those of everything else here, unless it is said.
fn folder(settings: &Settings, root: &Root) -> PathBuf {
    settings.state_dir.clone().unwrap_or_else(|| root.state())
}

/// Everything that the drivers stand on.
fn open(settings: Settings, root: &Root) -> Result<Door, RunError> {
    let boot = BootId::current().map_err(DoorError::from)?;
    let path = folder(&settings, root).join(Store::FILE);
    let store = Store::open_file(&path, &boot).map_err(DoorError::from)?;
    let vsd = match &settings.vsd {
        None => None,
        Some(part) => Some(Vsd::new(vsd_settings(part, &settings)).map_err(DoorError::from)?),
    };
    Ok(Door::new(Ground {
        records: Records::new(store),
        vsd,
        engine: Talk::new(settings.docker.path().to_owned(), crate::DRIVER),
        settings,
    }))
}

/// What the client of the controller is told.
fn vsd_settings(part: &VsdPart, settings: &Settings) -> VsdSettings {
    let user = part.username.expose();
    let organization = part.organization.expose();
    let mut own = VsdSettings::new(part.url.clone(), user, part.password.clone(), organization);
    own.version.clone_from(&part.api_version);
    own.ca.clone_from(&part.ca_file);
    own.insecure = part.insecure;
    own.timeout = part.request_timeout;
    own.limit = CALL.max(part.request_timeout);
    own.retries = Retries {
        attempts: settings.retries,
        interval: settings.interval,
    };
    own.proxy_user = part.proxy_user;
    own.environment_proxy = true;
    own
}

/// Looks for the controller and the switch; goes on for ever if nothing is wrong with them.
async fn look(door: &Door) -> Result<(), RunError> {
    let found = tokio::join!(log_in(door), find_switch(door));
    found.0.and(found.1)?;
    std::future::pending().await
}

/// Logs in at the controller. One that is away may come; one that refuses is told at once.
async fn log_in(door: &Door) -> Result<(), RunError> {
    let Some(vsd) = &door.vsd else {
        info!("no controller is declared: the switch asks its own");
        return Ok(());
    };
    match vsd.login().await {
        Ok(me) => info!("logged in as {} of {}", me.user, me.enterprise_name),
        // What waiting does not mend is told at once; anything else may come right.
        Err(
            error @ (VsdError::Login { .. }
            | VsdError::Setting { .. }
            | VsdError::Unreachable {
                cause: Transport::Certificate(_),
                ..
            }),
        ) => return Err(DoorError::from(error).into()),
        Err(error) => warn!("{error}; networks and containers cannot be made until it answers"),
    }
    Ok(())
}

/// Looks for the switch. One that is away may come; one that is none of VRS is told at once.
async fn find_switch(door: &Door) -> Result<(), RunError> {
    match door.switch.mark().await {
        Ok(mark) => info!("this host is {mark}"),
        Err(error @ DoorError::Vrs(VrsError::NoVrs { .. })) => return Err(error.into()),
        Err(error) => warn!("{error}; containers cannot be made until that is mended"),
    }
    Ok(())
}

/// The sockets at which Docker finds the drivers; they go with this.
struct Sockets(Vec<PathBuf>);

impl Sockets {
    fn open(door: &Arc<Door>, version: PluginVersion) -> Result<Self, RunError> {
        const NETWORK: &str = "NetworkDriver";
        const IPAM: &str = "IpamDriver";
        let faces: &[(&str, &'static [&'static str])] = match version {
            PluginVersion::V1 => &[("nuage.sock", &[NETWORK]), ("nuage-ipam.sock", &[IPAM])],
            PluginVersion::V2 => &[("nuage.sock", &[NETWORK, IPAM])],
        };
        let mut sockets = Self(Vec::new());
        for (name, drivers) in faces {
            let path = Path::new(SOCKETS).join(name);
            let socket = bind(&path)?;
            let socket = UnixListener::from_std(socket).map_err(|source| RunError::File {
                operation: "serve",
                path: path.clone(),
                source,
            })?;
            let face = Face {
                door: Arc::clone(door),
                drivers,
            };
            tokio::spawn(fairlead_serve::answer(
                socket,
                router(Arc::new(face)),
                NO_LIMIT,
            ));
            info!(
                "Docker finds {} at {}",
                drivers.join(" and "),
                path.display()
            );
            sockets.0.push(path);
        }
        Ok(sockets)
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Waits for the end, and does meanwhile what signals say.
async fn wait(file: &Path, door: &Door, log: &LogHandle, audit: &Notify) -> Result<(), RunError> {
    let on = |kind| signal(kind).map_err(RunError::Threads);
    let mut end = on(SignalKind::terminate())?;
    let mut interrupt = on(SignalKind::interrupt())?;
    let mut reload = on(SignalKind::user_defined1())?;
    let mut wanted = on(SignalKind::user_defined2())?;
    loop {
        tokio::select! {
            _ = end.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = wanted.recv() => audit.notify_one(),
            _ = reload.recv() => reread(file, door, log),
        }
    }
}

/// Reads the settings again. Those that cannot be had leave the old ones as they are.
fn reread(file: &Path, door: &Door, log: &LogHandle) {
    if let Err(error) = log.reopen() {
        warn!("open the log again: {error}");
    }
    let (new, warnings) = match Settings::read(file) {
        Ok(read) => read,
        Err(error) => return error!("{error}; the settings are as before"),
    };
    let old = door.settings();
    let changes = old.changed(&new);
    let mut own = Settings::clone(&old);
    own.take_live(&new);
    if let (Some(vsd), Some(part)) = (&door.vsd, &own.vsd)
        && let Err(error) = vsd.change(vsd_settings(part, &own))
    {
        return error!("{error}; the settings are as before");
    }
    warnings.iter().for_each(|warning| warn!("{warning}"));
    log.set_level(new.log_level);
    log.set_file_size(new.log_file_size);
    if !changes.restart.is_empty() {
        warn!(
            "changed, but in force only after a restart: {}",
            changes.restart.join(", ")
        );
    }
    info!(
        "settings are read again: {} changed",
        changes.live.join(", ")
    );
    door.set_settings(own);
}
