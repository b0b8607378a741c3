//! `rework schedule FLOW --plan`: shows the steps of a flow without scheduling it. The code of the flow runs once, on
//! this host, and what it returns is compiled as a worker does it.

use std::{collections::HashMap, path::PathBuf, process::ExitCode, time::Duration};

use rework_core::{
    db::connect::Db,
    flow::{
        find_operations::find_operations,
        show::{FlowScope, FlowStep},
        state,
        tree::{TreeItem, TreeLine, plan_lines},
    },
    operation::{self, find::Operation, module_kind::ModuleKind, placed_module::placed_module},
    task::payload::Payload,
};
use rework_flow::{
    compile,
    description::{ControllerKind, Description, Item, OnFailure, PatternKind, Step},
    operations::{InputKeys, names},
    plan::{Plan, PlannedScope, PlannedStep, StepKind},
};
use rework_worker::{
    code::Code,
    inspect::run_once::{RunOnceError, run_once},
};

use super::Args;
use crate::{
    context::Context,
    error_text::{hinted, with_hint},
    escape,
    exit::Exit,
    host,
    input::TypedInput,
    json_list::on_one_line,
    options::Format,
    table::{Cell, Table},
};

/// How long the code of a flow may run if its operation has no timeout.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Runs the code of the flow, and prints its plan.
pub(super) async fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let name = args.operation.as_deref().unwrap_or_default();
    let flow = operation::find::find(db.client(), name, args.domain.as_deref()).await?;
    if !flow.definition.is_flow {
        let hint = format!("`rework schedule {name}` schedules a task of it");
        return Err(hinted(format!("operation `{name}` is not a flow, so it has no plan"), hint));
    }
    let typed =
        TypedInput { json: args.input.as_deref(), raw: args.raw.as_deref(), parts: &args.parts };
    let input = typed.payload(&flow.definition)?;
    let output = output_of(&db, &flow, &input, context).await?;
    let Payload::Json(text) = &output else {
        return Err(impossible(name, "its code returned no JSON"));
    };
    let description = Description::read(text).map_err(|fault| impossible(name, fault))?;
    let plan = plan(&db, &flow, &input, &description).await?;
    match context.format {
        Format::Json => context.print(serde_json::to_string_pretty(&plan)?)?,
        Format::Jsonl => context.print(on_one_line(&plan)?)?,
        Format::Table => context.write(tree(&plan, &description, context.colour).as_bytes())?,
    }
    Ok(Exit::Done.into())
}

/// Returns the error for a flow that can have no plan.
fn impossible(flow: &str, why: impl std::fmt::Display) -> anyhow::Error {
    let hint = format!("correct its code, register it again, then `rework schedule {flow} --plan`");
    hinted(format!("the flow `{flow}` cannot be made: {why}"), hint)
}

/// Runs the code of a flow on this host, and returns its output.
async fn output_of(
    db: &Db,
    flow: &Operation,
    input: &Payload,
    context: &Context,
) -> anyhow::Result<Payload> {
    let (name, host) = (&flow.definition.name, host::name(None)?);
    let Some(module) = placed_module(db, flow.id, &host).await? else {
        return Err(hinted(
            format!("the code of flow `{name}` is not registered on this host, `{host}`"),
            "`rework register-operations PATH`; `rework list-operations` shows on which hosts it is",
        ));
    };
    if ModuleKind::parse(&module.kind) == Some(ModuleKind::Command) {
        return Err(hinted(
            format!(
                "flow `{name}` is a command of a manifest, whose plan cannot be shown before it runs"
            ),
            format!("`rework schedule {name}`, then `rework show-task TASK`"),
        ));
    }
    let interpreter = module.interpreter.map(PathBuf::from);
    let code = Code { path: module.path.into(), interpreter };
    let timeout_ms = flow.definition.limits.timeout_ms.and_then(|ms| u64::try_from(ms).ok());
    let timeout = timeout_ms.map_or(TIMEOUT, Duration::from_millis);
    run_once(&code, &flow.definition, input, timeout)
        .await
        .map_err(|error| explained(error, name, context))
}

