//! Tests of the line splitter: bytes in, lines of runs out.

use rework_wire::runner::boundary_bytes;

use super::*;

fn split(parts: &[&[u8]]) -> Vec<(Vec<u8>, bool)> {
    let mut splitter = LineSplitter::new("stdout", "INFO");
    let mut lines = Vec::new();
    for part in parts {
        splitter.push(part, &mut lines);
    }
    splitter.finish(&mut lines);
    lines.into_iter().map(|line| (line.bytes, line.whole)).collect()
}

#[test]
fn lines_are_whole_whatever_the_reads() {
    assert_eq!(
        split(&[b"a", b"b\nx\n\n", b"\x00\xff", b" end"]),
        [
            (b"ab".to_vec(), true),
            (b"x".to_vec(), true),
            (b"".to_vec(), true),
            (b"\x00\xff end".to_vec(), false)
        ]
    );
    assert_eq!(split(&[b"", b"one\n"]), [(b"one".to_vec(), true)]);
}

#[test]
fn boundaries_separate_runs_wherever_reads_cut_them() {
    let boundaries = [boundary_bytes("first"), boundary_bytes("second")];
    let written: &[&[u8]] = &[b"a\nb", &boundaries[0], b"\x1enone\nc\n", &boundaries[1], b"late\n"];
    let written = written.concat();
    for cut in 0..=written.len() {
        let mut splitter = LineSplitter::new("stdout", "INFO");
        splitter.expect((1, 1), boundaries[0].clone().into());
        splitter.expect((7, 1), b"never".as_slice().into());
        splitter.expect((2, 1), boundaries[1].clone().into());
        splitter.forget((7, 1));
        let mut runs = vec![Vec::new(); 3];
        splitter.push(&written[..cut], &mut runs[0]);
        splitter.push(&written[cut..], &mut runs[0]);
        for run in 0..2 {
            let (ended, next) = runs.split_at_mut(run + 1);
            splitter.advance(&mut ended[run], &mut next[0]);
        }
        splitter.finish(&mut runs[2]);
        let runs = runs.map_lines();
        let expected: [&[(&[u8], bool)]; 3] = [
            &[(b"a", true), (b"b", false)],
            &[(b"\x1enone", true), (b"c", true)],
            &[(b"late", true)],
        ];
        assert_eq!(
            runs,
            expected.map(|lines| lines.iter().map(|(l, w)| (l.to_vec(), *w)).collect::<Vec<_>>()),
            "cut at {cut}"
        );
    }
}

/// Lets the unfinished line of a splitter wait for as long as is needed to make a row of it. `false` if there is none.
fn wait_for_piece(splitter: &mut LineSplitter, lines: &mut Vec<NewLogLine>) -> bool {
    let Some(due_at) = splitter.piece_due_at() else { return false };
    let before = lines.len();
    splitter.push_piece(due_at - Duration::from_millis(1), lines);
    assert_eq!(lines.len(), before, "the line has not waited long enough");
    splitter.push_piece(due_at, lines);
    true
}

/// Returns the bytes of each row, and its flags `whole` and `continues`.
fn rows(lines: &[NewLogLine]) -> Vec<(&[u8], bool, bool)> {
    lines.iter().map(|line| (line.bytes.as_slice(), line.whole, line.continues)).collect()
}

#[test]
fn an_unfinished_line_becomes_rows_that_continue_it() {
    let mut splitter = LineSplitter::new("stdout", "INFO");
    let mut lines = Vec::new();
    splitter.push(b"first\n10 %\r", &mut lines);
    assert!(wait_for_piece(&mut splitter, &mut lines));
    assert!(!wait_for_piece(&mut splitter, &mut lines), "nothing was written since");
    splitter.push(b"20 %\r", &mut lines);
    assert!(wait_for_piece(&mut splitter, &mut lines));
    splitter.push(b"\nlast", &mut lines);
    splitter.finish(&mut lines);
    let expected: [(&[u8], bool, bool); 5] = [
        (b"first", true, false),
        (b"10 %\r", false, false),
        (b"20 %\r", false, true),
        (b"", true, true),
        (b"last", false, false),
    ];
    assert_eq!(rows(&lines), expected);
}

#[test]
fn a_complete_line_never_waits() {
    let mut splitter = LineSplitter::new("stdout", "INFO");
    let mut lines = Vec::new();
    splitter.push(b"begin", &mut lines);
    splitter.push(b"ning\n", &mut lines);
    assert!(splitter.piece_due_at().is_none());
    splitter.push(b"next", &mut lines);
    splitter.finish(&mut lines);
    assert!(splitter.piece_due_at().is_none());
    assert!(lines.iter().all(|line| !line.continues));
}

