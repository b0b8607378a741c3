//! The text that a failing wait prints: rows of the tables, processes, and the output of the monitors.

use std::fmt::Write as _;

use serde_json::Value;

use super::installation::Installation;
use super::processes;

/// Columns that are left out, because they are long and do not help to find a failure.
const OMITTED: [&str; 12] = [
    "input",
    "output",
    "token",
    "process_tag",
    "boot_id",
    "pid_ns",
    "pid_start",
    "args",
    "before",
    "after",
    "condition",
    "returns",
];

/// Number of the newest rows of each table that are printed.
const ROWS: usize = 12;

/// Number of the last lines of each monitor's output that are printed.
const MONITOR_LINES: usize = 30;

impl Installation {
    /// Describes the state of the test: the newest monitors, workers, tasks and earlier runs, the processes that
    /// still run, and the last lines that each monitor wrote.
    pub(crate) fn diagnostics(&self) -> String {
        let mut text = String::new();
        for (table, order) in [
            ("monitor", "id desc"),
            ("worker", "id desc"),
            ("task", "id desc"),
            ("run", "task desc"),
            ("flow", "id desc"),
            ("scope", "flow desc, number"),
            ("step", "flow desc, number"),
        ] {
            let sql = format!(
                "select row_to_json(t) from rework.{table} t order by {order} limit {ROWS}"
            );
            for mut row in self.session().query_values::<Value>(&sql, &[]) {
                let columns = row.as_object_mut().expect("row_to_json returns an object");
                columns.retain(|name, value| !value.is_null() && !OMITTED.contains(&name.as_str()));
                let _ = writeln!(text, "{table} {row}");
            }
        }
        for process in processes::tagged(self.host()) {
            let _ = writeln!(text, "process {process:?}");
        }
        for number in 1.. {
            let file = self.folder().join(format!("monitor-{number}.stderr"));
            if !file.exists() {
                break;
            }
            let output = std::fs::read_to_string(file).unwrap_or_default();
            let tail = output.lines().rev().take(MONITOR_LINES).collect::<Vec<_>>();
            for line in tail.into_iter().rev() {
                let _ = writeln!(text, "output of monitor {number}: {line}");
            }
        }
        text
    }
}
