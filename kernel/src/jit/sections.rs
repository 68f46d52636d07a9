//! Reads a validated binary into a [`Module`]: first the sections without code are kept, then they are parsed.

use std::collections::HashMap;
use std::sync::Arc;

use wasmparser::{
    BinaryReader, CompositeInnerType, DataKind, ElementKind, ExternalKind, Imports, KnownCustom, Name,
    Parser, Payload, TableInit, TypeRef,
};

use super::compile_error::CompileError;
use super::constexpr::{ConstExpr, ConstOp};
use super::module::{
    DataSegment, ElementItems, ElementSegment, Entity, Export, Import, ImportType, Imported, Module,
    SegmentMode, Type,
};
use super::sig::{OpenField, OpenLink, OpenShape, OpenSub, OpenType, Signatures};
use super::valtype::{GlobalType, HeapType, MemoryType, RefType, TableType, ValType};
use crate::vm::{CtxCounts, CtxLayout};

/// The binary without what a running module has no use for: function bodies and custom sections other than names.
///
/// # Errors
/// If the bytes are not a sequence of sections.
pub fn without_code(wasm: &[u8]) -> Result<Vec<u8>, CompileError> {
    const CUSTOM: u8 = 0;
    const CODE: u8 = 10;
    let mut reader = BinaryReader::new(wasm, 0);
    let mut kept = reader.read_bytes(8)?.to_vec();
    while !reader.eof() {
        let start = usize::try_from(reader.original_position()).expect("a position in a slice");
        let id = reader.read_u8()?;
        let size = reader.read_var_u32()? as usize;
        let content = reader.read_bytes(size)?;
        let end = usize::try_from(reader.original_position()).expect("a position in a slice");
        let named = || BinaryReader::new(content, 0).read_string().is_ok_and(|name| name == "name");
        if id == CODE {
            append_code_starts(&mut kept, content, end - size)?;
        } else if id != CUSTOM || named() {
            kept.extend_from_slice(&wasm[start..end]);
        }
    }
    Ok(kept)
}

/// The custom section that [`without_code`] puts in place of the code.
const CODE_STARTS: &str = "code starts";

/// Adds where the functions' bodies begin in the binary, whose code section has its contents at `at`.
fn append_code_starts(kept: &mut Vec<u8>, content: &[u8], at: usize) -> Result<(), CompileError> {
    let mut reader = BinaryReader::new(content, at as u64);
    let mut section = vec![u8::try_from(CODE_STARTS.len()).expect("a short name")];
    section.extend_from_slice(CODE_STARTS.as_bytes());
    for _ in 0..reader.read_var_u32()? {
        let size = reader.read_var_u32()? as usize;
        let start = u32::try_from(reader.original_position()).unwrap_or(u32::MAX);
        section.extend_from_slice(&start.to_le_bytes());
        reader.read_bytes(size)?;
    }
    // The length of a section is LEB128, of which this is the longest form.
    let length = u32::try_from(section.len()).expect("a module has at most a million functions");
    kept.push(0);
    kept.extend((0..4).map(|group| (length >> (7 * group)) as u8 | 0x80));
    kept.push((length >> 28) as u8);
    kept.extend_from_slice(&section);
    Ok(())
}

/// Where the bodies of the functions that a module defines begin in its binary, if that was kept.
#[must_use]
pub fn code_starts(kept: &[u8]) -> Vec<u32> {
    let payloads = Parser::new(0).parse_all(kept).map_while(Result::ok);
    let starts = payloads.filter_map(|payload| match payload {
        Payload::CustomSection(custom) if custom.name() == CODE_STARTS => Some(custom.data()),
        _ => None,
    });
    let bytes = starts.flat_map(|data| data.as_chunks::<4>().0);
    bytes.map(|start| u32::from_le_bytes(*start)).collect()
}

/// Parses the sections that [`without_code`] kept; the module is known to be valid.
///
/// # Errors
/// [`CompileError::Unsupported`] for types that the kernel does not have; [`CompileError::Invalid`] only if the bytes
/// were not validated.
pub fn read(kept: Vec<u8>, sigs: &mut Signatures) -> Result<Module, CompileError> {
    let bytes: Arc<[u8]> = kept.into();
    let mut sections = Sections { module: empty(Arc::clone(&bytes)), sigs };
    for payload in Parser::new(0).parse_all(&bytes) {
        match payload {
            Ok(payload) => sections.payload(payload)?,
            // Without its code section a module with functions is incomplete; everything else was read by then.
            Err(_) => break,
        }
    }
    Ok(sections.finish())
}

