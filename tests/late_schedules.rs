//! Many schedules that are due at once: they fire in batches, and none is missed because a monitor is late.
//!
//! An instant is missed if no monitor watched the schedules of its domain then, nor within a minute after it. The table
//! `rework.schedule_watch` has the periods in which a monitor watched.

use serde_json::Value;

use crate::support::Installation;
use crate::support::http;
use crate::support::scale::count;
use crate::support::session::Session;

/// Inserts schedules of operation `double` with rule `rule` for tasks that no host runs. The n-th one has n as its
/// input.
fn insert_schedules(setup: &Installation, number: usize, rule: &str) {
    setup.session().execute(&format!(
        "insert into rework.schedule (operation, rule, host, input, fingerprint, next_at)
         select operation.id, '{rule}', 'nowhere', to_json(n), md5(n::text),
                date_trunc('minute', now()) - interval '30 min'
           from rework.operation, generate_series(1, {number}) n
          where name = 'double'"
    ));
}

/// Records that monitors watched the default domain from two hours ago until this many minutes ago.
fn insert_watch(setup: &Installation, minutes_ago: u32) {
    setup.session().execute(&format!(
        "insert into rework.schedule_watch (domain, since, until)
         values ('default', now() - interval '2 h', now() - interval '{minutes_ago} min')"
    ));
}

fn wait_until_nothing_is_due(setup: &Installation) {
    setup.wait_until("no schedule is due", || {
        let sql = "select count(*) = 0 from rework.schedule where next_at <= now()";
        setup.session().query_value(sql, &[])
    });
}

fn count_rows(setup: &Installation, rows: &str) -> i64 {
    setup.session().query_value(&format!("select count(*) from {rows}"), &[])
}

#[test]
fn instants_that_came_due_while_a_monitor_watched_are_fired_however_late() {
    let setup = Installation::with_fixture();
    // The policy for missed instants is `none`.
    insert_schedules(&setup, 1, "0 * * * * *");
    insert_watch(&setup, 0);
    let _monitor = setup.start_monitor(&["--minworkers", "0"]);
    wait_until_nothing_is_due(&setup);
    let fired = count_rows(&setup, "rework.firing where task is not null");
    // One more, if the next minute has started since.
    assert!((31..=32).contains(&fired), "{fired}");
    assert_eq!(count_rows(&setup, "rework.task"), fired);
}

#[test]
fn instants_are_missed_while_no_monitor_watched() {
    let setup = Installation::with_fixture();
    insert_schedules(&setup, 1, "0 * * * * *");
    insert_watch(&setup, 10);
    let _monitor = setup.start_monitor(&["--minworkers", "0"]);
    wait_until_nothing_is_due(&setup);
    let watched = count_rows(
        &setup,
        "rework.firing where due_at <= (select min(until) from rework.schedule_watch)",
    );
    assert!((20..=21).contains(&watched), "{watched} fired of those that were watched");
    let later = count_rows(&setup, "rework.firing") - watched;
    assert!((1..=2).contains(&later), "{later} fired of those that were not watched");
}

#[test]
fn monitors_record_the_periods_in_which_they_watch() {
    let setup = Installation::with_fixture();
    insert_schedules(&setup, 1, "0 0 1 1 *");
    let _monitor = setup.start_monitor(&["--minworkers", "0"]);
    let periods = || count_rows(&setup, "rework.schedule_watch where domain = 'default'");
    setup.wait_until("the monitor watches", || periods() == 1);
    let is_extended = "select until > now() - interval '20 s' and since < until - interval '1 h'
                         from rework.schedule_watch order by until desc limit 1";
    setup.session().execute(
        "update rework.schedule_watch
            set since = since - interval '2 h', until = until - interval '30 s'",
    );
    setup.wait_until("the period continues after half a minute", || {
        setup.session().query_value(is_extended, &[])
    });
    assert_eq!(periods(), 1);
    setup.session().execute("update rework.schedule_watch set until = until - interval '1 h'");
    setup.wait_until("another period begins after an hour", || periods() == 2);
}

#[test]
fn schedules_that_are_due_at_once_fire_in_few_transactions() {
    let setup = Installation::with_fixture();
    let number = count(3_000, 75_000);
    // Due once a year. A monitor has watched since then.
    insert_schedules(&setup, number, "0 0 1 1 *");
    setup.session().execute(
        "update rework.schedule
            set next_at = date_trunc('year', now() at time zone 'UTC') at time zone 'UTC';
         insert into rework.schedule_watch (domain, since, until)
         values ('default', now() - interval '2 years', now())",
    );
    let monitor = setup.start_monitor(&["--minworkers", "0"]);
    wait_until_nothing_is_due(&setup);
    let number = number as i64;
    assert_eq!(count_rows(&setup, "rework.firing where task is not null"), number);
    let inputs = "(select distinct task.input::text from rework.task
                      join rework.firing on firing.task = task.id) as t";
    assert_eq!(count_rows(&setup, inputs), number, "each schedule has a task with its input");
    assert_eq!(count_rows(&setup, "rework.task where state = 'queued'"), number);
    let transactions = count_rows(&setup, "(select distinct xmin::text from rework.firing) as t");
    assert!(transactions <= 2 + number / 500, "{transactions} transactions");
    let output = monitor.output();
    assert!(output.contains("tasks created for schedules that were due"), "{output}");
}

