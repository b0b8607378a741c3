//! Checks in the background, as long as tests run, that the password of the Postgres server does not leak.
//!
//! The password must not stay in the arguments of a monitor, worker or runner, where every user of the machine can
//! read it, and must not be in the environment of an operation. `Installation` asserts this at the end of each test.

use std::collections::BTreeSet;
use std::sync::{Mutex, Once};
use std::time::Duration;

use super::{processes, server, wait};

/// The leaks that were found since the tests started.
static LEAKS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Time between two scans of all processes.
const SCAN_INTERVAL: Duration = Duration::from_millis(100);

/// Starts the thread that scans all processes. Only the first call has an effect.
pub(crate) fn start_scanning() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        std::thread::spawn(|| {
            let password = server::password();
            let mut previous = BTreeSet::new();
            loop {
                let leaks = scan(&password);
                // A DSN that a user types as an argument is visible until `rework` has removed it, so only arguments
                // that are there in two scans are leaks.
                let repeated = leaks.arguments.intersection(&previous).cloned();
                LEAKS.lock().unwrap().extend(repeated.chain(leaks.environments));
                previous = leaks.arguments;
                wait::let_time_pass(SCAN_INTERVAL);
            }
        });
    });
}

/// Returns the leaks that were found so far, one sentence each.
pub(crate) fn found() -> Vec<String> {
    LEAKS.lock().unwrap().clone()
}

/// The result of one scan.
#[derive(Default)]
struct ScanResult {
    arguments: BTreeSet<String>,
    environments: Vec<String>,
}

fn scan(password: &str) -> ScanResult {
    let mut result = ScanResult::default();
    for (pid, arguments) in processes::all_arguments() {
        let arguments_text: Vec<String> = arguments
            .split(|byte| *byte == 0)
            .map(|argument| String::from_utf8_lossy(argument).into())
            .collect();
        let environment = processes::environment(pid);
        let is_operation = contains(&environment, "\0REWORK_PROCESS_TAG=");
        let is_rework = arguments_text
            .iter()
            .any(|argument| ["monitor", "worker", "dev"].contains(&argument.as_str()));
        let line = arguments_text.join(" ");
        if (is_rework || is_operation) && contains(&arguments, password) {
            result
                .arguments
                .insert(format!("the password is in the arguments of process {pid}: {line}"));
        }
        if is_operation && contains(&environment, password) {
            result
                .environments
                .push(format!("the password is in the environment of process {pid}: {line}"));
        }
    }
    result
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
