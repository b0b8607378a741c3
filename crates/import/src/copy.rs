//! Copies schedules and queued tasks from the source to our database. Items that exist already are left as they are,
//! and items that cannot be copied are skipped with a reason.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::value::RawValue;
use tokio_postgres::{Transaction, types::Type};

use super::{
    ImportOptions, ImportedItem, ItemKind, SkippedItem,
    convert_input::convert_input,
    operations::{Key, TargetOperation},
    source::{Source, SourceOperation, SourceSchedule, SourceTask},
};
use rework_core::{
    cron::{
        declare::{Schedule, declare},
        error::CronError,
        list::ListedSchedule,
        rule::{Missed, Overlap},
    },
    db::{connect::Param, deadline::within_deadline, error::Result, row::Columns},
    task::{
        payload::Payload,
        schedule::{MAX_METADATA_BYTES, Request, schedule},
    },
    values::json::Json,
};
use rework_wire::operation::MAX_PAYLOAD_BYTES;

/// A running import.
pub(super) struct Importer<'a> {
    /// The transaction in our database.
    pub(super) transaction: &'a Transaction<'a>,
    pub(super) options: &'a ImportOptions<'a>,
    /// The operations of the source, the newest registration last.
    pub(super) operations: &'a [SourceOperation],
    /// The operations of our database.
    pub(super) targets: &'a BTreeMap<Key, TargetOperation>,
    /// The items that were skipped so far.
    pub(super) skipped: Vec<SkippedItem>,
}

/// The properties that identify a schedule: operation, domain, rule, host, input.
type ScheduleIdentity = (String, String, String, Option<String>, String);

impl Importer<'_> {
    /// Copies all schedules of the source. Those that equal one of `existing`, or that an earlier import copied, are
    /// not created again.
    pub(super) async fn schedules(
        &mut self,
        source: &Source<'_>,
        existing: &[ListedSchedule],
    ) -> Result<Vec<ImportedItem>> {
        let previous = previous_imports(self.transaction, &source.identity, "schedules").await?;
        let mut identities: BTreeSet<ScheduleIdentity> =
            existing.iter().map(|listed| identity(&listed.schedule)).collect();
        let mut imported = Vec::new();
        for original in source.schedules().await? {
            let key = (original.domain.clone(), original.operation.clone());
            let host = original.host.as_deref();
            let host = host.map(|host| self.options.new_host_name(host).unwrap_or(host));
            let mut item = ImportedItem::new(original.id, &key, host);
            item.rule = Some(original.rule.clone());
            let refusal = match self.schedule(&original, &key, host) {
                _ if previous.contains(&original.id) => None,
                // Also if the source has two equal schedules: one of them does the work of both.
                Ok((schedule, _)) if !identities.insert(identity(&schedule)) => None,
                Ok((schedule, input)) => self.declare(&schedule, &input, &mut item).await?,
                Err(reason) => Some(reason),
            };
            match refusal {
                None => imported.push(item),
                Some(reason) => {
                    self.skipped.push(SkippedItem::new(
                        ItemKind::Schedule,
                        original.id,
                        &key,
                        reason,
                    ));
                }
            }
        }
        Ok(imported)
    }

    /// Creates a schedule and stores its id in `item`. Returns the reason if it cannot be created,
    /// otherwise `None`.
    async fn declare(
        &self,
        schedule: &Schedule,
        input: &Payload,
        item: &mut ImportedItem,
    ) -> Result<Option<String>> {
        let rule = match schedule.rule(true) {
            Ok(rule) => rule,
            Err(error) => return Ok(Some(error.to_string())),
        };
        match declare(self.transaction, schedule, &rule, input).await {
            Ok(declared) => {
                item.new = true;
                item.id = Some(declared.id);
                Ok(None)
            }
            // This error is detected before anything is written, so the transaction can go on.
            Err(CronError::Rule(error)) => Ok(Some(error.to_string())),
            Err(CronError::Database(error)) => Err(error),
        }
    }

    /// Converts a schedule of the source to one of ours, with its input. `Err` with a reason if that is impossible.
    fn schedule(
        &self,
        original: &SourceSchedule,
        key: &Key,
        host: Option<&str>,
    ) -> Result<(Schedule, Payload), String> {
        // The declaration on the schedule's own host is preferred, then the newest one.
        let rows = || self.operations.iter().filter(|operation| operation.key() == *key);
        let on_host = || rows().rfind(|row| Some(&row.host) == original.host.as_ref());
        let operation = on_host().or_else(|| rows().next_back());
        let operation = operation.ok_or("there is no such operation in its domain")?;
        let input = self.input(operation, original.input.as_deref(), key)?;
        check_metadata(original.metadata.as_deref())?;
        let raw = |text: &String| RawValue::from_string(text.clone()).map_err(|e| e.to_string());
        let (json, base64) = match &input {
            Payload::None => (None, None),
            Payload::Json(text) => (Some(raw(text)?), None),
            Payload::Bytes(bytes) => (None, Some(BASE64_STANDARD.encode(bytes))),
        };
        let schedule = Schedule {
            operation: key.1.clone(),
            domain: key.0.clone(),
            rule: original.rule.clone(),
            zone: self.options.zone.to_owned(),
            host: host.map(str::to_owned),
            priority: None,
            capabilities: Vec::new(),
            input: json,
            input_base64: base64,
            metadata: original.metadata.as_ref().map(raw).transpose()?,
            missed: Missed::default(),
            overlap: Overlap::default(),
            paused: false,
        };
        Ok((schedule, input))
    }

    /// Converts an input of the source to one of our database. `Err` with a reason if that is impossible.
    fn input(
        &self,
        operation: &SourceOperation,
        stored: Option<&[u8]>,
        key: &Key,
    ) -> Result<Payload, String> {
        let target = self.targets.get(key).ok_or("its operation could not be imported")?;
        let input = convert_input(operation.specs()?.as_deref(), stored)?;
        if input.bytes() > MAX_PAYLOAD_BYTES {
            return Err("its input is larger than 100 MiB".to_owned());
        }
        target.refusal(&input).map_or(Ok(input), Err)
    }

    /// Copies all queued tasks of the source. Those that an earlier import copied are not created again.
    pub(super) async fn tasks(&mut self, source: &Source<'_>) -> Result<Vec<ImportedItem>> {
        let previous = previous_imports(self.transaction, &source.identity, "tasks").await?;
        let by_id: BTreeMap<i64, &SourceOperation> =
            self.operations.iter().map(|operation| (operation.id, operation)).collect();
        let (mut imported, mut after) = (Vec::new(), 0);
        loop {
            let page = source.queued_tasks(after).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for original in page {
                // Always found: a foreign key of the source guarantees it.
                let Some(operation) = by_id.get(&original.operation) else { continue };
                let key = operation.key();
                // Every task of the source refers to an operation on one host, also if its caller meant no host, and
                // any worker of the domain may run it. So the task is bound to a host only if the user renamed that
                // host.
                let host = self.options.new_host_name(&operation.host);
                let mut item = ImportedItem::new(original.id, &key, host);
                if !previous.contains(&original.id) {
                    let input = self.input(operation, original.input.as_deref(), &key);
                    let metadata = check_metadata(original.metadata.as_deref());
                    match metadata.and(input) {
                        Ok(input) => {
                            let unique_key = format!("import:{}:{}", source.identity, original.id);
                            item.id = Some(self.queue(&item, &original, input, &unique_key).await?);
                            item.new = true;
                        }
                        Err(reason) => {
                            self.skipped.push(SkippedItem::new(
                                ItemKind::Task,
                                original.id,
                                &key,
                                reason,
                            ));
                            continue;
                        }
                    }
                }
                imported.push(item);
            }
        }
        Ok(imported)
    }

    /// Schedules a task of the source in our database, and returns its new id.
    async fn queue(
        &self,
        item: &ImportedItem,
        original: &SourceTask,
        input: Payload,
        unique_key: &str,
    ) -> Result<i64> {
        let request = Request {
            operation: &item.operation,
            domain: Some(&item.domain),
            input,
            host: item.host.as_deref(),
            unique_key: Some(unique_key),
            metadata: original.metadata.as_deref(),
            ..Request::default()
        };
        schedule(self.transaction, &request).await
    }
}

