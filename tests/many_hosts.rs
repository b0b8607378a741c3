//! A monitor watches so many others, however many there are; those behind them in the ring are watched
//! when these are gone.

use crate::support::installation::Installation;

/// How many leases a monitor watches at most: `migrations/V15__tick.sql`.
const WATCHED: i64 = 100;

/// Hosts that died together: more than one monitor watches at once.
const DEAD: i64 = 150;

#[test]
fn hosts_that_died_together_are_closed_in_turn_by_the_one_that_is_left() {
    let place = Installation::new();
    place.session().run(&format!(
        "with lease as (
            insert into rework.lease (holder, length_ms)
            select 'host-' || n, 2000 from generate_series(1, {DEAD}) n
            returning id, holder
         )
         insert into rework.monitor (lease, host, boot_id, pid_ns, pid, pid_start, domains, options, containment,
                                     memory, version)
         select id, holder, 'boot', 'pid:[1]', 1, 1, '{{default}}', '{{}}', 'processes', 'sampled', '0' from lease"
    ));
    let _monitor = place.monitor(&["--minworkers", "0"]);
    let count =
        |what: &str| place.session().one::<i64>(&format!("select count(*) from {what}"), &[]);
    place.until("all of them are closed", || {
        count("rework.monitor where reason = 'host lost'") == DEAD
    });
    // They are watched for the length of their lease, and no sooner than the first ones are gone.
    let first =
        "rework.lease where taken_at < (select min(taken_at) from rework.lease) + interval '2 s'";
    assert_eq!(count(first), WATCHED, "so many were taken away at first");
    assert_eq!(
        count("rework.lease where taken_at is null"),
        1,
        "the one that is left holds its own"
    );
}
