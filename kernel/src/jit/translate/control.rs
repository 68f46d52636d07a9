//! Structured control: blocks, branches, and code that cannot be reached (core spec, "Control Instructions").

use std::collections::HashMap;

use cranelift_codegen::ir::{Block, BlockArg, InstBuilder, JumpTableData, Type, Value, types};
use wasmparser::{BlockType, BrTable, Operator};

use super::super::compile_error::CompileError;
use super::super::sections;
use super::super::trapcode;
use super::translator::{Frame, FrameKind, FuncTranslator, clif_type};

impl FuncTranslator<'_> {
    /// Control operators where they can be reached. Returns whether it was one.
    pub(super) fn control(&mut self, op: &Operator<'_>) -> Result<bool, CompileError> {
        match *op {
            Operator::Nop => {}
            Operator::Unreachable => {
                self.builder.ins().trap(trapcode::UNREACHABLE);
                self.reachable = false;
            }
            Operator::Block { blockty } => self.block(blockty),
            Operator::Loop { blockty } => self.open_loop(blockty),
            Operator::If { blockty } => self.open_if(blockty),
            Operator::Else => self.otherwise(),
            Operator::End => self.end(),
            Operator::Br { relative_depth } => self.br(relative_depth),
            Operator::BrIf { relative_depth } => {
                let condition = self.pop();
                self.br_if(condition, relative_depth);
            }
            Operator::BrTable { ref targets } => self.br_table(targets)?,
            Operator::Return => {
                let results = self.peek(self.frames[0].results);
                self.builder.ins().return_(&results);
                self.reachable = false;
            }
            Operator::Drop => {
                self.pop();
            }
            Operator::Select | Operator::TypedSelect { .. } => {
                let (a, b, condition) = self.pop3();
                let value = self.builder.ins().select(condition, a, b);
                self.push(value);
            }
            Operator::LocalGet { local_index } => {
                let value = self.builder.use_var(self.locals[local_index as usize]);
                self.push(value);
            }
            Operator::LocalSet { local_index } => {
                let value = self.pop();
                self.builder.def_var(self.locals[local_index as usize], value);
            }
            Operator::LocalTee { local_index } => {
                let value = *self.stack.last().expect("validation: an operand is there");
                self.builder.def_var(self.locals[local_index as usize], value);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Any operator where it cannot be reached: only what opens and closes blocks matters.
    pub(super) fn skip(&mut self, op: &Operator<'_>) {
        match op {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::TryTable { .. } => {
                let target = self.frames[0].target;
                let height = self.stack.len();
                self.frames.push(Frame {
                    kind: FrameKind::Dead,
                    height,
                    results: 0,
                    target,
                    carried: 0,
                    branched: false,
                });
            }
            Operator::Else => self.otherwise(),
            Operator::End => self.end(),
            _ => {}
        }
    }

    /// The machine types of a block's parameters and results.
    pub(super) fn block_types(&self, ty: BlockType) -> (Vec<Type>, Vec<Type>) {
        match ty {
            BlockType::Empty => (Vec::new(), Vec::new()),
            BlockType::Type(ty) => {
                let ty = sections::val_type(&self.module.types, ty).map_or(types::I64, clif_type);
                (Vec::new(), vec![ty])
            }
            BlockType::FuncType(index) => {
                let func = &self.module.types[index as usize].func;
                let machine = |list: &[_]| list.iter().map(|&ty| clif_type(ty)).collect();
                (machine(&func.params), machine(&func.results))
            }
        }
    }

    /// A new block with parameters of these types.
    pub(super) fn block_with(&mut self, params: &[Type]) -> Block {
        self.weight += 1 + params.len();
        let block = self.builder.create_block();
        for &ty in params {
            self.builder.append_block_param(block, ty);
        }
        block
    }

    /// Opens a frame whose branches go past its end.
    pub(super) fn open(&mut self, kind: FrameKind, params: usize, results: &[Type]) -> Block {
        let target = self.block_with(results);
        let (height, results) = (self.stack.len() - params, results.len());
        self.frames.push(Frame { kind, height, results, target, carried: results, branched: false });
        target
    }

    fn block(&mut self, ty: BlockType) {
        let (params, results) = self.block_types(ty);
        self.open(FrameKind::Block, params.len(), &results);
    }

    fn open_loop(&mut self, ty: BlockType) {
        let (params, results) = self.block_types(ty);
        let head = self.block_with(&params);
        let args = self.pop_many(params.len());
        self.jump(head, &args);
        self.builder.switch_to_block(head);
        self.frames.push(Frame {
            kind: FrameKind::Loop,
            height: self.stack.len(),
            results: results.len(),
            target: head,
            carried: params.len(),
            branched: true,
        });
        self.stack.extend_from_slice(self.builder.block_params(head));
        self.watch_loop();
    }

    /// The false edge goes to the end, with the parameters as results, until an `else` redirects it.
    fn open_if(&mut self, ty: BlockType) {
        let (params, results) = self.block_types(ty);
        let condition = self.pop();
        let args = self.peek(params.len());
        let args = self.block_args(&args);
        let kind = FrameKind::Dead;
        let end = self.open(kind, params.len(), &results);
        let then = self.builder.create_block();
        let branch = self.builder.ins().brif(condition, then, &[], end, &args);
        self.builder.seal_block(then);
        self.builder.switch_to_block(then);
        let frame = self.frames.last_mut().expect("just pushed");
        frame.kind = FrameKind::If { branch, otherwise: end, params };
        self.watch_edge();
    }

    fn otherwise(&mut self) {
        let at = self.frames.len() - 1;
        if matches!(self.frames[at].kind, FrameKind::Dead) {
            return;
        }
        if self.reachable {
            self.fall_through(at);
        }
        self.redirect_false(at);
    }

    /// Translation goes on where the condition of an `if` is false.
    fn redirect_false(&mut self, at: usize) {
        let frame = &mut self.frames[at];
        let FrameKind::If { branch, otherwise, params } = std::mem::replace(&mut frame.kind, FrameKind::Else)
        else {
            unreachable!("validation: else closes an if")
        };
        self.stack.truncate(self.frames[at].height);
        let block = self.block_with(&params);
        self.builder.change_jump_destination(branch, otherwise, block);
        self.builder.seal_block(block);
        self.builder.switch_to_block(block);
        self.stack.extend_from_slice(self.builder.block_params(block));
        self.reachable = true;
        self.watch_edge();
    }

    /// Jumps from the point of translation past the end of a frame, with its results.
    fn fall_through(&mut self, at: usize) {
        let args = self.peek(self.frames[at].results);
        self.frames[at].branched = true;
        self.jump(self.frames[at].target, &args);
    }

    fn end(&mut self) {
        let at = self.frames.len() - 1;
        match &self.frames[at].kind {
            FrameKind::Dead => {
                self.frames.pop();
                return;
            }
            FrameKind::Loop => {
                let frame = self.frames.pop().expect("validation: a block is open");
                self.builder.seal_block(frame.target);
                if !self.reachable {
                    self.stack.truncate(frame.height);
                }
                return;
            }
            // The condition was false and there is no `else`: watched, that edge has a counter.
            FrameKind::If { .. } if self.watcher.is_some() => {
                if self.reachable {
                    self.fall_through(at);
                }
                self.redirect_false(at);
            }
            FrameKind::If { .. } => self.frames[at].branched = true,
            FrameKind::Block | FrameKind::Else => {}
            FrameKind::Try => self.close_try(),
        }
        if at == 0 && self.reachable && !self.frames[0].branched {
            let results = self.peek(self.frames[0].results);
            self.builder.ins().return_(&results);
            self.reachable = false;
        } else if self.reachable {
            self.fall_through(at);
        }
        let frame = self.frames.pop().expect("validation: a block is open");
        self.stack.truncate(frame.height);
        self.reachable = frame.branched;
        if frame.branched {
            self.builder.seal_block(frame.target);
            self.builder.switch_to_block(frame.target);
            self.stack.extend_from_slice(self.builder.block_params(frame.target));
        }
        if at == 0 && self.reachable {
            let results = self.pop_many(frame.results);
            self.builder.ins().return_(&results);
            self.reachable = false;
        }
    }

    /// Where a branch to a label goes and how many values it carries; the label counts as used from now on.
    pub(super) fn label(&mut self, depth: u32) -> (Block, usize) {
        let at = self.frames.len() - 1 - depth as usize;
        let frame = &mut self.frames[at];
        frame.branched = true;
        (frame.target, frame.carried)
    }

    /// Jumps with arguments.
    pub(super) fn jump(&mut self, block: Block, args: &[Value]) {
        let args = self.block_args(args);
        self.builder.ins().jump(block, &args);
    }

    /// Ends the block with a branch that may be taken; translation goes on where it is not.
    pub(super) fn branch_unless(&mut self, condition: Value, next: Block, target: Block, args: &[Value]) {
        if self.watch_branch(condition, next, target, args) {
            return;
        }
        let args = self.block_args(args);
        self.builder.ins().brif(condition, target, &args, next, &[]);
        self.builder.seal_block(next);
        self.builder.switch_to_block(next);
    }

    fn br(&mut self, depth: u32) {
        let (target, carried) = self.label(depth);
        let args = self.peek(carried);
        self.jump(target, &args);
        self.reachable = false;
    }

    pub(super) fn br_if(&mut self, condition: Value, depth: u32) {
        let (target, carried) = self.label(depth);
        let args = self.peek(carried);
        let next = self.builder.create_block();
        self.branch_unless(condition, next, target, &args);
    }

    /// Labels that carry values get one block each in between, so that the table repeats no arguments.
    fn br_table(&mut self, table: &BrTable<'_>) -> Result<(), CompileError> {
        let index = self.pop();
        let (default, carried) = self.label(table.default());
        let args = self.peek(carried);
        let mut between: HashMap<u32, Block> = HashMap::new();
        let mut order = Vec::new();
        let direct = carried == 0 && self.watcher.is_none();
        let mut edge = |this: &mut Self, depth: u32| {
            let (target, _) = this.label(depth);
            if direct {
                return target;
            }
            *between.entry(depth).or_insert_with(|| {
                let block = this.builder.create_block();
                order.push((block, target));
                block
            })
        };
        let mut blocks = Vec::with_capacity(table.len() as usize);
        for depth in table.targets() {
            blocks.push(edge(self, depth?));
        }
        let default = if direct { default } else { edge(self, table.default()) };
        let pool = &mut self.builder.func.dfg.value_lists;
        let mut call = |block| cranelift_codegen::ir::BlockCall::new(block, std::iter::empty(), pool);
        let targets: Vec<_> = blocks.into_iter().map(&mut call).collect();
        let data = JumpTableData::new(call(default), &targets);
        let jump_table = self.builder.create_jump_table(data);
        self.builder.ins().br_table(index, jump_table);
        for (block, target) in order {
            self.check_weight()?;
            self.builder.seal_block(block);
            self.builder.switch_to_block(block);
            self.watch_edge();
            self.jump(target, &args);
        }
        self.reachable = false;
        Ok(())
    }

    /// Values as arguments of a branch.
    pub(super) fn block_args(&mut self, values: &[Value]) -> Vec<BlockArg> {
        self.weight += values.len();
        values.iter().map(|&value| BlockArg::Value(value)).collect()
    }
}
