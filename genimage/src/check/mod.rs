//! What an installer would say of a file, and a repository of a package, before a node asks.
