//! How `prepare` and `import-scheduled` treat rules and time zones that people write by mistake or in another way.

use std::fs;

use crate::schedules::list_schedules;
use crate::support::Installation;

#[test]
fn a_rule_with_an_empty_element_or_a_name_in_another_field_is_refused() {
    let setup = Installation::with_fixture();
    for (rule, error) in [
        ("0 8 * * MON,", "the field `MON,` has an empty element"),
        ("0 8,0 ,0 * *", "the field `,0` has an empty element"),
        ("mon 8 * * *", "`mon` is no minute"),
        ("0 8 * janfeb *", "`janfeb` is no month"),
    ] {
        let prepare = ["prepare", "double", "--input", "1", "--rule", rule];
        let stderr = setup.rework(prepare).run_expecting(1).stderr();
        let message = format!("`{rule}` is not a valid cron rule: {error}");
        assert!(stderr.contains(&message) && stderr.contains("hint: "), "{stderr}");
    }
    assert!(list_schedules(&setup).is_empty());
}

#[test]
fn a_step_that_is_larger_than_its_range_causes_a_warning() {
    let setup = Installation::with_fixture();
    let warning = "`*/90` in the field of the minute means `0`";
    let prepare = ["prepare", "double", "--input", "1", "--rule", "*/90 * * * *"];
    let stderr = setup.rework(prepare).run_ok().stderr();
    assert!(stderr.contains(warning), "{stderr}");
    let file = setup.folder().join("schedules");
    setup.rework(["export-scheduled", "--path"]).args([&file]).run_ok();
    let stderr = setup.rework(["import-scheduled", "--path"]).args([&file]).run_ok().stderr();
    assert!(stderr.contains(warning) && stderr.contains("entry 1"), "{stderr}");
    let prepare = ["prepare", "double", "--input", "1", "--rule", "*/30 * * * *"];
    let stderr = setup.rework(prepare).run_ok().stderr();
    assert!(!stderr.contains("means"), "{stderr}");
}

#[test]
fn a_time_zone_in_small_letters_is_stored_under_its_name() {
    let setup = Installation::with_fixture();
    let rule = ["--input", "1", "--rule", "0 8 * * *"];
    let prepare =
        |zone: &str| setup.rework(["prepare", "double", "--zone", zone]).args(rule).run_ok().id();
    let zone = || list_schedules(&setup)[0]["zone"].as_str().unwrap().to_owned();
    prepare("europe/VIENNA");
    assert_eq!(zone(), "Europe/Vienna");
    let due = || -> String {
        setup.session().query_value("select next_at::text from rework.schedule", &[])
    };
    let before = due();
    prepare("Europe/Vienna");
    assert_eq!((zone(), due()), ("Europe/Vienna".to_owned(), before), "it is the same zone");
    let file = setup.folder().join("schedules");
    setup.rework(["export-scheduled", "--path"]).args([&file]).run_ok();
    let text = fs::read_to_string(&file).unwrap().replace("Europe/Vienna", "asia/tokyo");
    fs::write(&file, text).unwrap();
    setup.rework(["import-scheduled", "--path"]).args([&file]).run_ok();
    assert_eq!(zone(), "Asia/Tokyo");
}