#[test]
fn schedules_that_are_late_are_shown_in_the_log_and_in_the_health() {
    let setup = Installation::with_fixture();
    insert_schedules(&setup, 2, "0 0 * * * *");
    insert_watch(&setup, 0);
    setup.session().execute("update rework.schedule set next_at = now() - interval '40 s'");
    let blocking = Session::open(setup.dsn());
    blocking.execute("begin");
    blocking.query_values::<i64>("select id from rework.schedule for update", &[]);
    let monitor = setup.start_monitor(&["--minworkers", "0", "--listen", "127.0.0.1:0"]);
    let address = http::address(&monitor);
    let late = || http::get(&address, "/health").1["schedules_late_seconds"].as_u64();
    setup.wait_until("the health shows late schedules", || late().is_some_and(|late| late >= 40));
    assert_eq!(http::get(&address, "/health").0, 200, "a restart would not help");
    blocking.execute("commit");
    setup.wait_until("the health shows none", || late().is_none());
    let output = monitor.output();
    for line in ["schedules fire late, by up to 4", "schedules fire in time again"] {
        assert_eq!(output.matches(line).count(), 1, "`{line}` in {output}");
    }
}

#[test]
fn a_transaction_that_makes_a_lane_delays_only_the_schedules_that_need_this_lane() {
    let setup = Installation::with_fixture();
    insert_schedules(&setup, 3, "0 * * * * *");
    insert_watch(&setup, 0);
    setup.session().execute(
        "update rework.schedule set next_at = date_trunc('minute', now()),
                host = case when input::text = '3' then null else 'host' || input::text end",
    );
    let other = Session::open(setup.dsn());
    other.execute("begin");
    other.query_value::<i64>("select rework.schedule('double', '1', host => 'host1')", &[]);
    let _monitor = setup.start_monitor(&["--minworkers", "0"]);
    let fired = |condition: &str| -> i64 {
        let rows = "rework.firing join rework.schedule on schedule.id = firing.schedule";
        count_rows(&setup, &format!("{rows} where task is not null and {condition}"))
    };
    setup.wait_until("the other schedules fire", || {
        fired("host is null") > 0 && fired("host = 'host2'") > 0
    });
    assert_eq!(fired("host = 'host1'"), 0);
    other.execute("commit");
    setup.wait_until("the schedule fires", || fired("host = 'host1'") > 0);
    let lanes = "(select distinct host from rework.lane where host is not null) as t";
    assert_eq!(count_rows(&setup, lanes), 2);
}

#[test]
fn a_schedule_that_the_database_refuses_does_not_keep_others_from_firing() {
    let setup = Installation::with_fixture();
    insert_schedules(&setup, 30, "0 * * * * *");
    insert_watch(&setup, 0);
    setup.session().execute(
        "update rework.schedule set next_at = date_trunc('minute', now());
         create function public.refuse() returns trigger language plpgsql as
         $$ begin raise exception 'thirteen'; end $$;
         create trigger refuse before insert on rework.task for each row
            when (new.input::text = '13') execute function public.refuse()",
    );
    let monitor = setup.start_monitor(&["--minworkers", "0"]);
    let fired = "(select distinct schedule from rework.firing where task is not null) as t";
    setup.wait_until("the other schedules fire", || count_rows(&setup, fired) == 29);
    setup.wait_until("the log names the error", || monitor.output().contains(": thirteen"));
    setup.session().execute("drop trigger refuse on rework.task");
    setup.wait_until("the last one fires", || count_rows(&setup, fired) == 30);
    let inputs: Vec<Value> = setup.session().query_values(
        "select distinct on (schedule) task.input
           from rework.firing join rework.task on task.id = firing.task
          order by schedule, due_at",
        &[],
    );
    assert_eq!(inputs, (1..=30).map(Value::from).collect::<Vec<_>>());
}

#[test]
fn an_input_that_programs_cannot_read_is_the_reason_why_a_firing_has_no_task() {
    let setup = Installation::with_fixture();
    insert_schedules(&setup, 1, "0 * * * * *");
    setup.session().execute(
        "update rework.schedule
            set next_at = date_trunc('minute', now()), input = '\"\\udc00\"'",
    );
    let _monitor = setup.start_monitor(&["--minworkers", "0"]);
    wait_until_nothing_is_due(&setup);
    let reason: String =
        setup.session().query_value("select distinct reason from rework.firing", &[]);
    let expected = "contains half of a surrogate pair, which is not a character";
    assert_eq!(reason, format!("the input for `double` {expected}"));
    assert_eq!(count_rows(&setup, "rework.task"), 0);
}
