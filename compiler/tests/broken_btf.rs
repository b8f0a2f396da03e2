//! Type information that is cut off or tells nonsense: compiling comes back with a program or a diagnostic.

mod common;

use common::world::{MODULE, Small};
use std::time::{Duration, Instant};
use tapster_compiler::check::Options;
use tapster_compiler::world::World;
use tapster_lang::preprocess::Environment;

/// What is asked of the types.
const TYPED: &str = include_str!("data/typed.stp");

/// Blobs that are tried.
const ROUNDS: usize = 6_000;
const LIMIT: Duration = Duration::from_secs(10);

/// Numbers that look random and are the same each time (Marsaglia, "Xorshift RNGs").
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    fn spoil(&mut self, blob: &[u8]) -> Vec<u8> {
        let mut blob = blob.to_vec();
        for _ in 0..=self.below(4) {
            let word = 4 * self.below(blob.len() / 4);
            match self.below(4) {
                0 => blob[word + self.below(4)] = self.below(256) as u8,
                // Another type, perhaps the one it stands in.
                1 | 2 => blob[word..word + 4].copy_from_slice(&(self.below(40) as u32).to_le_bytes()),
                _ => blob[word..word + 4].copy_from_slice(&(u32::MAX - self.below(9) as u32).to_le_bytes()),
            }
        }
        if self.below(8) == 0 {
            blob.truncate(self.below(blob.len()));
        }
        blob
    }
}

#[test]
fn broken_types_are_survived() {
    let run = || {
        let small = Small::new();
        let [good, module] = ["vmlinux", MODULE].map(|name| small.btf(name).expect("the small machine has types"));
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        let (mut compiled, mut refused) = (0, 0);
        for round in 0..ROUNDS {
            let world = match round % 3 {
                0 => Small::with(good.to_vec(), random.spoil(module)),
                _ => Small::with(random.spoil(good), module.to_vec()),
            };
            let start = Instant::now();
            // A member that is not there is asked for now and then.
            let script = if round % 8 == 0 { TYPED.into() } else { TYPED.replace("println($prev->nothing)", "") };
            let (_, result) = common::image(script.as_bytes(), &Environment::default(), &world, &Options::default());
            if result.is_ok() {
                compiled += 1
            } else {
                refused += 1
            }
            assert!(start.elapsed() < LIMIT, "round {round} took {:?}", start.elapsed());
        }
        assert!(compiled > ROUNDS / 20 && refused > ROUNDS / 20, "{compiled} compiled, {refused} refused");
    };
    let thread = std::thread::Builder::new().stack_size(8 << 20).spawn(run).expect("a thread can be had");
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}
