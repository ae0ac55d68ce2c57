//! Types whose values are words of a definition or a command line.

/// A type that has a few values, each with its word.
macro_rules! words {
    ($(#[$meta:meta])* $noun:ident: $what:literal, $expected:literal; $($(#[$doc:meta])* $value:ident = $word:literal),+) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
        pub enum $noun {
            $($(#[$doc])* $value),+
        }

        impl $noun {
            /// Returns its word.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$value => $word),+
                }
            }
        }

        impl std::fmt::Display for $noun {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl std::str::FromStr for $noun {
            type Err = $crate::Error;

            fn from_str(text: &str) -> Result<Self, $crate::Error> {
                match text {
                    $($word => Ok(Self::$value),)+
                    _ => Err($crate::Error::invalid($what, text, $expected)),
                }
            }
        }
    };
}
