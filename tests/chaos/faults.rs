//! Carries out the faults of a plan: on processes, on the network, and on Postgres. A fault that lasts is undone later.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::clock;
use super::history::{ABORT_REASON, AppliedFault};
use super::hosts::Host;
use super::plan::{Fault, NetworkFault, Rows, Step, Target};
use crate::support::cluster::{Cluster, ShutdownMode};
use crate::support::processes;
use crate::support::proxy::ProxyMode;
use crate::support::session::Session;

/// The number of connections that the server of the test accepts.
pub(crate) const MAX_CONNECTIONS: usize = 60;

/// How many replies are lost by one fault.
const LOST_REPLIES: usize = 3;

/// Carries out faults, and remembers which ones happened.
pub(crate) struct Faults {
    /// The DSN of a direct connection.
    dsn: String,
    session: Session,
    /// The faults that have not ended.
    active: Vec<ActiveFault>,
    applied: Vec<AppliedFault>,
    /// How many faults were not possible, for example because there was no such process.
    impossible: usize,
}

struct ActiveFault {
    ends_at: Instant,
    undo: Undo,
}

/// How a fault ends.
enum Undo {
    /// Send SIGCONT to this process.
    Continue(i32),
    StartPostgres,
    /// Close these connections. Postgres then ends their transactions.
    Close(Vec<Session>),
    /// Let the proxy of the host with this number forward everything.
    Forward(usize),
}

/// The processes and tasks that a fault has hit.
#[derive(Default)]
struct Victims {
    pids: Vec<i32>,
    tasks: Vec<i64>,
}

impl Victims {
    fn processes(pids: Vec<i32>) -> Victims {
        Victims { pids, ..Victims::default() }
    }
}

impl Faults {
    /// `dsn` connects directly, and lets no statement wait for long.
    pub(crate) fn new(dsn: &str) -> Faults {
        Faults {
            dsn: dsn.to_owned(),
            session: Session::open(dsn),
            active: Vec::new(),
            applied: Vec::new(),
            impossible: 0,
        }
    }

    /// Returns the faults that happened.
    pub(crate) fn applied(&self) -> &[AppliedFault] {
        &self.applied
    }

    /// Returns how many faults were not possible.
    pub(crate) fn impossible(&self) -> usize {
        self.impossible
    }

    /// Starts a fault, if it is possible now.
    pub(crate) fn start(&mut self, planned: &Step, hosts: &mut [Host], cluster: &mut Cluster) {
        let at = clock::now();
        let started = self.possible_host(planned, hosts).and_then(|host| {
            let step = Step { host, ..planned.clone() };
            Some((host, self.carry_out(&step, hosts, cluster)?))
        });
        let Some((host, Victims { pids, tasks })) = started else {
            self.impossible += 1;
            return;
        };
        self.applied.push(AppliedFault { fault: planned.fault, host, at, pids, tasks });
    }

    /// Ends the faults whose time is over.
    pub(crate) fn end_due(&mut self, hosts: &[Host], cluster: &mut Cluster) {
        let now = Instant::now();
        for fault in self.active.extract_if(.., |fault| fault.ends_at <= now) {
            undo(fault.undo, hosts, cluster);
        }
    }

    /// Ends all faults.
    pub(crate) fn end_all(&mut self, hosts: &[Host], cluster: &mut Cluster) {
        for fault in self.active.drain(..) {
            undo(fault.undo, hosts, cluster);
        }
    }

    /// Returns the host to which a fault happens: the planned one, or the next one on which it is possible. `None` if
    /// it is possible on none. The network of a host has one fault at a time.
    fn possible_host(&self, planned: &Step, hosts: &[Host]) -> Option<usize> {
        let has_target = |number: usize| match planned.fault.target() {
            Some(target) => hosts.get(number).is_some_and(|host| !host.pids(target).is_empty()),
            None => true,
        };
        let is_network = matches!(planned.fault, Fault::Network(_));
        let is_free = |number: usize| !is_network || !self.networks_with_fault().contains(&number);
        let count = planned.fault.hosts();
        let mut numbers = (0..count).map(|next| (planned.host + next) % count);
        numbers.find(|number| is_free(*number) && has_target(*number))
    }

    /// Returns the hosts whose networks have a fault now.
    fn networks_with_fault(&self) -> Vec<usize> {
        let host = |active: &ActiveFault| match active.undo {
            Undo::Forward(host) => Some(host),
            Undo::Continue(_) | Undo::StartPostgres | Undo::Close(_) => None,
        };
        self.active.iter().filter_map(host).collect()
    }

    fn undo_later(&mut self, step: &Step, undo: Undo) {
        self.active.push(ActiveFault { ends_at: Instant::now() + step.length, undo });
    }

