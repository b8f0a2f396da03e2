//! The terminal on standard input, and how wide the one on standard error is.

use std::mem::MaybeUninit;

/// A terminal that gives characters as they are typed and does not show them; dropping gives it its lines back.
pub struct Keys {
    before: libc::termios,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

impl Keys {
    /// Asks the terminal for single characters; `None` where standard input is none.
    pub fn one_by_one() -> Option<Keys> {
        let mut before = MaybeUninit::<libc::termios>::zeroed();
        // SAFETY: the call fills the structure where it succeeds, of which zeros are a valid one otherwise.
        let (result, before) =
            unsafe { (libc::tcgetattr(libc::STDIN_FILENO, before.as_mut_ptr()), before.assume_init()) };
        if result != 0 {
            return None;
        }
        let mut now = before;
        now.c_lflag &= !(libc::ICANON | libc::ECHO);
        set(&now);
        Some(Keys { before })
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        set(&self.before);
    }
}

/// Columns of the terminal on standard error; nothing where that is none, or does not know.
pub fn columns() -> Option<usize> {
    let mut size = MaybeUninit::<libc::winsize>::zeroed();
    // SAFETY: the call fills the structure where it succeeds, of which zeros are a valid one otherwise.
    let (result, size) =
        unsafe { (libc::ioctl(libc::STDERR_FILENO, libc::TIOCGWINSZ, size.as_mut_ptr()), size.assume_init()) };
    (result == 0 && size.ws_col > 0).then_some(size.ws_col.into())
}

/// Stops this process and those beside it in its pipeline, as ^Z does. Returns when they go on.
pub fn suspend() {
    // SAFETY: the call touches no memory.
    unsafe { libc::kill(0, libc::SIGTSTP) };
}

fn set(settings: &libc::termios) {
    // SAFETY: the call reads the structure alone. A terminal that has gone needs no settings.
    unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, settings) };
}
