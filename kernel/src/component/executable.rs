//! An executable: a component, parsed, validated, its core modules compiled. Inert, and shared by all that run it.

use std::any::Any;
use std::sync::Arc;

use wasmparser::WasmFeatures;

use super::apart::blueprint::Blueprint;
use super::error::{ComponentError, ImageLoadError, LaunchError, LinkError};
use super::link::{self, LinkOptions};
use super::linked::Linked;
use super::packed;
use super::parse::{self, Component};
use super::tree::Tree;
use crate::host::Imports;
use crate::jit::engine::Engine;
use crate::jit::library::Library;

/// A component, ready to be linked.
pub struct Executable {
    engine: Engine,
    bytes: Arc<[u8]>,
    root: Arc<Component>,
    libraries: Vec<Arc<Library>>,
}

impl Executable {
    /// Parses, validates and compiles a component.
    ///
    /// # Errors
    /// What is malformed, invalid or unsupported, with the byte offset.
    pub fn parse(engine: &Engine, bytes: &[u8]) -> Result<Executable, ComponentError> {
        Executable::parse_with(engine, bytes, features())
    }

    /// The same with chosen proposals.
    ///
    /// # Errors
    /// As [`Executable::parse`].
    pub fn parse_with(
        engine: &Engine,
        bytes: &[u8],
        features: WasmFeatures,
    ) -> Result<Executable, ComponentError> {
        let parsed = parse::parse(bytes, features)?;
        let libraries = parsed
            .modules
            .into_iter()
            .enumerate()
            .map(|(index, module)| {
                engine.library_nested(module).map_err(|source| ComponentError::Module { index, source })
            })
            .collect::<Result<_, _>>()?;
        Ok(Executable::new(engine, bytes, parsed.root, libraries))
    }

    pub(super) fn new(
        engine: &Engine,
        bytes: &[u8],
        root: Component,
        libraries: Vec<Arc<Library>>,
    ) -> Executable {
        Executable { engine: engine.clone(), bytes: bytes.into(), root: Arc::new(root), libraries }
    }

    /// Loads what [`Executable::to_image`] wrote.
    ///
    /// # Errors
    /// The bytes are no image, are damaged, or were written by another version or for another processor.
    pub fn from_image(engine: &Engine, image: &[u8]) -> Result<Executable, ImageLoadError> {
        packed::read(engine, image)
    }

    /// The executable with its machine code, as bytes.
    ///
    /// # Panics
    /// If the engine watches: such code is good for one run only.
    #[must_use]
    pub fn to_image(&self) -> Vec<u8> {
        let watched = self.libraries.iter().any(|library| library.is_watched());
        assert!(!watched, "watched code has addresses of this run in it");
        packed::write(&self.engine, &self.bytes, &self.libraries)
    }

    /// Links the component to what the host offers.
    ///
    /// # Errors
    /// An import that nobody offers or that is offered as something else; a limit.
    pub fn link(&self, imports: &Imports, options: &LinkOptions) -> Result<Linked, LinkError> {
        let mut linked = link::link(&self.engine, &self.root, &self.libraries, imports, options)?;
        linked.blueprint = Some(Blueprint::new(&self.engine, &self.bytes, &self.libraries, imports, options));
        Ok(linked)
    }

    /// Brings a linked component up in a domain of its own; `host` is the state that host functions get.
    ///
    /// # Errors
    /// Address space is exhausted, or a start function or initialiser trapped.
    pub fn launch(&self, linked: &Arc<Linked>, host: Box<dyn Any + Send>) -> Result<Tree, LaunchError> {
        Tree::launch(&self.engine, Arc::clone(linked), host)
    }

    /// The component's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The compiled core modules, in order of appearance.
    #[must_use]
    pub fn libraries(&self) -> &[Arc<Library>] {
        &self.libraries
    }
}

/// The proposals that components are validated with: all that the Component Model's suite uses. The canonical ABI here
/// knows pointers of 32 bits only.
#[must_use]
pub fn features() -> WasmFeatures {
    WasmFeatures::all() - WasmFeatures::CM_VALUES - WasmFeatures::CM_NESTED_NAMES - WasmFeatures::CM64
}
