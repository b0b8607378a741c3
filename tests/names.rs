//! Names with characters that nobody sees: they are refused where they come in, and escaped where they are shown.

use std::fs;

use crate::support::Installation;

#[test]
fn names_with_invisible_characters_are_refused() {
    let setup = Installation::new();
    let manifest = setup.folder().join("names.toml");
    for (text, message) in [
        ("[[operation]]\nname = \"re\u{200b}size\"\nshell = \"true\"\n", "re\\u{200b}size"),
        ("domain = \"\u{202e}x\"\n[[operation]]\nname = \"a\"\nshell = \"true\"\n", "\\u{202e}x"),
    ] {
        fs::write(&manifest, text).unwrap();
        let output = setup.rework(["register-operations"]).args([&manifest]).run_expecting(1);
        assert!(output.stderr().contains(message), "no `{message}` in {output}");
        assert!(output.stderr().contains("contains an invisible character"), "{output}");
    }
    fs::write(&manifest, "[[operation]]\nname = \"a\"\nshell = \"true\"\n").unwrap();
    let path = manifest.to_str().unwrap();
    for (args, code) in [
        (vec!["register-operations", "--host", "al\u{2066}pha", path], 1),
        (vec!["monitor", "--host", "al\u{2066}pha"], 1),
        (vec!["monitor", "--domain", "de\u{feff}fault"], 2),
        (vec!["monitor", "--capability", "g\u{ad}pu"], 2),
    ] {
        let output = setup.rework(args).run_expecting(code);
        assert!(output.stderr().contains("contains an invisible character"), "{output}");
    }
    assert_eq!(setup.session().query_value::<i64>("select count(*) from rework.operation", &[]), 0);
    assert_eq!(setup.session().query_value::<i64>("select count(*) from rework.monitor", &[]), 0);
}

#[test]
fn names_with_invisible_characters_are_shown_escaped() {
    let setup = Installation::new();
    setup
        .session()
        .execute("insert into rework.operation (domain, name) values ('default', E'a\\u202Eb')");
    let listed = setup.rework(["list-operations"]).run_ok().stdout();
    assert!(listed.contains("a\\u{202e}b"), "{listed}");
    let refused = setup.rework(["schedule", "c\u{200b}d"]).run_expecting(1).stderr();
    assert!(refused.contains("operation `c\\u{200b}d` is not registered"), "{refused}");
}
