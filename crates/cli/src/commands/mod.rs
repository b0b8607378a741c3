//! The commands: one file each, of the same name, with its arguments and what it does.

use std::process::ExitCode;

use clap::Subcommand;

use crate::context::Context;

pub mod abort_task;
pub mod completions;
pub mod dev;
pub mod init_db;
pub mod kill_worker;
pub mod list_monitors;
pub mod list_operations;
pub mod list_tasks;
pub mod list_workers;
pub mod log_task;
pub mod monitor;
pub mod register_operations;
pub mod retry_task;
pub mod schedule;
pub mod show_task;
pub mod shutdown_worker;
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
            "show-task",
            "log-task",
            "wait-task",
            "abort-task",
            "retry-task",
        ],
    ),
    ("Operations", &["register-operations", "unregister-operation", "list-operations"]),
    (
        "Operate",
        &[
            "init-db",
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

/// Declares the enum of all commands, and what leads from each to its file.
macro_rules! commands {
    ($($(#[$attribute:meta])* $variant:ident => $module:ident),* $(,)?) => {
        /// A command with its arguments. The doc comment of its `Args` is its help.
        #[derive(Debug, Subcommand)]
        pub(crate) enum Command {
            $($(#[$attribute])* $variant($module::Args)),*
        }

        impl Command {
            /// Does what was asked.
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
    ShowTask => show_task,
    LogTask => log_task,
    WaitTask => wait_task,
    AbortTask => abort_task,
    RetryTask => retry_task,
    RegisterOperations => register_operations,
    UnregisterOperation => unregister_operation,
    ListOperations => list_operations,
    InitDb => init_db,
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

impl Command {
    /// Whether it runs until somebody stops it, its arguments in sight all the while.
    pub(crate) fn runs_long(&self) -> bool {
        matches!(self, Command::Monitor(_) | Command::Dev(_))
    }
}
