//! Which format the bytes of a value are in.

/// The format of a payload, as a frame names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Format {
    /// Whatever a serializer of the user's wrote.
    Other = 0,
    /// JSON text (RFC 8259).
    Json = 1,
    /// MessagePack, with the extension types of [`crate::kind`].
    MessagePack = 2,
    /// A pickle of Python.
    Pickle = 3,
    /// A pickle with a signature behind it.
    SignedPickle = 4,
    /// A decimal integer of 64 bits.
    Integer = 5,
}

impl Format {
    /// The format of this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Other,
            1 => Self::Json,
            2 => Self::MessagePack,
            3 => Self::Pickle,
            4 => Self::SignedPickle,
            5 => Self::Integer,
            _ => return None,
        })
    }

    /// Its name, for messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Other => "the format of a serializer of its own",
            Self::Json => "JSON",
            Self::MessagePack => "MessagePack",
            Self::Pickle => "pickle",
            Self::SignedPickle => "signed pickle",
            Self::Integer => "an integer",
        }
    }
}
