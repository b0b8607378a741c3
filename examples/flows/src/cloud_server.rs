//! A flow that makes a server of a pretended cloud: `make_server`.
//!
//! A folder is the cloud: `web.vm` is a virtual machine, and `web.volume` a volume. The virtual machine and the volume
//! are created at the same time. Then the volume is attached, which creates `web.attached`. If one of the steps fails,
//! what the others have created is removed, and all of them are tried again, 3 times in total. After that, nothing is
//! left in the folder.
//!
//! A step fails if the folder has a file with its name, for example `attach.broken`. Create one to see the files come
//! and go.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rework::{Flow, Times, Undo, flow, revert, step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The input of `make_server`.
#[derive(Debug, Deserialize, JsonSchema)]
struct Server {
    /// The folder that is the cloud. It must exist.
    directory: PathBuf,
    /// The name of the server.
    name: String,
    /// The size of the volume in GiB.
    gib: u32,
}

/// Makes a server with a volume. Returns the virtual machine.
///
/// The steps find `directory` and `name` in the input of the flow, because their inputs have properties with these
/// names.
#[flow(domain = "cloud")]
fn make_server(input: &Server) -> anyhow::Result<Flow> {
    anyhow::ensure!(!input.name.is_empty(), "a server needs a name");
    anyhow::ensure!(input.directory.is_dir(), "there is no `{}`", input.directory.display());
    let parts = Flow::unordered("parts")
        .add(create_vm::step("vm").provides("vm"))
        .add(create_volume::step("volume").provides("disk").inject("gib", input.gib));
    Ok(Flow::linear("make_server")
        .retry(Times(3))
        .add(parts)
        .add(attach::step("attach").rebind("volume", "disk"))
        .returns("vm"))
}

/// The input of `create_vm`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct NewVm {
    directory: PathBuf,
    name: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Vm {
    path: PathBuf,
}

/// Creates a virtual machine.
#[step(domain = "cloud", revert = delete_vm)]
fn create_vm(input: &NewVm) -> anyhow::Result<Vm> {
    refuse_if_broken(&input.directory, "vm")?;
    let path = create(&input.directory, &input.name, "vm", "a virtual machine\n")?;
    Ok(Vm { path })
}

/// Removes a virtual machine.
#[revert(domain = "cloud", attempts = 5)]
fn delete_vm(undo: &Undo<NewVm, Vm>) -> anyhow::Result<()> {
    delete(&undo.input.directory, &undo.input.name, "vm")
}

/// The input of `create_volume`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct NewVolume {
    directory: PathBuf,
    name: String,
    /// The size in GiB.
    gib: u32,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Volume {
    path: PathBuf,
    gib: u32,
}

/// Creates a volume.
#[step(domain = "cloud", revert = delete_volume)]
fn create_volume(input: &NewVolume) -> anyhow::Result<Volume> {
    refuse_if_broken(&input.directory, "volume")?;
    let gib = input.gib;
    let text = format!("a volume of {gib} GiB\n");
    let path = create(&input.directory, &input.name, "volume", &text)?;
    Ok(Volume { path, gib })
}

/// Removes a volume.
#[revert(domain = "cloud", attempts = 5)]
fn delete_volume(undo: &Undo<NewVolume, Volume>) -> anyhow::Result<()> {
    delete(&undo.input.directory, &undo.input.name, "volume")
}

/// The input of `attach`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Attachment {
    directory: PathBuf,
    name: String,
    vm: Vm,
    volume: Volume,
}

/// Attaches a volume to a virtual machine.
#[step(domain = "cloud", revert = detach)]
fn attach(input: &Attachment) -> anyhow::Result<()> {
    refuse_if_broken(&input.directory, "attach")?;
    let text = format!("{} has {}\n", input.vm.path.display(), input.volume.path.display());
    create(&input.directory, &input.name, "attached", &text)?;
    Ok(())
}

/// Detaches a volume from a virtual machine.
#[revert(domain = "cloud", attempts = 5)]
fn detach(undo: &Undo<Attachment, ()>) -> anyhow::Result<()> {
    delete(&undo.input.directory, &undo.input.name, "attached")
}

/// Returns an error if the folder has a file that lets this step fail.
fn refuse_if_broken(directory: &Path, step: &str) -> anyhow::Result<()> {
    let broken = directory.join(format!("{step}.broken"));
    anyhow::ensure!(!broken.exists(), "`{}` lets the step fail", broken.display());
    Ok(())
}

/// Creates a file of the cloud, or replaces the one that an earlier run of the step has created.
fn create(directory: &Path, name: &str, kind: &str, text: &str) -> anyhow::Result<PathBuf> {
    let path = directory.join(format!("{name}.{kind}"));
    fs::write(&path, text).with_context(|| format!("creating `{}`", path.display()))?;
    println!("created {}", path.display());
    Ok(path)
}

/// Removes a file of the cloud. It may be absent: a step that failed is undone too.
fn delete(directory: &Path, name: &str, kind: &str) -> anyhow::Result<()> {
    let path = directory.join(format!("{name}.{kind}"));
    match fs::remove_file(&path) {
        Ok(()) => println!("removed {}", path.display()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            println!("{} does not exist", path.display());
        }
        Err(error) => {
            return Err(error).with_context(|| format!("removing `{}`", path.display()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rework::{FlowEnd, Phase};
    use serde_json::json;

    use super::*;

    fn run(directory: &Path) -> FlowEnd {
        let server = Server { directory: directory.to_owned(), name: "web".to_owned(), gib: 3 };
        let flow = make_server(&server).unwrap();
        let input = json!({"directory": directory, "name": "web", "gib": 3});
        flow.in_process(input).run().unwrap()
    }

    fn files(directory: &Path) -> Vec<String> {
        let listed = fs::read_dir(directory).unwrap();
        let mut names: Vec<String> =
            listed.map(|file| file.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_server_has_a_volume() {
        let cloud = tempfile::tempdir().unwrap();
        let end = run(cloud.path());
        assert_eq!(end.phase, Phase::Done);
        assert_eq!(end.output::<Vm>().unwrap().path, cloud.path().join("web.vm"));
        assert_eq!(files(cloud.path()), ["web.attached", "web.vm", "web.volume"]);
    }

    #[test]
    fn nothing_is_left_of_a_server_that_cannot_be_made() {
        let cloud = tempfile::tempdir().unwrap();
        fs::write(cloud.path().join("attach.broken"), "").unwrap();
        let end = run(cloud.path());
        assert_eq!(end.phase, Phase::Reverted);
        assert!(end.reason.unwrap().starts_with("step attach: "));
        let count = |event: &str| end.events.iter().filter(|other| *other == event).count();
        assert_eq!((count("vm: done"), count("vm: reverted")), (3, 3), "three rounds");
        assert_eq!(files(cloud.path()), ["attach.broken"]);
    }
}
