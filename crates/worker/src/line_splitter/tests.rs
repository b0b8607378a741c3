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
}

trait Concat {
    fn concat_bytes(&self) -> Vec<u8>;
}

impl Concat for Vec<(Vec<u8>, bool)> {
    fn concat_bytes(&self) -> Vec<u8> {
        self.iter().flat_map(|(bytes, _)| bytes.clone()).collect()
    }
}
