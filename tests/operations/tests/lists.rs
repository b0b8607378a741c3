//! Started by hand, the program lists its operations.

use std::process::Command;

#[test]
fn started_by_hand_it_lists_its_operations() {
    let output = Command::new(env!("CARGO_BIN_EXE_fixture-operations")).output().unwrap();
    let listed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success());
    for name in ["double", "boom", "forever", "other_dom"] {
        assert!(listed.contains(name), "{name} is not in\n{listed}");
    }
}
