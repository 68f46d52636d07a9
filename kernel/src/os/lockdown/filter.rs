//! Filters of system calls: a list of rules, as a program that the system runs at every call.
//!
//! ```text
//!      load the architecture; not this one: end the process
//!      load the number; of the other ABI: end the process
//! each rule, at most one a number:
//!      not its number: go on behind the rule
//!      each check: load the low half of an argument, mask it, not what it must be: refuse
//!      allow, or whatever the rule says
//!      refuse
//! ```
//! The system's numbers and flags are in the low halves of the arguments that are looked at.

use std::io;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is made.
    Allow,
    /// It fails with this error.
    Fail(i32),
}

/// What an argument must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// Which argument, from 0.
    pub argument: u32,
    /// Bits that are looked at.
    pub mask: u32,
    /// What they must be.
    pub value: u32,
}

/// What is to become of one system call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its number.
    pub call: libc::c_long,
    /// All of these must hold, or it is refused.
    pub checks: Vec<Check>,
    /// What then happens.
    pub verdict: Verdict,
}

impl Rule {
    /// Allows a call.
    pub fn allow(call: libc::c_long) -> Rule {
        Rule { call, checks: Vec::new(), verdict: Verdict::Allow }
    }

    /// Allows a call if bits of an argument have a value.
    pub fn allow_if(call: libc::c_long, argument: u32, mask: u32, value: u32) -> Rule {
        Rule { checks: vec![Check { argument, mask, value }], ..Rule::allow(call) }
    }
}

/// `AUDIT_ARCH_X86_64`
const ARCHITECTURE: u32 = 0xC000_003E;
/// Numbers from here on are of the ABI with 32-bit pointers.
const OTHER_ABI: u32 = 0x4000_0000;
/// Where `struct seccomp_data` has the call's number, the architecture, and the arguments, 8 bytes each.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
const ARGUMENTS_AT: u32 = 16;

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const AND: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const AT_LEAST: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

fn jump(code: u32, value: u32, then: u8, otherwise: u8) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: then, jf: otherwise, k: value }
}

fn plain(code: u32, value: u32) -> libc::sock_filter {
    jump(code, value, 0, 0)
}

fn give(verdict: Verdict) -> libc::sock_filter {
    plain(
        RETURN,
        match verdict {
            Verdict::Allow => libc::SECCOMP_RET_ALLOW,
            Verdict::Fail(errno) => libc::SECCOMP_RET_ERRNO | errno.cast_unsigned(),
        },
    )
}

/// The program of a list of rules; a call that none is for fails with `EPERM`.
pub fn program(rules: &[Rule]) -> Vec<libc::sock_filter> {
    let refused = Verdict::Fail(libc::EPERM);
    let mut program = vec![
        plain(LOAD, ARCHITECTURE_AT),
        jump(EQUAL, ARCHITECTURE, 1, 0),
        plain(RETURN, libc::SECCOMP_RET_KILL_PROCESS),
        plain(LOAD, NUMBER_AT),
        jump(AT_LEAST, OTHER_ABI, 0, 1),
        plain(RETURN, libc::SECCOMP_RET_KILL_PROCESS),
    ];
    for rule in rules {
        let body = body(rule, refused);
        let behind = u8::try_from(body.len()).expect("a rule has a few checks");
        let number = u32::try_from(rule.call).expect("system calls have small numbers");
        program.push(jump(EQUAL, number, 0, behind));
        program.extend(body);
    }
    program.push(give(refused));
    program
}

fn body(rule: &Rule, refused: Verdict) -> Vec<libc::sock_filter> {
    let mut body = Vec::new();
    for (index, check) in rule.checks.iter().enumerate() {
        body.push(plain(LOAD, ARGUMENTS_AT + 8 * check.argument));
        body.push(plain(AND, check.mask));
        // Over the other checks, and over the verdict.
        let refuse = 3 * (rule.checks.len() - index - 1) + 1;
        body.push(jump(EQUAL, check.value, 0, u8::try_from(refuse).expect("a rule has a few checks")));
    }
    body.push(give(rule.verdict));
    if !rule.checks.is_empty() {
        body.push(give(refused));
    }
    body
}

/// Has the system run a program at every call of this thread, or of all of them, from now on.
///
/// # Errors
/// What the system says.
pub fn install(program: &[libc::sock_filter], all_threads: bool) -> io::Result<()> {
    let len = u16::try_from(program.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    let flags = if all_threads { libc::SECCOMP_FILTER_FLAG_TSYNC } else { 0 };
    // SAFETY: the system reads the program, which lives for the call.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program as the system would, for one call.
    fn run(program: &[libc::sock_filter], architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let (mut at, mut a) = (0, 0_u32);
        loop {
            let step = program[at];
            at += 1;
            match u32::from(step.code) {
                LOAD => {
                    a = match step.k {
                        NUMBER_AT => number,
                        ARCHITECTURE_AT => architecture,
                        k => arguments[((k - ARGUMENTS_AT) / 8) as usize] as u32,
                    };
                }
                AND => a &= step.k,
                EQUAL => at += usize::from(if a == step.k { step.jt } else { step.jf }),
                AT_LEAST => at += usize::from(if a >= step.k { step.jt } else { step.jf }),
                RETURN => return step.k,
                code => panic!("instruction {code}"),
            }
        }
    }

    #[test]
    fn a_program_does_what_its_rules_say() {
        let two = Rule {
            checks: vec![
                Check { argument: 0, mask: u32::MAX, value: 7 },
                Check { argument: 2, mask: 4, value: 0 },
            ],
            ..Rule::allow(20)
        };
        let gone = Rule { verdict: Verdict::Fail(libc::ENOSYS), ..Rule::allow(30) };
        let rules = [Rule::allow(10), two, gone, Rule::allow_if(40, 1, 0xFF, 1)];
        let program = program(&rules);
        let ask = |number, arguments| run(&program, ARCHITECTURE, number, arguments);
        let (allowed, refused) =
            (libc::SECCOMP_RET_ALLOW, libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned());
        assert_eq!(ask(10, [0; 6]), allowed);
        assert_eq!(ask(11, [0; 6]), refused);
        assert_eq!(ask(20, [7, 0, 3, 0, 0, 0]), allowed);
        assert_eq!(ask(20, [7, 0, 4, 0, 0, 0]), refused);
        assert_eq!(ask(20, [8, 0, 0, 0, 0, 0]), refused);
        assert_eq!(ask(30, [0; 6]), libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned());
        assert_eq!(ask(40, [0, 0x201, 0, 0, 0, 0]), allowed, "bits outside the mask");
        assert_eq!(ask(40, [0, 0x202, 0, 0, 0, 0]), refused);
        let killed = libc::SECCOMP_RET_KILL_PROCESS;
        assert_eq!(run(&program, ARCHITECTURE + 1, 10, [0; 6]), killed);
        assert_eq!(ask(OTHER_ABI | 10, [0; 6]), killed);
    }
}
