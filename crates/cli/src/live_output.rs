//! Prints lines while they are written. A line that has no newline yet is printed, too: when it grows, the rest is
//! added behind it or it is drawn again, so that it is one line in the end.
//!
//! Only the last line of the output can change. If another line has to be printed, an unfinished line gets a newline
//! where it is, and is printed again as a whole when it has grown. Two progress bars would replace each other at every
//! redraw. So a line that was interrupted once waits while another unfinished line is the last one of the output.

use std::collections::HashSet;

use anstyle::Style;
use rework_core::log::lines::LineKey;

/// Moves the cursor of a terminal to the start of its line, and clears this line.
const CLEAR_LINE: &[u8] = b"\r\x1b[K";

/// Makes a terminal cut a text at its right edge. A text that took several lines of the terminal could not be cleared.
const CUT_AT_EDGE: &[u8] = b"\x1b[?7l";

/// Ends the effect of [`CUT_AT_EDGE`].
const WRAP_AT_EDGE: &[u8] = b"\x1b[?7h";

/// The largest number of lines that wait. Above it, a line interrupts another one again.
const MAX_WAITING: usize = 100;

/// The largest number of interrupted lines that are remembered. Nothing continues a line whose run has ended.
const MAX_INTERRUPTED: usize = 1_000;

/// A line as it is printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PrintedLine {
    /// Where the line comes from, with its colours.
    pub(crate) prefix: String,
    /// The colour of the text.
    pub(crate) style: Style,
    pub(crate) text: Vec<u8>,
}

impl PrintedLine {
    /// Appends the line without a newline.
    pub(crate) fn append_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.prefix.as_bytes());
        append_styled(out, self.style, &self.text);
    }
}

/// A line to print, or what is written of it so far.
#[derive(Debug, Clone)]
pub(crate) struct LiveLine {
    pub(crate) key: LineKey,
    pub(crate) printed: PrintedLine,
    /// Whether nothing continues the line.
    pub(crate) has_ended: bool,
}

/// Prints lines one below the other, of which the last one may be unfinished.
#[derive(Debug)]
pub(crate) struct LiveOutput {
    /// Whether the output is a terminal, which can clear a line.
    terminal: bool,
    /// The unfinished line at the end of the output. `None` if the output ends with a newline.
    unfinished: Option<LiveLine>,
    /// The keys of the unfinished lines that got a newline because another line was printed.
    interrupted: HashSet<LineKey>,
    /// Interrupted lines that have grown and are not printed again yet.
    waiting: Vec<LiveLine>,
}

impl LiveOutput {
    pub(crate) fn new(terminal: bool) -> LiveOutput {
        let (interrupted, waiting) = (HashSet::new(), Vec::new());
        LiveOutput { terminal, unfinished: None, interrupted, waiting }
    }

    /// Appends lines to `out`, which is printed behind everything that was appended before.
    pub(crate) fn append(&mut self, out: &mut Vec<u8>, lines: &[LiveLine]) {
        self.clear_if_replaced(out, lines);
        for (index, line) in lines.iter().enumerate() {
            let is_outdated = || lines[index + 1..].iter().any(|later| later.key == line.key);
            if line.has_ended || !is_outdated() {
                self.waiting.retain(|waiting| waiting.key != line.key);
                if self.must_wait(line) {
                    self.waiting.push(line.clone());
                } else {
                    self.append_line(out, line);
                }
            }
        }
        if self.unfinished.is_none()
            && let Some(line) = self.waiting.pop()
        {
            self.append_line(out, &line);
        }
    }

    /// Ends the unfinished line and prints the lines that wait, so that something else can be printed.
    pub(crate) fn end_line(&mut self, out: &mut Vec<u8>) {
        self.interrupt(out);
        for line in std::mem::take(&mut self.waiting) {
            line.printed.append_to(out);
            out.push(b'\n');
        }
    }

    /// Returns whether a line is printed later: it was interrupted, and another unfinished line ends the output.
    fn must_wait(&self, line: &LiveLine) -> bool {
        let is_other = |last: &LiveLine| last.key != line.key;
        !line.has_ended
            && self.unfinished.as_ref().is_some_and(is_other)
            && self.interrupted.contains(&line.key)
            && self.waiting.len() < MAX_WAITING
    }

    /// Ends the unfinished line.
    fn interrupt(&mut self, out: &mut Vec<u8>) {
        let Some(before) = self.unfinished.take() else { return };
        if self.terminal {
            // It may have been cut.
            out.extend_from_slice(CLEAR_LINE);
            before.printed.append_to(out);
        }
        out.push(b'\n');
        if self.interrupted.len() >= MAX_INTERRUPTED {
            self.interrupted.clear();
        }
        self.interrupted.insert(before.key);
    }

    /// Clears the unfinished line if it is printed again below other lines.
    fn clear_if_replaced(&mut self, out: &mut Vec<u8>, lines: &[LiveLine]) {
        let Some(before) = &self.unfinished else { return };
        let mut keys = lines.iter().map(|line| &line.key);
        let is_next = keys.next().is_some_and(|key| *key == before.key);
        if self.terminal && !is_next && keys.any(|key| *key == before.key) {
            out.extend_from_slice(CLEAR_LINE);
            self.unfinished = None;
        }
    }

    fn append_line(&mut self, out: &mut Vec<u8>, line: &LiveLine) {
        if let Some(before) = self.unfinished.take_if(|before| before.key == line.key) {
            self.replace(out, &before.printed, line);
        } else {
            self.interrupt(out);
            self.draw(out, line);
        }
        if line.has_ended {
            self.interrupted.remove(&line.key);
            out.push(b'\n');
        } else {
            self.unfinished = Some(line.clone());
        }
    }

