//! Tests of a process that cannot be killed because it waits inside the kernel: it is reported by its pid, and dies
//! when the wait ends.
#![expect(
    clippy::unwrap_used,
    dead_code,
    reason = "a test may panic, and uses its own part of `support`"
)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rework_process::{Exit, Tree};
use support::{TIMEOUT, containments, pids, process_tag, run_alone, shell, wait_until};
use tempfile::{TempDir, tempdir};

#[test]
fn an_unkillable_process_is_named_after_the_timeout_and_dies_when_the_disk_answers() {
    run_alone(async {
        let Some(disk) = FrozenDisk::new() else { return };
        for containment in containments() {
            disk.freeze();
            let dir = tempdir().unwrap();
            let mut tree = Tree::new(&containment, &process_tag(), 1).unwrap();
            let script = format!("echo $$ > $DIR/pids; : > {}", disk.path("file").display());
            let mut runner = tree.launch(shell(&script, dir.path())).unwrap();
            pids(dir.path(), "pids", 1).await;
            let stat = || fs::read_to_string(format!("/proc/{}/stat", runner.pid())).unwrap();
            wait_until("the runner waits for the disk", || stat().contains(") D ")).await;
            let error = tree.kill(Duration::from_millis(50)).await.unwrap_err();
            assert_eq!(error.pids, [runner.pid()]);
            assert_eq!(error.to_string(), format!("unkillable: pid {}", runner.pid()));
            assert_eq!(runner.try_wait().unwrap(), None);
            disk.thaw();
            tree.kill(TIMEOUT).await.unwrap();
            let exit = runner.wait().await.unwrap();
            assert_eq!(exit, Exit::Signal { signal: 9, core: false });
        }
    });
}

/// A small file system that can be frozen. A process that writes to it meanwhile waits inside the kernel.
struct FrozenDisk {
    dir: TempDir,
}

impl FrozenDisk {
    /// Mounts a new file system. `None` if this user may not mount one.
    fn new() -> Option<FrozenDisk> {
        let disk = FrozenDisk { dir: tempdir().unwrap() };
        let image = disk.dir.path().join("image");
        fs::File::create(&image).unwrap().set_len(8 << 20).unwrap();
        fs::create_dir(disk.path("")).unwrap();
        let made = run("mkfs.ext4", &["-q".as_ref(), &image]);
        let options = ["-o", "loop"].map(Path::new);
        (made && run("mount", &[options[0], options[1], &image, &disk.path("")])).then_some(disk)
    }

    fn freeze(&self) {
        assert!(run("fsfreeze", &["-f".as_ref(), &self.path("")]));
    }

    fn thaw(&self) -> bool {
        run("fsfreeze", &["-u".as_ref(), &self.path("")])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("mounted").join(name)
    }
}

impl Drop for FrozenDisk {
    fn drop(&mut self) {
        self.thaw();
        run("umount", &[&self.path("")]);
    }
}

fn run(program: &str, args: &[&Path]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
