//! Scheduling tasks with the SQL functions and with `schedule`: inside a transaction, with a unique key, by a role with
//! no other rights, and from a running task.

use rework_core::task::state::State;
use serde_json::json;

use crate::support::session::Session;
use crate::support::{Installation, server};

#[test]
fn a_task_scheduled_in_a_rolled_back_transaction_does_not_exist() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    setup.session().execute("create table orders (id bigint)");
    setup.session().execute(
        "begin; insert into orders values (1); select rework.schedule('double', '1'); rollback",
    );
    setup.session().execute(
        "begin; insert into orders values (2); select rework.schedule('double', '2'); commit",
    );
    let tasks: Vec<i64> = setup.session().query_values("select id from rework.task", &[]);
    let [task] = tasks[..] else { panic!("one task: {tasks:?}") };
    assert_eq!(setup.wait_until_done(task).output, 4);
    assert_eq!(setup.session().query_values::<i64>("select id from orders", &[]), [2]);
}

#[test]
fn a_unique_key_of_an_operation_is_scheduled_once() {
    let setup = Installation::with_fixture();
    let schedule = |operation: &str, key: &str| {
        let args = ["schedule", operation, "--input", "1", "--unique-key", key];
        setup.rework(args).run_ok().id()
    };
    let first = schedule("double", "monday");
    assert_eq!(schedule("double", "monday"), first);
    let other_key = schedule("double", "tuesday");
    let other_operation = schedule("other_domain", "monday");
    assert!(first != other_key && first != other_operation && other_key != other_operation);
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    setup.wait_until_done(first);
    assert_eq!(schedule("double", "monday"), first, "also after the task has ended");
    assert_eq!(setup.session().query_value::<i64>("select count(*) from rework.task", &[]), 3);
}

#[test]
fn a_role_that_may_schedule_and_abort_needs_no_right_on_a_table() {
    let setup = Installation::with_fixture();
    let role = FunctionRole::new(&setup);
    let session = Session::open(&role.dsn);
    let task: i64 = session.query_value("select rework.schedule('double', '21')", &[]);
    let many: Vec<i64> =
        session.query_values("select rework.schedule_many('double', array['1', '2']::json[])", &[]);
    assert_eq!(many.len(), 2);
    assert_eq!(session.query_value::<String>("select rework.abort($1)", &[&many[0]]), "aborted");
    for table in ["task", "operation", "log", "run", "worker", "monitor", "lease", "audit"] {
        let sql = format!("select count(*) from rework.{table}");
        assert_eq!(session.try_query_value::<i64>(&sql, &[]), Err("42501".to_owned()), "{table}");
    }
    let insert = "insert into rework.task (operation, lane, state) values (1, 1, 'queued')";
    assert!(session.try_execute(insert).is_err());
    let inside =
        session.try_query_value::<String>("select rework.notify_ready('default')::text", &[]);
    assert_eq!(inside, Err("42501".to_owned()), "the role may not call internal functions");
    drop(session);
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    assert_eq!(setup.wait_until_done(task).output, 42);
    assert_eq!(setup.task(many[0]).state, State::Aborted);
}

#[test]
fn the_sql_functions_refuse_invalid_arguments() {
    let setup = Installation::with_fixture();
    let code = |sql: &str| setup.session().try_query_value::<i64>(sql, &[]).unwrap_err();
    assert_eq!(code("select rework.schedule('nosuch')"), "RW404");
    assert_eq!(code("select rework.schedule('double', domain => 'nosuch')"), "RW404");
    assert_eq!(code("select rework.schedule('double', priority => 40000)"), "RW400");
    assert_eq!(code("select rework.schedule('raw', '1', input_bytes => 'x')"), "RW400");
    assert_eq!(code("select rework.abort(4711)::bigint"), "RW404");
    assert_eq!(setup.session().query_value::<i64>("select count(*) from rework.task", &[]), 0);
}

#[test]
fn a_task_can_schedule_other_tasks() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "2"]);
    let task = setup.wait_until_done(setup.schedule("schedules_double", json!([1, 2, 3])));
    let children: Vec<i64> = serde_json::from_value(task.output).unwrap();
    let outputs: Vec<_> =
        children.iter().map(|child| setup.wait_until_done(*child).output).collect();
    assert_eq!(outputs, [json!(2), json!(4), json!(6)]);
    let sql = "select parent from rework.task where id = any ($1)";
    assert_eq!(setup.session().query_values::<i64>(sql, &[&children]), [task.id; 3]);
}

