//! Why a module could not be compiled.

/// Why a module could not be compiled. Offsets count from the first byte of the file that was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// It is no valid module.
    #[error("{message} (at offset {offset:#x})")]
    Invalid {
        /// What is wrong; the validator's own words.
        message: String,
        /// Where.
        offset: u64,
    },
    /// It is valid, but uses something that the kernel does not have.
    #[error("not supported: {item} (at offset {offset:#x})")]
    Unsupported {
        /// The operator, type or feature.
        item: String,
        /// Where.
        offset: u64,
    },
    /// It is larger than the kernel takes.
    #[error("{limit} exceeded: {value} is more than {allowed}")]
    Limit {
        /// The limit's name.
        limit: &'static str,
        /// The value.
        value: u64,
        /// What is allowed.
        allowed: u64,
    },
    /// The code generator refused a function.
    #[error("function {func} cannot be compiled: {message}")]
    Codegen {
        /// The function's name or index.
        func: String,
        /// Why, in the code generator's words.
        message: String,
    },
    /// There was no memory for the code.
    #[error("no memory for machine code: {0}")]
    Memory(String),
}

impl From<wasmparser::Error> for CompileError {
    fn from(error: wasmparser::Error) -> CompileError {
        CompileError::Invalid { message: error.message().to_owned(), offset: error.offset() }
    }
}
