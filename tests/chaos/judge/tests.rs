//! Histories that are made up: one without a violation, and others in which one thing is wrong.

use super::super::history::AppliedFault;
use super::super::plan::{Fault, NetworkFault, Target};
use super::*;
use flawless::{change, flawless};

mod flawless;

/// Returns the rules that a history violates.
fn violated(history: &History) -> Vec<&'static str> {
    let results = judge(history);
    let found = results.iter().filter(|result| !result.violations.is_empty());
    found.map(|result| result.rule).collect()
}

/// Asserts that the history violates exactly one rule after a change of the flawless history.
#[track_caller]
fn assert_found(rule: &str, change: impl FnOnce(&mut History)) {
    let mut history = flawless();
    change(&mut history);
    assert_eq!(violated(&history), [rule]);
}

fn line(moment: Moment, task: i64, run: i64, pid: i32, at: u64) -> Line {
    Line { moment, task, run, pid, at }
}

#[test]
fn a_history_without_a_violation_passes_and_every_rule_has_a_case() {
    for result in judge(&flawless()) {
        assert_eq!(result.violations, Vec::<String>::new(), "{}", result.rule);
        assert!(result.cases > 0, "{}", result.rule);
    }
}

#[test]
fn a_missing_task_is_found() {
    assert_found("acknowledged tasks are missing", |history| history.acknowledged.push(8));
}

#[test]
fn two_tasks_of_one_request_are_found() {
    assert_found("requests made several tasks", |history| {
        history.tasks[6].number = 60;
        history.tasks[6].output = Some("60".to_owned());
    });
}

#[test]
fn a_task_without_an_end_is_found() {
    assert_found("tasks are in no final state", |history| {
        history.tasks[0].state = State::Running;
        history.transitions.remove(1);
    });
}

#[test]
fn a_second_end_is_found() {
    assert_found("ended tasks did not end exactly once", |history| {
        history.transitions.push(change(1, 1, State::Running, State::Done, 2_200));
    });
}

#[test]
fn a_changed_end_is_found() {
    let mut history = flawless();
    history.transitions.push(change(1, 1, State::Done, State::Queued, 2_200));
    history.transitions.push(change(1, 2, State::Running, State::Done, 2_300));
    assert_eq!(
        violated(&history),
        ["ended tasks did not end exactly once", "changes of a state are not allowed"]
    );
}

#[test]
fn a_run_in_two_processes_is_found() {
    assert_found("runs were executed twice", |history| {
        history.lines.push(line(Moment::Beat, 1, 1, 999, 1_500));
    });
    assert_found("runs were executed twice", |history| {
        history.lines.push(line(Moment::Start, 1, 1, 201, 1_500));
    });
}

#[test]
fn two_runs_of_a_task_at_the_same_time_are_found() {
    // The first run wrote a line between the start and the end of the second one. Its end was recorded before.
    let mut history = flawless();
    history.lines.push(line(Moment::Beat, 2, 1, 202, 5_500));
    let rules = [
        "repeated runs overlapped the run before",
        "other runs were still running after their end",
    ];
    assert_eq!(violated(&history), rules);
}

#[test]
fn a_repetition_without_permission_is_found() {
    assert_found("tasks that may run once ran again", |history| {
        history.tasks[1].may_repeat = false;
    });
}

#[test]
fn an_executed_run_that_is_recorded_as_not_started_is_found() {
    assert_found("runs that are recorded as not started were executed", |history| {
        history.not_started.push((2, 1));
    });
}

#[test]
fn a_done_task_that_did_not_run_to_its_end_is_found() {
    assert_found("done tasks did not run to their end", |history| {
        history.lines.retain(|line| line.task != 6 || line.moment != Moment::End);
    });
}

#[test]
fn an_output_of_another_task_is_found() {
    assert_found("done tasks have another output than their own", |history| {
        history.tasks[0].output = Some("60".to_owned());
    });
    assert_found("done tasks have another output than their own", |history| {
        history.tasks[0].output = None;
    });
}

#[test]
fn a_line_after_the_record_of_an_abort_is_found() {
    assert_found("aborted tasks were still running afterwards", |history| {
        history.lines.push(line(Moment::Beat, 3, 1, 204, 4_111));
    });
    // An aborted task that was never claimed before must not start afterwards.
    assert_found("aborted tasks were still running afterwards", |history| {
        history.tasks[2].run = 0;
        history.transitions.retain(|change| change.task != 3);
        history.transitions.push(change(3, 0, State::Queued, State::Aborted, 3_450));
    });
}

#[test]
fn a_line_after_the_record_of_another_end_is_found() {
    for (task, run, pid, at) in [(1, 1, 201, 2_111), (4, 2, 205, 7_111), (5, 1, 206, 8_111)] {
        assert_found("other runs were still running after their end", |history| {
            history.lines.push(line(Moment::Beat, task, run, pid, at));
        });
    }
}

#[test]
fn a_line_within_the_error_of_the_clocks_proves_nothing() {
    let mut history = flawless();
    history.lines.push(line(Moment::Beat, 3, 1, 204, 4_110));
    assert_eq!(violated(&history), Vec::<&str>::new());
}

#[test]
fn a_reason_that_no_fault_explains_is_found() {
    const RULE: &str = "ends have a reason that no fault explains";
    let set_reason = |task: usize, reason: &'static str| {
        move |history: &mut History| reason.clone_into(&mut history.tasks[task].reason)
    };
    // No fault of this test makes an operation fail by itself.
    assert_found(RULE, set_reason(3, "exit code 3"));
    assert_found(RULE, set_reason(3, "the operation cannot be loaded: No such file or directory"));
    assert_found(RULE, set_reason(2, "aborted from SQL"));
    assert_found(RULE, set_reason(4, "host lost"));
    assert_found(RULE, set_reason(4, "killed: the database has lost its last transactions"));
    // Another process was killed.
    assert_found(RULE, |history| history.faults[1].pids = vec![206]);
    assert_found(RULE, |history| history.faults[2].pids = vec![101]);
    // Another task was aborted.
    assert_found(RULE, |history| history.faults[0].tasks = vec![4]);
    // The runner was killed later.
    assert_found(RULE, |history| history.faults[1].at = 7_200);
}

#[test]
fn a_lost_host_is_explained_by_a_fault_of_this_host_or_of_postgres() {
    let with = |fault: Fault, host: usize| {
        let mut history = flawless();
        "host lost".clone_into(&mut history.tasks[4].reason);
        history.faults.push(AppliedFault { fault, host, at: 500, pids: vec![], tasks: vec![] });
        violated(&history).is_empty()
    };
    assert!(with(Fault::Network(NetworkFault::Stall), 0));
    assert!(!with(Fault::Network(NetworkFault::Stall), 1), "the network of another host");
    assert!(with(Fault::LoseHost, 0));
    assert!(!with(Fault::LoseHost, 1), "another host");
    assert!(with(Fault::CrashPostgres, 1), "Postgres is down for every host");
    assert!(!with(Fault::Kill(Target::Runner), 0));
}

#[test]
fn what_is_left_and_a_monitor_that_exited_are_violations() {
    assert_found("monitors exited by themselves", |history| {
        history.monitor_exits.push("host a: exit code 1".to_owned());
    });
    assert_found("workers left processes, files, cgroups or rows behind", |history| {
        history.leftovers.push("process 12".to_owned());
    });
}
