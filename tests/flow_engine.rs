//! Random flows do what the rules say: after each transaction the rows of a flow equal the model
//! (`crates/flow/src/model.rs`), which applies the rules to the whole history of the flow without counting anything.
//!
//! The flows are driven without any process, from several sessions at the same time. Each transaction ends tasks of
//! several flows. Everything follows from a seed, which is printed. `REWORK_FLOW_SEED` repeats it.
//!
//! `flow_engine/random_plan.rs` makes the plans, `driver.rs` and `requests.rs` let something happen, and `rows.rs`
//! compares. `cases.rs` has sequences that are not random.

use std::io::Write as _;
use std::thread;
use std::time::Instant;

use crate::support::Installation;
use crate::support::scale;

use driver::Driver;
use figures::Figures;
use operations::Operations;

mod case;
mod cases;
mod driven_flow;
mod driver;
mod figures;
pub(crate) mod operations;
pub(crate) mod random_plan;
mod requests;
mod rows;
pub(crate) mod runs;

/// The environment variable with the seed to repeat.
const SEED_VARIABLE: &str = "REWORK_FLOW_SEED";

/// The seed of `make test`.
const USUAL_SEED: u64 = 19;

const SESSIONS: u64 = 4;

/// Returns the seed of the environment. Without it, the seed is always the same in `make test`, and a random one in
/// `make soak`.
fn seed() -> u64 {
    match std::env::var(SEED_VARIABLE) {
        Ok(text) => text.parse().unwrap_or_else(|error| panic!("{SEED_VARIABLE}: {error}")),
        Err(_) if scale::is_soak() => fastrand::u64(..1_000_000_000),
        Err(_) => USUAL_SEED,
    }
}

/// Drives flows from all sessions. `Err` with the first fault.
fn drive(dsn: &str, operations: &Operations, seed: u64, count: usize) -> Result<Figures, String> {
    let mut all = Figures::default();
    let results: Vec<Result<Figures, String>> = thread::scope(|scope| {
        let run = |number: u64| {
            let seed = seed.wrapping_mul(1_000_003).wrapping_add(number);
            scope.spawn(move || Driver::new(dsn, operations, seed).run(count / SESSIONS as usize))
        };
        let sessions: Vec<_> = (0..SESSIONS).map(run).collect();
        sessions.into_iter().map(|session| session.join().unwrap()).collect()
    });
    for figures in results {
        all.add(figures?);
    }
    Ok(all)
}

#[test]
fn random_flows_do_what_the_rules_say() {
    let (seed, started) = (seed(), Instant::now());
    let setup = Installation::new();
    let operations = Operations::insert(setup.session());
    let result = drive(setup.dsn(), &operations, seed, scale::count(500, 10_000));
    let took = started.elapsed().as_secs_f64();
    let figures = result.unwrap_or_else(|fault| {
        panic!("{fault}\nto repeat these flows: {SEED_VARIABLE}={seed} make test ARGS=flow_engine")
    });
    // Cargo does not show what a passed test prints with `eprintln!`.
    let text = format!("flow engine, seed {seed}: {figures}, in {took:.1} s\n");
    std::io::stderr().write_all(text.as_bytes()).unwrap();
    assert!(figures.done > 0 && figures.reverted > 0 && figures.stopped > 0, "{text}");
    assert!(figures.rounds > 0 && figures.retries > 0 && figures.locks > 0, "{text}");
}

/// Replaces a part of a function in the database of the test, and asserts that the comparison finds that out.
#[track_caller]
fn assert_found(function: &str, part: &str, fault: &str) {
    let setup = Installation::new();
    let operations = Operations::insert(setup.session());
    let sql = "select pg_get_functiondef($1::text::regproc)";
    let definition: String = setup.session().query_value(sql, &[&function]);
    assert!(definition.contains(part), "{definition}");
    setup.session().execute(&definition.replace(part, fault));
    let result = drive(setup.dsn(), &operations, USUAL_SEED, 200);
    let found = result.expect_err("the rows equal the model in spite of the fault");
    assert!(found.starts_with("flow "), "{found}");
}

#[test]
fn a_lost_end_is_found() {
    assert_found("rework.record_ends", "s.task = t.id and", "s.task = t.id and t.id % 4 > 0 and");
}

#[test]
fn a_lost_end_of_a_simple_flow_is_found() {
    for function in ["rework.forward_one", "rework.forward_simple"] {
        assert_found(function, "s.task = t.id and", "s.task = t.id and t.id % 4 > 0 and");
    }
}

#[test]
fn an_undo_that_is_made_twice_is_found() {
    let part = "from unnest(flows, numbers) as given (flow, number)";
    let fault = "from (select u.flow, u.number from unnest(flows, numbers) as u (flow, number),
                              generate_series(1, case when undo then 2 else 1 end)) as given";
    assert_found("rework.make_step_tasks", part, fault);
}

#[test]
fn a_wrong_order_of_undo_is_found() {
    assert_found("rework.begin_undo", "set missing = coalesce(n.n, 0)", "set missing = 0");
}

#[test]
fn a_wrong_number_of_rounds_is_found() {
    assert_found("rework.scope_to_undo", "c.round < rounds", "c.round <= rounds");
}
