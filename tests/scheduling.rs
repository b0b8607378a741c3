//! Scheduling from SQL: in the caller's own transaction, by who may do nothing else, once per key.

use rework_core::task::state::State;
use serde_json::json;

use crate::support::session::Session;
use crate::support::{Installation, server};

#[test]
fn what_is_rolled_back_was_never_scheduled() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    place.session().run("create table orders (id bigint)");
    place.session().run(
        "begin; insert into orders values (1); select rework.schedule('double', '1'); rollback",
    );
    place
        .session()
        .run("begin; insert into orders values (2); select rework.schedule('double', '2'); commit");
    let tasks: Vec<i64> = place.session().all("select id from rework.task", &[]);
    let [task] = tasks[..] else { panic!("one task: {tasks:?}") };
    assert_eq!(place.done(task).output, 4);
    assert_eq!(place.session().all::<i64>("select id from orders", &[]), [2]);
}

#[test]
fn a_key_is_scheduled_once() {
    let place = Installation::with_fixture();
    let schedule = |operation: &str, key: &str| {
        let input = ["schedule", operation, "--input", "1", "--unique-key", key];
        place.rework(input).ok().id()
    };
    let first = schedule("double", "monday");
    assert_eq!(schedule("double", "monday"), first);
    let other_key = schedule("double", "tuesday");
    let other_operation = schedule("other_dom", "monday");
    assert!(first != other_key && first != other_operation && other_key != other_operation);
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    place.done(first);
    assert_eq!(schedule("double", "monday"), first, "also when it has ended");
    assert_eq!(place.session().one::<i64>("select count(*) from rework.task", &[]), 3);
}

#[test]
fn a_role_that_may_schedule_and_abort_needs_no_right_on_a_table() {
    let place = Installation::with_fixture();
    let role = Role::new(&place);
    let session = Session::open(&role.dsn);
    let task: i64 = session.one("select rework.schedule('double', '21')", &[]);
    let many: Vec<i64> =
        session.all("select rework.schedule_many('double', array['1', '2']::json[])", &[]);
    assert_eq!(many.len(), 2);
    assert_eq!(session.one::<String>("select rework.abort($1)", &[&many[0]]), "aborted");
    for table in ["task", "operation", "log", "run", "worker", "monitor", "lease", "audit"] {
        let sql = format!("select count(*) from rework.{table}");
        assert_eq!(session.try_one::<i64>(&sql, &[]), Err("42501".to_owned()), "{table}");
    }
    let insert = "insert into rework.task (operation, lane, state) values (1, 1, 'queued')";
    assert!(session.try_run(insert).is_err());
    let inside = session.try_one::<String>("select rework.hint_ready('default')::text", &[]);
    assert_eq!(inside, Err("42501".to_owned()), "what the functions use is not for everybody");
    drop(session);
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    assert_eq!(place.done(task).output, 42);
    assert_eq!(place.task(many[0]).state, State::Aborted);
}

#[test]
fn sql_refuses_what_cannot_be() {
    let place = Installation::with_fixture();
    let code = |sql: &str| place.session().try_one::<i64>(sql, &[]).unwrap_err();
    assert_eq!(code("select rework.schedule('nosuch')"), "RW404");
    assert_eq!(code("select rework.schedule('double', domain => 'nosuch')"), "RW404");
    assert_eq!(code("select rework.schedule('double', priority => 40000)"), "RW400");
    assert_eq!(code("select rework.schedule('raw', '1', input_bytes => 'x')"), "RW400");
    assert_eq!(code("select rework.abort(4711)::bigint"), "RW404");
    assert_eq!(place.session().one::<i64>("select count(*) from rework.task", &[]), 0);
}

#[test]
fn a_task_schedules_others() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "2"]);
    let task = place.done(place.schedule("fan", json!([1, 2, 3])));
    let children: Vec<i64> = serde_json::from_value(task.output).unwrap();
    let outputs: Vec<_> = children.iter().map(|child| place.done(*child).output).collect();
    assert_eq!(outputs, [json!(2), json!(4), json!(6)]);
    let sql = "select parent from rework.task where id = any ($1)";
    assert_eq!(place.session().all::<i64>(sql, &[&children]), [task.id; 3]);
}

#[test]
fn an_operation_sees_what_its_task_was_given() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let given = ["--input", "{\"a\": 1}", "--metadata", "{\"user\": \"babar\"}"];
    let task = place.rework(["schedule", "introduces_itself"]).args(given).ok().id();
    let expected = json!({
        "id": task, "run": 1, "attempt": 1, "domain": "default", "operation": "introduces_itself",
        "metadata": {"user": "babar"}, "input": {"a": 1},
    });
    assert_eq!(place.done(task).output, expected);
}

/// A role with EXECUTE on the functions that are meant for everybody, and nothing else.
struct Role<'a> {
    place: &'a Installation,
    name: String,
    dsn: String,
}

impl Role<'_> {
    fn new(place: &Installation) -> Role<'_> {
        let name = format!("only_schedules_{}", place.database_name());
        place.session().run(&format!(
            "create role {name} login password 'little';
             grant usage on schema rework to {name};
             grant execute on function rework.schedule, rework.schedule_many, rework.abort to {name}"
        ));
        let dsn = server::dsn(&name, "little", place.database_name());
        Role { place, name, dsn }
    }
}

impl Drop for Role<'_> {
    fn drop(&mut self) {
        let sql = format!("drop owned by {0}; drop role {0}", self.name);
        if let Err(error) = self.place.session().try_run(&sql) {
            eprintln!("{error:?}");
        }
    }
}
