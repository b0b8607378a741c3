//! Schedules and queued tasks of another database, one by one: carried over, known from before, or left with the
//! reason why.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, value::RawValue};
use tokio_postgres::{Transaction, types::Type};

use super::{
    Carried, Kind, Left, Wanted,
    source::{Source, TheirOperation, TheirSchedule, TheirTask},
    targets::{Key, Target},
    values::payload,
};
use rework_core::{
    cron::{
        add::{Schedule, prepare},
        error::CronError,
        list::Listed,
        rule::{Missed, Overlap},
    },
    db::{connect::Param, deadline::within_deadline, error::Result, row::Columns},
    task::{
        payload::Payload,
        schedule::{Request, schedule},
    },
};
use rework_wire::operation::MAX_PAYLOAD_BYTES;

/// What is under way.
pub(super) struct Carrying<'a> {
    pub(super) transaction: &'a Transaction<'a>,
    pub(super) wanted: &'a Wanted<'a>,
    pub(super) operations: &'a [TheirOperation],
    pub(super) targets: &'a BTreeMap<Key, Target>,
    pub(super) left: Vec<Left>,
}

/// By what schedules are the same: operation, domain, rule, host, input.
type Same = (String, String, String, Option<String>, String);

impl Carrying<'_> {
    /// All schedules, but those that are among the `standing` ones already, or were carried over before.
    pub(super) async fn schedules(
        &mut self,
        source: &Source<'_>,
        standing: &[Listed],
    ) -> Result<Vec<Carried>> {
        let before = known(self.transaction, &source.identity, "schedules").await?;
        let mut known: BTreeSet<Same> =
            standing.iter().map(|listed| same(&listed.schedule)).collect();
        let mut carried = Vec::new();
        let theirs = source.schedules().await?;
        for their in theirs {
            let key = (their.domain.clone(), their.operation.clone());
            let host = their.host.as_deref().map(|host| self.wanted.named(host).unwrap_or(host));
            let mut one = Carried::new(their.id, &key, host);
            one.rule = Some(their.rule.clone());
            let left = match self.schedule(&their, &key, host) {
                _ if before.contains(&their.id) => None,
                // Also where two there are the same: one does what both did.
                Ok((schedule, _)) if !known.insert(same(&schedule)) => None,
                Ok((schedule, input)) => self.prepare(&schedule, &input, &mut one).await?,
                Err(reason) => Some(reason),
            };
            match left {
                None => carried.push(one),
                Some(reason) => {
                    self.left.push(Left::new(Kind::Schedule, their.id, &key, reason));
                }
            }
        }
        Ok(carried)
    }

    /// Prepares one, or says why that cannot be.
    async fn prepare(
        &self,
        schedule: &Schedule,
        input: &Payload,
        one: &mut Carried,
    ) -> Result<Option<String>> {
        let rule = match schedule.rule(true) {
            Ok(rule) => rule,
            Err(error) => return Ok(Some(error.to_string())),
        };
        match prepare(self.transaction, schedule, &rule, input).await {
            Ok(prepared) => {
                one.new = true;
                one.id = Some(prepared.id);
                Ok(None)
            }
            // Found before anything was written.
            Err(CronError::Rule(error)) => Ok(Some(error.to_string())),
            Err(CronError::Database(error)) => Err(error),
        }
    }

    /// The schedule here, or why there is none.
    fn schedule(
        &self,
        their: &TheirSchedule,
        key: &Key,
        host: Option<&str>,
    ) -> Result<(Schedule, Payload), String> {
        let rows = || self.operations.iter().filter(|operation| operation.key() == *key);
        let on_host = || rows().rfind(|row| Some(&row.host) == their.host.as_ref());
        let declared = on_host().or_else(|| rows().next_back());
        let declared = declared.ok_or("there is no such operation in its domain")?;
        let input = self.input(declared, their.input.as_deref(), key)?;
        let raw = |text: &String| RawValue::from_string(text.clone()).map_err(|e| e.to_string());
        let (json, base64) = match &input {
            Payload::None => (None, None),
            Payload::Json(text) => (Some(raw(text)?), None),
            Payload::Bytes(bytes) => (None, Some(BASE64_STANDARD.encode(bytes))),
        };
        let schedule = Schedule {
            operation: key.1.clone(),
            domain: key.0.clone(),
            rule: their.rule.clone(),
            zone: self.wanted.zone.to_owned(),
            host: host.map(str::to_owned),
            priority: None,
            capabilities: Vec::new(),
            input: json,
            input_base64: base64,
            metadata: their.metadata.as_ref().map(raw).transpose()?,
            missed: Missed::default(),
            overlap: Overlap::default(),
            paused: false,
        };
        Ok((schedule, input))
    }

    /// An input of an operation there as it is here, if it can be.
    fn input(
        &self,
        operation: &TheirOperation,
        kept: Option<&[u8]>,
        key: &Key,
    ) -> Result<Payload, String> {
        let target = self.targets.get(key).ok_or("its operation could not be carried over")?;
        let input = payload(operation.specs()?.as_deref(), kept)?;
        if input.bytes() > MAX_PAYLOAD_BYTES {
            return Err("its input is larger than 100 MiB".to_owned());
        }
        target.refusal(&input).map_or(Ok(input), Err)
    }

    /// All queued tasks, but those that were carried over before.
    pub(super) async fn tasks(&mut self, source: &Source<'_>) -> Result<Vec<Carried>> {
        let known = known(self.transaction, &source.identity, "tasks").await?;
        let by_id: BTreeMap<i64, &TheirOperation> =
            self.operations.iter().map(|operation| (operation.id, operation)).collect();
        let (mut carried, mut after) = (Vec::new(), 0);
        loop {
            let page = source.queued(after).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for their in page {
                // There is one: the table there says so.
                let Some(operation) = by_id.get(&their.operation) else { continue };
                let key = operation.key();
                // Each is of an operation on some host, whether that one was meant or not, and any worker of the
                // domain takes it there: only where somebody says what it is called here is it for that host.
                let host = self.wanted.named(&operation.host);
                let mut one = Carried::new(their.id, &key, host);
                if !known.contains(&their.id) {
                    match self.input(operation, their.input.as_deref(), &key) {
                        Ok(input) => {
                            let unique = format!("import:{}:{}", source.identity, their.id);
                            one.id = Some(self.queue(&one, &their, input, &unique).await?);
                            one.new = true;
                        }
                        Err(reason) => {
                            self.left.push(Left::new(Kind::Task, their.id, &key, reason));
                            continue;
                        }
                    }
                }
                carried.push(one);
            }
        }
        Ok(carried)
    }

    async fn queue(
        &self,
        one: &Carried,
        their: &TheirTask,
        input: Payload,
        unique: &str,
    ) -> Result<i64> {
        let request = Request {
            operation: &one.operation,
            domain: Some(&one.domain),
            input,
            host: one.host.as_deref(),
            unique_key: Some(unique),
            metadata: their.metadata.as_deref(),
            ..Request::default()
        };
        schedule(self.transaction, &request).await
    }
}

/// The tasks or the schedules of a database that were carried over before.
async fn known(transaction: &Transaction<'_>, identity: &str, kind: &str) -> Result<HashSet<i64>> {
    let params: [Param<'_>; 2] = [(&identity, Type::TEXT), (&kind, Type::TEXT)];
    let asking = transaction.query_typed(include_str!("sql/import_known.sql"), &params);
    let rows = within_deadline(asking).await?;
    rows.iter().map(|row| Columns::new(row).get("id")).collect()
}

fn same(schedule: &Schedule) -> Same {
    let words: Vec<&str> = schedule.rule.split_whitespace().collect();
    let input = match (&schedule.input, &schedule.input_base64) {
        // Equal inputs are the same, however they are written.
        (Some(json), _) => serde_json::from_str::<Value>(json.get())
            .map_or_else(|_| json.get().to_owned(), |value| value.to_string()),
        (None, Some(base64)) => format!("bytes {base64}"),
        (None, None) => String::new(),
    };
    let Schedule { operation, domain, host, .. } = schedule;
    (operation.clone(), domain.clone(), words.join(" "), host.clone(), input)
}
