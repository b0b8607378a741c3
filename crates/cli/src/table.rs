//! Renders rows with aligned columns. The text is the same on a terminal and in a file; only a terminal gets colours.

use std::fmt::Write as _;

use anstyle::Style;

use crate::escape;

/// The rows of a table.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<Cell>>,
    /// Whether two spaces separate the columns, instead of one.
    is_wide: bool,
}

/// One cell of a row.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    style: Style,
    /// Whether the text is aligned to the right.
    right: bool,
}

impl Cell {
    /// Returns a cell with coloured text.
    pub fn styled(text: impl Into<String>, style: Style) -> Cell {
        Cell { style, ..Cell::from(text.into()) }
    }

    /// Returns a cell with a number, which is aligned to the right.
    pub fn number(value: impl std::fmt::Display) -> Cell {
        Cell { right: true, ..Cell::from(value.to_string()) }
    }
}

impl From<String> for Cell {
    /// Returns a cell with this text. Control characters and newlines are escaped.
    fn from(text: String) -> Cell {
        Cell { text: escape::line(&text).into_owned(), style: Style::new(), right: false }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::from(text.to_owned())
    }
}

impl Table {
    /// Returns an empty table whose columns are separated by two spaces, because texts in them have spaces.
    pub fn wide() -> Table {
        Table { is_wide: true, ..Table::default() }
    }

    /// Adds a row. A column in which all cells are empty takes no space.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Returns one line per row, each with its newline.
    pub fn render(&self, colour: bool) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|i| {
                let cells = self.rows.iter().filter_map(|row| row.get(i));
                cells.map(|cell| cell.text.chars().count()).max().unwrap_or(0)
            })
            .collect();
        let gap = if self.is_wide { 2 } else { 1 };
        self.rows.iter().map(|row| render_row(row, &widths, gap, colour)).collect()
    }
}

/// Renders one row. `gap` is the number of spaces between two columns.
fn render_row(row: &[Cell], widths: &[usize], gap: usize, colour: bool) -> String {
    let mut line = String::new();
    // Spaces are written only when a text follows them, so that no line ends with spaces.
    let mut pending_spaces = 0;
    for (cell, width) in row.iter().zip(widths).filter(|(_, width)| **width > 0) {
        let padding = width - cell.text.chars().count();
        if cell.right {
            pending_spaces += padding;
        }
        if !cell.text.is_empty() {
            line.extend(std::iter::repeat_n(' ', pending_spaces));
            pending_spaces = 0;
            let style = if colour { cell.style } else { Style::new() };
            let _ = write!(line, "{style}{}{style:#}", cell.text);
        }
        pending_spaces += usize::from(!cell.right) * padding + gap;
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use anstyle::AnsiColor;

    use super::*;

    fn sample() -> Table {
        let mut table = Table::default();
        let green = AnsiColor::Green.on_default();
        table.row([Cell::number(7), "resize".into(), Cell::styled("done", green), "".into()]);
        table.row([Cell::number(12), "a\nb".into(), "queued".into(), "".into(), "why".into()]);
        table
    }

    #[test]
    fn columns_are_aligned_and_empty_ones_take_no_space() {
        assert_eq!(sample().render(false), " 7 resize done\n12 a\\nb   queued why\n");
    }

    #[test]
    fn a_wide_table_has_two_spaces_between_its_columns() {
        let mut table = Table::wide();
        table.row(["a".into(), "b c".into(), Cell::number(1)]);
        assert_eq!(table.render(false), "a  b c  1\n");
    }

    #[test]
    fn colours_do_not_count_as_width() {
        assert_eq!(
            sample().render(true),
            " 7 resize \u{1b}[32mdone\u{1b}[0m\n12 a\\nb   queued why\n"
        );
    }
}