    /// Replaces an earlier state of the same line.
    fn replace(&self, out: &mut Vec<u8>, before: &PrintedLine, line: &LiveLine) {
        let PrintedLine { prefix, style, text } = &line.printed;
        if self.terminal {
            out.extend_from_slice(CLEAR_LINE);
            return self.draw(out, line);
        }
        match text.strip_prefix(before.text.as_slice()) {
            Some(rest) if *prefix == before.prefix => append_styled(out, *style, rest),
            _ => {
                out.push(b'\r');
                self.draw(out, line);
            }
        }
    }

    fn draw(&self, out: &mut Vec<u8>, line: &LiveLine) {
        let may_change = self.terminal && !line.has_ended;
        out.extend_from_slice(if may_change { CUT_AT_EDGE } else { b"" });
        line.printed.append_to(out);
        out.extend_from_slice(if may_change { WRAP_AT_EDGE } else { b"" });
    }
}

fn append_styled(out: &mut Vec<u8>, style: Style, text: &[u8]) {
    out.extend_from_slice(format!("{style}").as_bytes());
    out.extend_from_slice(text);
    out.extend_from_slice(format!("{style:#}").as_bytes());
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use rework_core::log::lines::LogRow;

    use super::*;

    fn line(stream: &str, text: &str, has_ended: bool) -> LiveLine {
        let row = LogRow {
            id: 1,
            run: 1,
            at: DateTime::UNIX_EPOCH,
            stream: stream.to_owned(),
            level: "INFO".to_owned(),
            bytes: Vec::new(),
            whole: has_ended,
            continues: false,
            is_last: true,
        };
        let prefix = format!("{stream}: ");
        let printed = PrintedLine { prefix, style: Style::new(), text: text.as_bytes().to_vec() };
        LiveLine { key: LineKey::of_row(7, &row), printed, has_ended }
    }

    /// Returns what is printed for these lines, one list after the other. At the end the unfinished line is ended.
    fn printed(terminal: bool, lists: &[&[LiveLine]]) -> String {
        let (mut live, mut out) = (LiveOutput::new(terminal), Vec::new());
        for lines in lists {
            live.append(&mut out, lines);
        }
        live.end_line(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_that_grows_is_one_line_in_a_file() {
        let states = ["name? ", "name? A", "name? Ada"].map(|text| [line("stdout", text, false)]);
        let lists = states.each_ref().map(|state| &state[..]);
        assert_eq!(printed(false, &lists), "stdout: name? Ada\n");
        let last = line("stdout", "name? Ada", true);
        let next = line("stdout", "next", true);
        assert_eq!(
            printed(false, &[&states[0], &[last, next]]),
            "stdout: name? Ada\nstdout: next\n"
        );
    }

    #[test]
    fn a_redraw_begins_at_the_start_of_the_line() {
        let states: [&[LiveLine]; 2] =
            [&[line("stderr", "10 %", false)], &[line("stderr", "20 %", true)]];
        assert_eq!(printed(false, &states), "stderr: 10 %\rstderr: 20 %\n");
        assert_eq!(printed(true, &states), "\x1b[?7lstderr: 10 %\x1b[?7h\r\x1b[Kstderr: 20 %\n");
    }

    #[test]
    fn another_line_ends_an_unfinished_one() {
        let other = [line("stdout", "other", true)];
        let half = [line("stderr", "half", false)];
        let whole = [line("stderr", "half a line", true)];
        assert_eq!(
            printed(false, &[&half, &other, &whole]),
            "stderr: half\nstdout: other\nstderr: half a line\n"
        );
        let cut = "\x1b[?7lstderr: half\x1b[?7h";
        assert_eq!(
            printed(true, &[&half, &other]),
            format!("{cut}\r\x1b[Kstderr: half\nstdout: other\n")
        );
    }

    #[test]
    fn two_progress_bars_do_not_replace_each_other_at_every_redraw() {
        let bar = |stream: &str, text: &str| line(stream, text, false);
        let lists: [&[LiveLine]; 6] = [
            &[bar("a", "1 %")],
            &[bar("b", "2 %")],
            &[bar("a", "3 %"), bar("b", "4 %")],
            &[bar("a", "5 %")],
            &[line("b", "6 %", true)],
            &[bar("a", "7 %")],
        ];
        let printed_before_end = "a: 1 %\nb: 2 %\rb: 4 %\rb: 6 %\na: 5 %";
        assert_eq!(printed(false, &lists[..5]), format!("{printed_before_end}\n"));
        assert_eq!(printed(false, &lists), format!("{printed_before_end}\ra: 7 %\n"));
        // A line that waits is never lost.
        assert_eq!(printed(false, &lists[..4]), "a: 1 %\nb: 2 %\rb: 4 %\na: 5 %\n");
    }

    #[test]
    fn on_a_terminal_a_progress_bar_stays_below_the_lines() {
        let bar = |text: &str| line("stderr", text, false);
        let other = line("stdout", "other", true);
        let lists: [&[LiveLine]; 2] = [&[bar("10 %")], &[other, bar("20 %"), bar("30 %")]];
        assert_eq!(
            printed(true, &lists),
            "\x1b[?7lstderr: 10 %\x1b[?7h\r\x1b[Kstdout: other\n\
             \x1b[?7lstderr: 30 %\x1b[?7h\r\x1b[Kstderr: 30 %\n"
        );
    }
}
