//! What a run of a module shows, in words of neither engine.

/// How often every exported function is called: first with zeros, then with numbers.
pub const ROUNDS: u64 = 3;
/// Positions in the numbers that one function's arguments of one round may take.
pub const ARGUMENTS: u64 = 1 << 12;
/// Where in the numbers the results of the host's functions begin.
pub const HOST_RESULTS: u64 = 1 << 40;

/// One run.
#[derive(Debug, Default, PartialEq)]
pub struct Run {
    /// How instantiation ended.
    pub instantiation: Option<Reason>,
    /// Every call in order.
    pub calls: Vec<(String, Ended)>,
    /// What the exports held at the end.
    pub state: Vec<(String, State)>,
}

/// How a call ended.
#[derive(Debug, PartialEq)]
pub enum Ended {
    /// With results.
    Returned(Vec<Seen>),
    /// With a trap.
    Trapped(Reason),
}

/// A value. References are not compared further than whether they are null.
#[derive(Debug, PartialEq)]
pub enum Seen {
    /// A number's bits, zero-extended.
    Bits(u128),
    /// A null reference.
    Null,
    /// Any other reference.
    Reference,
}

/// What an export held.
#[derive(PartialEq)]
pub enum State {
    /// A global's value.
    Global(Seen),
    /// A memory's bytes.
    Memory(Vec<u8>),
    /// Which elements of a table are null.
    Table(Vec<Seen>),
}

/// Why a call trapped, as coarsely as both engines say it.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// `unreachable`.
    Unreachable,
    /// A memory's end.
    Memory,
    /// An atomic access between two places.
    Misaligned,
    /// A wait on a memory that is not shared.
    Unshared,
    /// A table's end.
    Table,
    /// A null table entry was called.
    NullElement,
    /// A function of another type was called.
    Signature,
    /// An integer that its type cannot hold.
    Overflow,
    /// A division by zero.
    DivisionByZero,
    /// A float that no integer holds.
    Conversion,
    /// A null reference.
    NullReference,
    /// An exception that nothing caught.
    Exception,
    /// Where engines differ rightly: a full stack, no memory. Nothing after it is compared.
    Resources(String),
    /// What no module of this kind should meet.
    Other(String),
}

impl Reason {
    /// Whether two engines may differ from here on.
    #[must_use]
    pub fn is_resources(&self) -> bool {
        matches!(self, Reason::Resources(_))
    }

    /// Whether another engine may have stopped for `other` where this is right: an atomic access can be misaligned and outside,
    /// and Wasmtime says so of one whose address and offset do not fit 32 bits before it looks at the alignment.
    fn may_be(&self, other: &Reason) -> bool {
        self == other || (self, other) == (&Reason::Misaligned, &Reason::Memory)
    }
}

impl Ended {
    fn may_be(&self, other: &Ended) -> bool {
        match (self, other) {
            (Ended::Trapped(mine), Ended::Trapped(other)) => mine.may_be(other),
            (mine, other) => mine == other,
        }
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            State::Global(value) => f.debug_tuple("Global").field(value).finish(),
            State::Memory(bytes) => write!(f, "Memory of {} bytes", bytes.len()),
            State::Table(elements) => f.debug_tuple("Table").field(elements).finish(),
        }
    }
}

impl Run {
    /// A run that ended before anything of the module was executed.
    #[must_use]
    pub fn refused(why: &str) -> Run {
        Run { instantiation: Some(Reason::Resources(why.to_owned())), ..Run::default() }
    }

    /// Whether nothing of the module was executed, rightly.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.instantiation.as_ref().is_some_and(Reason::is_resources)
    }

    /// Where this run and another first differ, in words; none if they agree as far as they can be compared.
    #[must_use]
    pub fn difference(&self, other: &Run) -> Option<String> {
        if self.is_refused() || other.is_refused() {
            return None;
        }
        let (mine, theirs) = (&self.instantiation, &other.instantiation);
        if mine != theirs
            && !mine.as_ref().zip(theirs.as_ref()).is_some_and(|(mine, theirs)| mine.may_be(theirs))
        {
            return Some(format!("instantiation: {:?}, {:?}", self.instantiation, other.instantiation));
        }
        for (mine, theirs) in self.calls.iter().zip(&other.calls) {
            let resources = |ended: &Ended| matches!(ended, Ended::Trapped(reason) if reason.is_resources());
            if resources(&mine.1) || resources(&theirs.1) {
                return None;
            }
            if mine.0 != theirs.0 || !mine.1.may_be(&theirs.1) {
                return Some(format!("call of {:?}: {:?}, {:?}", mine.0, mine.1, theirs.1));
            }
        }
        if self.calls.len() != other.calls.len() {
            return Some(format!("{} calls, {} calls", self.calls.len(), other.calls.len()));
        }
        if self.state.len() != other.state.len() {
            return Some(format!("{} exports, {} exports", self.state.len(), other.state.len()));
        }
        let (mine, theirs) = self.state.iter().zip(&other.state).find(|(mine, theirs)| mine != theirs)?;
        if let (State::Memory(a), State::Memory(b)) = (&mine.1, &theirs.1)
            && a.len() == b.len()
        {
            let at = a.iter().zip(b).position(|(a, b)| a != b)?;
            return Some(format!("memory {:?} at {at:#x}: {:#x}, {:#x}", mine.0, a[at], b[at]));
        }
        Some(format!("export {:?}: {:?}, {:?}", mine.0, mine.1, theirs.1))
    }
}
