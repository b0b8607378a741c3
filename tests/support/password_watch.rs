//! Watches, for as long as the tests run, that the server's password is where it must not be in no
//! process of the product: not in the arguments of a monitor, worker or runner, and not in the environment
//! of an operation.

use std::collections::BTreeSet;
use std::sync::{Mutex, Once};
use std::time::Duration;

use super::{processes, server, wait};

static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Often enough to meet every process that lives for a moment.
const LOOK: Duration = Duration::from_millis(100);

/// Begins to watch, once.
pub(crate) fn begin() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        std::thread::spawn(|| {
            let password = server::password();
            let mut before = BTreeSet::new();
            loop {
                let now = look(&password);
                // What was typed is there for a moment; it must not stay.
                let stayed = now.arguments.intersection(&before).cloned();
                SEEN.lock().unwrap().extend(stayed.chain(now.environments));
                before = now.arguments;
                wait::pass(LOOK);
            }
        });
    });
}

/// What was seen so far.
pub(crate) fn seen() -> Vec<String> {
    SEEN.lock().unwrap().clone()
}

/// Where the password is.
#[derive(Default)]
struct Found {
    arguments: BTreeSet<String>,
    environments: Vec<String>,
}

fn look(password: &str) -> Found {
    let mut found = Found::default();
    for (pid, arguments) in processes::all_arguments() {
        let words: Vec<String> =
            arguments.split(|byte| *byte == 0).map(|w| String::from_utf8_lossy(w).into()).collect();
        let environment = processes::environment(pid);
        let is_operation = contains(&environment, "\0REWORK_MARK=");
        let is_ours =
            words.iter().any(|word| ["monitor", "worker", "dev"].contains(&word.as_str()));
        if (is_ours || is_operation) && contains(&arguments, password) {
            found
                .arguments
                .insert(format!("the password is in the arguments of {pid}: {}", words.join(" ")));
        }
        if is_operation && contains(&environment, password) {
            found
                .environments
                .push(format!("the password is in the environment of {pid}: {}", words.join(" ")));
        }
    }
    found
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
