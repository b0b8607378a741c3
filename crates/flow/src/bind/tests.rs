//! Tests where the values of a flow come from.

use serde_json::{Value, json};

use crate::scene::{compiled, fault, named, pattern, plan, sources, step};

/// A step that provides `x`.
fn provider(name: &str) -> Value {
    step(json!({"name": name, "provides": "x"}))
}

/// A step whose argument `a` is the value `x`.
fn user(name: &str) -> Value {
    step(json!({"name": name, "requires": {"a": "x"}}))
}

#[test]
fn an_argument_comes_from_the_nearest_provider() {
    let items = [provider("p"), provider("q"), user("need"), provider("late")];
    let plan = plan(&pattern("linear", "f", &items));
    assert_eq!(sources(&plan, "need", "a"), json!([{"step": 1, "path": []}]));
}

#[test]
fn a_provider_that_may_give_nothing_is_followed_by_earlier_ones() {
    let items = [
        provider("first"),
        provider("sure"),
        step(json!({"name": "perhaps", "provides": "x", "only_if": "x", "depth": "atom"})),
        step(json!({"name": "part", "provides": {"x": "y.z"}, "on_failure": "continue"})),
        user("need"),
        step(json!({"name": "deep", "requires": {"a": "x.0"}})),
    ];
    let plan = compiled(&pattern("linear", "f", &items), None).unwrap();
    assert_eq!(
        sources(&plan, "need", "a"),
        json!([{"step": 3, "path": ["y", "z"]}, {"step": 2, "path": []}, {"step": 1, "path": []}])
    );
    assert_eq!(
        sources(&plan, "deep", "a"),
        json!([{"step": 3, "path": ["y", "z", "0"]}, {"step": 2, "path": ["0"]},
            {"step": 1, "path": ["0"]}, {"step": 0, "path": ["0"]}, {"input": "x", "path": ["0"]}])
    );
}

#[test]
fn a_skipped_step_is_followed_by_earlier_providers_if_what_follows_runs() {
    let flow = |depth: &str| {
        let condition = step(json!({"name": "c", "only_if": "go", "depth": depth}));
        let inner = pattern("linear", "g", &[condition, provider("q")]);
        pattern("linear", "f", &[provider("p"), inner, user("need")])
    };
    let found = |depth: &str| {
        let plan = compiled(&flow(depth), Some(&["go"])).unwrap();
        sources(&plan, "need", "a").as_array().unwrap().len()
    };
    assert_eq!(["all", "atom", "flow", "neighbors"].map(found), [1, 1, 2, 2]);
}

#[test]
fn the_last_source_is_the_key_of_the_flows_input() {
    let sized = step(json!({"name": "a", "operation": "sized"}));
    let flow = pattern("linear", "f", &[sized]);
    let with_keys = |keys: Option<&[&str]>| {
        let plan = compiled(&flow, keys).unwrap();
        json!(named(&plan, "a").args)["args"].clone()
    };
    let size = json!([{"input": "size", "path": []}]);
    assert_eq!(with_keys(Some(&["size"])), json!({"size": size}));
    let note = json!([{"input": "note", "path": []}]);
    assert_eq!(with_keys(Some(&["size", "note", "x"])), json!({"note": note, "size": size}));
    assert_eq!(with_keys(None), json!({"note": note, "size": size}));
    let expected = "step `a` requires `size`, which nothing before it provides";
    assert_eq!(fault(&flow), expected);
    let fault = compiled(&flow, Some(&["sizes"])).unwrap_err().to_string();
    assert_eq!(fault, format!("{expected}: did you mean `sizes`?"));
}

#[test]
fn a_value_must_be_provided_before_it_is_needed() {
    let expected = "step `need` requires `x`, which nothing before it provides";
    assert_eq!(fault(&pattern("linear", "f", &[user("need"), provider("p")])), expected);
    assert_eq!(fault(&pattern("unordered", "f", &[provider("p"), user("need")])), expected);
    let condition = step(json!({"name": "need", "only_if": "x.y"}));
    let of_condition = expected.replace("step `need`", "the condition of step `need`");
    assert_eq!(fault(&pattern("linear", "f", &[condition])), of_condition);
    let whole = step(json!({"name": "need", "whole": "x"}));
    assert_eq!(fault(&pattern("linear", "f", &[whole])), expected);
}

#[test]
fn the_condition_of_an_optional_key_of_the_input_is_false_without_it() {
    let conditional = |name: &str| {
        let step = step(json!({"name": "a", "only_if": name}));
        pattern("linear", "f", &[step])
    };
    let condition = named(&plan(&conditional("optional.part")), "a").condition.clone();
    assert_eq!(json!(condition), json!({"sources": [], "depth": "all"}));
    assert_eq!(
        fault(&conditional("optionel")),
        "the condition of step `a` requires `optionel`, which nothing before it provides: did you \
         mean `optional`?"
    );
    let required = step(json!({"name": "a", "whole": "optional"}));
    assert!(fault(&pattern("linear", "f", &[required])).contains("requires `optional`"));
}

#[test]
fn literal_values_need_no_provider() {
    let inject = json!({"name": "a", "operation": "sized", "inject": {"size": 3, "note": null}});
    let some = json!({"name": "b", "operation": "sized", "inject": {"size": 3}});
    let items = [provider("note"), step(inject), step(some)];
    let mut flow = pattern("linear", "f", &items);
    flow["flow"]["items"][0]["step"]["provides"] = json!("note");
    let plan = plan(&flow);
    // An input of literal values alone is one literal value.
    let whole = json!({"whole": [{"value": {"note": null, "size": 3}}]});
    assert_eq!(json!(named(&plan, "a").args), whole);
    assert_eq!(sources(&plan, "b", "size"), json!([{"value": 3}]));
    assert_eq!(sources(&plan, "b", "note"), json!([{"step": 0, "path": []}]));
}