/// Checks that our database accepts metadata. `Err` with a reason if not.
fn check_metadata(metadata: Option<&str>) -> Result<(), String> {
    let Some(text) = metadata else { return Ok(()) };
    if text.len() > MAX_METADATA_BYTES {
        return Err("its metadata is larger than 64 KiB".to_owned());
    }
    Json::parse(text.as_bytes()).map(drop).map_err(|bad| format!("its metadata {bad}"))
}

/// Returns the source's ids of the items that earlier imports created. `kind` is `tasks` or `schedules`.
async fn previous_imports(
    transaction: &Transaction<'_>,
    identity: &str,
    kind: &str,
) -> Result<HashSet<i64>> {
    let params: [Param<'_>; 2] = [(&identity, Type::TEXT), (&kind, Type::TEXT)];
    let query = transaction.query_typed(include_str!("sql/import_previous.sql"), &params);
    let rows = within_deadline(query).await?;
    rows.iter().map(|row| Columns::new(row).get("id")).collect()
}

/// Returns the identity of a schedule. Rules and inputs that differ only in white space have the same identity.
fn identity(schedule: &Schedule) -> ScheduleIdentity {
    let fields: Vec<&str> = schedule.rule.split_whitespace().collect();
    let input = match (&schedule.input, &schedule.input_base64) {
        (Some(json), _) => Json::parse(json.get().as_bytes())
            .map_or_else(|_| json.get().to_owned(), |value| value.canonical()),
        (None, Some(base64)) => format!("bytes {base64}"),
        (None, None) => String::new(),
    };
    let Schedule { operation, domain, host, .. } = schedule;
    (operation.clone(), domain.clone(), fields.join(" "), host.clone(), input)
}
