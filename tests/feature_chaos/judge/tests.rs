//! Features that are made up: without a violation, and with one.

use super::super::witnessed::{self, Followed, PutOff};
use super::*;

/// Task 1 and then task 2 have key 5. Task 4 waits for task 3, which task 6 follows. Task 7 was put off once. The
/// operation of unique keys is paused from 150 to 190.
fn flawless() -> Features {
    let text = "\
        start 1 1 9 100 witnessed_unique 5\n\
        end 1 1 9 140 witnessed_unique 5\n\
        start 2 1 9 200 witnessed_unique 5\n\
        end 2 1 9 240 witnessed_unique 5\n\
        start 3 1 9 160 witnessed_followed 0\n\
        end 3 1 9 170 witnessed_followed 0\n\
        start 4 1 9 180 witnessed_after 3\n\
        end 4 1 9 190 witnessed_after 3\n\
        start 6 1 9 200 witnessed_follower 3\n\
        end 6 1 9 210 witnessed_follower 3\n";
    let (lines, labels) = witnessed::parse(text).unwrap();
    let mut features = Features { labels, ..Features::default() };
    features.history.lines = lines;
    features.pauses = vec![Paused { operation: Some("witnessed_unique"), from: 150, to: 190 }];
    features.followed = vec![Followed { task: 3, is_done: true, followers: 1 }];
    features.put_off = vec![PutOff { task: 7, runs: 2, uncounted_runs: 1, attempt: 1 }];
    features
}

/// Asserts that exactly this rule is violated after a change of the flawless features.
#[track_caller]
fn assert_found(rule: &str, change: impl FnOnce(&mut Features)) {
    let mut features = flawless();
    change(&mut features);
    let results = judge(&features);
    let violated = results.iter().filter(|result| !result.violations.is_empty());
    assert_eq!(violated.map(|result| result.rule).collect::<Vec<_>>(), [rule]);
}

fn add_line(features: &mut Features, text: &str) {
    let (lines, labels) = witnessed::parse(text).unwrap();
    features.history.lines.extend(lines);
    features.labels.extend(labels);
}

#[test]
fn features_without_a_violation_pass() {
    for result in judge(&flawless()) {
        assert_eq!(result.violations, Vec::<String>::new(), "{}", result.rule);
    }
}

#[test]
fn two_tasks_of_a_key_at_the_same_time_are_found() {
    assert_found("tasks began before the task that had their key had ended", |features| {
        add_line(features, "start 8 1 8 205 witnessed_unique 5");
    });
}

#[test]
fn a_task_that_did_not_wait_is_found() {
    for operation in ["witnessed_after", "witnessed_follower"] {
        assert_found("tasks began before the task that they wait for had ended", |features| {
            let number = if operation == "witnessed_after" { 3 } else { 1 };
            let at = if number == 3 { 165 } else { 120 };
            add_line(features, &format!("start 8 1 8 {at} {operation} {number}"));
        });
    }
}

#[test]
fn followers_that_are_missing_or_superfluous_are_found() {
    let rule = "tasks were followed otherwise than once if done, and never if not";
    for (is_done, followers) in [(true, 0), (true, 2), (false, 1)] {
        assert_found(rule, |features| {
            features.followed[0] = Followed { task: 3, is_done, followers };
        });
    }
    assert_found("tasks had several followers that ran", |features| {
        add_line(features, "start 8 1 8 300 witnessed_follower 3");
    });
}

#[test]
fn a_start_during_a_pause_is_found() {
    let rule = "pauses were broken by a task that began";
    assert_found(rule, |features| {
        add_line(features, "start 8 1 8 155 witnessed_unique 6");
    });
    // Tasks of another operation may start, unless everything is paused.
    assert_found(rule, |features| features.pauses[0].operation = None);
}

#[test]
fn an_attempt_that_was_used_by_a_run_that_was_put_off_is_found() {
    assert_found("tasks that were put off used an attempt for that", |features| {
        features.put_off[0].attempt = 2;
    });
}

#[test]
fn a_line_that_contradicts_an_earlier_one_of_its_task_is_refused() {
    let second = "beat 1 1 9 101 witnessed_unique 6";
    let text = format!("start 1 1 9 100 witnessed_unique 5\n{second}\n");
    assert_eq!(witnessed::parse(&text).map(drop), Err(second.to_owned()));
}
