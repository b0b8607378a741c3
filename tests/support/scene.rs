//! What there is to see of a test when something does not come.

use std::fmt::Write as _;

use serde_json::Value;

use super::installation::Installation;
use super::processes;

/// Columns that explain nothing.
const DULL: [&str; 7] = ["input", "output", "token", "mark", "boot_id", "pid_ns", "pid_start"];

impl Installation {
    /// What there is to see when something does not come: tasks, workers, processes, monitors' words.
    pub(crate) fn scene(&self) -> String {
        let mut text = String::new();
        for (table, order) in [("monitor", "id"), ("worker", "id"), ("task", "id"), ("run", "task")]
        {
            let sql = format!(
                "select row_to_json(t) from rework.{table} t order by {order} desc limit 12"
            );
            for mut row in self.session().all::<Value>(&sql, &[]) {
                let columns = row.as_object_mut().expect("a row is an object");
                columns.retain(|name, value| !value.is_null() && !DULL.contains(&name.as_str()));
                let _ = writeln!(text, "{table} {row}");
            }
        }
        for process in processes::marked(self.host()) {
            let _ = writeln!(text, "process {process:?}");
        }
        for number in 1.. {
            let file = self.folder().join(format!("monitor-{number}.stderr"));
            if !file.exists() {
                break;
            }
            let said = std::fs::read_to_string(file).unwrap_or_default();
            let tail = said.lines().rev().take(30).collect::<Vec<_>>();
            for line in tail.into_iter().rev() {
                let _ = writeln!(text, "monitor {number} said: {line}");
            }
        }
        text
    }
}
