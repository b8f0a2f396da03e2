//! The language's types, and how strings are held.

/// A type of the language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Type {
    /// Not known yet; none is left after checking.
    #[default]
    Unknown,
    /// 64 bits, signed.
    Long,
    /// Bytes without NUL.
    String,
    /// A statistic.
    Stats,
}

impl Type {
    /// The word of SystemTap's messages and listings.
    pub const fn name(self) -> &'static str {
        match self {
            Type::Unknown => "unknown",
            Type::Long => "long",
            Type::String => "string",
            Type::Stats => "stats",
        }
    }
}

/// How a string is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// Nothing is known yet, or the type is no string.
    #[default]
    None,
    /// The handle of a stack, text only where a script looks at it.
    Stack,
    /// Bytes, at most this many with the NUL.
    Text(u32),
}

impl Shape {
    /// What holds both.
    pub fn join(self, other: Shape, max: u32) -> Shape {
        match (self, other) {
            (Shape::None, shape) | (shape, Shape::None) => shape,
            (Shape::Stack, Shape::Stack) => Shape::Stack,
            (Shape::Text(a), Shape::Text(b)) => Shape::Text(a.max(b)),
            (Shape::Stack, Shape::Text(_)) | (Shape::Text(_), Shape::Stack) => Shape::Text(max),
        }
    }
}
