//! `rework list-monitors`: lists the monitors, the processes that run the workers of each host.

use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use rework_core::{
    fleet::{
        list_monitors::{self, Monitor},
        start_fault::StartFault,
    },
    values::quantity::{show_bytes, show_milliseconds},
};
use serde_json::Value;

use crate::{
    context::Context,
    exit::Exit,
    pause_text,
    table::{Cell, Table},
    time_text,
};

/// List the monitors
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also list monitors that have ended
    #[arg(long)]
    all: bool,
}

/// The time in seconds since the last renewal of its lease after which a monitor is shown as late.
/// A healthy monitor renews its lease every 4 s, a fifth of its default length.
const LATE_SECONDS: f64 = 10.0;
/// The time in seconds since the last renewal of its lease after which a monitor is shown as
/// probably lost. The colours have no other effect.
const LOST_SECONDS: f64 = 60.0;

/// Prints the monitors.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let monitors = list_monitors::list(&db, args.all).await?;
    context.print_list(&monitors, |monitor| monitor.id.to_string(), table)?;
    Ok(Exit::Done.into())
}

fn table(monitors: &[Monitor]) -> Table {
    let mut table = Table::default();
    for monitor in monitors {
        table.row([
            Cell::number(monitor.id),
            Cell::styled(time_text::timestamp(monitor.renewed_at), lease_style(monitor)),
            monitor.domains.join(",").into(),
            format!("options({})", options(&monitor.options)).into(),
            format!("{}@{}", monitor.pid, monitor.host).into(),
            capabilities(&monitor.capabilities).into(),
            format!("containment={}", monitor.containment).into(),
            format!("memory={}", monitor.memory).into(),
            format!("version={}", monitor.version).into(),
            start_faults(monitor).into(),
            pauses(monitor).into(),
            end(monitor).into(),
        ]);
    }
    table
}

/// Returns the options in the order of their names, with units: `maxmem=2 GiB, maxruns=0, maxworkers=2, …`.
fn options(given: &Value) -> String {
    let Value::Object(given) = given else { return String::new() };
    let shown = given.iter().map(|(name, value)| {
        let number = value.as_i64();
        match (name.strip_suffix("_ms"), name.strip_suffix("_bytes"), number) {
            (_, Some(name), Some(0)) => format!("{name}=0"),
            (_, Some(name), Some(bytes)) => format!("{name}={}", show_bytes(bytes)),
            (Some(name), _, Some(ms)) => format!("{name}={}", show_milliseconds(ms)),
            (Some(name), ..) if value.is_null() => format!("{name}=never"),
            _ if value.is_object() => format!("{name}({})", options(value)),
            _ => format!("{name}={value}"),
        }
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// Returns the capabilities as `capabilities=…`. Empty if there are none.
fn capabilities(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("capabilities={}", names.join(",")) }
}

/// Returns everything that the monitor cannot start or that is not available on its host, each with the last reason.
/// Empty if there is nothing, or if the monitor has ended.
fn start_faults(monitor: &Monitor) -> String {
    let shown =
        monitor.start_faults.iter().filter(|_| monitor.finished_at.is_none()).map(|fault| {
            let StartFault { domain, operation, reason, failures, unavailable } = fault;
            let what = match operation {
                Some(operation) => format!("{domain}/{operation}"),
                None => format!("any task of {domain}"),
            };
            if *unavailable {
                return format!("[{what} is not available] {reason}");
            }
            format!("[cannot start {what}, {failures} times] {reason}")
        });
    shown.collect::<Vec<_>>().join(" ")
}

/// Returns what is paused on the host of the monitor, each with the time and the user. Empty if there is nothing, or if
/// the monitor has ended.
fn pauses(monitor: &Monitor) -> String {
    let pauses = monitor.pauses.iter().filter(|_| monitor.finished_at.is_none());
    let shown = pauses.map(|pause| {
        let (subject, since) = (pause_text::subject(pause.scope()), pause_text::since(pause));
        format!("[paused: {subject}] {since}")
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// Returns when and why the monitor ended. Empty if no end is recorded.
fn end(monitor: &Monitor) -> String {
    let Some(at) = monitor.finished_at else { return String::new() };
    let reason = monitor.reason.as_deref().unwrap_or_default();
    format!("[ended {}] {reason}", time_text::timestamp(at)).trim_end().to_owned()
}

/// Returns the colour that shows how long ago the monitor renewed its lease.
fn lease_style(monitor: &Monitor) -> Style {
    let colour = match monitor.seconds_since_renewal {
        _ if monitor.finished_at.is_some() => return Style::new().dimmed(),
        seconds if seconds > LOST_SECONDS => AnsiColor::Red,
        seconds if seconds > LATE_SECONDS => AnsiColor::Magenta,
        _ => AnsiColor::Green,
    };
    colour.on_default()
}

#[cfg(test)]
mod tests {
    use rework_core::pause::row::Scope;
    use serde_json::json;

    use super::*;
    use crate::pause_text::tests::pause;

    /// Returns a monitor that has ended.
    fn ended() -> Monitor {
        let at = "2026-11-22T02:10:17.3Z".parse().unwrap();
        Monitor {
            id: 1,
            host: "alpha".into(),
            pid: 4711,
            domains: vec!["default".into(), "images".into()],
            capabilities: vec!["gpu".into()],
            options: json!({"maxworkers": 2, "minworkers": 2, "maxruns": 0, "maxmem_bytes": 0, "vacuum_ms": null,
                "start_timeout_ms": 30_000}),
            containment: "cgroup".into(),
            memory: "cgroup2".into(),
            version: "0.1.0".into(),
            start_faults: Vec::new(),
            started_at: at,
            renewed_at: at,
            finished_at: Some(at),
            reason: Some("signal 15 (terminated)".into()),
            pauses: Vec::new(),
            seconds_since_renewal: 0.5,
        }
    }

    #[test]
    fn a_line_has_all_fields_in_their_order() {
        let monitor = ended();
        let fault = |operation: Option<&str>| StartFault {
            domain: "default".into(),
            operation: operation.map(str::to_owned),
            reason: "no space".into(),
            failures: 3,
            unavailable: false,
        };
        let unavailable = StartFault { unavailable: true, ..fault(Some("scan")) };
        let live = Monitor {
            finished_at: None,
            start_faults: vec![fault(None), fault(Some("resize")), unavailable],
            ..ended()
        };
        let faults = "[cannot start any task of default, 3 times] no space \
                      [cannot start default/resize, 3 times] no space \
                      [default/scan is not available] no space";
        assert!(table(&[live]).render(false).ends_with(&format!(" version=0.1.0 {faults}\n")));
        let moment = time_text::timestamp(monitor.started_at);
        assert_eq!(
            table(&[monitor]).render(false),
            format!(
                "1 {moment} default,images options(maxmem=0, maxruns=0, maxworkers=2, minworkers=2, \
                 start_timeout=30s, vacuum=never) \
                 4711@alpha capabilities=gpu containment=cgroup memory=cgroup2 version=0.1.0 \
                 [ended {moment}] signal 15 (terminated)\n"
            )
        );
    }

    #[test]
    fn a_monitor_that_has_not_ended_shows_what_is_paused_on_its_host() {
        let pauses = vec![pause(Scope { host: Some("alpha"), ..Scope::default() })];
        let since = pause_text::since(&pauses[0]);
        let monitor = Monitor { finished_at: None, pauses, ..ended() };
        let shown = format!(" version=0.1.0 [paused: every domain] {since}\n");
        assert!(table(&[monitor]).render(false).ends_with(&shown));
    }
}
