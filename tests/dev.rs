//! `rework dev`: everything in one directory, found by the other commands, kept for the next time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::command::Call;
use crate::support::database::Database;
use crate::support::{Installation, processes, wait};

/// A project in the folder of a test. The test's own database is not used.
struct Project {
    place: Installation,
    dev: Child,
}

impl Project {
    fn start(place: Installation, args: &[&str]) -> Project {
        let output = fs::File::create(place.folder().join("dev.log")).unwrap();
        let dev = place
            .process()
            .arg("dev")
            .args(args)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let mut project = Project { place, dev };
        let folder = project.place.folder().to_owned();
        let dev = &mut project.dev;
        wait::until_some(
            "it is up",
            wait::PATIENCE * 2,
            || said(&folder),
            || {
                assert!(dev.try_wait().unwrap().is_none(), "it ended:\n{}", said(&folder));
                let listed = Call::new(project.place.process()).args(["list-workers", "-q"]).run();
                (listed.code() == Some(0) && !listed.stdout().is_empty()).then_some(())
            },
        );
        project
    }

    /// A command, typed in the project: nobody tells it of a database.
    fn rework<const N: usize>(&self, args: [&str; N]) -> Call {
        Call::new(self.place.process()).args(args)
    }

    /// Ctrl-C, to its end.
    fn stop(mut self) -> Installation {
        processes::signal(i32::try_from(self.dev.id()).unwrap(), Signal::SIGINT);
        let folder = self.place.folder().to_owned();
        let dev = &mut self.dev;
        wait::until_some("it ends", wait::PATIENCE, || said(&folder), || dev.try_wait().unwrap());
        self.place.assert_no_process_left();
        self.place
    }
}

/// What it said.
fn said(folder: &Path) -> String {
    fs::read_to_string(folder.join("dev.log")).unwrap_or_default()
}

/// For root the data is in a directory of the project's own elsewhere, which says whose it is.
struct Elsewhere(PathBuf);

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let Ok(places) = fs::read_dir("/var/lib/rework") else { return };
        for place in places.filter_map(Result::ok) {
            let whose = fs::read_to_string(place.path().join("project")).unwrap_or_default();
            if Path::new(whose.trim()) == self.0 {
                let _ = fs::remove_dir_all(place.path());
            }
        }
    }
}

fn write_manifest(path: &Path, word: &str) {
    let text = format!(
        "[[operation]]\nname = \"speak\"\nshell = 'echo {word}; echo \\\"{word}\\\" > $REWORK_OUTPUT'\n"
    );
    fs::write(path, text).unwrap();
}

#[test]
fn everything_in_one_directory() {
    let place = Installation::on(Database::empty());
    let folder = place.folder().canonicalize().unwrap();
    let _elsewhere = Elsewhere(folder.clone());
    let manifest = folder.join("operations.toml");
    write_manifest(&manifest, "one");
    let project = Project::start(place, &["operations.toml"]);
    let speak = |project: &Project| -> Value {
        let task = project.rework(["schedule", "speak", "--wait"]).ok();
        let id = task.stdout().lines().next().unwrap().to_owned();
        project.rework(["show-task", &id, "-o", "json"]).ok().json()["output"].clone()
    };
    assert_eq!(speak(&project), json!("one"));
    wait::until(
        "the lines of tasks are shown",
        || said(&folder),
        || said(&folder).contains("[speak 1] one"),
    );
    write_manifest(&manifest, "two");
    wait::until(
        "a file that changed is registered again",
        || said(&folder),
        || speak(&project) == json!("two"),
    );
    let second = project.rework(["dev"]).exits(1);
    let pid = project.dev.id().to_string();
    assert!(second.stderr().contains(&pid), "it is told of the first: {second}");
    let tasks = project.rework(["list-tasks", "-q"]).ok().stdout();
    let place = project.stop();
    assert!(!folder.join(".rework/dev.json").exists(), "nobody is led there any more");
    let project = Project::start(place, &["operations.toml"]);
    assert_eq!(project.rework(["list-tasks", "-q"]).ok().stdout(), tasks, "the data stays");
    drop(project.stop());
}