#[test]
fn a_graph_must_have_one_provider_or_providers_in_line() {
    let apart = [provider("p1"), provider("p2"), user("need")];
    let expected = "both `p1` and `p2` provide `x`, which `need` requires: rebind one";
    assert_eq!(fault(&pattern("graph", "f", &apart)), expected);
    assert!(compiled(&pattern("graph", "f", &apart[..2]), None).is_ok(), "nobody requires it");
    let last = step(json!({"name": "p2", "after": ["q"], "provides": {"x": "id"}}));
    let between = step(json!({"name": "q", "after": ["p1"]}));
    let in_line = [user("need"), last, between, provider("p1")];
    let plan = plan(&pattern("graph", "f", &in_line));
    let expected = json!([{"step": 2, "path": ["id"]}, {"step": 0, "path": []}]);
    assert_eq!(sources(&plan, "need", "a"), expected);
    assert_eq!(named(&plan, "need").before, [0, 2]);
}

#[test]
fn values_of_a_nested_pattern_are_visible_after_it() {
    let one = pattern("unordered", "g", &[provider("p"), step(json!({"name": "other"}))]);
    let plan = plan(&pattern("linear", "f", &[one, user("need")]));
    assert_eq!(sources(&plan, "need", "a"), json!([{"step": 1, "path": []}]));
    let two = pattern("unordered", "g", &[provider("p"), provider("q"), provider("r")]);
    let expected = "both `p` and `r` provide `x`, which `need` requires: rebind one";
    assert_eq!(fault(&pattern("linear", "f", &[two.clone(), user("need")])), expected);
    let nearer = pattern("linear", "f", &[two, provider("s"), user("need")]);
    let plan = crate::scene::plan(&nearer);
    assert_eq!(sources(&plan, "need", "a"), json!([{"step": 5, "path": []}]));
}

#[test]
fn values_outside_a_nested_pattern_are_visible_in_it() {
    let inner = pattern("linear", "g", &[user("before"), provider("p"), user("after")]);
    let flow = pattern("graph", "f", &[inner, provider("outer")]);
    let plan = plan(&flow);
    assert_eq!(sources(&plan, "before", "a"), json!([{"step": 0, "path": []}]));
    assert_eq!(sources(&plan, "after", "a"), json!([{"step": 3, "path": []}]));
    assert_eq!(named(&plan, "g enter").before, [0]);
}

#[test]
fn a_controller_provides_its_value_in_its_pattern_and_after_it() {
    let mut inner = pattern("unordered", "g", &[user("in")]);
    inner["flow"]["retry"] = json!({"kind": "for_each_of", "from": "list.0", "provides": "x"});
    let list = step(json!({"name": "list", "provides": "list"}));
    let flow = pattern("linear", "f", &[provider("p"), list, inner.clone(), user("after")]);
    let plan = plan(&flow);
    let value = json!([{"scope": 1, "path": []}]);
    assert_eq!(sources(&plan, "in", "a"), value);
    assert_eq!(sources(&plan, "after", "a"), value);
    assert_eq!(json!(plan.scopes[1].values_from), json!([{"step": 1, "path": ["0"]}]));
    let expected = "the controller of `g` requires `list`, which nothing before it provides";
    assert_eq!(fault(&pattern("linear", "f", &[inner])), expected);
}

#[test]
fn the_output_of_a_flow_is_made_of_provided_values() {
    let returns = |items: &[Value], returns: Value| {
        let mut flow = pattern("graph", "f", items);
        flow["returns"] = returns;
        flow
    };
    let one = [provider("p")];
    let plan_of = |value: Value| json!(plan(&returns(&one, value)).returns);
    assert_eq!(plan_of(json!("x")), json!({"whole": [{"step": 0, "path": []}]}));
    let expected =
        json!({"args": {"a": [{"step": 0, "path": []}], "b": [{"step": 0, "path": ["c"]}]}});
    assert_eq!(plan_of(json!({"a": "x", "b": "x.c"})), expected);
    assert_eq!(plan_of(json!(null)), json!(null));
    let unknown = compiled(&returns(&one, json!("y")), None).unwrap_err();
    let expected = "the flow returns `y`, which nothing in it provides: did you mean `x`?";
    assert_eq!(unknown.to_string(), expected);
    let two = [provider("p"), provider("q")];
    let expected = "both `p` and `q` provide `x`, which the flow returns: rebind one";
    assert_eq!(fault(&returns(&two, json!("x"))), expected);
    let input = compiled(&returns(&[], json!("size")), Some(&["size"])).unwrap();
    assert_eq!(json!(input.returns), json!({"whole": [{"input": "size", "path": []}]}));
}

#[test]
fn long_lines_of_providers_are_bound_quickly() {
    let change =
        |n: usize| step(json!({"name": n.to_string(), "requires": {"a": "x"}, "provides": "x"}));
    let items: Vec<Value> = (0..20_000).map(change).collect();
    let plan = compiled(&pattern("linear", "f", &items), None).unwrap();
    assert_eq!(sources(&plan, "19999", "a"), json!([{"step": 19_998, "path": []}]));
    let part =
        |n: usize| step(json!({"name": n.to_string(), "requires": {"a": "x.y"}, "provides": "x"}));
    let items: Vec<Value> = (0..2_000).map(part).collect();
    let fault = compiled(&pattern("linear", "f", &items), None).unwrap_err().to_string();
    let expected = "at most 1,000,000 sources of arguments, this flow has more: \
                    too many steps provide values of the same name";
    assert_eq!(fault, expected);
}
