//! tmp
mod common;
#[test]
fn tmp() {
    let n: usize = std::env::var("N").unwrap().parse().unwrap();
    let text = std::fs::read(common::folder("golden").join("slab.stp")).unwrap();
    let args = [b"kmalloc-64".to_vec()];
    let env = tapster_lang::preprocess::Environment { args: &args, ..Default::default() };
    for _ in 0..n { assert!(common::parse_bytes(&text, &env).1.is_ok()); }
}
