//! Numbers, and what they mean: times, error numbers.

use super::Refusal;
use crate::sys::errno;

/// A string as a number as far as it is one, as `strtol` of C reads it: blanks, a sign, a prefix where the base has one.
/// What is out of range is the nearest number that is not.
pub fn strtol(text: &[u8], base: i64) -> i64 {
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r')).count();
    let text = &text[blanks..];
    let (is_negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let (base, digits) = match (base, text) {
        (0 | 16, [b'0', b'x' | b'X', digit, ..]) if digit.is_ascii_hexdigit() => (16, &text[2..]),
        (0, [b'0', ..]) => (8, text),
        (0, _) => (10, text),
        (2..=36, _) => (base as u32, text),
        _ => return 0,
    };
    let sign = if is_negative { -1 } else { 1 };
    let digits = digits.iter().map_while(|byte| char::from(*byte).to_digit(base));
    let step = |number: i64, digit: u32| number.saturating_mul(base.into()).saturating_add(sign * i64::from(digit));
    digits.fold(0, step)
}

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Seconds since 1970 as `Wed Jun 30 21:49:08 1993`, in UTC. Only for times of 32 bits (function::ctime(3stap)).
pub fn ctime(seconds: i64) -> Result<Vec<u8>, Refusal> {
    if seconds > i32::MAX.into() {
        return Err("Time too far in the future to be converted".into());
    }
    if seconds < i32::MIN.into() {
        return Err("Time too far in the past to be converted".into());
    }
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // 1970 began on a Thursday.
    let weekday = DAYS[(days + 4).rem_euclid(7) as usize];
    let (year, month, day) = date(days);
    let month = MONTHS[month as usize - 1];
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    Ok(format!("{weekday} {month} {day:2} {hour:02}:{minute:02}:{second:02} {year}").into_bytes())
}

/// Year, month and day of a day since 1970 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
/// `civil_from_days`): years begin in March, so that the leap day is the last one.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    (era * 400 + year, month, day)
}

/// The name of an error number, negative or not; `E#3333` where it has none.
pub fn errno_str(number: i64) -> Vec<u8> {
    let number = number.unsigned_abs();
    match i32::try_from(number).ok().and_then(errno::name) {
        _ if number == 0 => Vec::new(),
        Some(name) => name.into(),
        None => format!("E#{number}").into_bytes(),
    }
}

/// An error number without its sign; 0 where it has no name.
pub fn errno_p(number: i64) -> i64 {
    let number = number.unsigned_abs();
    i32::try_from(number).ok().filter(|number| errno::name(*number).is_some()).unwrap_or(0).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// What `strtol(3)` of the C library gives.
    #[test]
    fn numbers_are_read_as_c_reads_them() {
        let texts =
            ["zz", "0x1f", "0X1Fg", "0x", " \t\x0b-12ab", "+7", "-", "", "077", "08", "9223372036854775808", "0b11"];
        let large = ["-9223372036854775808", "-9223372036854775809", "zzzzzzzzzzzzzzzzz", "1010102"];
        for text in texts.iter().chain(&large) {
            let c_text = std::ffi::CString::new(*text).expect("no NUL");
            for base in [0, 2, 8, 10, 16, 36] {
                // SAFETY: the text ends with a NUL, and no end is asked for.
                let expected = unsafe { libc::strtol(c_text.as_ptr(), std::ptr::null_mut(), base) };
                // The C library of 2023 on also takes `0b` of C23, which SystemTap's kernel does not.
                if *text != "0b11" || !matches!(base, 0 | 2) {
                    assert_eq!(strtol(text.as_bytes(), base.into()), expected, "{text:?} of base {base}");
                }
            }
        }
        assert_eq!([strtol(b"7", 1), strtol(b"7", 37), strtol(b"7", -10)], [0; 3]);
    }

    /// What `date` prints; the two ends stand in function::ctime(3stap).
    #[test]
    fn times_are_those_of_date() {
        assert_eq!(ctime(-2_147_483_648).as_deref(), Ok(&b"Fri Dec 13 20:45:52 1901"[..]));
        assert_eq!(ctime(2_147_483_647).as_deref(), Ok(&b"Tue Jan 19 03:14:07 2038"[..]));
        let mut times = vec![0, -1, 951_782_400, 951_868_799, 951_868_800, 1_709_164_800, 1_709_251_200];
        times.extend((0..40).map(|n| n * 53_217_931));
        for time in times {
            let date = Command::new("date").args(["-u", "-d", &format!("@{time}"), "+%a %b %e %H:%M:%S %Y"]).output();
            let date = date.expect("coreutils").stdout;
            assert_eq!(ctime(time).as_deref(), Ok(date.trim_ascii_end()), "{time}");
        }
        assert!(ctime(1 << 31).is_err_and(|why| why.contains("future")));
        assert!(ctime(-(1 << 31) - 1).is_err_and(|why| why.contains("past")));
    }

    /// function::errno_str(3stap).
    #[test]
    fn error_numbers_have_names() {
        let names = [2, -2, 3333, 0].map(errno_str);
        assert_eq!(names, [&b"ENOENT"[..], b"ENOENT", b"E#3333", b""]);
        assert_eq!(errno_str(i64::MIN), b"E#9223372036854775808");
    }
}