    /// Returns `None` if the fault is not possible.
    fn carry_out(
        &mut self,
        step: &Step,
        hosts: &mut [Host],
        cluster: &mut Cluster,
    ) -> Option<Victims> {
        let host = hosts.get_mut(step.host)?;
        match step.fault {
            Fault::Kill(target) => signal_one(host, target, step.choice, Signal::SIGKILL),
            Fault::Stop(target) => {
                let victims = signal_one(host, target, step.choice, Signal::SIGSTOP)?;
                for pid in &victims.pids {
                    self.undo_later(step, Undo::Continue(*pid));
                }
                Some(victims)
            }
            Fault::LoseHost => Some(Victims::processes(host.lose(step.length))),
            Fault::Drain => {
                host.signal_monitor(Signal::SIGTERM).map(|pid| Victims::processes(vec![pid]))
            }
            Fault::Reload => {
                host.signal_monitor(Signal::SIGHUP).map(|pid| Victims::processes(vec![pid]))
            }
            Fault::ShutDownPostgres => self.stop_postgres(step, cluster, ShutdownMode::Fast),
            Fault::CrashPostgres => self.stop_postgres(step, cluster, ShutdownMode::Immediate),
            Fault::TerminateBackends => self.terminate_backends(step.choice),
            Fault::Lock(rows) => self.lock(step, rows),
            Fault::FillConnections => self.fill_connections(step),
            Fault::Network(fault) => {
                host.proxy()?.set_mode(proxy_mode(fault, step.choice));
                self.undo_later(step, Undo::Forward(step.host));
                Some(Victims::default())
            }
            Fault::Abort => self.abort_some(step.choice),
        }
    }

    fn stop_postgres(
        &mut self,
        step: &Step,
        cluster: &mut Cluster,
        mode: ShutdownMode,
    ) -> Option<Victims> {
        if self.active.iter().any(|fault| matches!(fault.undo, Undo::StartPostgres)) {
            return None;
        }
        cluster.stop(mode);
        self.undo_later(step, Undo::StartPostgres);
        Some(Victims::default())
    }

    /// Ends a third of the connections of monitors and workers.
    fn terminate_backends(&self, choice: usize) -> Option<Victims> {
        let sql = "select pg_terminate_backend(pid) from pg_stat_activity
                    where application_name like 'rework %' and pid % 3 = $1";
        let remainder = (choice % 3) as i32;
        let ended = self.session.try_query(sql, &[&remainder]).ok()?;
        (!ended.is_empty()).then(Victims::default)
    }

    /// Locks rows in a transaction that stays open.
    fn lock(&mut self, step: &Step, rows: Rows) -> Option<Victims> {
        let rows = match rows {
            Rows::Tasks => {
                "rework.task where state in ('running', 'queued') order by state desc, id limit 30"
            }
            Rows::Workers => "rework.worker where finished_at is null",
            Rows::Leases => "rework.lease where taken_at is null and swept_at is null",
        };
        let session = Session::try_open(&self.dsn).ok()?;
        let begin = format!("begin; select from {rows} for update skip locked");
        session.try_execute(&begin).ok()?;
        self.undo_later(step, Undo::Close(vec![session]));
        Some(Victims::default())
    }

    /// Opens connections until Postgres refuses one.
    fn fill_connections(&mut self, step: &Step) -> Option<Victims> {
        let attempts = (0..MAX_CONNECTIONS).map(|_| Session::try_open(&self.dsn));
        let sessions: Vec<Session> = attempts.map_while(Result::ok).collect();
        if sessions.is_empty() {
            return None;
        }
        self.undo_later(step, Undo::Close(sessions));
        Some(Victims::default())
    }

    /// Aborts some tasks that run and some that wait. The tasks are known before their abort is requested, because the
    /// reply to the request may be lost.
    fn abort_some(&self, choice: usize) -> Option<Victims> {
        let sql = "(select id from rework.task where state = 'running'
                     order by id offset $1 limit 3)
                   union all
                   (select id from rework.task where state = 'queued'
                     order by id desc offset $1 limit 2)";
        let offset = (choice % 4) as i64;
        let rows = self.session.try_query(sql, &[&offset]).ok()?;
        let tasks: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        for task in &tasks {
            // A row may be locked, and Postgres may be down. Then the task is not aborted.
            drop(self.session.try_query("select rework.abort($1, $2)", &[task, &ABORT_REASON]));
        }
        (!tasks.is_empty()).then(|| Victims { tasks, ..Victims::default() })
    }
}

/// Sends a signal to one process of this kind on a host. `None` if there is none.
fn signal_one(host: &Host, target: Target, choice: usize, signal: Signal) -> Option<Victims> {
    let pids = host.pids(target);
    let pid = *pids.get(choice.checked_rem(pids.len())?)?;
    processes::signal(pid, signal);
    Some(Victims::processes(vec![pid]))
}

fn undo(undo: Undo, hosts: &[Host], cluster: &mut Cluster) {
    match undo {
        Undo::Continue(pid) => processes::signal(pid, Signal::SIGCONT),
        Undo::StartPostgres => cluster.start(),
        Undo::Close(sessions) => drop(sessions),
        Undo::Forward(host) => {
            if let Some(proxy) = hosts.get(host).and_then(Host::proxy) {
                proxy.set_mode(ProxyMode::Pass);
            }
        }
    }
}

fn proxy_mode(fault: NetworkFault, choice: usize) -> ProxyMode {
    match fault {
        NetworkFault::Stall => ProxyMode::BlackHole,
        NetworkFault::Cut => ProxyMode::Reset,
        NetworkFault::CutLater => ProxyMode::CutAfter(choice % 5_000),
        NetworkFault::Refuse => ProxyMode::Refuse,
        NetworkFault::Delay => ProxyMode::Delay(Duration::from_millis(choice as u64 % 50)),
        NetworkFault::LoseClaims => ProxyMode::LoseReplies("rework.claim(", LOST_REPLIES),
        NetworkFault::LoseEnds => ProxyMode::LoseReplies("rework.complete(", LOST_REPLIES),
    }
}
