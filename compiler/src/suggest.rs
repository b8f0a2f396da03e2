//! "Did you mean": the names nearest to one that is unknown.

/// How many names a message offers.
const OFFERED: usize = 5;

/// Nobody mistypes a name of more bytes, and comparing two takes the square of their length.
const LENGTH_MAX: usize = 128;

/// The nearest names, best first; none where nothing is near.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    if name.len() > LENGTH_MAX {
        return Vec::new();
    }
    // A third of the letters may differ: more than that is another word.
    let limit = (name.len() / 3).max(1);
    let mut found: Vec<(usize, &str)> = known
        .into_iter()
        .filter(|other| other.len().abs_diff(name.len()) <= limit)
        .filter_map(|other| distance(name.as_bytes(), other.as_bytes(), limit).map(|d| (d, other)))
        .collect();
    found.sort();
    found.dedup();
    found.into_iter().take(OFFERED).map(|(_, other)| other).collect()
}

/// The help line for an unknown name, where anything is near.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    match nearest(name, known).as_slice() {
        [] => None,
        [one] => Some(format!("did you mean `{one}`?")),
        many => Some(format!("did you mean one of `{}`?", many.join("`, `"))),
    }
}

/// Edit distance (insert, delete, replace, swap neighbours), `None` beyond the limit.
fn distance(a: &[u8], b: &[u8], limit: usize) -> Option<usize> {
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut row = vec![0; b.len() + 1];
    for i in 1..=a.len() {
        row[0] = i;
        let mut least = i;
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
            least = least.min(row[j]);
        }
        if least > limit {
            return None;
        }
        // The oldest row is written next.
        core::mem::swap(&mut before, &mut last);
        core::mem::swap(&mut last, &mut row);
    }
    Some(last[b.len()]).filter(|d| *d <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_come_first() {
        assert_eq!(nearest("execnam", ["execname", "pid", "pexecname"]), ["execname", "pexecname"]);
        assert_eq!(nearest("dentyr", ["dentry"]), ["dentry"]);
        assert!(nearest("x", ["kernel_string"]).is_empty());
    }
}
