mod support;
use std::time::Instant;
use rework_process::Tree;
use support::*;
#[test]
fn cost() {
    alone(async {
        for rung in rungs() {
            for n in [0, 100] {
                let dir = tempfile::tempdir().unwrap();
                let t=Instant::now();
                let mut tree = Tree::new(&rung, &mark(), 1).unwrap();
                eprintln!("{} new {:?}", rung.name(), t.elapsed());
                let t=Instant::now();
                let mut c = tree.launch(shell(&format!("i=0; while [ $i -lt {n} ]; do (env -i setsid sleep 1000 &); i=$((i+1)); done; echo $$ > $DIR/pids; exec sleep 1000"), dir.path())).unwrap();
                eprintln!("launch {:?}", t.elapsed());
                pids(dir.path(), "pids", 1).await;
                until("x", || tree.others().len() == n).await;
                let t=Instant::now();
                for _ in 0..100 { tree.others(); }
                eprintln!("n {n} others {:?}", t.elapsed()/100);
                let t=Instant::now();
                for _ in 0..100 { tree.usage(); }
                eprintln!("n {n} usage {:?}", t.elapsed()/100);
                let t=Instant::now();
                for _ in 0..100 { tree.oom_kills(); tree.memory_peak_reset(); }
                eprintln!("n {n} oom+reset {:?}", t.elapsed()/100);
                let t=Instant::now();
                tree.kill(PATIENCE).await.unwrap();
                eprintln!("n {n} kill {:?}", t.elapsed());
                c.wait().await.unwrap();
            }
        }
    });
}
