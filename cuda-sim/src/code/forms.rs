//! The forms of instructions that are implemented: those of the kernels, and what completes their
//! families. Every other form is refused when a module is loaded, and every form here has a test
//! against values worked by hand (`tests/instructions`), so a kernel that needs a new one needs a
//! line here and a test.

use std::collections::BTreeSet;
use std::sync::LazyLock;

/// Names of forms; `{a,b}` stands for one of several parts, of which one may be empty.
const FAMILIES: &[&str] = &[
    // Integers.
    "{add,sub}.{s16,u16,s32,u32,s64,u64}",
    "mul.{lo,hi}.{s32,u32,s64,u64}",
    "mul.wide.{s16,u16,s32,u32}",
    "mad.lo.{s32,u32,s64,u64}",
    "mad.wide.{s32,u32}",
    "{div,rem,min,max}.{s32,u32,s64,u64}",
    "neg.{s32,s64}",
    // Floating-point numbers.
    "{add,sub,mul}.{,rn.}{f32,f64}",
    "fma.rn.{f32,f64}",
    "fma.rm.f32",
    "{div,rcp,sqrt}.rn.{f32,f64}",
    "{neg,abs,min,max}.{f32,f64}",
    "ex2.approx.ftz.f32",
    // What fast-math makes of the kernels.
    "{add,sub,mul}.{,rn.}ftz.f32",
    "{fma.rn,sqrt.rn,neg}.ftz.f32",
    "setp.{eq,neu}.ftz.f32",
    "cvt.{ftz.f64.f32,rn.ftz.f32.f64}",
    // Bits.
    "{and,or,xor,not}.{pred,b16,b32,b64}",
    "shl.{b32,b64}",
    "shr.{s32,u32,s64,u64}",
    "shf.{l,r}.wrap.b32",
    "{bfi,brev,clz,popc}.{b32,b64}",
    "prmt.b32",
    // Comparisons, choices and moves.
    "setp.{eq,ne}.{b16,b32,b64}",
    "setp.{eq,ne,lt,le,gt,ge}.{s16,u16,s32,u32,s64,u64,f32,f64}",
    "setp.{equ,neu,ltu,leu,gtu,geu,num,nan}.{f32,f64}",
    "selp.{b16,u16,s16,b32,u32,s32,f32,b64,u64,s64,f64}",
    "mov.{pred,b16,u16,s16,b32,u32,s32,f32,b64,u64,s64,f64}",
    // Conversions.
    "cvt.{u16.u32,u16.u64,u32.u64,u32.u16,u64.u16,u64.u32,s32.s16,s64.s16,s64.s32}",
    "cvt.rn.{f32,f64}.{s32,u32,s64,u64}",
    "cvt.{rni,rzi}.{s32,u32,s64,u64}.{f32,f64}",
    "cvt.{rni,rzi}.{f32.f32,f64.f64}",
    "cvt.{f64.f32,rn.f32.f64,sat.f32.f32,f32.f16}",
    "cvt.rn.{f16,bf16,f16x2,bf16x2}.f32",
    "cvta.{,to.}{global,shared,local}.u64",
    // Memory.
    "ld.{,global.,global.nc.,shared.,local.,param.,const.}{u16,b16,u32,b32,f32,u64,b64,f64}",
    "ld.{,global.,global.nc.,shared.,local.,param.,const.}v2.{u32,b32,f32,u64,b64,f64}",
    "ld.{,global.,global.nc.,shared.,local.,param.,const.}v4.{u16,b16,u32,b32,f32}",
    "st.{,global.,shared.,local.,param.}{u16,b16,u32,b32,f32,u64,b64,f64}",
    "st.{,global.,shared.,local.,param.}v2.{u32,b32,f32,u64,b64,f64}",
    "st.{,global.,shared.,local.,param.}v4.{u16,b16,u32,b32,f32}",
    "{atom,red}.{global,shared}.add.{u32,u64,f32,f64}",
    "{atom,red}.{global,shared}.{min,max}.{s32,u32,s64,u64}",
    "{atom,red}.{global,shared}.{and,or,xor}.b32",
    "cp.async.{ca,cg}.shared.global",
    "cp.async.{commit_group,wait_group}",
    "ldmatrix.sync.aligned.m8n8.{x1,x2,x4}.{,trans.}shared.b16",
    "membar.{cta,gl,sys}",
    // Control.
    "bra{,.uni}",
    "call{,.uni}",
    "{ret,exit,trap}",
    "bar.{sync,warp.sync}",
    // Warps.
    "shfl.sync.{up,down,bfly,idx}.b32",
    "vote.sync.{any,all}.pred",
    "vote.sync.ballot.b32",
    "match.any.sync.b32",
    "redux.sync.{add,min,max}.{s32,u32}",
    "mma.sync.aligned.m16n8k16.row.col.f32.{f16.f16,bf16.bf16}.f32",
];

/// All names that a pattern stands for.
pub fn expand(pattern: &str) -> Vec<String> {
    let Some((before, rest)) = pattern.split_once('{') else { return vec![pattern.to_string()] };
    let Some((choices, after)) = rest.split_once('}') else { return vec![pattern.to_string()] };
    let after = expand(after);
    let join = |choice| after.iter().map(move |after| format!("{before}{choice}{after}"));
    choices.split(',').flat_map(join).collect()
}

/// The names of all forms that are implemented.
pub fn forms() -> &'static BTreeSet<String> {
    static FORMS: LazyLock<BTreeSet<String>> =
        LazyLock::new(|| FAMILIES.iter().flat_map(|family| expand(family)).collect());
    &FORMS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        assert_eq!(expand("ret"), ["ret"]);
        assert_eq!(expand("a{,.b}.{c,d}"), ["a.c", "a.d", "a.b.c", "a.b.d"]);
        let all: usize = FAMILIES.iter().map(|family| expand(family).len()).sum();
        assert_eq!(all, forms().len(), "a form is listed twice");
    }
}
