//! `rework dev`: a Postgres server and a monitor for one directory. Other commands in the directory use this database,
//! and a later `rework dev` finds the tasks of the earlier one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::command::TestCommand;
use crate::support::database::Database;
use crate::support::{Installation, processes, wait};

/// A running `rework dev` in the folder of a test. The test's own database is not used.
struct Project {
    setup: Installation,
    /// The process of `rework dev`.
    dev: Child,
}

impl Project {
    /// Starts `rework dev` and waits until it has a worker.
    fn start(setup: Installation, args: &[&str]) -> Project {
        let output = fs::File::create(setup.folder().join("dev.log")).unwrap();
        let dev = setup
            .bare_command()
            .arg("dev")
            .args(args)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let mut project = Project { setup, dev };
        let folder = project.setup.folder().to_owned();
        let dev = &mut project.dev;
        wait::until_some(
            "`rework dev` has a worker",
            wait::TIMEOUT * 2,
            || dev_log(&folder),
            || {
                assert!(
                    dev.try_wait().unwrap().is_none(),
                    "`rework dev` ended:\n{}",
                    dev_log(&folder)
                );
                let listed = TestCommand::new(project.setup.bare_command())
                    .args(["list-workers", "-q"])
                    .run();
                (listed.code() == Some(0) && !listed.stdout().is_empty()).then_some(())
            },
        );
        project
    }

    /// Returns a command that runs in the folder of the project and gets no DSN.
    fn rework<const N: usize>(&self, args: [&str; N]) -> TestCommand {
        TestCommand::new(self.setup.bare_command()).args(args)
    }

    /// Sends SIGINT, as Ctrl-C does, and waits until no process is left.
    fn stop(mut self) -> Installation {
        processes::signal(i32::try_from(self.dev.id()).unwrap(), Signal::SIGINT);
        let folder = self.setup.folder().to_owned();
        let dev = &mut self.dev;
        wait::until_some(
            "`rework dev` ends",
            wait::TIMEOUT,
            || dev_log(&folder),
            || dev.try_wait().unwrap(),
        );
        self.setup.wait_until_no_process_left();
        self.setup
    }
}

/// Returns what `rework dev` has printed.
fn dev_log(folder: &Path) -> String {
    fs::read_to_string(folder.join("dev.log")).unwrap_or_default()
}

/// Removes the data of a project from `/var/lib/rework` at the end of the test.
///
/// Postgres refuses to run as root, so for root the data is outside of the project's folder. The file `project` in the
/// data has the path of this folder.
struct RootDataRemoval(PathBuf);

impl Drop for RootDataRemoval {
    fn drop(&mut self) {
        let Ok(entries) = fs::read_dir("/var/lib/rework") else { return };
        for folder in entries.filter_map(Result::ok) {
            let project = fs::read_to_string(folder.path().join("project")).unwrap_or_default();
            if Path::new(project.trim()) == self.0 {
                let _ = fs::remove_dir_all(folder.path());
            }
        }
    }
}

/// Writes a manifest whose operation `speak` prints and returns `word`.
fn write_manifest(path: &Path, word: &str) {
    let text = format!(
        "[[operation]]\nname = \"speak\"\nshell = 'echo {word}; echo \\\"{word}\\\" > $REWORK_OUTPUT'\n"
    );
    fs::write(path, text).unwrap();
}

#[test]
fn dev_runs_tasks_reloads_changed_files_and_keeps_its_data() {
    let setup = Installation::with_database(Database::empty());
    let folder = setup.folder().canonicalize().unwrap();
    let _removal = RootDataRemoval(folder.clone());
    let manifest = folder.join("operations.toml");
    write_manifest(&manifest, "one");
    let project = Project::start(setup, &["operations.toml"]);
    let speak = |project: &Project| -> Value {
        let task = project.rework(["schedule", "speak", "--wait"]).run_ok();
        let id = task.stdout().lines().next().unwrap().to_owned();
        project.rework(["show-task", &id, "-o", "json"]).run_ok().json()["output"].clone()
    };
    assert_eq!(speak(&project), json!("one"));
    wait::until(
        "`rework dev` prints the lines of tasks",
        || dev_log(&folder),
        || dev_log(&folder).contains("[speak 1] one"),
    );
    write_manifest(&manifest, "two");
    wait::until(
        "the changed manifest is registered again",
        || dev_log(&folder),
        || speak(&project) == json!("two"),
    );
    let second = project.rework(["dev"]).run_expecting(1);
    let pid = project.dev.id().to_string();
    assert!(
        second.stderr().contains(&pid),
        "the error does not name the running `rework dev`: {second}"
    );
    let tasks = project.rework(["list-tasks", "-q"]).run_ok().stdout();
    let setup = project.stop();
    assert!(
        !folder.join(".rework/dev.json").exists(),
        "the file that leads other commands to the server is left"
    );
    let project = Project::start(setup, &["operations.toml"]);
    assert_eq!(
        project.rework(["list-tasks", "-q"]).run_ok().stdout(),
        tasks,
        "the tasks were not kept"
    );
    drop(project.stop());
}
