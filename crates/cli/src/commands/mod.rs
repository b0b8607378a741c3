//! The commands of `rework`. Each has a file of the same name, with its arguments (`Args`) and its code (`run`).

use std::process::ExitCode;

use clap::Subcommand;

use crate::{context::Context, error_text::hinted};

pub mod abort_task;
pub mod completions;
pub mod dev;
pub mod export_scheduled;
pub mod import_from;
pub mod import_scheduled;
pub mod init_db;
pub mod kill_worker;
pub mod list_flows;
pub mod list_monitors;
pub mod list_operations;
pub mod list_scheduled;
pub mod list_tasks;
pub mod list_workers;
pub mod log_task;
pub mod monitor;
pub mod pause;
pub mod pause_scheduled;
pub mod prepare;
pub mod register_operations;
pub mod resume;
pub mod resume_scheduled;
pub mod retry_task;
pub mod run_scheduled;
pub mod schedule;
pub mod scheduled_plan;
pub mod show_task;
pub mod shutdown_worker;
pub mod unprepare;
pub mod unregister_operation;
pub mod vacuum;
pub mod wait_task;
pub mod worker;

/// The groups in which help lists the commands.
pub(crate) const GROUPS: &[(&str, &[&str])] = &[
    (
        "Run",
        &[
            "schedule",
            "list-tasks",
            "list-flows",
            "show-task",
            "log-task",
            "wait-task",
            "abort-task",
            "retry-task",
        ],
    ),
    (
        "Operations",
        &["register-operations", "unregister-operation", "list-operations", "pause", "resume"],
    ),
    (
        "Schedules",
        &[
            "prepare",
            "unprepare",
            "list-scheduled",
            "scheduled-plan",
            "pause-scheduled",
            "resume-scheduled",
            "run-scheduled",
            "export-scheduled",
            "import-scheduled",
        ],
    ),
    (
        "Operate",
        &[
            "init-db",
            "import-from",
            "monitor",
            "list-monitors",
            "list-workers",
            "shutdown-worker",
            "kill-worker",
            "vacuum",
            "dev",
            "completions",
        ],
    ),
];

/// Declares the enum of all commands and a function that runs the one in it.
macro_rules! commands {
    ($($(#[$attribute:meta])* $variant:ident => $module:ident),* $(,)?) => {
        /// A command with its arguments. The doc comment of its `Args` is its help.
        #[derive(Debug, Subcommand)]
        pub(crate) enum Command {
            $($(#[$attribute])* $variant($module::Args)),*
        }

        impl Command {
            /// Runs the command and returns its exit code.
            pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
                match self {
                    $(Command::$variant(args) => Box::pin($module::run(args, context)).await),*
                }
            }
        }
    };
}

commands! {
    #[command(visible_alias = "post")]
    Schedule => schedule,
    ListTasks => list_tasks,
    ListFlows => list_flows,
    ShowTask => show_task,
    LogTask => log_task,
    WaitTask => wait_task,
    AbortTask => abort_task,
    RetryTask => retry_task,
    RegisterOperations => register_operations,
    UnregisterOperation => unregister_operation,
    ListOperations => list_operations,
    Pause => pause,
    Resume => resume,
    Prepare => prepare,
    Unprepare => unprepare,
    ListScheduled => list_scheduled,
    ScheduledPlan => scheduled_plan,
    PauseScheduled => pause_scheduled,
    ResumeScheduled => resume_scheduled,
    RunScheduled => run_scheduled,
    ExportScheduled => export_scheduled,
    ImportScheduled => import_scheduled,
    InitDb => init_db,
    ImportFrom => import_from,
    Monitor => monitor,
    ListMonitors => list_monitors,
    ListWorkers => list_workers,
    ShutdownWorker => shutdown_worker,
    KillWorker => kill_worker,
    Vacuum => vacuum,
    Dev => dev,
    Completions => completions,
    #[command(hide = true)]
    Worker => worker,
}

/// Returns the error for a schedule that does not exist.
fn unknown_schedule(id: i64) -> anyhow::Error {
    hinted(format!("there is no schedule {id}"), "see `rework list-scheduled`")
}

impl Command {
    /// Returns whether the command runs until it is stopped. Other users can then read its arguments all that time.
    pub(crate) fn runs_long(&self) -> bool {
        matches!(self, Command::Monitor(_) | Command::Dev(_))
    }

    /// Returns whether the command must not depend on what its parent process ignores, blocks or has open. A worker
    /// runs long, too, although no user types its arguments.
    pub(crate) fn is_independent(&self) -> bool {
        self.runs_long() || matches!(self, Command::Worker(_))
    }
}
