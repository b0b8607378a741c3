//! Limits of memory, on each rung of that ladder that the machine has: a run that passes its own
//! dies at once, alone, and its cause says how much it took of how much, and who saw it.

use std::fs;

use chrono::Utc;
use rework_core::task::state::State;
use serde_json::json;

use crate::support::containment_modes::Rung;
use crate::support::monitored_host::Stage;

#[test]
fn out_of_memory_by_the_best_that_the_machine_has() {
    let stage = Stage::new(&[]);
    out_of_memory(stage);
}

#[test]
fn out_of_memory_by_a_cgroup() {
    if !Rung::available().contains(&Rung::Cgroup) || fs::metadata(V1).is_err() {
        eprintln!("this machine, or this user, has no cgroup that limits memory");
        return;
    }
    let stage = Stage::new(&["--memory", "cgroup"]);
    assert_ne!(rung(&stage), "sampled");
    out_of_memory(stage);
}

/// Where the memory of trees is counted by the first version of cgroups.
const V1: &str = "/sys/fs/cgroup/memory";

#[test]
fn out_of_memory_by_looking() {
    let stage = Stage::new(&["--memory", "sampled"]);
    assert_eq!(rung(&stage), "sampled");
    out_of_memory(stage);
}

#[test]
fn out_of_memory_on_each_rung_of_containment() {
    for rung in Rung::available() {
        out_of_memory(Stage::on(rung, &[]));
    }
}

fn out_of_memory(stage: Stage) {
    let sampled = if rung(&stage) == "sampled" { " (sampled)" } else { "" };
    for operation in ["c_gorges", "gorges"] {
        let gate = stage.place.folder().join(operation);
        let input = if operation == "gorges" { json!(gate) } else { json!({ "gate": gate }) };
        let begun = stage.begin(operation, input);
        let event = Utc::now();
        fs::write(gate, "").unwrap();
        let failed = stage.ended(&begun, event, State::Failed);
        let reason = failed.reason();
        assert!(reason.starts_with("out of memory: "), "{operation}: {reason}");
        assert!(reason.ends_with(&format!(" of 64 MiB{sampled}")), "{operation}: {reason}");
        assert_eq!(failed.attempt, 1, "an attempt was used");
        let sql = "select memory_peak from rework.task where id = $1";
        let peak: Option<i64> = stage.place.session().one(sql, &[&failed.id]);
        assert!(peak >= Some(50 << 20), "{operation}: {peak:?}");
        let shown = stage.place.rework(["show-task", &failed.id.to_string()]).ok().stdout();
        assert!(shown.contains("out of memory: "), "{shown}");
        stage.place.done(stage.place.schedule("double", 1));
    }
    stage.leave();
}

/// As `list-monitors` tells it.
fn rung(stage: &Stage) -> String {
    let told = stage.place.rework(["list-monitors", "-o", "json"]).ok().json();
    told[0]["memory"].as_str().unwrap().to_owned()
}
