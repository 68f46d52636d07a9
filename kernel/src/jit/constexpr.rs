//! Constant expressions: initialisers of globals and tables, offsets and items of segments.

use super::valtype::HeapType;

/// One operator of a constant expression (core spec, "Constant Expressions", with extended-const).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ConstOp {
    /// `i32.const`
    I32(i32),
    /// `i64.const`
    I64(i64),
    /// `f32.const`, as bits
    F32(u32),
    /// `f64.const`, as bits
    F64(u64),
    /// `v128.const`, little endian
    V128(u128),
    /// `global.get`, by index in the module
    GlobalGet(u32),
    /// `ref.null`
    RefNull(HeapType),
    /// `ref.func`, by index in the module
    RefFunc(u32),
    /// `i32.add`
    I32Add,
    /// `i32.sub`
    I32Sub,
    /// `i32.mul`
    I32Mul,
    /// `i64.add`
    I64Add,
    /// `i64.sub`
    I64Sub,
    /// `i64.mul`
    I64Mul,
}

/// A validated constant expression.
#[derive(Clone, Debug, PartialEq)]
pub struct ConstExpr(pub Box<[ConstOp]>);

/// What a constant expression can ask of the instance that is being made.
pub trait ConstEnv {
    /// The value of a global, in the low bytes.
    fn global(&mut self, index: u32) -> u128;
    /// The reference to a function.
    fn func(&mut self, index: u32) -> usize;
}

impl ConstExpr {
    /// The value, in the low bytes of the word, the rest zero; references are addresses, null is 0.
    pub fn eval(&self, env: &mut impl ConstEnv) -> u128 {
        if let [op] = *self.0 {
            return leaf(op, env);
        }
        let mut stack = Vec::with_capacity(self.0.len());
        for &op in &self.0 {
            let value = match op {
                ConstOp::I32Add => binary(&mut stack, |a, b| u128::from((a as u32).wrapping_add(b as u32))),
                ConstOp::I32Sub => binary(&mut stack, |a, b| u128::from((a as u32).wrapping_sub(b as u32))),
                ConstOp::I32Mul => binary(&mut stack, |a, b| u128::from((a as u32).wrapping_mul(b as u32))),
                ConstOp::I64Add => binary(&mut stack, |a, b| u128::from((a as u64).wrapping_add(b as u64))),
                ConstOp::I64Sub => binary(&mut stack, |a, b| u128::from((a as u64).wrapping_sub(b as u64))),
                ConstOp::I64Mul => binary(&mut stack, |a, b| u128::from((a as u64).wrapping_mul(b as u64))),
                leaf_op => leaf(leaf_op, env),
            };
            stack.push(value);
        }
        stack.pop().expect("validation: a constant expression leaves one value")
    }

    /// The value, if it depends on nothing but the expression and is no reference to a function.
    #[must_use]
    pub fn constant(&self) -> Option<u128> {
        struct Nothing;
        impl ConstEnv for Nothing {
            fn global(&mut self, _: u32) -> u128 {
                0
            }
            fn func(&mut self, _: u32) -> usize {
                0
            }
        }
        let depends = |op: &ConstOp| matches!(op, ConstOp::GlobalGet(_) | ConstOp::RefFunc(_));
        (!self.0.iter().any(depends)).then(|| self.eval(&mut Nothing))
    }

    /// The functions it refers to.
    pub fn funcs(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().filter_map(|op| match op {
            ConstOp::RefFunc(func) => Some(*func),
            _ => None,
        })
    }
}

fn leaf(op: ConstOp, env: &mut impl ConstEnv) -> u128 {
    match op {
        ConstOp::I32(v) => u128::from(v.cast_unsigned()),
        ConstOp::I64(v) => u128::from(v.cast_unsigned()),
        ConstOp::F32(v) => u128::from(v),
        ConstOp::F64(v) => u128::from(v),
        ConstOp::V128(v) => v,
        ConstOp::GlobalGet(index) => env.global(index),
        ConstOp::RefFunc(index) => env.func(index) as u128,
        _ => 0,
    }
}

fn binary(stack: &mut Vec<u128>, op: impl FnOnce(u128, u128) -> u128) -> u128 {
    let b = stack.pop().expect("validation: two operands");
    let a = stack.pop().expect("validation: two operands");
    op(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_wraps_at_its_width() {
        let expr = ConstExpr([ConstOp::I32(-1), ConstOp::I32(2), ConstOp::I32Add].into());
        assert_eq!(expr.constant(), Some(1));
        let expr = ConstExpr([ConstOp::I64(5), ConstOp::I64(7), ConstOp::I64Sub].into());
        assert_eq!(expr.constant(), Some(u128::from((-2i64).cast_unsigned())));
        assert_eq!(ConstExpr([ConstOp::GlobalGet(0)].into()).constant(), None);
    }
}
