//! Commands that run long do not depend on the process that starts them: signals that it ignores, and its resource
//! limits.

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::support::Installation;
use crate::support::command::{self, TestCommand};
use crate::support::installation::fixture_program;
use crate::support::monitor::Monitor;

/// The bits of the signals 32 and 33. The C library keeps them for itself, so no program can reset them.
const OF_THE_C_LIBRARY: u64 = 0b11 << 31;

/// Returns a shell that executes `preparation` and then `rework` with these arguments, in the same process.
fn rework_after(setup: &Installation, preparation: &str, args: &[&str]) -> Command {
    let inner = setup.bare_command();
    let mut shell = Command::new("sh");
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let script = format!("{preparation}; exec \"$0\" \"$@\"");
    shell.args(["-c", &script]).arg(command::program()).args(args);
    shell.current_dir(setup.folder()).env("REWORK_DSN", setup.dsn());
    shell
}

/// Returns the soft and the hard limit of open files of a process.
fn open_files_limits(pid: i32) -> (String, String) {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let mut fields = line.split_whitespace().map(str::to_owned);
    (fields.next().unwrap(), fields.next().unwrap())
}

#[test]
fn a_monitor_does_not_depend_on_ignored_signals_and_limits_of_its_parent() {
    let setup = Installation::new();
    let manifest = setup.folder().join("inherited.toml");
    let operation = "[[operation]]\nname = \"inherited\"\n\
                     shell = \"ulimit -Sn; grep SigIgn /proc/self/status\"\n";
    fs::write(&manifest, operation).unwrap();
    setup.register([manifest, fixture_program()]);
    let preparation = "trap '' CHLD TERM HUP; ulimit -Sn 256";
    let args = ["monitor", "--domain", "default", "--maxworkers", "1"];
    let command = rework_after(&setup, preparation, &args);
    let mut monitor = Monitor::start(command, &setup.folder().join("monitor-1.stderr"));
    // Without SIGCHLD the worker could not observe the end of a run.
    let task = setup.wait_until_done(setup.schedule_without_input("inherited"));
    let lines = setup.log_lines(task.id);
    assert_eq!(lines[0], "256");
    let ignored = u64::from_str_radix(lines[1].trim_start_matches("SigIgn:\t"), 16).unwrap();
    assert_eq!(ignored & !OF_THE_C_LIBRARY, 0, "{lines:?}");
    setup.wait_until_done(setup.schedule("double", 1));
    let (soft, hard) = open_files_limits(monitor.pid());
    assert_eq!(soft, hard);
    let sql = "select pid from rework.worker where id = $1";
    let worker: i32 = setup.session().query_value(sql, &[&task.worker]);
    assert_eq!(open_files_limits(worker), (soft, hard));
    monitor.signal(Signal::SIGHUP);
    setup.wait_until("the monitor has executed its program again", || {
        setup.session().query_value("select count(*) = 2 from rework.monitor", &[])
    });
    let task = setup.wait_until_done(setup.schedule_without_input("inherited"));
    assert_eq!(setup.log_lines(task.id)[0], "256", "the limit after a reload");
    monitor.signal(Signal::SIGTERM);
    assert_eq!(monitor.wait_for_exit_code(), Some(0), "{}", monitor.output());
    setup.wait_until_no_process_left();
}

#[test]
fn a_command_can_wait_for_its_children_if_its_parent_ignores_their_end() {
    let setup = Installation::new();
    let program = fixture_program();
    let args = ["register-operations", program.to_str().unwrap()];
    let command = rework_after(&setup, "trap '' CHLD", &args);
    TestCommand::new(command).run_ok();
}
