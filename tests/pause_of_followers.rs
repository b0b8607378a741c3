//! A pause and tasks that become ready only later: those that wait for other tasks, those that follow the end of a task,
//! and those that are delayed. They are queued as always, and do not start until they are resumed.

use rework_core::task::state::State;

use crate::before_after::{registered, start_monitors};

#[test]
fn a_task_that_becomes_ready_while_it_is_paused_is_queued_and_starts_when_it_is_resumed() {
    let setup = registered();
    let _monitors = start_monitors(&setup);
    for operation in ["main", "second"] {
        setup.rework(["pause", "--operation", operation]).run_ok();
    }
    let main = setup.schedule_without_input("main");
    let first = setup.wait_until_done(setup.schedule("first", 7)).id;
    let follower = "select task.id from rework.task
                      join rework.operation on operation.id = task.operation
                     where task.parent = $1 and operation.name = $2";
    let follower = |name: &str| setup.session().query_value::<i64>(follower, &[&first, &name]);
    let (second, third) = (follower("second"), follower("third"));
    let delayed = ["schedule", "second", "--input", "{}", "--delay", "100ms"];
    let delayed = setup.rework(delayed).run_ok().id();
    for task in [main, second, delayed] {
        setup.wait_until("the task is queued", || setup.task(task).state == State::Queued);
    }
    setup.wait_until_done(third);
    setup.wait_until_done(setup.schedule_without_input("third"));
    for task in [main, second, delayed] {
        let queued = setup.task(task);
        assert_eq!((queued.state, queued.run), (State::Queued, 0), "it was claimed: {queued:?}");
    }

    setup.rework(["resume", "--operation", "second"]).run_ok();
    setup.wait_until_done(second);
    setup.wait_until_done(delayed);
    assert_eq!(setup.task(main).run, 0, "it was claimed");
    setup.rework(["resume", "--operation", "main"]).run_ok();
    setup.wait_until_done(main);
}