#[test]
fn no_line_continues_a_line_of_the_run_before() {
    let boundary = boundary_bytes("one");
    for last_bytes in [b"".as_slice(), b" rest"] {
        let mut splitter = LineSplitter::new("stdout", "INFO");
        splitter.expect((1, 1), boundary.clone().into());
        splitter.expect((2, 1), boundary_bytes("two").into());
        let (mut one, mut two) = (Vec::new(), Vec::new());
        splitter.push(b"half", &mut one);
        assert!(wait_for_piece(&mut splitter, &mut one));
        splitter.push(&[last_bytes, &boundary, b"of the second"].concat(), &mut one);
        // The worker has not noticed the end of the first run. So the piece waits for the second one.
        assert!(wait_for_piece(&mut splitter, &mut one));
        splitter.advance(&mut one, &mut two);
        splitter.push(b" run\n", &mut two);
        splitter.finish(&mut two);
        let of_first = rows(&one).iter().map(|(bytes, ..)| *bytes).collect::<Vec<_>>().concat();
        assert_eq!(of_first, [b"half".as_slice(), last_bytes].concat());
        let expected: [(&[u8], bool, bool); 2] =
            [(b"of the second", false, false), (b" run", true, true)];
        assert_eq!(rows(&two), expected);
    }
}

#[test]
fn a_run_that_wrote_no_boundary_keeps_its_lines() {
    let mut splitter = LineSplitter::new("stdout", "INFO");
    splitter.expect((1, 1), boundary_bytes("one").into());
    splitter.expect((2, 1), boundary_bytes("two").into());
    let (mut one, mut two) = (Vec::new(), Vec::new());
    splitter.push(b"of the first", &mut one);
    splitter.advance(&mut one, &mut two);
    splitter.push(&[b"of the second\n".as_slice(), &boundary_bytes("two")].concat(), &mut two);
    splitter.finish(&mut two);
    assert_eq!((one.len(), two.len()), (1, 1));
    assert_eq!(two[0].bytes, b"of the second");
}

#[test]
fn a_run_that_is_revoked_late_does_not_shift_the_lines_of_others() {
    let boundary = |name: &str| boundary_bytes(name);
    let mut splitter = LineSplitter::new("stdout", "INFO");
    for (task, name) in [(1, "one"), (2, "two"), (3, "three")] {
        splitter.expect((task, 1), boundary(name).into());
    }
    let mut runs = vec![Vec::new(); 3];
    let all = [b"a\n".as_slice(), &boundary("one"), b"c\n", &boundary("three"), b"late\n"].concat();
    splitter.push(&all, &mut runs[0]);
    let (ended, next) = runs.split_at_mut(1);
    splitter.advance(&mut ended[0], &mut next[0]);
    // Task 2 looked like the next run. Only now it turns out that it never started.
    let (ended, next) = runs.split_at_mut(2);
    splitter.advance(&mut ended[1], &mut next[0]);
    splitter.advance(&mut Vec::new(), &mut next[0]);
    let bytes = runs.map_lines();
    assert!(bytes[1].is_empty());
    assert_eq!(
        bytes[2].iter().map(|(line, _)| line.as_slice()).collect::<Vec<_>>(),
        [b"c".as_slice(), b"late"]
    );

    let mut splitter = LineSplitter::new("stdout", "INFO");
    for (task, name) in [(1, "one"), (2, "two"), (3, "three")] {
        splitter.expect((task, 1), boundary(name).into());
    }
    let (mut one, mut three) = (Vec::new(), Vec::new());
    splitter.push(&all, &mut one);
    splitter.forget((2, 1));
    splitter.advance(&mut one, &mut three);
    assert_eq!((one.len(), three.len()), (1, 1));
    assert_eq!(three[0].bytes, b"c");
}

trait Lines {
    fn map_lines(self) -> Vec<Vec<(Vec<u8>, bool)>>;
}

impl Lines for Vec<Vec<NewLogLine>> {
    fn map_lines(self) -> Vec<Vec<(Vec<u8>, bool)>> {
        let of =
            |run: Vec<NewLogLine>| run.into_iter().map(|line| (line.bytes, line.whole)).collect();
        self.into_iter().map(of).collect()
    }
}

#[test]
fn a_long_line_is_several_rows_that_make_it_up() {
    let long = vec![b'x'; 2 * MAX_LINE_BYTES + 5];
    let lines = split(&[&long, b"\n"]);
    assert_eq!(lines.iter().map(|(_, whole)| *whole).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!(lines.concat_bytes(), long);
    let mut splitter = LineSplitter::new("stdout", "INFO");
    let mut rows = Vec::new();
    splitter.push(&[long.as_slice(), b"\nnext\n"].concat(), &mut rows);
    let continues: Vec<bool> = rows.iter().map(|row| row.continues).collect();
    assert_eq!(continues, [false, true, true, false]);
}

trait Concat {
    fn concat_bytes(&self) -> Vec<u8>;
}

impl Concat for Vec<(Vec<u8>, bool)> {
    fn concat_bytes(&self) -> Vec<u8> {
        self.iter().flat_map(|(bytes, _)| bytes.clone()).collect()
    }
}
