//! Colours that stay apart for the colour-blind and on paper without colour: each kind has a lightness of its own.

/// Light to dark: Cividis turned round (Nuñez, Anderton, Renslow: PLOS ONE 13(7), 2018), whose lightness falls steadily
/// and which looks the same to people who do not tell red from green.
const SCALE: [(u8, u8, u8); 8] = [
    (253, 231, 148),
    (229, 207, 105),
    (194, 177, 106),
    (160, 150, 119),
    (126, 124, 120),
    (91, 98, 117),
    (51, 74, 110),
    (0, 34, 78),
];

/// Lines of a chart: the darker ones of Okabe and Ito's colours (2008), each with dashes of its own.
pub const LINES: [(&str, &str); 6] = [
    ("#000000", ""),
    ("#0072b2", "7 3"),
    ("#d55e00", "2 3"),
    ("#009e73", "9 3 2 3"),
    ("#8f4a73", "4 2 1 2"),
    ("#946c00", "12 4"),
];

/// A place on the scale from light (0) to dark (1).
pub fn scale(at: f64) -> String {
    let last = SCALE.len() - 1;
    let place = at.clamp(0.0, 1.0) * last as f64;
    let below = (place as usize).min(last - 1);
    let part = place - below as f64;
    let (from, to) = (SCALE[below], SCALE[below + 1]);
    let mix = |from: u8, to: u8| (f64::from(from) + (f64::from(to) - f64::from(from)) * part).round() as u8;
    format!("#{:02x}{:02x}{:02x}", mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}

/// A colour made darker by up to a few hundredths, by a name: neighbours differ a little.
pub fn shade((r, g, b): (u8, u8, u8), name: &str) -> String {
    let hash = name.bytes().fold(5381_u32, |hash, byte| hash.wrapping_mul(33) ^ u32::from(byte));
    let keep = 100 - hash % 7;
    let darker = |part: u8| (u32::from(part) * keep / 100) as u8;
    format!("#{:02x}{:02x}{:02x}", darker(r), darker(g), darker(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How light a colour is to the eye (ITU-R BT.709).
    fn lightness(colour: &str) -> f64 {
        let part = |at: usize| f64::from(u8::from_str_radix(&colour[at..at + 2], 16).expect("hex"));
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
    }

    #[test]
    fn the_scale_only_gets_darker() {
        let steps: Vec<f64> = (0..=100).map(|at| lightness(&scale(f64::from(at) / 100.0))).collect();
        assert!(steps.windows(2).all(|pair| pair[1] < pair[0]), "{steps:?}");
        assert!(steps[0] - steps[100] > 150.0, "{steps:?}");
    }
}
