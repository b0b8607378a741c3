//! A made-up history without a violation.

use rework_core::task::state::State;

use crate::chaos::history::{AppliedFault, History, RecordedTask, Transition};
use crate::chaos::lines::{Line, Moment};
use crate::chaos::plan::{Fault, Target};

/// The pid of the worker of every run.
const WORKER: i32 = 100;

/// The runs that have written lines: task, run, pid, and the times of the first and of the last line. The last one is
/// an end for the runs that are named in `RUNS_TO_END`.
const RUNS: [(i64, i64, i32, u64, u64); 8] = [
    (1, 1, 201, 1_000, 2_000),
    (2, 1, 202, 1_000, 3_000),
    (2, 2, 203, 5_000, 6_000),
    (3, 1, 204, 1_000, 4_000),
    (4, 2, 205, 3_000, 7_000),
    (5, 1, 206, 1_000, 8_000),
    (6, 1, 207, 1_000, 2_000),
    (7, 1, 208, 1_000, 2_000),
];

const RUNS_TO_END: [(i64, i64); 4] = [(1, 1), (2, 2), (6, 1), (7, 1)];

fn task(id: i64, state: State, run: i64, reason: &str) -> RecordedTask {
    RecordedTask {
        id,
        state,
        reason: reason.to_owned(),
        run,
        host: Some("a".to_owned()),
        worker_pid: Some(WORKER),
        may_repeat: false,
        number: id * 10,
        output: (state == State::Done).then(|| (id * 10).to_string()),
    }
}

pub(super) fn change(task: i64, run: i64, from: State, to: State, at: u64) -> Transition {
    Transition { task, run, from, to, at }
}

fn fault(fault: Fault, at: u64, pids: &[i32], tasks: &[i64]) -> AppliedFault {
    AppliedFault { fault, host: 0, at, pids: pids.to_vec(), tasks: tasks.to_vec() }
}

fn lines() -> Vec<Line> {
    let mut lines = Vec::new();
    for (task, run, pid, first, last) in RUNS {
        let line = |moment, at| Line { moment, task, run, pid, at };
        let ends = RUNS_TO_END.contains(&(task, run));
        lines.push(line(Moment::Start, first));
        lines.push(line(if ends { Moment::End } else { Moment::Beat }, last));
    }
    lines
}

/// A history without a violation, in which every rule has a case.
///
/// Task 1 is done. Task 2 was lost with its worker, queued again, and is done. Task 3 was aborted while it ran. Task 4
/// was claimed and not started, claimed again, and then its runner was killed. Task 5 was lost with its worker. Tasks 6
/// and 7 are done.
pub(super) fn flawless() -> History {
    History {
        acknowledged: (1..=7).collect(),
        lines: lines(),
        tasks: vec![
            task(1, State::Done, 1, ""),
            RecordedTask { may_repeat: true, ..task(2, State::Done, 2, "") },
            task(3, State::Aborted, 1, "aborted by the chaos test"),
            task(4, State::Failed, 2, "signal 9 (killed)"),
            task(5, State::Lost, 1, "worker died: signal 9 (killed)"),
            task(6, State::Done, 1, ""),
            task(7, State::Done, 1, ""),
        ],
        transitions: transitions(),
        not_started: vec![(4, 1)],
        faults: vec![
            fault(Fault::Abort, 3_400, &[], &[3]),
            fault(Fault::Kill(Target::Runner), 6_900, &[205], &[]),
            fault(Fault::Kill(Target::Worker), 7_900, &[WORKER], &[]),
        ],
        hosts: vec!["a".to_owned(), "b".to_owned()],
        clock_error: 10,
        monitor_starts: 3,
        monitor_exits: Vec::new(),
        workers: 6,
        lost_workers: 1,
        leftovers: Vec::new(),
    }
}

fn transitions() -> Vec<Transition> {
    use State::{Aborted, Aborting, Done, Failed, Lost, Queued, Running};
    let claim = |task, run, at| change(task, run, Queued, Running, at);
    let done = |task, at| change(task, 1, Running, Done, at);
    vec![
        claim(1, 1, 900),
        done(1, 2_100),
        claim(2, 1, 900),
        change(2, 1, Running, Queued, 3_500),
        claim(2, 2, 4_500),
        change(2, 2, Running, Done, 6_100),
        claim(3, 1, 900),
        change(3, 1, Running, Aborting, 3_500),
        change(3, 1, Aborting, Aborted, 4_100),
        claim(4, 1, 900),
        change(4, 1, Running, Queued, 1_500),
        claim(4, 2, 2_500),
        change(4, 2, Running, Failed, 7_100),
        claim(5, 1, 900),
        change(5, 1, Running, Lost, 8_100),
        claim(6, 1, 900),
        done(6, 2_100),
        claim(7, 1, 900),
        done(7, 2_100),
    ]
}