#[test]
fn only_the_fence_of_a_run_gives_a_task_children() {
    let setup = Installation::with_fixture();
    let parent = setup.schedule("double", 1);
    let forged = format!("select rework.schedule('double', '1', parent => {parent})");
    // 42883 is `undefined_function`: the function has no such parameter.
    assert_eq!(setup.session().try_query_value::<i64>(&forged, &[]), Err("42883".to_owned()));
    let role = FunctionRole::new(&setup);
    let child = |session: &Session, run: i64, token: &str| -> Result<Option<i64>, String> {
        let sql = format!(
            "select rework.schedule_child({parent}, {run}, '{token}', 1, 'double', null, '2', null, null, null)"
        );
        session.try_query_value(&sql, &[])
    };
    let token = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
    let other = "00000000-0000-4000-8000-000000000000";
    let session = setup.session();
    // 42501 is `insufficient_privilege`.
    assert_eq!(child(&Session::open(&role.dsn), 1, token), Err("42501".to_owned()));
    assert_eq!(child(session, 0, token), Ok(None), "the task has not been claimed");
    session.execute(&format!(
        "update rework.task set state = 'running', run = 1, token = '{token}', worker = 1 where id = {parent}"
    ));
    assert_eq!(child(session, 1, other), Ok(None), "a token that is not the run's");
    assert_eq!(child(session, 2, token), Ok(None), "a run that is not current");
    let scheduled = child(session, 1, token).unwrap().unwrap();
    assert_eq!(child(session, 1, token), Ok(Some(scheduled)), "the same request again");
    session.execute(&format!(
        "update rework.task set state = 'done', finished_at = now() where id = {parent}"
    ));
    assert_eq!(child(session, 1, token), Ok(None), "the run is over");
    let children = "select id from rework.task where parent = $1";
    assert_eq!(session.query_values::<i64>(children, &[&parent]), [scheduled]);
}

#[test]
fn an_operation_can_read_the_properties_of_its_task() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let options = ["--input", "{\"a\": 1}", "--metadata", "{\"user\": \"babar\"}"];
    let task = setup.rework(["schedule", "describes_run"]).args(options).run_ok().id();
    let expected = json!({
        "id": task, "run": 1, "attempt": 1, "domain": "default", "operation": "describes_run",
        "metadata": {"user": "babar"}, "input": {"a": 1},
    });
    assert_eq!(setup.wait_until_done(task).output, expected);
}

/// A role that has only the right to execute the public functions. It is dropped with the value.
struct FunctionRole<'a> {
    setup: &'a Installation,
    name: String,
    dsn: String,
}

impl FunctionRole<'_> {
    fn new(setup: &Installation) -> FunctionRole<'_> {
        let name = format!("only_schedules_{}", setup.database_name());
        setup.session().execute(&format!(
            "create role {name} login password 'little';
             grant usage on schema rework to {name};
             grant execute on function rework.schedule, rework.schedule_many, rework.abort to {name}"
        ));
        let dsn = server::dsn(&name, "little", setup.database_name());
        FunctionRole { setup, name, dsn }
    }
}

impl Drop for FunctionRole<'_> {
    fn drop(&mut self) {
        let sql = format!("drop owned by {0}; drop role {0}", self.name);
        if let Err(error) = self.setup.session().try_execute(&sql) {
            eprintln!("{error:?}");
        }
    }
}

#[test]
fn the_sql_function_schedules_inputs_and_bytes_in_order() {
    let setup = Installation::with_fixture();
    let session = setup.session();
    let ids: Vec<i64> = session.query_values(
        "select rework.schedule_many('raw', array['1', null, null]::json[],
                                     inputs_bytes => array[null, 'two']::bytea[])",
        &[],
    );
    assert!(ids.len() == 3 && ids.is_sorted(), "{ids:?}");
    let sql = "select coalesce(input::text, convert_from(input_bytes, 'UTF8'), 'none')
                 from rework.task order by id";
    assert_eq!(session.query_values::<String>(sql, &[]), ["1", "two", "none"]);
    let bytes =
        "select rework.schedule_many('raw', null, inputs_bytes => array['a', 'b']::bytea[])";
    assert_eq!(session.query_values::<i64>(bytes, &[]).len(), 2);
    assert_eq!(
        session.query_values::<i64>("select rework.schedule_many('raw', '{}')", &[]).len(),
        0
    );
    let code = |sql: &str| session.try_query_value::<i64>(sql, &[]).unwrap_err();
    let both = "select rework.schedule_many('raw', '{1}', inputs_bytes => '{x}')";
    assert_eq!(code(both), "RW400");
    assert_eq!(code("select rework.schedule_many('nosuch', '{1}')"), "RW404");
    assert_eq!(code("select rework.schedule_many('raw', '{1}', priority => 40000)"), "RW400");
    assert_eq!(session.query_value::<i64>("select count(*) from rework.task", &[]), 5);
}
