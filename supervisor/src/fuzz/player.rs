//! The fuzzer as the world of a component: it serves every import with an answer of the right type.
//!
//! Answers are made up from a seed, or as plain as can be. Now and then one is an error, or the import faults. Nothing
//! waits: a delay would only be time lost. What the guest writes to an output stream is kept: a panic says there why.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use abi::fault::Trap;
use abi::types::{FuncType, ValType};
use abi::value::Value;
use abi::vary::chance::Chance;
use abi::vary::invent::{Inventor, plain};
use abi::vary::lexicon::Lexicon;
use kernel::host::{HostCall, HostFunc, OverValues};

/// The text of the trap when an import faults because the fuzzer has it fault.
pub const PLAYED_FAULT: &str = "the fuzzer plays an import that faults";
/// One answer in so many is a fault, where answers are made up.
const FAULTS: usize = 200;
/// Bytes of what a guest writes that are kept.
const KEPT: usize = 4 << 10;
/// The most that a guest is told it may write to an output stream at once.
const ROOM: u64 = 4096;

/// What the imports of one tree answer from.
pub struct Player {
    chance: Option<Chance>,
    said: Vec<u8>,
    calls: u64,
}

/// A player that the functions of a tree share.
pub type Shared = Arc<Mutex<Player>>;

impl Player {
    /// One that answers plainly.
    #[must_use]
    pub fn shared() -> Shared {
        Arc::new(Mutex::new(Player { chance: None, said: Vec::new(), calls: 0 }))
    }

    /// Begins anew, with answers that follow from a seed; plain ones if it is 0.
    pub fn begin(&mut self, answers: u64) {
        self.chance = (answers != 0).then(|| Chance::new(answers));
        self.said.clear();
        self.calls = 0;
    }

    /// How many imports were called since.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// What the guest wrote to output streams since.
    #[must_use]
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.said).into_owned()
    }

    fn answer(&mut self, name: &str, ty: &FuncType, args: &[Value]) -> Result<Option<Value>, Trap> {
        self.calls += 1;
        if name.contains("wasi:cli/exit@") {
            let failed = matches!(args, [Value::Result(Err(_))]);
            return Err(Trap::Exit(u8::from(failed)));
        }
        if name.contains("output-stream.") && name.contains("write") {
            self.listen(args);
        }
        if name.ends_with("output-stream.check-write") {
            return Ok(Some(Value::Result(Ok(Some(Box::new(Value::U64(ROOM)))))));
        }
        let Some(result) = &ty.result else { return Ok(None) };
        let Some(chance) = &mut self.chance else { return Ok(Some(within(ty, args, plain(result)))) };
        if chance.one_in(FAULTS) {
            return Err(Trap::Host(PLAYED_FAULT.to_owned()));
        }
        let answer = Inventor::new(chance, &Lexicon::default()).value(result);
        Ok(Some(within(ty, args, answer)))
    }

    /// Keeps what the guest writes.
    pub fn hear(&mut self, bytes: impl IntoIterator<Item = u8>) {
        let room = KEPT.saturating_sub(self.said.len());
        self.said.extend(bytes.into_iter().take(room));
    }

    fn listen(&mut self, args: &[Value]) {
        let bytes = args.iter().find_map(|arg| if let Value::List(bytes) = arg { Some(bytes) } else { None });
        let bytes = bytes.into_iter().flatten();
        self.hear(bytes.filter_map(|byte| if let Value::U8(byte) = byte { Some(*byte) } else { None }));
    }
}

/// Keeps a promise that types do not tell: a function asked for `len` bytes gives no more.
fn within(ty: &FuncType, args: &[Value], mut answer: Value) -> Value {
    let asked = ty.params.iter().zip(args).find_map(|((name, _), arg)| match arg {
        Value::U64(len) if &**name == "len" => Some(usize::try_from(*len).unwrap_or(usize::MAX)),
        _ => None,
    });
    let Some(asked) = asked else { return answer };
    let exact = matches!(ty.result, Some(ValType::List(_)));
    match &mut answer {
        Value::List(elems) if exact => elems.resize(asked.min(1 << 20), Value::U8(0)),
        Value::Result(Ok(Some(payload))) => match &mut **payload {
            Value::List(elems) => elems.truncate(asked),
            Value::Tuple(parts) => parts.iter_mut().for_each(|part| {
                if let Value::List(elems) = part {
                    elems.truncate(asked);
                }
            }),
            _ => {}
        },
        _ => {}
    }
    answer
}

/// Locks a player; one that panicked begins anew before it is used.
pub fn lock(player: &Shared) -> MutexGuard<'_, Player> {
    player.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The function that serves the import of this name.
#[must_use]
pub fn played(name: &str, player: &Shared) -> Arc<dyn HostFunc> {
    let (name, player) = (name.to_owned(), Arc::clone(player));
    Arc::new(OverValues(move |call: &mut dyn HostCall, args: Vec<Value>| {
        lock(&player).answer(&name, &call.func_type(), &args)
    }))
}
