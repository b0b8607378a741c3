//! Shows lines that change: on a terminal they are drawn again in their place, elsewhere only changed lines are
//! printed.

use std::fmt::Write as _;

/// Clears everything from the cursor to the end of the terminal.
const CLEAR_BELOW: &str = "\x1b[J";

/// Makes a terminal cut a text at its right edge. A line that took several lines of the terminal could not be replaced.
const CUT_AT_EDGE: &str = "\x1b[?7l";

/// Ends the effect of [`CUT_AT_EDGE`].
const WRAP_AT_EDGE: &str = "\x1b[?7h";

/// Lines that are shown again and again.
#[derive(Debug)]
pub(crate) struct Redraw {
    /// Whether the output is a terminal.
    terminal: bool,
    /// The lines that were shown last.
    shown: Vec<String>,
    /// The number of lines of the terminal that they take.
    drawn: usize,
}

impl Redraw {
    pub(crate) fn new(terminal: bool) -> Redraw {
        Redraw { terminal, shown: Vec::new(), drawn: 0 }
    }

    /// Returns what has to be written so that these lines are shown. `height` is the number of lines of the terminal;
    /// the lines that do not fit are left out.
    pub(crate) fn show(&mut self, lines: Vec<String>, height: usize) -> String {
        let text =
            if self.terminal { self.draw(&lines, height) } else { self.changed_lines(&lines) };
        self.shown = lines;
        text
    }

    /// Replaces the lines that were drawn before.
    fn draw(&mut self, lines: &[String], height: usize) -> String {
        if *lines == self.shown {
            return String::new();
        }
        // The cursor is on the line below.
        let room = height.saturating_sub(1).max(1);
        let fits = if lines.len() <= room { lines.len() } else { room.saturating_sub(1) };
        let mut text = if self.drawn > 0 { format!("\x1b[{}A", self.drawn) } else { String::new() };
        text.push_str(CLEAR_BELOW);
        text.push_str(CUT_AT_EDGE);
        for line in &lines[..fits] {
            text.push_str(line);
            text.push('\n');
        }
        self.drawn = fits;
        if fits < lines.len() {
            let _ = writeln!(text, "… {} more lines", lines.len() - fits);
            self.drawn += 1;
        }
        text + WRAP_AT_EDGE
    }

    /// Returns the lines that were not shown before.
    fn changed_lines(&self, lines: &[String]) -> String {
        let changed = lines.iter().filter(|line| !self.shown.contains(line));
        changed.flat_map(|line| [line.as_str(), "\n"]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_file_gets_only_changed_lines() {
        let mut redraw = Redraw::new(false);
        assert_eq!(redraw.show(lines("a b"), 9), "a\nb\n");
        assert_eq!(redraw.show(lines("a b"), 9), "");
        assert_eq!(redraw.show(lines("a c d"), 9), "c\nd\n");
    }

    #[test]
    fn a_terminal_gets_all_lines_in_the_place_of_the_former_ones() {
        let mut redraw = Redraw::new(true);
        assert_eq!(redraw.show(lines("a b"), 9), "\x1b[J\x1b[?7la\nb\n\x1b[?7h");
        assert_eq!(redraw.show(lines("a b"), 9), "");
        assert_eq!(redraw.show(lines("c"), 9), "\x1b[2A\x1b[J\x1b[?7lc\n\x1b[?7h");
    }

    #[test]
    fn lines_that_do_not_fit_are_counted() {
        let mut redraw = Redraw::new(true);
        let shown = redraw.show(lines("a b c d"), 4);
        assert_eq!(shown, "\x1b[J\x1b[?7la\nb\n… 2 more lines\n\x1b[?7h");
        assert!(redraw.show(lines("e"), 4).starts_with("\x1b[3A"));
    }
}
