//! Registering very many operations: the time grows with their number, not with its square.

use std::fmt::Write as _;

use crate::support::Installation;

/// With a time that grows with the square of the number, this many do not register within the deadline of the command,
/// which is 30 s.
const OPERATIONS: usize = 10_000;

#[test]
fn ten_thousand_operations_are_registered_and_registered_again() {
    let setup = Installation::new();
    let manifest = setup.folder().join("many.toml");
    let mut text = String::from("domain = \"many\"\n");
    for number in 0..OPERATIONS {
        let _ = writeln!(text, "[[operation]]\nname = \"number-{number}\"\ncommand = [\"true\"]");
    }
    std::fs::write(&manifest, &text).unwrap();
    let register = || setup.rework(["register-operations"]).args([&manifest]).run_ok().stdout();
    assert_eq!(register(), "registered 10000 new operations (0 already known)\n");
    assert_eq!(register(), "registered 0 new operations (10000 already known)\n");
    // One of them changes.
    std::fs::write(&manifest, text.replacen("\"true\"]", "\"true\"]\nattempts = 3", 1)).unwrap();
    assert_eq!(register(), "registered 0 new operations (10000 already known)\n");
    let counts = |sql: &str| -> i64 { setup.session().query_value(sql, &[]) };
    assert_eq!(counts("select count(*) from rework.placement where revision = 3"), 10_000);
    assert_eq!(counts("select count(*) from rework.operation where version = 1"), 9_999);
    assert_eq!(counts("select count(*) from rework.operation where version = 2"), 1);
    assert_eq!(counts("select count(*) from rework.lane"), 10_000);
    assert_eq!(counts("select count(*) from rework.audit where action = 'register'"), 30_000);
    let changed = "select detail->'changed' from rework.audit where detail->>'version' = '2'";
    let changed: serde_json::Value = setup.session().query_value(changed, &[]);
    assert_eq!(changed, serde_json::json!({"attempts": {"from": 1, "to": 3}}));
}