/// Returns the error of a run with what to do about it. Notes the traceback, if there is one.
fn explained(error: RunOnceError, flow: &str, context: &Context) -> anyhow::Error {
    if let RunOnceError::Failed { traceback: Some(traceback), .. } = &error {
        context.note(format_args!("traceback\n{}", traceback.trim_end()));
    }
    let hint = match &error {
        RunOnceError::Program(error) => error.hint(),
        _ => None,
    };
    let again =
        || format!("correct its code, register it again, then `rework schedule {flow} --plan`");
    with_hint(error.into(), hint.unwrap_or_else(again))
}

/// Compiles the description of a flow.
async fn plan(
    db: &Db,
    flow: &Operation,
    input: &Payload,
    description: &Description,
) -> anyhow::Result<Plan> {
    let operations = find_operations(db, &names(description)).await?;
    let keys = match input {
        Payload::Json(text) => InputKeys::new(text, flow.definition.input.as_ref()),
        Payload::Bytes(_) | Payload::None => InputKeys::default(),
    };
    compile(description, &flow.definition.domain, Some(&keys), &operations)
        .map_err(|fault| impossible(&flow.definition.name, fault))
}

/// Returns a plan as a tree of its patterns and steps.
fn tree(plan: &Plan, description: &Description, colour: bool) -> String {
    let described = described_steps(description);
    let scopes: Vec<FlowScope> = plan.scopes.iter().map(scope).collect();
    let steps: Vec<FlowStep> = plan.steps.iter().map(step).collect();
    let lines = plan_lines(&scopes, &steps);
    let mut table = Table::wide();
    for line in &lines {
        if let TreeItem::Step(step) = line.item {
            let head = Cell::from(format!("{}{}", line.branches, step.name));
            let details = described.get(step.name.as_str()).map(|step| details(step));
            let after = followed(plan, step.number).into();
            table.row([head].into_iter().chain(details.into_iter().flatten()).chain([after]));
        }
    }
    let table = table.render(colour);
    let mut of_steps = table.lines();
    let text = |line: &TreeLine<'_>| match line.item {
        TreeItem::Scope(scope) => {
            let pattern = scope_of(plan, scope.number);
            escape::line(&format!("{}{}", line.branches, pattern.map(head).unwrap_or_default()))
                .into_owned()
        }
        _ => of_steps.next().unwrap_or_default().to_owned(),
    };
    let root = plan.scopes.first().map(head).unwrap_or_default();
    let lines = std::iter::once(escape::line(&root).into_owned()).chain(lines.iter().map(text));
    lines.flat_map(|line| [line, "\n".to_owned()]).collect()
}

/// Returns the steps of a description by name.
fn described_steps(description: &Description) -> HashMap<&str, &Step> {
    let mut steps = HashMap::new();
    let mut patterns = vec![&description.flow];
    while let Some(pattern) = patterns.pop() {
        for item in &pattern.items {
            match item {
                Item::Step(step) => drop(steps.insert(step.name.as_str(), step)),
                Item::Flow(nested) => patterns.push(nested),
            }
        }
    }
    steps
}

/// Returns the line of a pattern, for example `parts  unordered, up to 3 rounds`.
fn head(scope: &PlannedScope) -> String {
    let rounds = |count: usize| match count {
        1 => "1 round".to_owned(),
        _ => format!("up to {count} rounds"),
    };
    let controller = scope.controller.map(|kind| match kind {
        ControllerKind::Times => rounds(scope.attempts.unwrap_or(1) as usize),
        ControllerKind::ForEach => rounds(scope.values.as_ref().map_or(0, Vec::len)),
        ControllerKind::ForEachOf => "a round for each value of a list".to_owned(),
        ControllerKind::AlwaysRevert => "1 round".to_owned(),
        ControllerKind::AlwaysRevertAll => "1 round, then everything is reverted".to_owned(),
        ControllerKind::Operation => "an operation decides about further rounds".to_owned(),
    });
    let controller = controller.map(|text| format!(", {text}")).unwrap_or_default();
    format!("{}  {}{controller}", scope.name, pattern(scope.pattern))
}

