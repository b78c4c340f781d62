//! Tokens and whose they are.

use std::fmt;

use tokenturn::core::token::Serial;

/// Attempts of one object that a state has room for.
pub const ATTEMPTS: usize = 10;

/// A RotatedToken. Most worlds have one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Object {
    #[default]
    A,
    B,
}

impl Object {
    /// As many as a state has room for.
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// The places of its attempts in a set.
    pub fn bits(self) -> u32 {
        u32::from(u16::MAX) << (16 * self as u32)
    }
}

/// At whose record, target and tokens a look is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Viewer {
    Of(Object),
    /// Another owner with the UID of A, of whom there is no object: somebody labelled a Secret so.
    Stranger,
}

impl Viewer {
    /// Whose record is found under the UID that is looked at.
    pub fn object(self) -> Object {
        match self {
            Self::Of(object) => object,
            Self::Stranger => Object::A,
        }
    }
}

/// A token by object, sequence and attempt; zero is none.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(u16);

impl Token {
    pub const NONE: Self = Self(0);

    pub fn new(object: Object, serial: Serial) -> Self {
        let part = |number: i64| u16::try_from(number).ok().filter(|number| *number < 16).expect("a small number");
        Self((object as u16) << 8 | part(serial.sequence) << 4 | part(serial.attempt))
    }

    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    pub fn object(self) -> Object {
        if self.0 >> 8 == 0 { Object::A } else { Object::B }
    }

    pub fn serial(self) -> Serial {
        Serial { sequence: self.sequence().into(), attempt: self.attempt().into() }
    }

    pub fn sequence(self) -> u8 {
        (self.0 >> 4 & 15) as u8
    }

    pub fn attempt(self) -> u8 {
        (self.0 & 15) as u8
    }

    /// Its place among all attempts, of all objects; `None` if a state has no room for it.
    pub fn place(self) -> Option<usize> {
        let attempt = usize::from(self.attempt());
        (attempt < ATTEMPTS).then(|| self.object() as usize * ATTEMPTS + attempt)
    }

    /// Its place in a set of attempts.
    pub fn bit(self) -> u32 {
        1 << (16 * self.object() as u32 + u32::from(self.attempt()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.object() {
            _ if self.is_none() => f.write_str("-"),
            Object::A => write!(f, "{}", self.serial()),
            Object::B => write!(f, "{} of B", self.serial()),
        }
    }
}