fn empty(bytes: Arc<[u8]>) -> Module {
    Module {
        name: None,
        types: Vec::new(),
        imports: Vec::new(),
        exports: Vec::new(),
        funcs: Vec::new(),
        tables: Vec::new(),
        table_inits: Vec::new(),
        memories: Vec::new(),
        globals: Vec::new(),
        global_inits: Vec::new(),
        tags: Vec::new(),
        elements: Vec::new(),
        data: Vec::new(),
        start: None,
        imported: Imported::default(),
        func_refs: HashMap::new(),
        func_ref_order: Vec::new(),
        counts: CtxCounts::default(),
        layout: CtxLayout::default(),
        bytes,
        shared_globals: Vec::new(),
        export_index: HashMap::new(),
        func_names: Vec::new(),
    }
}

struct Sections<'a> {
    module: Module,
    sigs: &'a mut Signatures,
}

impl Sections<'_> {
    fn payload(&mut self, payload: Payload<'_>) -> Result<(), CompileError> {
        match payload {
            Payload::TypeSection(section) => {
                for group in section.into_iter_with_offsets() {
                    let (offset, group) = group?;
                    self.group(&group, offset)?;
                }
            }
            Payload::ImportSection(section) => {
                for imports in section {
                    self.imports(imports?)?;
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    self.module.funcs.push(ty?);
                }
            }
            Payload::TableSection(section) => self.tables(section)?,
            Payload::MemorySection(section) => {
                for memory in section {
                    self.module.memories.push(memory_type(&memory?));
                }
            }
            Payload::TagSection(section) => {
                for tag in section {
                    self.module.tags.push(tag?.func_type_idx);
                }
            }
            Payload::GlobalSection(section) => self.globals(section)?,
            Payload::ExportSection(section) => {
                for export in section {
                    self.export(&export?);
                }
            }
            Payload::StartSection { func, .. } => self.module.start = Some(func),
            Payload::ElementSection(section) => {
                for element in section.into_iter_with_offsets() {
                    let (offset, element) = element?;
                    self.element(element, offset)?;
                }
            }
            Payload::DataSection(section) => {
                for data in section {
                    self.data(&data?)?;
                }
            }
            Payload::CustomSection(custom) => {
                if let KnownCustom::Name(names) = custom.as_known() {
                    self.names(names);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Gives the types of one recursion group their numbers.
    fn group(&mut self, group: &wasmparser::RecGroup, offset: u64) -> Result<(), CompileError> {
        let first = self.module.types.len();
        let open: Vec<_> = group
            .types()
            .map(|sub| self.open_sub(sub, first, offset))
            .collect::<Result<_, CompileError>>()?;
        let shapes: Vec<_> = open.iter().map(|sub| (sub.shape.clone(), sub.is_final)).collect();
        for (sig, (shape, is_final)) in self.sigs.intern_group(open).zip(shapes) {
            let func = Arc::clone(self.sigs.ty(sig));
            self.module.types.push(Type { sig, func, heap: shape.heap(sig), is_final });
        }
        Ok(())
    }

    fn open_sub(
        &self,
        sub: &wasmparser::SubType,
        first: usize,
        offset: u64,
    ) -> Result<OpenSub, CompileError> {
        let types = |list: &[wasmparser::ValType]| {
            list.iter().map(|&ty| self.open_type(ty, first, offset)).collect::<Result<Vec<_>, _>>()
        };
        let refused = || unsupported(format!("type `{sub}`"), offset);
        let shape = match &sub.composite_type.inner {
            _ if sub.composite_type.shared => return Err(refused()),
            CompositeInnerType::Func(func) => OpenShape::Func(types(func.params())?, types(func.results())?),
            CompositeInnerType::Struct(ty) => {
                let fields = ty.fields.iter().map(|field| self.open_field(field, first, offset));
                OpenShape::Struct(fields.collect::<Result<_, _>>()?)
            }
            CompositeInnerType::Array(ty) => OpenShape::Array(self.open_field(&ty.0, first, offset)?),
            CompositeInnerType::Cont(_) => return Err(refused()),
        };
        let supertype = match sub.supertype_idx.map(|index| index.as_module_index()) {
            None => None,
            Some(index) => Some(self.open_link(index.ok_or_else(refused)?, first)),
        };
        Ok(OpenSub { is_final: sub.is_final, supertype, shape })
    }

    fn open_link(&self, index: u32, first: usize) -> OpenLink {
        match (index as usize).checked_sub(first) {
            Some(member) => OpenLink::Member(u32::try_from(member).expect("a type index is 32 bits wide")),
            None => OpenLink::Known(self.module.types[index as usize].sig),
        }
    }

    fn open_field(
        &self,
        field: &wasmparser::FieldType,
        first: usize,
        offset: u64,
    ) -> Result<OpenField, CompileError> {
        let (packed, ty) = match field.element_type {
            wasmparser::StorageType::I8 => (Some(8), OpenType::Closed(ValType::I32)),
            wasmparser::StorageType::I16 => (Some(16), OpenType::Closed(ValType::I32)),
            wasmparser::StorageType::Val(ty) => (None, self.open_type(ty, first, offset)?),
        };
        Ok(OpenField { mutable: field.mutable, packed, ty })
    }

    /// A type inside a group whose first member has index `first`.
    fn open_type(
        &self,
        ty: wasmparser::ValType,
        first: usize,
        offset: u64,
    ) -> Result<OpenType, CompileError> {
        if let wasmparser::ValType::Ref(reference) = ty
            && let wasmparser::HeapType::Concrete(index) = reference.heap_type()
            && let Some(index) = index.as_module_index()
            && let OpenLink::Member(member) = self.open_link(index, first)
        {
            return Ok(OpenType::Member { nullable: reference.is_nullable(), member });
        }
        Ok(OpenType::Closed(self.val_type(ty, offset)?))
    }

    fn val_type(&self, ty: wasmparser::ValType, offset: u64) -> Result<ValType, CompileError> {
        val_type(&self.module.types, ty).ok_or_else(|| unsupported(format!("type `{ty}`"), offset))
    }

    fn ref_type(&self, ty: wasmparser::RefType, offset: u64) -> Result<RefType, CompileError> {
        ref_type(&self.module.types, ty).ok_or_else(|| unsupported(format!("type `{ty}`"), offset))
    }

    fn table_type(&self, ty: &wasmparser::TableType, offset: u64) -> Result<TableType, CompileError> {
        let element = self.ref_type(ty.element_type, offset)?;
        if ty.shared {
            return Err(unsupported("a shared table".to_owned(), offset));
        }
        Ok(TableType { element, minimum: ty.initial, maximum: ty.maximum, table64: ty.table64 })
    }

    fn global_type(&self, ty: &wasmparser::GlobalType, offset: u64) -> Result<GlobalType, CompileError> {
        if ty.shared {
            return Err(unsupported("a shared global".to_owned(), offset));
        }
        Ok(GlobalType { ty: self.val_type(ty.content_type, offset)?, mutable: ty.mutable })
    }

    fn imports(&mut self, imports: Imports<'_>) -> Result<(), CompileError> {
        for import in imports {
            let (offset, import) = import?;
            let ty = match import.ty {
                TypeRef::Func(index) => {
                    self.module.funcs.push(index);
                    self.module.imported.funcs += 1;
                    ImportType::Func(self.module.types[index as usize].sig)
                }
                TypeRef::Table(ty) => {
                    let ty = self.table_type(&ty, offset)?;
                    self.module.tables.push(ty);
                    self.module.imported.tables += 1;
                    ImportType::Table(ty)
                }
                TypeRef::Memory(ty) => {
                    let ty = memory_type(&ty);
                    self.module.memories.push(ty);
                    self.module.imported.memories += 1;
                    ImportType::Memory(ty)
                }
                TypeRef::Global(ty) => {
                    let ty = self.global_type(&ty, offset)?;
                    self.module.globals.push(ty);
                    self.module.imported.globals += 1;
                    ImportType::Global(ty)
                }
                TypeRef::Tag(ty) => {
                    self.module.tags.push(ty.func_type_idx);
                    self.module.imported.tags += 1;
                    ImportType::Tag(self.module.types[ty.func_type_idx as usize].sig)
                }
                TypeRef::FuncExact(_) => {
                    return Err(unsupported("an exact function import".to_owned(), offset));
                }
            };
            let import = Import { module: import.module.to_owned(), name: import.name.to_owned(), ty };
            self.module.imports.push(import);
        }
        Ok(())
    }

    fn tables(&mut self, section: wasmparser::TableSectionReader<'_>) -> Result<(), CompileError> {
        for table in section.into_iter_with_offsets() {
            let (offset, table) = table?;
            let ty = self.table_type(&table.ty, offset)?;
            let init = match table.init {
                TableInit::RefNull => None,
                TableInit::Expr(expr) => Some(self.expr(&expr)?),
            };
            self.module.tables.push(ty);
            self.module.table_inits.push(init);
        }
        Ok(())
    }

    fn globals(&mut self, section: wasmparser::GlobalSectionReader<'_>) -> Result<(), CompileError> {
        for global in section.into_iter_with_offsets() {
            let (offset, global) = global?;
            let ty = self.global_type(&global.ty, offset)?;
            let init = self.expr(&global.init_expr)?;
            self.module.globals.push(ty);
            self.module.global_inits.push(init);
        }
        Ok(())
    }

    fn export(&mut self, export: &wasmparser::Export<'_>) {
        let index = export.index;
        let entity = match export.kind {
            ExternalKind::Func | ExternalKind::FuncExact => {
                self.refer(index);
                Entity::Func(index)
            }
            ExternalKind::Table => Entity::Table(index),
            ExternalKind::Memory => Entity::Memory(index),
            ExternalKind::Global => Entity::Global(index),
            ExternalKind::Tag => Entity::Tag(index),
        };
        self.module.export_index.insert(export.name.to_owned(), self.module.exports.len());
        self.module.exports.push(Export { name: export.name.to_owned(), entity });
    }

    fn element(&mut self, element: wasmparser::Element<'_>, at: u64) -> Result<(), CompileError> {
        let mode = match &element.kind {
            ElementKind::Passive => SegmentMode::Passive,
            ElementKind::Declared => SegmentMode::Declared,
            ElementKind::Active { table_index, offset_expr } => {
                SegmentMode::Active { target: table_index.unwrap_or(0), offset: self.expr(offset_expr)? }
            }
        };
        let (ty, items) = match element.items {
            wasmparser::ElementItems::Functions(funcs) => {
                let funcs = funcs.into_iter().collect::<Result<Box<[u32]>, _>>()?;
                funcs.iter().for_each(|&func| self.refer(func));
                (RefType { nullable: false, heap: HeapType::Func }, ElementItems::Funcs(funcs))
            }
            wasmparser::ElementItems::Expressions(ty, exprs) => {
                let exprs =
                    exprs.into_iter().map(|expr| self.expr(&expr?)).collect::<Result<_, CompileError>>()?;
                (self.ref_type(ty, at)?, ElementItems::Exprs(exprs))
            }
        };
        self.module.elements.push(ElementSegment { mode, ty, items });
        Ok(())
    }

    fn data(&mut self, data: &wasmparser::Data<'_>) -> Result<(), CompileError> {
        let mode = match &data.kind {
            DataKind::Passive => SegmentMode::Passive,
            DataKind::Active { memory_index, offset_expr } => {
                SegmentMode::Active { target: *memory_index, offset: self.expr(offset_expr)? }
            }
        };
        let end = usize::try_from(data.range.end).expect("a position in a slice");
        self.module.data.push(DataSegment { mode, range: end - data.data.len()..end });
        Ok(())
    }

    fn expr(&mut self, expr: &wasmparser::ConstExpr<'_>) -> Result<ConstExpr, CompileError> {
        let mut ops = Vec::with_capacity(1);
        for op in expr.get_operators_reader().into_iter_with_offsets() {
            let (op, offset) = op?;
            if matches!(op, wasmparser::Operator::End) {
                break;
            }
            let op = self
                .const_op(&op)
                .ok_or_else(|| unsupported(format!("constant operator `{op:?}`"), offset))?;
            if let ConstOp::RefFunc(func) = op {
                self.refer(func);
            }
            ops.push(op);
        }
        Ok(ConstExpr(ops.into()))
    }

    fn const_op(&self, op: &wasmparser::Operator<'_>) -> Option<ConstOp> {
        use wasmparser::Operator;
        Some(match *op {
            Operator::I32Const { value } => ConstOp::I32(value),
            Operator::I64Const { value } => ConstOp::I64(value),
            Operator::F32Const { value } => ConstOp::F32(value.bits()),
            Operator::F64Const { value } => ConstOp::F64(value.bits()),
            Operator::V128Const { value } => ConstOp::V128(value.i128().cast_unsigned()),
            Operator::GlobalGet { global_index } => ConstOp::GlobalGet(global_index),
            Operator::RefNull { hty } => ConstOp::RefNull(heap_type(&self.module.types, hty)?),
            Operator::RefFunc { function_index } => ConstOp::RefFunc(function_index),
            Operator::I32Add => ConstOp::I32Add,
            Operator::I32Sub => ConstOp::I32Sub,
            Operator::I32Mul => ConstOp::I32Mul,
            Operator::I64Add => ConstOp::I64Add,
            Operator::I64Sub => ConstOp::I64Sub,
            Operator::I64Mul => ConstOp::I64Mul,
            _ => return None,
        })
    }

    /// Notes that a function can become a reference, and gives it a slot.
    fn refer(&mut self, func: u32) {
        let next = u32::try_from(self.module.func_ref_order.len()).expect("fewer references than functions");
        if let std::collections::hash_map::Entry::Vacant(slot) = self.module.func_refs.entry(func) {
            slot.insert(next);
            self.module.func_ref_order.push(func);
        }
    }

    /// Names are decoration: what cannot be read is left out.
    fn names(&mut self, names: wasmparser::NameSectionReader<'_>) {
        for name in names {
            match name {
                Ok(Name::Module { name, .. }) => self.module.name = Some(name.to_owned()),
                Ok(Name::Function(map)) => {
                    let names = map.into_iter().map_while(Result::ok);
                    self.module.func_names = names.map(|naming| (naming.index, naming.name.into())).collect();
                    self.module.func_names.sort_by_key(|entry| entry.0);
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
    }

    fn finish(self) -> Module {
        let mut module = self.module;
        let count = |length: usize| u32::try_from(length).expect("the validator bounds every index space");
        let imported = module.imported;
        module.counts = CtxCounts {
            types: count(module.types.len()),
            func_imports: imported.funcs,
            memories: count(module.memories.len()),
            table_imports: imported.tables,
            tables: count(module.tables.len()) - imported.tables,
            global_imports: imported.globals,
            globals: count(module.globals.len()) - imported.globals,
            tag_imports: imported.tags,
            tags: count(module.tags.len()) - imported.tags,
            func_refs: count(module.func_ref_order.len()),
            segments: count(module.data.len() + module.elements.len()),
        };
        module.layout = CtxLayout::new(&module.counts);
        module.shared_globals = (0..module.globals.len()).map(|at| at < imported.globals as usize).collect();
        for export in &module.exports {
            if let Entity::Global(index) = export.entity {
                module.shared_globals[index as usize] = true;
            }
        }
        module
    }
}

fn unsupported(item: String, offset: u64) -> CompileError {
    CompileError::Unsupported { item, offset }
}

/// The kernel's form of a memory's type.
pub(crate) fn memory_type(ty: &wasmparser::MemoryType) -> MemoryType {
    MemoryType {
        minimum: ty.initial,
        maximum: ty.maximum,
        shared: ty.shared,
        memory64: ty.memory64,
        page_log2: ty.page_size_log2(),
    }
}

/// The kernel's form of a value type of a module with these types, if it has one.
pub(crate) fn val_type(types: &[Type], ty: wasmparser::ValType) -> Option<ValType> {
    Some(match ty {
        wasmparser::ValType::I32 => ValType::I32,
        wasmparser::ValType::I64 => ValType::I64,
        wasmparser::ValType::F32 => ValType::F32,
        wasmparser::ValType::F64 => ValType::F64,
        wasmparser::ValType::V128 => ValType::V128,
        wasmparser::ValType::Ref(ty) => ValType::Ref(ref_type(types, ty)?),
    })
}

/// The same of a reference type.
pub(crate) fn ref_type(types: &[Type], ty: wasmparser::RefType) -> Option<RefType> {
    Some(RefType { nullable: ty.is_nullable(), heap: heap_type(types, ty.heap_type())? })
}

/// The same of a heap type.
pub(super) fn heap_type(types: &[Type], ty: wasmparser::HeapType) -> Option<HeapType> {
    use wasmparser::AbstractHeapType as Abstract;
    match ty {
        wasmparser::HeapType::Abstract { shared: false, ty } => Some(match ty {
            Abstract::Func => HeapType::Func,
            Abstract::NoFunc => HeapType::NoFunc,
            Abstract::Extern => HeapType::Extern,
            Abstract::NoExtern => HeapType::NoExtern,
            Abstract::Exn => HeapType::Exn,
            Abstract::NoExn => HeapType::NoExn,
            Abstract::Any => HeapType::Any,
            Abstract::Eq => HeapType::Eq,
            Abstract::I31 => HeapType::I31,
            Abstract::Struct => HeapType::Struct,
            Abstract::Array => HeapType::Array,
            Abstract::None => HeapType::None,
            Abstract::Cont | Abstract::NoCont => return None,
        }),
        wasmparser::HeapType::Concrete(index) => Some(types.get(index.as_module_index()? as usize)?.heap),
        _ => None,
    }
}