/// Returns the cells of a step behind its name: its operation, what reverts it, and what is unusual about it.
fn details(step: &Step) -> [Cell; 4] {
    let revert = step.revert.as_ref().map(|revert| format!("reverted by {revert}"));
    let condition = step.only_if.as_ref().map(|value| format!("only if {value}"));
    let on_failure = match step.on_failure {
        OnFailure::Revert => "",
        OnFailure::Continue => "may fail",
        OnFailure::Stop => "a failure stops the flow",
    };
    [
        step.operation.as_str().into(),
        revert.unwrap_or_default().into(),
        condition.unwrap_or_default().into(),
        on_failure.into(),
    ]
}

/// Returns which steps and patterns a step of a graph follows directly. Empty in other patterns, whose order is known.
fn followed(plan: &Plan, number: i32) -> String {
    let find = |number: i32| plan.steps.get(usize::try_from(number).ok()?);
    let Some(step) = find(number) else { return String::new() };
    if scope_of(plan, step.scope).is_none_or(|scope| scope.pattern != PatternKind::Graph) {
        return String::new();
    }
    let name = |step: &PlannedStep| match step.kind {
        StepKind::Task => Some(step.name.clone()),
        StepKind::Exit => scope_of(plan, step.scope).map(|scope| scope.name.clone()),
        StepKind::Enter => None,
    };
    let names: Vec<String> =
        step.before.iter().filter_map(|number| find(*number)).filter_map(name).collect();
    if names.is_empty() { String::new() } else { format!("after {}", names.join(", ")) }
}

fn scope_of(plan: &Plan, number: i32) -> Option<&PlannedScope> {
    plan.scopes.get(usize::try_from(number).ok()?)
}

fn pattern(kind: PatternKind) -> &'static str {
    match kind {
        PatternKind::Linear => "linear",
        PatternKind::Unordered => "unordered",
        PatternKind::Graph => "graph",
    }
}

fn scope(planned: &PlannedScope) -> FlowScope {
    FlowScope {
        number: planned.number,
        outer: planned.outer,
        first: planned.first,
        last: planned.last,
        name: planned.name.clone(),
        ..FlowScope::default()
    }
}

fn step(planned: &PlannedStep) -> FlowStep {
    let kind = match planned.kind {
        StepKind::Task => state::StepKind::Task,
        StepKind::Enter => state::StepKind::Enter,
        StepKind::Exit => state::StepKind::Exit,
    };
    let (number, scope) = (planned.number, planned.scope);
    FlowStep { number, name: planned.name.clone(), scope, kind, ..FlowStep::default() }
}

#[cfg(test)]
mod tests {
    use rework_flow::operations::{Operation, Operations};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_is_shown_as_a_tree() {
        let description = json!({"flow": {"pattern": "graph", "name": "make_server",
            "retry": {"kind": "times", "attempts": 3},
            "items": [
                {"flow": {"pattern": "unordered", "name": "parts", "items": [
                    {"step": {"name": "vm", "operation": "create_vm", "revert": "delete_vm"}},
                    {"step": {"name": "volume", "operation": "create_volume"}}]}},
                {"step": {"name": "attach", "operation": "attach", "after": ["parts"],
                          "only_if": "ready", "on_failure": "continue"}}]}});
        let description = Description::read(&description.to_string()).unwrap();
        let names = ["create_vm", "delete_vm", "create_volume", "attach"];
        let operations: Operations = (1..)
            .zip(names)
            .map(|(id, name)| Operation {
                id,
                domain: "cloud".to_owned(),
                name: name.to_owned(),
                properties: Some(Vec::new()),
                is_flow: false,
                is_registered: true,
            })
            .collect();
        let keys = InputKeys { present: vec!["ready".to_owned()], absent: Vec::new() };
        let plan = compile(&description, "cloud", Some(&keys), &operations).unwrap();
        let expected = "\
make_server  graph, up to 3 rounds
├─ parts  unordered
│  ├─ vm      create_vm      reverted by delete_vm
│  └─ volume  create_volume
└─ attach     attach                                only if ready  may fail  after parts
";
        assert_eq!(tree(&plan, &description, false), expected);
    }
}
