//! Tables whose first column is a tree, as `om net status` prints them.

use std::iter::repeat_n;

/// One row: the cells, and the rows below it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    /// The text of each column.
    pub(crate) cells: Vec<String>,
    /// The rows one level deeper.
    pub(crate) children: Vec<Row>,
}

impl Row {
    /// A row without children.
    pub(crate) fn new<T: ToString>(cells: impl IntoIterator<Item = T>) -> Self {
        Self {
            cells: cells.into_iter().map(|cell| cell.to_string()).collect(),
            children: Vec::new(),
        }
    }
}

/// A row with the markers that lead to it.
struct Line<'a> {
    prefix: String,
    cells: &'a [String],
}

/// The same with bold headers and brown names, where colours are on.
pub(crate) fn render_colored(header: &Row, color: bool) -> String {
    let text = render(header);
    if !color {
        return text;
    }
    let mut lines = text.lines();
    let mut colored = String::new();
    if let Some(first) = lines.next() {
        colored += &format!("\u{1b}[1m{first}\u{1b}[0m\n");
    }
    for line in lines {
        // Behind the markers, up to the next blank, is the name.
        let start = line
            .find(|c: char| !"|`- ".contains(c))
            .unwrap_or(line.len());
        let end = line[start..]
            .find(' ')
            .map_or(line.len(), |length| start + length);
        let (markers, name, rest) = (&line[..start], &line[start..end], &line[end..]);
        colored += &format!("{markers}\u{1b}[33m{name}\u{1b}[0m{rest}\n");
    }
    colored
}

/// Renders a header row and the tree below it. Every cell is as wide as the widest of
/// its column, with two spaces behind it, the last one too; an empty line ends it.
pub(crate) fn render(header: &Row) -> String {
    let mut lines = Vec::new();
    flatten(header, String::new(), &mut String::new(), &mut lines);
    let columns = lines.iter().map(|line| line.cells.len()).max().unwrap_or(0);
    let width = |column: usize| {
        lines
            .iter()
            .filter_map(|line| line.cells.get(column))
            .map(|cell| columns_of(cell))
            .max()
    };
    let widths: Vec<usize> = (0..columns)
        .map(|column| width(column).unwrap_or(0))
        .collect();
    let deepest = lines
        .iter()
        .map(|line| columns_of(&line.prefix))
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for line in &lines {
        text.push_str(&line.prefix);
        for (column, width) in widths.iter().enumerate() {
            let cell = line.cells.get(column).map_or("", String::as_str);
            let width = if column == 0 {
                width + deepest - columns_of(&line.prefix)
            } else {
                *width
            };
            // There may be a hundred thousand lines: no formatter.
            text.push_str(cell);
            text.extend(repeat_n(' ', width - columns_of(cell) + 2));
        }
        text.push('\n');
    }
    text.push('\n');
    text
}

/// How many columns of a terminal a text takes.
fn columns_of(text: &str) -> usize {
    match text.is_ascii() {
        true => text.len(),
        false => text.chars().count(),
    }
}

/// `marker` leads to this row, `trunk` is what its children's rows begin with.
fn flatten<'a>(row: &'a Row, marker: String, trunk: &mut String, lines: &mut Vec<Line<'a>>) {
    lines.push(Line {
        prefix: marker,
        cells: &row.cells,
    });
    let length = trunk.len();
    for (i, child) in row.children.iter().enumerate() {
        let last = i + 1 == row.children.len();
        let marker = format!("{trunk}{}", if last { "`- " } else { "|- " });
        trunk.push_str(if last { "   " } else { "|  " });
        flatten(child, marker, trunk, lines);
        trunk.truncate(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_the_documents_to_the_letter() {
        let mut header = Row::new(["name", "type", "network", "size", "used", "free", "pct"]);
        header.children = vec![
            Row::new([
                "backend1",
                "routed_bridge",
                "10.11.0.0/16",
                "65536",
                "0",
                "65536",
                "0.00%",
            ]),
            Row::new([
                "default",
                "bridge",
                "10.22.0.0/16",
                "65536",
                "0",
                "65536",
                "0.00%",
            ]),
            Row::new(["lo", "loopback", "127.0.0.1/32", "1", "0", "1", "0.00%"]),
        ];
        let expected = concat!(
            "name         type           network       size   used  free   pct    \n",
            "|- backend1  routed_bridge  10.11.0.0/16  65536  0     65536  0.00%  \n",
            "|- default   bridge         10.22.0.0/16  65536  0     65536  0.00%  \n",
            "`- lo        loopback       127.0.0.1/32  1      0     1      0.00%  \n",
            "\n",
        );
        assert_eq!(render(&header), expected);
    }

    #[test]
    fn deeper_levels_are_indented_and_the_first_column_takes_the_deepest() {
        let mut header = Row::new(["name", "type"]);
        let mut network = Row::new(["backend", "bridge"]);
        let mut ips = Row::new(["ip", "node"]);
        ips.children = vec![Row::new(["10.0.0.2", "n1"]), Row::new(["10.0.0.3", "n1"])];
        network.children = vec![ips];
        header.children = vec![network];
        let expected = concat!(
            "name               type    \n",
            "`- backend         bridge  \n",
            "   `- ip           node    \n",
            "      |- 10.0.0.2  n1      \n",
            "      `- 10.0.0.3  n1      \n",
            "\n",
        );
        assert_eq!(render(&header), expected);
    }
}
