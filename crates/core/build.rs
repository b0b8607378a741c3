//! Writes the checksum of each chapter of the schema, as refinery computes it, into `chapters.rs`. Every command
//! compares these checksums with those in the database. If refinery computed them at run time, it would first compile a
//! regular expression for file names, which takes a monitor 1.5 MB of memory.

use std::{env, error::Error, fmt::Write as _, fs, path::Path};

const MIGRATIONS: &str = "../../migrations";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={MIGRATIONS}");
    let mut chapters = Vec::new();
    for entry in fs::read_dir(MIGRATIONS)? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        chapters.push(refinery_core::Migration::unapplied(&name, &fs::read_to_string(&path)?)?);
    }
    chapters.sort();
    let mut list = String::from("&[\n");
    for chapter in chapters {
        let (number, name, checksum) = (chapter.version(), chapter.name(), chapter.checksum());
        writeln!(
            list,
            "    Chapter {{ number: {number}, name: {name:?}, checksum: \"{checksum}\" }},"
        )?;
    }
    list.push(']');
    fs::write(Path::new(&env::var("OUT_DIR")?).join("chapters.rs"), list)?;
    Ok(())
}
