//! Why a component cannot be loaded, linked or launched.

use abi::fault::Fault;

/// Why bytes are no component that runs here.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// The bytes are not a component: a core module, or something else.
    #[error("not a component")]
    NotAComponent,
    /// Malformed or invalid.
    #[error("{message} (at offset {offset:#x})")]
    Invalid {
        /// What is wrong.
        message: String,
        /// Byte offset in the component.
        offset: u64,
    },
    /// A core module inside does not compile.
    #[error("core module {index}: {source}")]
    Module {
        /// Which module, in order of appearance.
        index: usize,
        /// Why.
        source: crate::jit::compile_error::CompileError,
    },
    /// Something this kernel does not do.
    #[error("not supported: {0}")]
    Unsupported(&'static str),
    /// More than a limit of [`crate::limits`] allows.
    #[error("too many {0}")]
    TooMany(&'static str),
}

impl From<wasmparser::BinaryReaderError> for ComponentError {
    fn from(error: wasmparser::BinaryReaderError) -> ComponentError {
        ComponentError::Invalid { message: error.message().to_owned(), offset: error.offset() }
    }
}

/// Why a component cannot be linked to what the host offers.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Nothing offers this import.
    #[error("component imports {kind} `{name}`, but a matching implementation was not found in the linker")]
    Missing {
        /// The kind of thing.
        kind: &'static str,
        /// Its name, with the instance it belongs to.
        name: String,
    },
    /// What is offered is something else.
    #[error("import `{name}`: expected {expected} found {found}")]
    Mismatch {
        /// Its name, with the instance it belongs to.
        name: String,
        /// What the component imports.
        expected: String,
        /// What the host offers.
        found: String,
    },
    /// Something this kernel does not do.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// More than a limit of [`crate::limits`] allows.
    #[error("too many {what}: at most {limit} are allowed")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The adapters of the tree do not compile.
    #[error(transparent)]
    Compile(#[from] crate::jit::compile_error::CompileError),
    /// A core instance's import is not what its module needs: only host-supplied modules can get there.
    #[error("core instance of `{module}`: {message}")]
    Core {
        /// The module.
        module: String,
        /// What does not fit.
        message: String,
    },
}

/// Why a linked tree did not come up.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// Memory, address space or handles are exhausted, or a host-supplied module does not fit.
    #[error("{0}")]
    Resource(String),
    /// A start function or an initialiser trapped.
    #[error("{0}")]
    Fault(Box<Fault>),
}

/// Why a precompiled executable cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ImageLoadError {
    /// The bytes are something else.
    #[error("this is no precompiled executable of this version: compile it again")]
    NotAnImage,
    /// The bytes are damaged.
    #[error("the precompiled executable is damaged: {0}")]
    Truncated(&'static str),
    /// Its component is invalid.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// A library in it is stale or damaged.
    #[error(transparent)]
    Library(#[from] crate::jit::precompiled::ImageError),
}
