//! Which system calls are allowed, and why.

use super::filter::{Check, Rule, Verdict};

/// Protection of pages: that they can be executed.
const EXECUTABLE: u32 = libc::PROT_EXEC as u32;

/// What the kernel and the scheduler need while guests run.
const RUNNING: [libc::c_long; 35] = [
    // Waiting, and waking others, on words that are mapped already.
    libc::SYS_futex,
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_ctl,
    libc::SYS_ppoll,
    libc::SYS_poll,
    libc::SYS_timerfd_settime,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_sched_yield,
    libc::SYS_restart_syscall,
    // What time it is.
    libc::SYS_clock_gettime,
    libc::SYS_gettimeofday,
    // Memory that is there already, or has nothing in it.
    libc::SYS_munmap,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_brk,
    libc::SYS_close,
    // Ticks, and traps of guests.
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigaction,
    libc::SYS_sigaltstack,
    libc::SYS_timer_settime,
    libc::SYS_timer_gettime,
    libc::SYS_timer_delete,
    libc::SYS_gettid,
    libc::SYS_getpid,
    // Threads that end; what the C library does at either end of one.
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Seeds of hash tables.
    libc::SYS_getrandom,
    libc::SYS_sched_getaffinity,
];

/// What is needed besides while an executable is loaded and threads are started.
const LOADING: [libc::c_long; 18] = [
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_memfd_create,
    libc::SYS_ftruncate,
    libc::SYS_fcntl,
    libc::SYS_timer_create,
    libc::SYS_timerfd_create,
    libc::SYS_epoll_create1,
    libc::SYS_eventfd2,
    libc::SYS_prlimit64,
    libc::SYS_prctl,
    libc::SYS_seccomp,
];

/// Signals may be sent to threads of this process only.
fn to_itself() -> Rule {
    Rule::allow_if(libc::SYS_tgkill, 0, u32::MAX, std::process::id())
}

/// The calls that are allowed while an executable is loaded.
pub fn while_loading() -> Vec<Rule> {
    let mut rules: Vec<Rule> = RUNNING.into_iter().chain(LOADING).map(Rule::allow).collect();
    let thread = libc::CLONE_THREAD.cast_unsigned();
    rules.push(Rule::allow_if(libc::SYS_clone, 0, thread, thread));
    // Its flags are in memory, where no filter sees them; the C library then takes the one above.
    let unknown = Verdict::Fail(libc::ENOSYS);
    rules.push(Rule { call: libc::SYS_clone3, checks: Vec::new(), verdict: unknown });
    rules.push(to_itself());
    rules
}

/// The calls that are allowed while guests run: no new code, no new threads, no new files.
pub fn while_running() -> Vec<Rule> {
    let mut rules: Vec<Rule> = RUNNING.into_iter().map(Rule::allow).collect();
    let data =
        |call| Rule { checks: vec![Check { argument: 2, mask: EXECUTABLE, value: 0 }], ..Rule::allow(call) };
    rules.extend([data(libc::SYS_mmap), data(libc::SYS_mprotect), to_itself()]);
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_has_one_rule_and_running_needs_nothing_that_loading_may_not() {
        for rules in [while_loading(), while_running()] {
            let mut calls: Vec<_> = rules.iter().map(|rule| rule.call).collect();
            calls.sort_unstable();
            calls.dedup();
            assert_eq!(calls.len(), rules.len());
        }
        let loading = while_loading();
        assert!(while_running().iter().all(|rule| loading.iter().any(|other| other.call == rule.call)));
        let dangerous =
            [libc::SYS_execve, libc::SYS_openat, libc::SYS_socket, libc::SYS_ptrace, libc::SYS_kill];
        assert!(loading.iter().all(|rule| !dangerous.contains(&rule.call)));
    }
}
