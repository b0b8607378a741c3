//! A program of operations that a user starts without arguments lists its operations.

use std::process::Command;

#[test]
fn the_program_lists_its_operations_if_it_has_no_arguments() {
    let output = Command::new(env!("CARGO_BIN_EXE_fixture-operations")).output().unwrap();
    let listed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success());
    for name in ["double", "boom", "forever", "other_domain"] {
        assert!(listed.contains(name), "{name} is not in\n{listed}");
    }
}
