//! Numbers that look random and are the same for the same seed, and the values that break arithmetic.

/// A generator of numbers: splitmix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators").
#[derive(Clone, Debug)]
pub struct Rng(u64);

/// Numbers at which something changes: signs, widths of registers and immediates, counts of shifts.
const EDGES: &[i64] = &[
    0,
    1,
    -1,
    2,
    -2,
    7,
    10,
    31,
    32,
    63,
    64,
    65,
    -64,
    127,
    128,
    255,
    256,
    0x7fff,
    -0x8000,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    -0x8000_0000,
    -0x8000_0001,
    0xffff_ffff,
    0x1_0000_0000,
    i64::MAX - 1,
    i64::MAX,
    i64::MIN,
    i64::MIN + 1,
];

impl Rng {
    /// The numbers of a seed.
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below another.
    pub fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }

    /// True so many times in a hundred.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// One of several, each as likely as its weight.
    pub fn weighted<T: Copy>(&mut self, from: &[(usize, T)]) -> T {
        let mut nth = self.below(from.iter().map(|(weight, _)| weight).sum());
        for (weight, what) in from {
            if nth < *weight {
                return *what;
            }
            nth -= weight;
        }
        unreachable!("the number is below the sum of the weights")
    }

    /// A number that may be large, small, an edge or a power of two.
    pub fn number(&mut self) -> i64 {
        match self.below(8) {
            0..=3 => self.below(20) as i64 - 5,
            4 | 5 => *self.pick(EDGES),
            6 => 1_i64.wrapping_shl(self.below(64) as u32),
            _ => self.bits() as i64 >> self.below(60),
        }
    }
}
