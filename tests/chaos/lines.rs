//! The lines that runs write about themselves, to a file outside Postgres (`tests/operations/src/witness.rs`).

/// The event that a line records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The code of the run starts.
    Start,
    /// The code of the run goes on.
    Beat,
    /// The code of the run returns.
    End,
}

/// A line that a run has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) moment: Moment,
    pub(crate) task: i64,
    pub(crate) run: i64,
    /// The process that executes the run.
    pub(crate) pid: i32,
    /// When it was written, on the clock of `clock.rs`.
    pub(crate) at: u64,
}

/// Reads the lines of a file. `Err` with the first line that is not one of them.
pub(crate) fn parse(text: &str) -> Result<Vec<Line>, String> {
    text.lines().map(|line| parse_line(line).ok_or_else(|| line.to_owned())).collect()
}

/// Reads one line. `None` if it is not a line of a run.
pub(crate) fn parse_line(line: &str) -> Option<Line> {
    let mut fields = line.split(' ');
    let moment = match fields.next()? {
        "start" => Moment::Start,
        "beat" => Moment::Beat,
        "end" => Moment::End,
        _ => return None,
    };
    let line = Line {
        moment,
        task: fields.next()?.parse().ok()?,
        run: fields.next()?.parse().ok()?,
        pid: fields.next()?.parse().ok()?,
        at: fields.next()?.parse().ok()?,
    };
    fields.next().is_none().then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_the_event_its_run_its_process_and_its_time() {
        let line = |moment, at| Line { moment, task: 7, run: 2, pid: 31, at };
        assert_eq!(
            parse("start 7 2 31 100\nbeat 7 2 31 120\nend 7 2 31 130\n"),
            Ok(vec![line(Moment::Start, 100), line(Moment::Beat, 120), line(Moment::End, 130)])
        );
        for wrong in ["start 7 2 31", "start 7 2 31 9 1", "begin 7 2 31 9", "start 7 x 31 9"] {
            assert_eq!(parse(wrong), Err(wrong.to_owned()));
        }
    }
}
