//! Scratch.
use std::time::Instant;
use tapster_lang::diagnostic::{Format, render_all};
use tapster_lang::parse::parse;
use tapster_lang::preprocess::{Environment, Macros};
use tapster_lang::print::print;
use tapster_lang::SourceMap;

#[test]
fn golden() {
    let mut files: Vec<_> = std::fs::read_dir("/work/shared/reference/golden").unwrap().map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "stp")).collect();
    files.push("/work/shared/seeds/slab.stp".into());
    files.sort();
    let args = vec![b"42".to_vec(), b"two words".to_vec()];
    for f in files {
        let mut sources = SourceMap::new();
        let id = sources.add_bytes(f.display().to_string(), &std::fs::read(&f).unwrap());
        let env = Environment { args: &args, runtime: "kernel", ..Environment::default() };
        let t = Instant::now();
        let r = parse(id, &mut sources, &env, &Macros::default());
        let took = t.elapsed();
        match r {
            Ok(p) => {
                let text = print("x", &p.script);
                eprintln!("{} {:?} {} bytes", f.display(), took, sources.file_text(id).len());
                let id2 = sources.add("again", text.clone());
                match parse(id2, &mut sources, &env, &Macros::default()) {
                    Ok(p2) => assert_eq!(print("x", &p2.script), text),
                    Err(e) => { eprintln!("{text}"); panic!("{}", render_all(&e, &sources, Format::Fancy, false, 100)) }
                }
                if f.ends_with("slab.stp") { eprintln!("{text}"); 
                    for _ in 0..3 { 
                    let n = 1000; let t = Instant::now();
                    for _ in 0..n { let mut s = SourceMap::new(); let id = s.add("x", sources.file_text(id).to_owned()); parse(id, &mut s, &env, &Macros::default()).unwrap(); }
                    eprintln!("slab parse: {:?}", t.elapsed() / n);
                    }
                }
            }
            Err(e) => eprintln!("{}", render_all(&e, &sources, Format::Stap, false, 100)),
        }
    }
}
