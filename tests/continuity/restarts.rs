//! A server that is killed again and again, and the soak.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::soak::{Harm, Plan, Report, run};
use crate::support::cli::binary;
use crate::support::pocketbase::V0_40_6;

fn soak(version: &str, time: Duration, harm: Harm) -> Report {
    let plan = Plan { version: version.to_owned(), time, seed: 1, program: PathBuf::from(binary()), harm, say: |_| () };
    let report = run(&plan, &AtomicBool::new(false));
    assert!(report.violations.is_empty(), "{report}");
    report
}

both_versions_at_once!(five_power_cuts);

fn five_power_cuts(version: &str) {
    soak(version, Duration::from_secs(60), Harm::Kills { times: 5 });
}

#[test]
fn a_short_soak() {
    soak(V0_40_6, Duration::from_secs(25), Harm::All);
}
