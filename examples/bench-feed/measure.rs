//! A command's processor time and peak memory, as the kernel counted them.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

/// What a command cost.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Cost {
    pub(crate) code: Option<i32>,
    /// Processor time, its own and the system's for it, in µs.
    pub(crate) cpu_us: f64,
    /// The most memory that it ever had, in KB.
    pub(crate) peak_kb: i64,
    /// In µs, from the start to the end.
    pub(crate) wall_us: f64,
    #[serde(skip)]
    pub(crate) ended: Option<Instant>,
}

/// A command under measurement.
pub(crate) struct Measured {
    process: Child,
    report: std::path::PathBuf,
}

/// Runs this program again in front of the command: the kernel tells the cost
/// of children alone, all of them together.
pub(crate) fn start(command: &Command, stdout: Stdio, folder: &Path, name: &str) -> Result<Measured, Box<dyn Error>> {
    let report = folder.join(format!("{name}.cost"));
    let mut outer = Command::new(std::env::current_exe()?);
    outer.arg("--measure").arg(&report).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    let errors = File::create(folder.join(format!("{name}.stderr")))?;
    // Its stdin is the sign that this program is still there.
    let process = outer.stdin(Stdio::piped()).stdout(stdout).stderr(errors).spawn()?;
    Ok(Measured { process, report })
}

impl Measured {
    pub(crate) fn stdout(&mut self) -> Option<std::process::ChildStdout> {
        self.process.stdout.take()
    }

    pub(crate) fn finish(mut self) -> Result<Cost, Box<dyn Error>> {
        let mut stdin = self.process.stdin.take();
        self.process.wait()?;
        let ended = Instant::now();
        drop(stdin.take());
        let mut cost: Cost = serde_json::from_str(&fs::read_to_string(&self.report)?)?;
        cost.ended = Some(ended);
        if cost.code != Some(0) {
            let said = fs::read_to_string(self.report.with_extension("stderr")).unwrap_or_default();
            return Err(format!("it ended with {:?}: {}", cost.code, said.trim()).into());
        }
        Ok(cost)
    }
}

/// The other side: `--measure REPORT PROGRAM ARG...`.
pub(crate) fn main(args: &[String]) -> ExitCode {
    match measure(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-feed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &[String]) -> Result<(), Box<dyn Error>> {
    let [report, program, rest @ ..] = args else { return Err("--measure REPORT PROGRAM ARG...".into()) };
    let started = Instant::now();
    let mut child = Command::new(program).args(rest).stdin(Stdio::null()).spawn()?;
    let id = i32::try_from(child.id())?;
    std::thread::spawn(move || {
        let _ = io::stdin().read(&mut [0]);
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGKILL);
    });
    let status = child.wait()?;
    let wall = started.elapsed();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let time = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 * 1e6 + time.tv_usec() as f64;
    let cost = Cost {
        code: status.code(),
        cpu_us: time(usage.user_time()) + time(usage.system_time()),
        peak_kb: usage.max_rss(),
        wall_us: micros(wall),
        ended: None,
    };
    fs::write(report, serde_json::to_string(&cost)?)?;
    Ok(())
}

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
