//! What comes goes again.

use atoll_kernel::domain::{Domain, DomainOptions};

use super::{ENGINE, library};

const GUEST: &str = r#"(module (memory (export "m") 2) (data (i32.const 1000) "image") (table 3 funcref)
    (elem (i32.const 0) func $touch)
    (func $touch (export "touch") (param i32) (result i32)
        (i32.store8 (local.get 0) (i32.const 1)) (i32.load8_u (i32.const 1000)))
    (func (export "crash") unreachable))"#;

fn maps() -> String {
    std::fs::read_to_string("/proc/self/maps").expect("a process may read its own maps")
}

/// Run alone in its own process, by [`ten_thousand_instances_leave_nothing_behind`]: other tests map things,
/// too.
#[test]
#[ignore = "needs a process of its own"]
fn churn_alone() {
    let library = library(GUEST);
    let round = |round: u32| {
        let mut domain = Domain::new(&ENGINE, DomainOptions::default());
        let instance = domain.instantiate(&library, &[], None).unwrap();
        let mut result = [0];
        let touch = domain.export(instance, "touch").unwrap().func().unwrap();
        domain.call(&touch, &[u128::from(round % 131_072)], &mut result).unwrap();
        if round.is_multiple_of(64) {
            let crash = domain.export(instance, "crash").unwrap().func().unwrap();
            domain.call(&crash, &[], &mut []).unwrap_err();
        }
    };
    (0..100).for_each(round);
    let count = |maps: &str| maps.lines().filter(|line| !line.contains("[heap]")).count();
    let before = maps();
    (0..10_000).for_each(round);
    let after = maps();
    assert_eq!(count(&before), count(&after), "before:\n{before}\nafter:\n{after}");
    atoll_kernel::mem::extent::drain();
    atoll_kernel::mem::stack::drain();
    assert!(count(&maps()) < count(&before));
}

#[test]
fn ten_thousand_instances_leave_nothing_behind() {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--ignored", "--exact", "churn::churn_alone"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
